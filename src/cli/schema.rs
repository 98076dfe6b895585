//! `inspection-hub schema`: the GraphQL schema in its definition language; `schema.graphql` is this text.

use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Schema {
    /// As a subgraph of an Apollo Federation, version 2: what `_service { sdl }` answers.
    #[arg(long)]
    federation: bool,
}

impl Schema {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.federation {
            true => print!("{}", crate::graphql::federated()),
            false => print!("{}", crate::graphql::sdl()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

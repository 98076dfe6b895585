//! `inspection-hub schema`: the GraphQL schema in its definition language; `schema.graphql` is this text.

use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct SchemaCommand {
    /// As a subgraph of an Apollo Federation, version 2: what `_service { sdl }` answers.
    #[arg(long)]
    federation: bool,
}

impl SchemaCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.federation {
            true => print!("{}", crate::graphql::subgraph_sdl()),
            false => print!("{}", crate::graphql::sdl()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

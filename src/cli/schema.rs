//! `inspection-hub schema`: prints the GraphQL schema as SDL. `schema.graphql` is its output.

use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct SchemaCommand {
    /// Print the schema of an Apollo Federation 2 subgraph, as `_service { sdl }` returns it.
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

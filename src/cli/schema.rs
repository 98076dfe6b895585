//! `inspection-hub schema`: the GraphQL schema in its definition language; `schema.graphql` is this text.

use std::process::ExitCode;

pub fn run() -> anyhow::Result<ExitCode> {
    print!("{}", crate::graphql::sdl());
    Ok(ExitCode::SUCCESS)
}

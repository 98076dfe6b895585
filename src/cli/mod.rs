//! The command line, one file per command.

mod differences;
mod migrate;
mod purge;
mod rebuild;
mod replay_args;
mod schema;
mod serve;
mod simulate;
mod verify;

use crate::settings::{LogFormat, SettingFlags, Settings};
use crate::store::DatabaseAddress;
use clap::{Parser, Subcommand};
use std::path::Path;
use std::process::ExitCode;
use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Webhooks of remote-inspection vendors in, one GraphQL API out.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive webhooks and serve the API and the playground.
    Serve(serve::ServeCommand),
    /// Migrate the database, and exit.
    Migrate(migrate::MigrateCommand),
    /// Compare what is stored with what the raw log yields.
    ///
    /// Replays all deliveries into a second database and compares row by row. Changes nothing; the hub may run. The exit
    /// status is 0 if all rows are equal, 2 if there are differences, and 1 after a failure.
    Verify(verify::VerifyCommand),
    /// Replace what is stored by what the raw log yields.
    ///
    /// Replays all deliveries into a second database and compares. Prints the differences, and replaces the rows that differ,
    /// or all derived tables, in one transaction; the hub may run. The raw log does not change. If the command is ended
    /// early, nothing has changed, and the same command resumes; to start from scratch, remove its work folder. The exit
    /// status is 0 if all rows are equal now, and 1 after a failure.
    Rebuild(rebuild::RebuildCommand),
    /// Purge finished inspections.
    ///
    /// Deletes an inspection with everything that belongs to it, its history and its deliveries, if it is finished and nothing
    /// of it has changed for the given time. Also deletes entities without an inspection, and deliveries about no entity, of
    /// that age. The rest stays as it is, and the hub may run. There is no undo. If a vendor sends an event about a purged
    /// inspection again, the inspection is created again. The setting `retention` runs a purge every hour. The exit status is
    /// 0 after a complete run, and 1 after a failure.
    Purge(purge::PurgeCommand),
    /// Print the GraphQL schema.
    Schema(schema::SchemaCommand),
    /// Send realistic traffic of all five vendors to a running hub.
    Simulate(Box<simulate::Simulate>),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Migrate(migrate) => migrate.run(),
        Command::Verify(verify) => verify.run(),
        Command::Rebuild(rebuild) => rebuild.run(),
        Command::Purge(purge) => purge.run(),
        Command::Schema(schema) => schema.run(),
        Command::Simulate(simulate) => simulate.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("inspection-hub: {}", error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes. Many an error says its cause itself: that is said once.
fn error_chain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !line.contains(&cause) {
            let colon = if line.is_empty() { "" } else { ": " };
            line = format!("{line}{colon}{cause}");
        }
    }
    line
}

/// The settings from flags, environment and file; whatever is wrong with them is the error.
fn load_settings(flags: &SettingFlags) -> anyhow::Result<(Settings, Vec<crate::settings::SettingsWarning>)> {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let read = |path: &Path| std::fs::read_to_string(path);
    Settings::load(flags, environment, &read)
        .map_err(|problems| anyhow::anyhow!("the settings are not right\n{problems}"))
}

/// Logs to standard error, as the settings say.
fn init_logging(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log)?;
    // What cannot be written there is lost; to say so there would end the thread that tried.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let no_secrets = filter_fn(|metadata| !would_log_secrets(metadata));
    match settings.log_format {
        LogFormat::Text => log.finish().with(no_secrets).init(),
        LogFormat::Json => log.json().finish().with(no_secrets).init(),
    }
    Ok(())
}

/// Whether a line would quote what may be a password: the driver of PostgreSQL shows parameters that it does not know, and
/// whole lines of `~/.pgpass`.
fn would_log_secrets(metadata: &Metadata<'_>) -> bool {
    let quotes = |field: &str| metadata.fields().field(field).is_some();
    metadata.target().starts_with("sqlx_postgres::options") && (quotes("value") || quotes("line"))
}

/// The address of the database without a password.
fn redacted_database_url(settings: &Settings) -> String {
    DatabaseAddress::parse(&settings.database).map_or_else(|error| error.to_string(), |place| place.redacted())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_is_said_once() {
        let refused = || std::io::Error::other("refused");
        let error = Err::<(), _>(refused()).context("the database failed: refused").context("cannot start");
        assert_eq!(error_chain(&error.expect_err("failed")), "cannot start: the database failed: refused");
        let error = Err::<(), _>(refused()).context("cannot start");
        assert_eq!(error_chain(&error.expect_err("failed")), "cannot start: refused");
    }
}

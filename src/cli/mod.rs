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
    /// Bring the database up to date, and end.
    Migrate(migrate::MigrateCommand),
    /// Compare what is stored with what the raw log says.
    ///
    /// Reads and applies all deliveries anew, in a database of its own, and compares row by row. Nothing is changed; the
    /// hub may run meanwhile. The exit status is 0 if all is as it should be, 2 if there are differences, 1 if it could
    /// not be done.
    Verify(verify::VerifyCommand),
    /// Put what the raw log says in place of what is stored.
    ///
    /// Reads and applies all deliveries anew, in a database of its own, and compares. If there are differences, they are
    /// told, and all tables that are derived are replaced at once; the hub may run meanwhile. The raw log stays as it is.
    /// If it is ended before, nothing has changed, and the same command goes on from where it was; to begin anew, remove
    /// its scratch folder. The exit status is 0 if all is as it should be now, 1 if it could not be done.
    Rebuild(rebuild::RebuildCommand),
    /// Remove old lives.
    ///
    /// An inspection with all that hangs on it, or what stands alone with all that hangs on it, is removed if it is at an end
    /// and nothing was heard of any of it for so long; with its history, and with the deliveries that concern it. So are
    /// deliveries of that age that concern nothing. What is left is as before, and the hub may run meanwhile. It cannot be
    /// taken back. A vendor that repeats news of what was removed makes it known anew. The setting `retention` does the
    /// same hourly. The exit status is 0 if it is done, 1 if it could not be done.
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
        Command::Purge(forget) => forget.run(),
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

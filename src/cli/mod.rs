//! The command line, one file per command.

mod differences;
mod keys;
mod migrate;
mod purge;
mod rebuild;
mod serve;
mod simulate;
mod verify;

use crate::access::ApiKeyToken;
use crate::graphql;
use crate::settings::{LogFormat, SettingFlags, Settings};
use crate::store::{Database, DatabaseAddress, OpenMode};
use crate::vendor::Secret;
use anyhow::Context;
use clap::{Parser, Subcommand};
use std::io::{IsTerminal, Write};
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
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Receive webhooks and serve the API and the playground.
    Serve(SettingFlags),
    /// Migrate the database to this version, and exit.
    Migrate(migrate::MigrateCommand),
    /// Compare the stored state with a replay of the raw log.
    ///
    /// Replays all deliveries into a shadow database and compares it row by row. Changes nothing; the hub may run at the
    /// same time. Exit status: 0 without differences, 2 with differences, 1 after an error.
    Verify(verify::VerifyCommand),
    /// Replace the stored state by a replay of the raw log.
    ///
    /// Replays all deliveries into a shadow database and compares. Differences are printed, and all derived tables are
    /// replaced at once; the hub may run at the same time. The raw log does not change. If the command is interrupted,
    /// nothing has changed, and the same command resumes; to start from scratch, remove its work folder. Exit status: 0 if
    /// the state now equals the replay, 1 after an error.
    Rebuild(rebuild::RebuildCommand),
    /// Delete finished inspections of the given age.
    ///
    /// Deletes each finished inspection, and everything that belongs to it, once the last delivery about any of it is older
    /// than the given age, with its history and deliveries. The same holds for sessions and jobs without an inspection, and
    /// for deliveries about no entity. The hub may run at the same time. This cannot be undone. A later delivery about a
    /// deleted inspection creates it again. The setting `retention` does the same hourly. Exit status: 0, or 1 after an
    /// error.
    Purge(purge::PurgeCommand),
    /// Create, list, rotate and revoke API keys.
    ///
    /// A hub may run on the same database at the same time. Exit status: 0, or 1 after an error.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print the GraphQL schema.
    Schema {
        /// Print the schema of an Apollo Federation 2 subgraph, as `_service { sdl }` returns it.
        #[arg(long)]
        federation: bool,
    },
    /// Send realistic traffic of all five vendors to a running hub.
    Simulate(Box<simulate::Simulate>),
}

/// Runs the command of the command line.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        CliCommand::Serve(flags) => serve::run(&flags),
        CliCommand::Migrate(migrate) => migrate.run(),
        CliCommand::Verify(verify) => verify.run(),
        CliCommand::Rebuild(rebuild) => rebuild.run(),
        CliCommand::Purge(purge) => purge.run(),
        CliCommand::Keys(keys) => keys.run(),
        CliCommand::Schema { federation } => {
            print_all(&if federation { graphql::subgraph_sdl().to_owned() } else { graphql::sdl() })
        }
        CliCommand::Simulate(simulate) => simulate.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            _ = writeln!(std::io::stderr(), "inspection-hub: {}", error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line of a report. Work does not end because the reader of its report has.
macro_rules! outln {
    ($($arg:tt)*) => {
        _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($arg)*)))
    };
}
use outln;

/// Prints a text. A reader that has read enough, such as `head`, is no error.
fn print_all(text: &str) -> anyhow::Result<ExitCode> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// An error with its causes. A cause that the error's own message contains is not repeated.
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

fn environment() -> impl Iterator<Item = (String, String)> {
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
    let variables = std::env::vars_os();
    variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// An API key: `env:NAME`, `file:PATH`, or the key itself.
fn read_api_key(text: &str) -> anyhow::Result<Secret> {
    let value = if let Some(name) = text.strip_prefix("env:") {
        let variable = environment().find(|(known, _)| known == name);
        variable.map(|(_, value)| value).with_context(|| format!("--api-key: the variable {name} is not set"))?
    } else if let Some(path) = text.strip_prefix("file:") {
        std::fs::read_to_string(path).with_context(|| format!("--api-key: {path} cannot be read"))?
    } else {
        text.to_owned()
    };
    let key: Result<ApiKeyToken, _> = value.trim_end().parse();
    let key = key.map_err(|error| anyhow::anyhow!("--api-key: {error}"))?;
    Ok(Secret::new(key.reveal()))
}

/// The settings from flags, environment and file. The error lists all mistakes.
fn load_settings(flags: &SettingFlags) -> anyhow::Result<(Settings, Vec<String>)> {
    let read = |path: &Path| std::fs::read_to_string(path);
    Settings::load(flags, environment(), &read).map_err(|problems| anyhow::anyhow!("invalid configuration\n{problems}"))
}

/// Logs to standard error, as configured.
fn init_logging(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log)?;
    // A line that cannot be written is lost. Reporting that to standard error would panic.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // Colours are for people. On a terminal, `NO_COLOR` turns them off.
    let log = if std::io::stderr().is_terminal() { log } else { log.with_ansi(false) };
    let no_secrets = filter_fn(|metadata| !would_log_secrets(metadata));
    match settings.log_format {
        LogFormat::Text => log.finish().with(no_secrets).init(),
        LogFormat::Json => log.json().finish().with(no_secrets).init(),
    }
    Ok(())
}

/// Whether a log line may quote a password: the PostgreSQL driver logs unknown parameters, and lines of `~/.pgpass`.
fn would_log_secrets(metadata: &Metadata<'_>) -> bool {
    let quotes = |field: &str| metadata.fields().field(field).is_some();
    metadata.target().starts_with("sqlx_postgres::options") && (quotes("value") || quotes("line"))
}

fn redacted_database_url(settings: &Settings) -> String {
    DatabaseAddress::parse(&settings.database).map_or_else(|error| error.to_string(), |address| address.redacted())
}

/// A database of this version. `verb` says what cannot be done otherwise.
async fn open_database(settings: &Settings, verb: &str) -> anyhow::Result<Database> {
    let opened = Database::open_with(&settings.database, OpenMode::SkipMigrations, settings.pools()).await;
    opened.with_context(|| format!("cannot {verb} {}", redacted_database_url(settings)))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_api_key_is_given_by_name_or_by_file() {
        let key = format!("ihub_0123456789ab_{}", "0".repeat(64));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, format!("{key}\n")).expect("written");
        for text in [key.clone(), format!("file:{}", path.display())] {
            assert_eq!(read_api_key(&text).expect("a key").value, key, "{text}");
        }
        for (text, expected) in [
            (&key[1..], "--api-key: it is not an API key: ihub_<id>_<secret>"),
            ("", "--api-key: it is not an API key"),
            ("env:NO_SUCH_VARIABLE", "--api-key: the variable NO_SUCH_VARIABLE is not set"),
            ("file:no/such/file", "--api-key: no/such/file cannot be read"),
        ] {
            let error = read_api_key(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_cause_is_not_repeated() {
        let refused = || std::io::Error::other("refused");
        let error = Err::<(), _>(refused()).context("the database failed: refused").context("cannot start");
        assert_eq!(error_chain(&error.expect_err("failed")), "cannot start: the database failed: refused");
        let error = Err::<(), _>(refused()).context("cannot start");
        assert_eq!(error_chain(&error.expect_err("failed")), "cannot start: refused");
    }
}

//! The limit of open files (RLIMIT_NOFILE): raises it, and lowers the number of connections to fit.

use crate::settings::Settings;
use crate::store::DatabaseAddress;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the log, the listener, the runtime, and files that are open for a short time.
const PROCESS_FILES: u32 = 64;
/// The database file, its WAL, and the WAL index.
const FILES_PER_SQLITE_CONNECTION: u32 = 3;
/// Database connections outside the read pool: the writer's, and those of background tasks.
const NON_READER_CONNECTIONS: u32 = 8;

/// Raises the soft limit to the hard one. Returns the configured number of connections, or fewer if too few files may be open.
pub fn max_connections(settings: &Settings) -> usize {
    let wanted = settings.max_connections.get();
    let is_sqlite = matches!(DatabaseAddress::parse(&settings.database), Ok(DatabaseAddress::Sqlite(_)));
    let database = if is_sqlite { FILES_PER_SQLITE_CONNECTION } else { 1 };
    let reserved = PROCESS_FILES + database * (settings.database_pool_size.get() + NON_READER_CONNECTIONS);
    let Some(limit) = raise_file_limit() else { return wanted as usize };
    let allowed = cap_connections(wanted, u64::from(reserved), limit);
    if allowed < u64::from(wanted) {
        tracing::warn!(
            max_connections = wanted,
            open_files = limit,
            allowed,
            "max_connections was lowered to fit the limit of open files; raise the hard limit (LimitNOFILE, ulimit -Hn)"
        );
    }
    usize::try_from(allowed).unwrap_or(usize::MAX)
}

/// At least one, or the hub would never respond.
fn cap_connections(wanted: u32, reserved: u64, limit: u64) -> u64 {
    u64::from(wanted).min(limit.saturating_sub(reserved)).max(1)
}

/// The raised limit. `None` if there is no limit.
fn raise_file_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "raising the limit of open files failed");
        return current;
    }
    maximum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_the_files_that_the_database_leaves() {
        for (wanted, limit, allowed) in
            [(10_000, 20_000, 10_000), (10_000, 1_024, 924), (10_000, 50, 1), (20, 1_024, 20)]
        {
            assert_eq!(cap_connections(wanted, 100, limit), allowed);
        }
    }
}

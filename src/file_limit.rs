//! How many files the process may have open, connections included: asked for as much as may be had, and kept within it.

use crate::settings::Settings;
use crate::store::DatabaseAddress;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The log, the listener, the runtime's own, and what opens and closes meanwhile.
const PROCESS_FILES: u32 = 64;
/// What a connection to a SQLite file has open: the file, its log, and the log's index.
const FILES_PER_SQLITE_CONNECTION: u32 = 3;
/// Connections besides those that read: the writer's, its helper's, and what is written beside deliveries.
const NON_READER_CONNECTIONS: u32 = 8;

/// Raises the soft limit to the hard one, and says how many connections may be open at once: as many as the settings allow,
/// or fewer if there are not so many files to be had.
pub fn max_connections(settings: &Settings) -> usize {
    let wanted = settings.max_connections.get();
    let database = match DatabaseAddress::parse(&settings.database) {
        Ok(DatabaseAddress::Sqlite(_)) => FILES_PER_SQLITE_CONNECTION,
        _ => 1,
    };
    let reserved = PROCESS_FILES + database * (settings.pools.pool_size + NON_READER_CONNECTIONS);
    let Some(limit) = raise_file_limit() else { return wanted as usize };
    let allowed = cap_connections(wanted, u64::from(reserved), limit);
    if allowed < u64::from(wanted) {
        tracing::warn!(
            max_connections = wanted,
            open_files = limit,
            allowed,
            "the process may not open enough files for so many connections; raise its hard limit (LimitNOFILE, ulimit -Hn)"
        );
    }
    usize::try_from(allowed).unwrap_or(usize::MAX)
}

/// At least one, or nothing would ever be answered.
fn cap_connections(wanted: u32, reserved: u64, limit: u64) -> u64 {
    u64::from(wanted).min(limit.saturating_sub(reserved)).max(1)
}

/// The limit after it was raised; none if there is none.
fn raise_file_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
        return current;
    }
    maximum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_comes_first() {
        for (wanted, limit, allowed) in
            [(10_000, 20_000, 10_000), (10_000, 1_024, 924), (10_000, 50, 1), (20, 1_024, 20)]
        {
            assert_eq!(cap_connections(wanted, 100, limit), allowed);
        }
    }
}

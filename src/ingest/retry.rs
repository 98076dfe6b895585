//! The retry policy of a batch: what is retried, and when. Nothing else retries a write.
//!
//! | A batch fails because of | Then |
//! |---|---|
//! | another writer, which has written first or was in the way | again, with the lock |
//! | the connection, which was lost | again, with the lock, if the counters prove that nothing was committed |
//! | the database: unreachable, full, read-only, busy | nothing: the vendors send again |
//! | one of its deliveries | each delivery in a batch of its own; after two failures in a row it is the database |
//!
//! What cannot be stored is answered 503, and the vendor sends it again.

use super::Unavailable;
use crate::store::StoreError;

/// Retries of one batch with the lock.
const MAX_RETRIES: usize = 2;
/// This many failures in a row are not the deliveries' fault.
const MAX_FAILED_DELIVERIES: usize = 2;

/// Whose fault it is that a batch could not be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureCause {
    OtherWriter,
    /// Whether the batch was committed is unknown.
    Connection,
    Database,
    /// One of the batch, as far as known.
    Delivery,
}

impl FailureCause {
    fn of(error: &StoreError) -> FailureCause {
        if matches!(error, StoreError::Conflict) || error.is_transaction_rollback() {
            FailureCause::OtherWriter
        } else if error.is_lost_connection() {
            FailureCause::Connection
        } else if error.is_unavailable() {
            FailureCause::Database
        } else {
            FailureCause::Delivery
        }
    }
}

/// How a batch is attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// With the counters and entities that the writer has cached.
    Cached,
    /// With the lock, and nothing cached.
    Locked,
    /// As `Locked`, if the counters are the cached ones: then the attempt before has committed nothing.
    LockedIfUnchanged,
}

/// Attempts a batch until it is committed or a retry is useless. An attempt that returns `None` was not made, because it would not
/// be safe.
///
/// # Errors
/// The last failure; then nothing of the batch was written, unless the connection was lost during the commit.
pub fn commit<T>(mut attempt: impl FnMut(Attempt) -> Result<Option<T>, StoreError>) -> Result<T, StoreError> {
    let (mut next, mut failure) = (Attempt::Cached, StoreError::Conflict);
    for _ in 0..=MAX_RETRIES {
        failure = match attempt(next) {
            Ok(Some(committed)) => return Ok(committed),
            Ok(None) => break,
            Err(error) => error,
        };
        next = match FailureCause::of(&failure) {
            FailureCause::OtherWriter => Attempt::Locked,
            // Once: each attempt may wait for a connection until its timeout.
            FailureCause::Connection if next == Attempt::Cached => Attempt::LockedIfUnchanged,
            FailureCause::Connection | FailureCause::Database | FailureCause::Delivery => break,
        };
    }
    Err(failure)
}

/// The results of a batch, one for each delivery.
#[derive(Debug)]
pub struct BatchResults<T> {
    pub results: Vec<Result<T, Unavailable>>,
    /// Whether the database is the cause of a failure.
    pub database_failed: bool,
}

/// Commits a batch. If one of its deliveries may be the cause of a failure, each is committed in a batch of its own.
pub fn commit_or_isolate<D, T>(
    batch: &[D],
    source: impl Fn(&D) -> &str,
    mut commit: impl FnMut(&[D]) -> Result<Vec<T>, StoreError>,
) -> BatchResults<T> {
    let error = match commit(batch) {
        Ok(committed) => {
            return BatchResults { results: committed.into_iter().map(Ok).collect(), database_failed: false };
        }
        Err(error) => error,
    };
    if batch.len() == 1 || FailureCause::of(&error) != FailureCause::Delivery {
        tracing::error!(%error, records = batch.len(), "deliveries or commands could not be stored");
        return BatchResults {
            results: batch.iter().map(|_| Err(Unavailable::Storage)).collect(),
            database_failed: true,
        };
    }
    tracing::warn!(%error, records = batch.len(), "a batch failed; its records are committed one by one");
    let mut results = Vec::with_capacity(batch.len());
    let mut failures = 0;
    for delivery in batch {
        if failures == MAX_FAILED_DELIVERIES {
            results.push(Err(Unavailable::Storage));
            continue;
        }
        match commit(std::slice::from_ref(delivery)) {
            Ok(committed) => {
                failures = 0;
                results.extend(committed.into_iter().map(Ok));
            }
            Err(error) => {
                failures += 1;
                tracing::error!(%error, source = source(delivery), "a delivery or command could not be stored");
                results.push(Err(Unavailable::Storage));
            }
        }
    }
    BatchResults { results, database_failed: failures == MAX_FAILED_DELIVERIES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sea_orm::sqlx;
    use std::collections::VecDeque;

    fn lost() -> StoreError {
        sqlx::Error::WorkerCrashed.into()
    }

    fn poison() -> StoreError {
        StoreError::Corrupt("an entity".into())
    }

    /// Plays the results of attempts; returns which attempts were made, and whether the batch was committed.
    fn attempts(results: impl IntoIterator<Item = Result<Option<()>, StoreError>>) -> (Vec<Attempt>, bool) {
        let (mut results, mut made) = (VecDeque::from_iter(results), Vec::new());
        let committed = commit(|attempt| {
            made.push(attempt);
            results.pop_front().expect("no further attempt")
        });
        (made, committed.is_ok())
    }

    #[test]
    fn a_batch_is_retried_by_whose_fault_it_is() {
        use Attempt::{Cached, Locked, LockedIfUnchanged};
        let conflict = || Err(StoreError::Conflict);
        assert_eq!(attempts([Ok(Some(()))]), (vec![Cached], true));
        assert_eq!(attempts([conflict(), Ok(Some(()))]), (vec![Cached, Locked], true));
        assert_eq!(attempts([conflict(), conflict(), conflict()]), (vec![Cached, Locked, Locked], false));
        assert_eq!(attempts([Err(lost()), Ok(Some(()))]), (vec![Cached, LockedIfUnchanged], true));
        assert_eq!(
            attempts([Err(lost()), Err(lost())]),
            (vec![Cached, LockedIfUnchanged], false),
            "waited twice, not more"
        );
        assert_eq!(attempts([Err(lost()), Ok(None)]), (vec![Cached, LockedIfUnchanged], false), "committed, perhaps");
        assert_eq!(attempts([Err(poison())]), (vec![Cached], false));
    }

    /// Commits batches of numbers, of which some always fail.
    fn stored(batch: &[i32], fails: impl Fn(i32) -> Option<StoreError>) -> (Vec<bool>, bool) {
        let BatchResults { results, database_failed } = commit_or_isolate(
            batch,
            |_| "lot",
            |part| match part.iter().find_map(|number| fails(*number)) {
                Some(error) => Err(error),
                None => Ok(part.to_vec()),
            },
        );
        (results.iter().map(Result::is_ok).collect(), database_failed)
    }

    #[test]
    fn a_delivery_that_cannot_be_stored_costs_its_neighbours_nothing() {
        let two_is_poison = |number| (number == 2).then(poison);
        assert_eq!(stored(&[1, 2, 3], two_is_poison), (vec![true, false, true], false));
        assert_eq!(stored(&[2], two_is_poison), (vec![false], true));
        assert_eq!(stored(&[1, 2, 3, 4], |number| (number > 1).then(poison)), (vec![true, false, false, false], true));
        assert_eq!(stored(&[1, 2, 3], |number| (number == 2).then(lost)), (vec![false; 3], true));
    }
}

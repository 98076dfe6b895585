//! The progress of a subscription through the history, for its transport: where it begins and ends, the position up to
//! which it has scanned, and the change that a response is about.

use crate::store::StoreError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by the execution and its transport. The execution delivers a change, the response to it arrives, and the
/// transport acknowledges it. The next change is delivered only then, so a response cannot be attributed to another
/// change.
#[derive(Debug, Default)]
pub struct SubscriptionProgress {
    /// Begins after this position, which overrides the operation's cursor.
    pub(super) start_after: Option<i64>,
    /// Ends with this position.
    pub(super) end_at: Option<i64>,
    state: Mutex<AckState>,
}

#[derive(Debug, Default)]
struct AckState {
    /// Every change up to this position was skipped or acknowledged.
    scanned_to: i64,
    /// Delivered, and not acknowledged yet.
    unacked: Option<i64>,
}

/// A cursor that overrides the one in the operation: a client reconnects by itself with the same operation, and its
/// transport reports the last event it received.
#[derive(Clone, Debug)]
pub struct ResumeCursor(pub Arc<str>);

impl SubscriptionProgress {
    /// From a position, or from the operation's cursor, up to a position.
    pub fn new(start_after: Option<i64>, end_at: Option<i64>) -> Arc<SubscriptionProgress> {
        let state = AckState { scanned_to: start_after.unwrap_or_default(), unacked: None };
        Arc::new(SubscriptionProgress { start_after, end_at, state: Mutex::new(state) })
    }

    /// The position of the change that the response just received is about; none if it is about no change.
    pub fn ack(&self) -> Option<i64> {
        let mut state = self.state();
        let position = state.unacked.take()?;
        state.scanned_to = position;
        Some(position)
    }

    /// The position up to which no more responses follow.
    pub fn scanned_to(&self) -> i64 {
        self.state().scanned_to
    }

    /// The filter does not match this change.
    pub(super) fn skip(&self, position: i64) -> Result<(), StoreError> {
        self.acknowledged(position)?.scanned_to = position;
        Ok(())
    }

    /// The next response is about this change.
    pub(super) fn deliver(&self, position: i64) -> Result<(), StoreError> {
        self.acknowledged(position)?.unacked = Some(position);
        Ok(())
    }

    // The state, if nothing is left to be acknowledged.
    fn acknowledged(&self, next: i64) -> Result<MutexGuard<'_, AckState>, StoreError> {
        let state = self.state();
        match state.unacked {
            None => Ok(state),
            Some(delivered) => {
                Err(StoreError::Corrupt(format!("change {next} came before change {delivered} was acknowledged")))
            }
        }
    }

    // Each update is one assignment, so a panic elsewhere leaves a consistent state.
    fn state(&self) -> MutexGuard<'_, AckState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_about_the_change_delivered_last() {
        let progress = SubscriptionProgress::new(Some(3), None);
        assert_eq!((progress.scanned_to(), progress.ack()), (3, None));
        progress.skip(4).expect("nothing is delivered");
        progress.deliver(5).expect("nothing is delivered");
        assert_eq!(progress.scanned_to(), 4, "5 is not acknowledged yet");
        assert_eq!((progress.ack(), progress.scanned_to(), progress.ack()), (Some(5), 5, None));
    }

    #[test]
    fn no_change_is_delivered_before_the_last_one_is_acknowledged() {
        let progress = SubscriptionProgress::default();
        progress.deliver(1).expect("nothing is delivered");
        assert!(progress.deliver(2).is_err());
        let progress = SubscriptionProgress::default();
        progress.deliver(1).expect("nothing is delivered");
        assert!(progress.skip(2).is_err());
        assert_eq!(progress.ack(), Some(1));
    }
}

//! A subscription's progress through the history, as its transport sees it: where it begins and ends, up to where it has
//! scanned, and which change a response is about.

use crate::store::StoreError;
use crate::sync::lock;
use std::sync::{Arc, Mutex, MutexGuard};

/// Where a subscription begins. It is decided once, before the execution, and passed down with the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StartPosition {
    /// After the cursor in the operation's `after`, or at the newest change. The field resolves it.
    #[default]
    FromOperation,
    /// After this cursor, whatever the operation says: a client that reconnects with the same operation. The field validates it.
    Cursor(Arc<str>),
    /// After this position, which is known to be in this history.
    Position(i64),
}

/// Passed along with a request. Responses come one by one: the subscription delivers a change, the execution makes its
/// response, and the receiver acknowledges it. The next change is not delivered before that, so a response cannot be mistaken
/// for one about another change.
#[derive(Debug, Default)]
pub struct SubscriptionProgress {
    pub(super) start: StartPosition,
    /// The last position; null for a subscription without an end.
    pub(super) end_at: Option<i64>,
    state: Mutex<AckState>,
}

#[derive(Debug, Default)]
struct AckState {
    /// All changes up to here were skipped, or their responses acknowledged.
    scanned_to: i64,
    /// Delivered, and its response not acknowledged yet.
    unacked: Option<i64>,
}

impl SubscriptionProgress {
    pub fn new(start: StartPosition, end_at: Option<i64>) -> Arc<SubscriptionProgress> {
        let scanned_to = if let StartPosition::Position(position) = start { position } else { 0 };
        let state = Mutex::new(AckState { scanned_to, unacked: None });
        Arc::new(SubscriptionProgress { start, end_at, state })
    }

    /// The position that the response just received is about; null if it is about no change.
    pub fn ack(&self) -> Option<i64> {
        let mut state = lock(&self.state);
        let position = state.unacked.take()?;
        state.scanned_to = position;
        Some(position)
    }

    /// The watermark: no more responses are about positions up to here.
    pub fn scanned_to(&self) -> i64 {
        lock(&self.state).scanned_to
    }

    /// This change does not match.
    pub(super) fn skip(&self, position: i64) -> Result<(), StoreError> {
        self.acked_state(position)?.scanned_to = position;
        Ok(())
    }

    /// The next response is about this change.
    pub(super) fn deliver(&self, position: i64) -> Result<(), StoreError> {
        self.acked_state(position)?.unacked = Some(position);
        Ok(())
    }

    fn acked_state(&self, position: i64) -> Result<MutexGuard<'_, AckState>, StoreError> {
        let state = lock(&self.state);
        match state.unacked {
            None => Ok(state),
            Some(unacked) => Err(StoreError::Corrupt(format!(
                "change {position} came up before the response about change {unacked} was acknowledged"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_about_the_change_delivered_last() {
        let progress = SubscriptionProgress::new(StartPosition::Position(3), None);
        assert_eq!((progress.scanned_to(), progress.ack()), (3, None));
        progress.skip(4).expect("nothing is unacknowledged");
        progress.deliver(5).expect("nothing is unacknowledged");
        assert_eq!(progress.scanned_to(), 4, "5 has no response yet");
        assert_eq!((progress.ack(), progress.scanned_to(), progress.ack()), (Some(5), 5, None));
    }

    #[test]
    fn no_change_is_delivered_before_the_last_one_is_acknowledged() {
        let progress = SubscriptionProgress::default();
        progress.deliver(1).expect("nothing is unacknowledged");
        assert!(progress.deliver(2).is_err());
        let progress = SubscriptionProgress::default();
        progress.deliver(1).expect("nothing is unacknowledged");
        assert!(progress.skip(2).is_err());
        assert_eq!(progress.ack(), Some(1));
    }
}

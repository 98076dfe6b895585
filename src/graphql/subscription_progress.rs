//! A subscription's way through the history, as its transport sees it: where it begins and ends, how far it has looked,
//! and which change an answer is about.

use crate::store::StoreError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Passed along with a request. Answers come one by one: a change is handed out to be answered, its answer comes out of
/// the execution, and whoever receives it takes the position. The next change is not handed out before that, so an
/// answer cannot be taken for one about another change.
#[derive(Debug, Default)]
pub struct SubscriptionProgress {
    /// Begins after this position, whatever the operation says.
    pub(super) start_after: Option<i64>,
    /// Ends with this position.
    pub(super) end_at: Option<i64>,
    state: Mutex<AckState>,
}

#[derive(Debug, Default)]
struct AckState {
    /// All up to here was passed over, or its answer was taken.
    scanned_to: i64,
    /// Handed out, and its answer not taken yet.
    unacked: Option<i64>,
}

/// A cursor after which a subscription begins, whatever the operation says: so when a client comes back by itself, with
/// the same operation, and its transport says what it got last.
#[derive(Clone, Debug)]
pub struct ResumeCursor(pub Arc<str>);

impl SubscriptionProgress {
    /// From a position, or from where the operation says, up to another.
    pub fn new(from: Option<i64>, until: Option<i64>) -> Arc<SubscriptionProgress> {
        let state = AckState { scanned_to: from.unwrap_or_default(), unacked: None };
        Arc::new(SubscriptionProgress { start_after: from, end_at: until, state: Mutex::new(state) })
    }

    /// The position that the answer just received is about; none if it is about no change.
    pub fn ack(&self) -> Option<i64> {
        let mut state = self.state();
        let position = state.unacked.take()?;
        state.scanned_to = position;
        Some(position)
    }

    /// The position up to which nothing more will come.
    pub fn scanned_to(&self) -> i64 {
        self.state().scanned_to
    }

    /// This change is not told.
    pub(super) fn skip(&self, position: i64) -> Result<(), StoreError> {
        let mut state = self.state();
        match state.unacked {
            None => {
                state.scanned_to = position;
                Ok(())
            }
            Some(handed) => Err(out_of_order(handed, position)),
        }
    }

    /// The next answer is about this change.
    pub(super) fn deliver(&self, position: i64) -> Result<(), StoreError> {
        let mut state = self.state();
        match state.unacked {
            None => {
                state.unacked = Some(position);
                Ok(())
            }
            Some(handed) => Err(out_of_order(handed, position)),
        }
    }

    // A panic elsewhere leaves nothing half done here.
    fn state(&self) -> MutexGuard<'_, AckState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn out_of_order(handed: i64, next: i64) -> StoreError {
    StoreError::Corrupt(format!("change {next} came up before the answer about change {handed} was taken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_about_the_change_handed_out_last() {
        let walk = SubscriptionProgress::new(Some(3), None);
        assert_eq!((walk.scanned_to(), walk.ack()), (3, None));
        walk.skip(4).expect("nothing is out");
        walk.deliver(5).expect("nothing is out");
        assert_eq!(walk.scanned_to(), 4, "5 has no answer yet");
        assert_eq!((walk.ack(), walk.scanned_to(), walk.ack()), (Some(5), 5, None));
    }

    #[test]
    fn no_change_comes_up_before_the_last_one_is_answered() {
        let walk = SubscriptionProgress::default();
        walk.deliver(1).expect("nothing is out");
        assert!(walk.deliver(2).is_err());
        let walk = SubscriptionProgress::default();
        walk.deliver(1).expect("nothing is out");
        assert!(walk.skip(2).is_err());
        assert_eq!(walk.ack(), Some(1));
    }
}

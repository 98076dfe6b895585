//! A subscription's way through the history, as its transport sees it: where it begins and ends, how far it has looked,
//! and which change an answer is about.

use crate::store::StoreError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Passed along with a request. Answers come one by one: a change is handed out to be answered, its answer comes out of
/// the execution, and whoever receives it takes the position. The next change is not handed out before that, so an
/// answer cannot be taken for one about another change.
#[derive(Debug, Default)]
pub struct Walk {
    /// Begins after this position, whatever the operation says.
    pub(super) from: Option<i64>,
    /// Ends with this position.
    pub(super) until: Option<i64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// All up to here was passed over, or its answer was taken.
    looked: i64,
    /// Handed out, and its answer not taken yet.
    handed: Option<i64>,
}

/// A cursor after which a subscription begins, whatever the operation says: so when a client comes back by itself, with
/// the same operation, and its transport says what it got last.
#[derive(Clone, Debug)]
pub struct Resume(pub Arc<str>);

impl Walk {
    /// From a position, or from where the operation says, up to another.
    pub fn new(from: Option<i64>, until: Option<i64>) -> Arc<Walk> {
        let state = State { looked: from.unwrap_or_default(), handed: None };
        Arc::new(Walk { from, until, state: Mutex::new(state) })
    }

    /// The position that the answer just received is about; none if it is about no change.
    pub fn take(&self) -> Option<i64> {
        let mut state = self.state();
        let position = state.handed.take()?;
        state.looked = position;
        Some(position)
    }

    /// The position up to which nothing more will come.
    pub fn looked(&self) -> i64 {
        self.state().looked
    }

    /// This change is not told.
    pub(super) fn pass(&self, position: i64) -> Result<(), StoreError> {
        let mut state = self.state();
        match state.handed {
            None => {
                state.looked = position;
                Ok(())
            }
            Some(handed) => Err(mixed(handed, position)),
        }
    }

    /// The next answer is about this change.
    pub(super) fn hand_out(&self, position: i64) -> Result<(), StoreError> {
        let mut state = self.state();
        match state.handed {
            None => {
                state.handed = Some(position);
                Ok(())
            }
            Some(handed) => Err(mixed(handed, position)),
        }
    }

    // A panic elsewhere leaves nothing half done here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mixed(handed: i64, next: i64) -> StoreError {
    StoreError::Corrupt(format!("change {next} came up before the answer about change {handed} was taken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_about_the_change_handed_out_last() {
        let walk = Walk::new(Some(3), None);
        assert_eq!((walk.looked(), walk.take()), (3, None));
        walk.pass(4).expect("nothing is out");
        walk.hand_out(5).expect("nothing is out");
        assert_eq!(walk.looked(), 4, "5 has no answer yet");
        assert_eq!((walk.take(), walk.looked(), walk.take()), (Some(5), 5, None));
    }

    #[test]
    fn no_change_comes_up_before_the_last_one_is_answered() {
        let walk = Walk::default();
        walk.hand_out(1).expect("nothing is out");
        assert!(walk.hand_out(2).is_err());
        let walk = Walk::default();
        walk.hand_out(1).expect("nothing is out");
        assert!(walk.pass(2).is_err());
        assert_eq!(walk.take(), Some(1));
    }
}

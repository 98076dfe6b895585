//! The changes that were handed on last, so that those who come back after a short while, perhaps all at once, need not be
//! read for one by one.

use super::TAIL;
use crate::store::read::Changed;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// They follow each other without a hole, at most as many as the tail keeps.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Which history they are of.
    generation: i64,
    changes: VecDeque<Arc<Changed>>,
}

impl Recent {
    /// Adds the newest one.
    pub fn add(&self, changed: &Arc<Changed>, generation: i64) {
        let mut kept = self.kept();
        let follows = kept.newest() == Some(changed.change.position - 1) && kept.generation == generation;
        if !follows {
            kept.changes.clear();
            kept.generation = generation;
        } else if kept.changes.len() == TAIL {
            kept.changes.pop_front();
        }
        kept.changes.push_back(changed.clone());
    }

    /// All that came after a position, and which history it is of; none if not all of it is at hand.
    pub fn after(&self, position: i64) -> Option<(i64, Vec<Arc<Changed>>)> {
        let kept = self.kept();
        let changes = kept.changes.range(kept.after(position)?..).cloned().collect();
        Some((kept.generation, changes))
    }

    /// Whether all that came after a position of this history is at hand.
    pub fn reaches(&self, position: i64, generation: i64) -> bool {
        let kept = self.kept();
        kept.generation == generation && kept.after(position).is_some()
    }

    /// What comes next need not follow.
    pub fn forget(&self) {
        self.kept().changes.clear();
    }

    /// The same, unless something holds that whoever asks for what is remembered has made so before: whether it was forgotten.
    pub fn forget_unless(&self, holds: impl FnOnce() -> bool) -> bool {
        let mut kept = self.kept();
        let forgets = !holds();
        if forgets {
            kept.changes.clear();
        }
        forgets
    }

    // A panic elsewhere leaves nothing half done here.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn newest(&self) -> Option<i64> {
        Some(self.changes.back()?.change.position)
    }

    /// Where what comes after a position begins.
    fn after(&self, position: i64) -> Option<usize> {
        let oldest = self.changes.front()?.change.position;
        let index = usize::try_from(position.checked_add(1)?.checked_sub(oldest)?).ok()?;
        (index <= self.changes.len()).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entity::{Kind, Verdict, change};

    fn changed(position: i64) -> Arc<Changed> {
        let change = change::Model {
            position,
            kind: Kind::Delivery,
            entity: None,
            inspection: None,
            delivery: position,
            source: String::new(),
            vendor: String::new(),
            event: String::new(),
            verdict: Verdict::NoChange,
            reason: String::new(),
            from_state: None,
            to_state: None,
            from_status: None,
            to_status: None,
            cycle: 0,
            occurred_at: None,
            received_at: 0,
            news: None,
            named_state: None,
            implied: false,
            placed_cycle: 0,
            placed_rank: 0,
            step_before: None,
        };
        Arc::new(Changed { change, about: None, inspection: None })
    }

    fn positions(recent: &Recent, after: i64) -> Option<Vec<i64>> {
        Some(recent.after(after)?.1.iter().map(|changed| changed.change.position).collect())
    }

    #[test]
    fn what_is_at_hand_has_no_hole() {
        let recent = Recent::default();
        assert_eq!(positions(&recent, 0), None, "nothing is known yet");
        for position in 5..=7 {
            recent.add(&changed(position), 1);
        }
        assert_eq!(positions(&recent, 3), None);
        assert_eq!(positions(&recent, 4), Some(vec![5, 6, 7]));
        assert_eq!(positions(&recent, 7), Some(vec![]));
        assert_eq!(positions(&recent, 8), None, "not heard of here");
        assert!(recent.reaches(6, 1) && !recent.reaches(6, 2), "of its own history only");
        recent.add(&changed(9), 1);
        assert_eq!(positions(&recent, 7), None, "8 is missing");
        assert_eq!(positions(&recent, 8), Some(vec![9]));
        recent.add(&changed(10), 2);
        assert_eq!(positions(&recent, 8), None, "another history");
    }

    #[test]
    fn it_keeps_no_more_than_the_tail() {
        let recent = Recent::default();
        let most = i64::try_from(TAIL).expect("few");
        (1..=most + 3).for_each(|position| recent.add(&changed(position), 1));
        assert_eq!(positions(&recent, 2), None);
        assert_eq!(positions(&recent, 3).map(|all| all.len()), Some(TAIL));
    }

    #[test]
    fn it_is_forgotten_only_while_nobody_listens() {
        let recent = Recent::default();
        recent.add(&changed(1), 1);
        assert!(!recent.forget_unless(|| true));
        assert_eq!(positions(&recent, 0), Some(vec![1]));
        assert!(recent.forget_unless(|| false));
        assert_eq!(positions(&recent, 0), None);
    }
}

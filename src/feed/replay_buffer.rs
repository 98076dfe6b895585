//! The changes that were handed on last, so that those who come back after a short while, perhaps all at once, need not be
//! read for one by one.

use super::BUFFER_CAPACITY;
use crate::store::read::ChangeWithEntity;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// They follow each other without a hole, at most as many as the tail keeps.
#[derive(Debug, Default)]
pub struct ReplayBuffer(Mutex<ReplayState>);

#[derive(Debug, Default)]
struct ReplayState {
    /// Which history they are of.
    generation: i64,
    changes: VecDeque<Arc<ChangeWithEntity>>,
}

impl ReplayBuffer {
    /// Adds the newest one.
    pub fn push(&self, changed: &Arc<ChangeWithEntity>, generation: i64) {
        let mut kept = self.lock();
        let follows = kept.newest() == Some(changed.change.position - 1) && kept.generation == generation;
        if !follows {
            kept.changes.clear();
            kept.generation = generation;
        } else if kept.changes.len() == BUFFER_CAPACITY {
            kept.changes.pop_front();
        }
        kept.changes.push_back(changed.clone());
    }

    /// All that came after a position, and which history it is of; none if not all of it is at hand.
    pub fn after(&self, position: i64) -> Option<(i64, Vec<Arc<ChangeWithEntity>>)> {
        let kept = self.lock();
        let changes = kept.changes.range(kept.index_after(position)?..).cloned().collect();
        Some((kept.generation, changes))
    }

    /// Whether all that came after a position of this history is at hand.
    pub fn covers(&self, position: i64, generation: i64) -> bool {
        let kept = self.lock();
        kept.generation == generation && kept.index_after(position).is_some()
    }

    /// What comes next need not follow.
    pub fn clear(&self) {
        self.lock().changes.clear();
    }

    /// The same, unless something holds that whoever asks for what is remembered has made so before: whether it was forgotten.
    pub fn clear_unless(&self, holds: impl FnOnce() -> bool) -> bool {
        let mut kept = self.lock();
        let forgets = !holds();
        if forgets {
            kept.changes.clear();
        }
        forgets
    }

    // A panic elsewhere leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, ReplayState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReplayState {
    fn newest(&self) -> Option<i64> {
        Some(self.changes.back()?.change.position)
    }

    /// Where what comes after a position begins.
    fn index_after(&self, position: i64) -> Option<usize> {
        let oldest = self.changes.front()?.change.position;
        let index = usize::try_from(position.checked_add(1)?.checked_sub(oldest)?).ok()?;
        (index <= self.changes.len()).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entity::{Kind, ReasonCode, Verdict, change};

    fn changed(position: i64) -> Arc<ChangeWithEntity> {
        let change = change::Model {
            position,
            kind: Kind::Delivery,
            entity_row_id: None,
            inspection_row_id: None,
            delivery_row_id: Some(position),
            source: None,
            vendor: None,
            event: String::new(),
            verdict: Verdict::NoChange,
            reason_code: ReasonCode::NothingNew,
            reason_params: None,
            warnings: None,
            from_state: None,
            to_state: None,
            from_status: None,
            to_status: None,
            cycle: 0,
            occurred_at: None,
            received_at: 0,
            dedup_key: None,
            target_state: None,
            at_least: false,
            order_cycle: 0,
            order_rank: 0,
            previous_step: None,
        };
        Arc::new(ChangeWithEntity { change, entity: None, inspection_id: None })
    }

    fn positions(recent: &ReplayBuffer, after: i64) -> Option<Vec<i64>> {
        Some(recent.after(after)?.1.iter().map(|changed| changed.change.position).collect())
    }

    #[test]
    fn what_is_at_hand_has_no_hole() {
        let recent = ReplayBuffer::default();
        assert_eq!(positions(&recent, 0), None, "nothing is known yet");
        for position in 5..=7 {
            recent.push(&changed(position), 1);
        }
        assert_eq!(positions(&recent, 3), None);
        assert_eq!(positions(&recent, 4), Some(vec![5, 6, 7]));
        assert_eq!(positions(&recent, 7), Some(vec![]));
        assert_eq!(positions(&recent, 8), None, "not heard of here");
        assert!(recent.covers(6, 1) && !recent.covers(6, 2), "of its own history only");
        recent.push(&changed(9), 1);
        assert_eq!(positions(&recent, 7), None, "8 is missing");
        assert_eq!(positions(&recent, 8), Some(vec![9]));
        recent.push(&changed(10), 2);
        assert_eq!(positions(&recent, 8), None, "another history");
    }

    #[test]
    fn it_keeps_no_more_than_the_tail() {
        let recent = ReplayBuffer::default();
        let most = i64::try_from(BUFFER_CAPACITY).expect("few");
        (1..=most + 3).for_each(|position| recent.push(&changed(position), 1));
        assert_eq!(positions(&recent, 2), None);
        assert_eq!(positions(&recent, 3).map(|all| all.len()), Some(BUFFER_CAPACITY));
    }

    #[test]
    fn it_is_forgotten_only_while_nobody_listens() {
        let recent = ReplayBuffer::default();
        recent.push(&changed(1), 1);
        assert!(!recent.clear_unless(|| true));
        assert_eq!(positions(&recent, 0), Some(vec![1]));
        assert!(recent.clear_unless(|| false));
        assert_eq!(positions(&recent, 0), None);
    }
}

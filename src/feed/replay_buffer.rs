//! The replay buffer: the changes published last, so that listeners that reconnect soon, perhaps all at once, need not read
//! the history.

use super::BUFFER_CAPACITY;
use crate::store::read::ChangeWithEntity;
use crate::sync::lock;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Contiguous changes, at most [`BUFFER_CAPACITY`].
#[derive(Debug, Default)]
pub struct ReplayBuffer(Mutex<ReplayState>);

#[derive(Debug, Default)]
struct ReplayState {
    /// The generation of the changes.
    generation: i64,
    changes: VecDeque<Arc<ChangeWithEntity>>,
}

impl ReplayBuffer {
    /// Appends the newest change.
    pub fn push(&self, changed: &Arc<ChangeWithEntity>, generation: i64) {
        let mut state = lock(&self.0);
        let is_next = state.newest() == Some(changed.change.position - 1) && state.generation == generation;
        if !is_next {
            state.changes.clear();
            state.generation = generation;
        } else if state.changes.len() == BUFFER_CAPACITY {
            state.changes.pop_front();
        }
        state.changes.push_back(changed.clone());
    }

    /// All changes after a position, with their generation; none if some of them are not buffered.
    pub fn after(&self, position: i64) -> Option<(i64, Vec<Arc<ChangeWithEntity>>)> {
        let state = lock(&self.0);
        let changes = state.changes.range(state.index_after(position)?..).cloned().collect();
        Some((state.generation, changes))
    }

    /// Whether all changes after a position of this generation are buffered.
    pub fn covers(&self, position: i64, generation: i64) -> bool {
        let state = lock(&self.0);
        state.generation == generation && state.index_after(position).is_some()
    }

    /// Removes all changes. The next one need not be contiguous.
    pub fn clear(&self) {
        lock(&self.0).changes.clear();
    }

    /// Clears the buffer unless a condition holds, which is tested under the buffer's lock. Returns whether it was cleared.
    pub fn clear_unless(&self, holds: impl FnOnce() -> bool) -> bool {
        let mut state = lock(&self.0);
        let is_cleared = !holds();
        if is_cleared {
            state.changes.clear();
        }
        is_cleared
    }
}

impl ReplayState {
    fn newest(&self) -> Option<i64> {
        Some(self.changes.back()?.change.position)
    }

    /// The index of the first change after a position.
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
            command_row_id: None,
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
            order_cycle: None,
            order_rank: 0,
            previous_step: None,
        };
        Arc::new(ChangeWithEntity { change, entity: None, inspection_id: None, actor: None })
    }

    fn positions(recent: &ReplayBuffer, after: i64) -> Option<Vec<i64>> {
        Some(recent.after(after)?.1.iter().map(|changed| changed.change.position).collect())
    }

    #[test]
    fn buffered_changes_are_contiguous() {
        let recent = ReplayBuffer::default();
        assert_eq!(positions(&recent, 0), None, "nothing is buffered yet");
        for position in 5..=7 {
            recent.push(&changed(position), 1);
        }
        assert_eq!(positions(&recent, 3), None);
        assert_eq!(positions(&recent, 4), Some(vec![5, 6, 7]));
        assert_eq!(positions(&recent, 7), Some(vec![]));
        assert_eq!(positions(&recent, 8), None, "not published yet");
        assert!(recent.covers(6, 1) && !recent.covers(6, 2), "only of its own generation");
        recent.push(&changed(9), 1);
        assert_eq!(positions(&recent, 7), None, "8 is missing");
        assert_eq!(positions(&recent, 8), Some(vec![9]));
        recent.push(&changed(10), 2);
        assert_eq!(positions(&recent, 8), None, "another generation");
    }

    #[test]
    fn it_has_a_capacity() {
        let recent = ReplayBuffer::default();
        let most = i64::try_from(BUFFER_CAPACITY).expect("few");
        (1..=most + 3).for_each(|position| recent.push(&changed(position), 1));
        assert_eq!(positions(&recent, 2), None);
        assert_eq!(positions(&recent, 3).map(|all| all.len()), Some(BUFFER_CAPACITY));
    }

    #[test]
    fn it_is_cleared_only_without_listeners() {
        let recent = ReplayBuffer::default();
        recent.push(&changed(1), 1);
        assert!(!recent.clear_unless(|| true));
        assert_eq!(positions(&recent, 0), Some(vec![1]));
        assert!(recent.clear_unless(|| false));
        assert_eq!(positions(&recent, 0), None);
    }
}

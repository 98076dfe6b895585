//! The folded state of an entity, and in the writer's memory with it: its row, as much of its past as was needed so far, and
//! what the batch must write.

use super::{Annotations, VersionedFields};
use crate::machine::fold::{AtLeastTime, FoldState, Step};
use crate::machine::{EntityType, Machine, Status};
use chrono::{DateTime, Utc};
use entity::update_order::{self, lists};
use std::collections::HashMap;
use uuid::Uuid;

/// Dedup keys of an entity that are cached between batches. An entity with more has them read again.
const MAX_CACHED_DEDUP_KEYS: usize = 4096;

/// An entity with its fields and the state of its fold.
#[derive(Clone, Debug)]
pub struct FoldedEntity {
    /// The primary key, in order of first appearance.
    pub row_id: i64,
    pub id: Uuid,
    pub entity_type: EntityType,
    pub source: String,
    pub vendor: &'static str,
    pub external_id: String,
    pub parent_row_id: Option<i64>,
    /// Its own row id, if it is an inspection.
    pub inspection_row_id: Option<i64>,
    /// The link by hand that decides about the inspection.
    pub hand_link: Option<HandLink>,
    /// As the vendor reports it.
    pub reference: Option<String>,
    pub annotations: Annotations,
    pub group: Option<String>,
    pub status: Option<Status>,
    pub fields: VersionedFields,
    pub fold_state: FoldState,
    /// Whether its steps are stored in fold order, because the order of its history differs.
    pub steps_materialized: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub occurred_at: Option<DateTime<Utc>>,
    pub position: i64,
}

/// A link by hand. It decides about the inspection of an entity and of all that belongs to it, until it is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandLink {
    /// The entity that was linked: this one, or one that it belongs to.
    pub linked_row_id: i64,
    /// What the vendor says instead.
    pub vendor_inspection_row_id: Option<i64>,
}

impl FoldedEntity {
    /// The inspection that the vendor says.
    pub fn vendor_inspection(&self) -> Option<i64> {
        self.hand_link.map_or(self.inspection_row_id, |link| link.vendor_inspection_row_id)
    }

    /// Whether it was linked by hand itself.
    pub fn is_linked_by_hand(&self) -> bool {
        self.hand_link.is_some_and(|link| link.linked_row_id == self.row_id)
    }

    /// Puts it where the one that it belongs to is, unless it was linked by hand itself. Returns whether that changed anything.
    pub fn follow(&mut self, parent: &ParentLink) -> bool {
        if self.is_linked_by_hand() {
            return false;
        }
        let before = (self.inspection_row_id, self.hand_link);
        let vendor_inspection_row_id = self.vendor_inspection();
        (self.inspection_row_id, self.hand_link) = match parent.linked_row_id {
            Some(linked_row_id) => {
                (parent.inspection_row_id, Some(HandLink { linked_row_id, vendor_inspection_row_id }))
            }
            None => (vendor_inspection_row_id.or(parent.inspection_row_id), None),
        };
        before != (self.inspection_row_id, self.hand_link)
    }
}

/// Where an entity is that others belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParentLink {
    pub inspection_row_id: Option<i64>,
    /// [`HandLink::linked_row_id`] of its link by hand.
    pub linked_row_id: Option<i64>,
}

impl From<&FoldedEntity> for ParentLink {
    fn from(parent: &FoldedEntity) -> ParentLink {
        ParentLink {
            inspection_row_id: parent.inspection_row_id,
            linked_row_id: parent.hand_link.map(|link| link.linked_row_id),
        }
    }
}

/// A place in the order of updates: the key of a row of `update_order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpdatePlace {
    pub list: i32,
    pub position: i64,
}

/// An entity in the writer's memory.
#[derive(Clone, Debug)]
pub struct CachedEntity {
    pub entity: FoldedEntity,
    pub machine: Option<&'static Machine>,
    /// All its steps, once a late event required them.
    pub loaded_steps: Option<Vec<Step>>,
    pub pending_steps: PendingSteps,
    /// The dedup keys in its history, each with the position of its row, once they were needed.
    pub seen_keys: Option<HashMap<i64, i64>>,
    /// Whether the entity's row must be written.
    pub dirty: bool,
    pub is_stored: bool,
    /// Position and status as they are stored, which give its places in the order of updates; none if it is not stored.
    pub stored_as: Option<(i64, Option<Status>)>,
    /// Whether the columns that link it or find it have changed in this batch.
    pub links_changed: bool,
    /// Whether its facts, details or their versions have changed in this batch.
    pub facts_changed: bool,
}

/// The steps that a batch adds to an entity. They are written only if the entity's steps are materialized.
#[derive(Clone, Debug, Default)]
pub struct PendingSteps {
    pub steps: Vec<MaterializedStep>,
    /// Whether they replace all stored ones.
    pub replace_all: bool,
}

/// A step in the order of the fold.
#[derive(Clone, Debug)]
pub struct MaterializedStep {
    pub seq: i32,
    pub step: Step,
    /// When it happened, as far as known, in microseconds since the Unix epoch. Never later than the step after it.
    pub effective_at: i64,
    pub state_after: Option<String>,
    pub status_after: Option<Status>,
    pub cycle_after: i32,
}

impl MaterializedStep {
    /// The step with this number, and the state after it.
    pub fn new(seq: i32, step: &Step, machine: &Machine, after: &FoldState) -> Self {
        MaterializedStep {
            seq,
            step: step.clone(),
            effective_at: step.occurred_or_received_at(),
            state_after: after.state.clone(),
            status_after: machine.status_of(after.state.as_deref()),
            cycle_after: after.cycle,
        }
    }
}

impl CachedEntity {
    /// An entity that was read from its row.
    pub fn from_stored(entity: FoldedEntity, machine: Option<&'static Machine>) -> Self {
        CachedEntity {
            stored_as: Some((entity.position, entity.status)),
            entity,
            machine,
            loaded_steps: None,
            seen_keys: None,
            pending_steps: PendingSteps::default(),
            dirty: false,
            is_stored: true,
            links_changed: false,
            facts_changed: false,
        }
    }

    /// An entity that has no row and no past yet.
    pub fn new(entity: FoldedEntity, machine: Option<&'static Machine>) -> Self {
        CachedEntity {
            loaded_steps: Some(Vec::new()),
            seen_keys: Some(HashMap::new()),
            dirty: true,
            is_stored: false,
            stored_as: None,
            links_changed: true,
            facts_changed: true,
            ..CachedEntity::from_stored(entity, machine)
        }
    }

    /// The rows of its new places in the order of updates; none if it has not moved.
    pub fn new_places(&self) -> impl Iterator<Item = update_order::Model> {
        let FoldedEntity { row_id, entity_type, position, status, .. } = self.entity;
        let moved = self.stored_as != Some((position, status));
        let lists = moved.then(|| lists(entity_type.kind(), status)).into_iter().flatten();
        lists.map(move |list| update_order::Model { list, position, entity_row_id: row_id })
    }

    /// The stored places that become obsolete when the entity is written.
    pub fn obsolete_places(&self) -> impl Iterator<Item = UpdatePlace> {
        let stored = self.stored_as.filter(|stored| *stored != (self.entity.position, self.entity.status));
        let kind = self.entity.entity_type.kind();
        let places =
            stored.map(|(position, status)| lists(kind, status).map(move |list| UpdatePlace { list, position }));
        places.into_iter().flatten()
    }

    /// Its status: by its state, and `REQUESTED` while it was announced and has none.
    pub fn derive_status(&self) -> Option<Status> {
        let by_state = self.machine.and_then(|machine| machine.status_of(self.entity.fold_state.state.as_deref()));
        by_state.or(self.entity.annotations.registered_at.map(|_| Status::Requested))
    }

    pub fn set_stored_steps(&mut self, mut stored: Vec<Step>) {
        stored.extend(self.pending_steps.steps.iter().map(|pending| pending.step.clone()));
        self.loaded_steps = Some(stored);
    }

    /// After the commit of the batch: nothing is left to write.
    pub fn mark_committed(&mut self) {
        self.pending_steps = PendingSteps::default();
        self.dirty = false;
        self.is_stored = true;
        self.stored_as = Some((self.entity.position, self.entity.status));
        self.links_changed = false;
        self.facts_changed = false;
        self.loaded_steps = None;
        self.seen_keys.take_if(|keys| keys.len() > MAX_CACHED_DEDUP_KEYS);
    }

    /// The position of the newest step, if the history has the steps in the order of the fold.
    pub fn last_step_position(&self) -> Option<i64> {
        let last = self.entity.fold_state.last_key.filter(|_| !self.entity.steps_materialized)?;
        Some(last.position)
    }

    /// An event reported this time explicitly, and not by implication.
    pub(super) fn record_reported_time(&mut self, at: Option<DateTime<Utc>>) {
        if let Some(implied) = &mut self.entity.fold_state.at_least_time {
            self.dirty |= at > implied.reported_at;
            implied.reported_at = implied.reported_at.max(at);
        }
        if at > self.entity.occurred_at {
            self.entity.occurred_at = at;
            self.dirty = true;
            self.entity.fold_state.at_least_time = None;
        }
    }

    /// The newest time of an implied state that moved the entity. With the newest reported time it gives the time of the last
    /// move.
    pub(super) fn record_at_least_time(&mut self, newest: Option<DateTime<Utc>>) {
        let reported_at = match self.entity.fold_state.at_least_time {
            Some(implied) => implied.reported_at,
            None => self.entity.occurred_at,
        };
        self.entity.fold_state.at_least_time = (newest > reported_at).then_some(AtLeastTime { reported_at });
        self.entity.occurred_at = newest.max(reported_at);
    }
}

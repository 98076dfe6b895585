//! Links by hand: an entity and all that belongs to it move to an inspection, and back.

use super::{RecordBatch, RecordContext};
use crate::command::{CommandError, EntityLink};
use crate::event::{HandLink, ParentLink, Reason};
use crate::machine::EntityType;
use crate::store::StoreError;
use entity::Verdict;
use std::collections::HashSet;
use uuid::Uuid;

impl RecordBatch<'_> {
    pub(super) fn check_link(&self, id: Uuid, link: &EntityLink) -> Result<(), CommandError> {
        let entity = &self.working.get(id).ok_or(CommandError::NotFound)?.entity;
        if entity.entity_type == EntityType::Inspection {
            return Err(CommandError::CannotBeLinked);
        }
        let Some(inspection) = link.inspection else {
            return if entity.is_linked_by_hand() { Ok(()) } else { Err(CommandError::NotLinkedByHand) };
        };
        let inspection = &self.working.get(inspection).ok_or(CommandError::NotFound)?.entity;
        match inspection.entity_type == EntityType::Inspection && inspection.source == entity.source {
            true => Ok(()),
            false => Err(CommandError::CannotBeLinked),
        }
    }

    /// Loads the parent of an entity, and all that belongs to it: parents come before their children. `None` if these are more than
    /// `max`.
    pub(super) fn load_parts(&mut self, id: Uuid, max: usize) -> Result<Option<Vec<Uuid>>, StoreError> {
        let Some(cached) = self.working.get(id) else { return Ok(Some(Vec::new())) };
        let row_id = cached.entity.row_id;
        if let Some(parent) = cached.entity.parent_row_id {
            let parent = self.connection.entity_ids(&[parent])?;
            self.working.load(self.connection, parent.into_iter().collect())?;
        }
        let mut parts = Vec::new();
        let mut known = HashSet::from([row_id]);
        let mut parents = HashSet::from([row_id]);
        while !parents.is_empty() {
            let stored =
                self.connection.children(&parents.iter().copied().collect::<Vec<_>>(), max.saturating_add(1))?;
            if parts.len() + stored.len() > max {
                return Ok(None);
            }
            self.working.load(self.connection, stored.into_iter().collect())?;
            let children = self.working.children(&parents);
            parents.clear();
            for child in children {
                let Some(row_id) = self.working.get(child).map(|cached| cached.entity.row_id) else { continue };
                if known.insert(row_id) {
                    parents.insert(row_id);
                    parts.push(child);
                }
            }
        }
        Ok(Some(parts).filter(|parts| parts.len() <= max))
    }

    /// Links an entity, or undoes that; what belongs to it follows.
    pub(super) fn apply_link(&mut self, context: &RecordContext<'_>, id: Uuid, link: &EntityLink, parts: &[Uuid]) {
        let Some(cached) = self.working.get(id) else { return };
        let before = (cached.entity.inspection_row_id, cached.entity.hand_link);
        let of_parent = cached.entity.parent_row_id.and_then(|parent| self.parent_link(parent));
        let target = link.inspection.and_then(|id| Some(self.working.get(id)?.entity.row_id));
        let Some(cached) = self.working.get_mut(id) else { return };
        let entity = &mut cached.entity;
        let (linked_row_id, vendor_inspection_row_id) = (entity.row_id, entity.vendor_inspection());
        match target {
            Some(inspection) => {
                entity.inspection_row_id = Some(inspection);
                entity.hand_link = Some(HandLink { linked_row_id, vendor_inspection_row_id });
            }
            None => {
                (entity.inspection_row_id, entity.hand_link) = (vendor_inspection_row_id, None);
                if let Some(of_parent) = of_parent {
                    entity.follow(&of_parent);
                }
            }
        }
        let changed = before != (entity.inspection_row_id, entity.hand_link);
        cached.links_changed |= changed;
        let reason = if target.is_some() { Reason::LinkedByHand {} } else { Reason::UnlinkedByHand {} };
        match changed {
            true => self.record_act(context, id, Verdict::Applied, reason),
            false => return self.record_act(context, id, Verdict::NoChange, Reason::NothingNew {}),
        }
        self.move_parts(context, parts);
    }

    /// Puts what belongs to an entity where that is now.
    pub(super) fn move_parts(&mut self, context: &RecordContext<'_>, parts: &[Uuid]) {
        for part in parts {
            let parent = self.working.get(*part).and_then(|cached| cached.entity.parent_row_id);
            let Some(of_parent) = parent.and_then(|parent| self.parent_link(parent)) else { continue };
            let Some(cached) = self.working.get_mut(*part) else { continue };
            if cached.entity.follow(&of_parent) {
                cached.links_changed = true;
                self.record_act(context, *part, Verdict::Applied, Reason::LinkedByParent {});
            }
        }
    }

    fn parent_link(&self, parent: i64) -> Option<ParentLink> {
        Some(ParentLink::from(&self.working.by_row_id(parent)?.entity))
    }
}

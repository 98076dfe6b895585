//! The entities of a batch, in memory.

use crate::event::CachedEntity;
use crate::store::{OriginalRow, StoreError, WriteConnection};
use crate::vendor;
use entity::idempotency_key;
use hashlink::LruCache;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The entities of a batch, and the dedup keys that are not among theirs.
pub struct WorkingSet {
    /// From earlier batches.
    cache: LruCache<Uuid, CachedEntity>,
    entities: HashMap<Uuid, CachedEntity>,
    ids_by_row_id: HashMap<i64, Uuid>,
    /// Dedup keys of this batch's deliveries about no entity, each with its delivery.
    pub keys_without_entity: HashMap<i64, i64>,
    /// Deliveries of earlier batches that some of this batch seem to duplicate, by the position of the row of history that has
    /// the key; those about no entity by the key.
    pub originals_by_position: HashMap<i64, OriginalRow>,
    pub originals_by_key: HashMap<i64, OriginalRow>,
    /// The idempotency keys of this batch's commands that were used, in this batch or before.
    pub idempotency_keys: HashMap<String, idempotency_key::Model>,
    /// The primary entity and dedup key of the delivery in progress, until a row of the entity's history has the key.
    pub pending_key: Option<(Uuid, i64)>,
}

impl WorkingSet {
    pub fn new(cache: LruCache<Uuid, CachedEntity>) -> WorkingSet {
        WorkingSet {
            cache,
            entities: HashMap::new(),
            ids_by_row_id: HashMap::new(),
            keys_without_entity: HashMap::new(),
            originals_by_position: HashMap::new(),
            originals_by_key: HashMap::new(),
            idempotency_keys: HashMap::new(),
            pending_key: None,
        }
    }

    /// Adds those of these entities that are stored: from the cache, else from the database.
    pub fn load(&mut self, connection: &mut dyn WriteConnection, mut ids: HashSet<Uuid>) -> Result<(), StoreError> {
        for id in &ids {
            if let Some(cached) = self.cache.remove(id) {
                self.insert(cached);
            }
        }
        ids.retain(|id| !self.entities.contains_key(id));
        if ids.is_empty() {
            return Ok(());
        }
        for entity in connection.load_entities(&ids.into_iter().collect::<Vec<_>>())? {
            let machine = vendor::by_name(entity.vendor).and_then(|vendor| vendor.machine(entity.entity_type));
            self.insert(CachedEntity::from_stored(entity, machine));
        }
        Ok(())
    }

    pub fn insert(&mut self, cached: CachedEntity) {
        self.ids_by_row_id.insert(cached.entity.row_id, cached.entity.id);
        self.entities.insert(cached.entity.id, cached);
    }

    pub fn get(&self, id: Uuid) -> Option<&CachedEntity> {
        self.entities.get(&id)
    }

    pub fn get_mut(&mut self, id: Uuid) -> Option<&mut CachedEntity> {
        self.entities.get_mut(&id)
    }

    pub fn by_row_id(&self, row_id: i64) -> Option<&CachedEntity> {
        self.entities.get(self.ids_by_row_id.get(&row_id)?)
    }

    pub fn by_row_id_mut(&mut self, row_id: i64) -> Option<&mut CachedEntity> {
        self.entities.get_mut(self.ids_by_row_id.get(&row_id)?)
    }

    /// The children of an entity that belong to no inspection, in the order of their `row_id`.
    pub fn unlinked_children(&self, parent: i64) -> Vec<Uuid> {
        let mut children: Vec<_> = self
            .entities
            .values()
            .filter(|cached| cached.entity.parent_row_id == Some(parent) && cached.entity.inspection_row_id.is_none())
            .map(|cached| (cached.entity.row_id, cached.entity.id))
            .collect();
        children.sort_unstable();
        children.into_iter().map(|(_, id)| id).collect()
    }

    /// The children of some entities, in the order of their `row_id`.
    pub fn children(&self, parents: &HashSet<i64>) -> Vec<Uuid> {
        let is_child =
            |cached: &&CachedEntity| cached.entity.parent_row_id.is_some_and(|parent| parents.contains(&parent));
        let children = self.entities.values().filter(is_child);
        let mut children: Vec<_> = children.map(|cached| (cached.entity.row_id, cached.entity.id)).collect();
        children.sort_unstable();
        children.into_iter().map(|(_, id)| id).collect()
    }

    pub fn ids(&self) -> Vec<Uuid> {
        self.entities.keys().copied().collect()
    }

    /// The entities whose rows must be written, in the order of their `row_id`.
    pub fn dirty(&self) -> Vec<&CachedEntity> {
        let mut dirty: Vec<&CachedEntity> = self.entities.values().filter(|cached| cached.dirty).collect();
        dirty.sort_unstable_by_key(|cached| cached.entity.row_id);
        dirty
    }

    /// The cache for the next batch, after this one's rows are written.
    pub fn into_cache(mut self) -> LruCache<Uuid, CachedEntity> {
        for (id, mut cached) in self.entities {
            cached.mark_committed();
            self.cache.insert(id, cached);
        }
        self.cache
    }
}

//! All valid keys of a process: those of the settings and those of the database.

use super::active_key::ActiveKey;
use crate::access::{ApiKey, ApiKeyId, ApiKeyToken, Principal, Scopes};
use crate::clock::TimeSource;
use crate::store::{ApiKeyRecord, ApiKeyStore, StoreError};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The valid keys. While there has never been one, the API is open.
#[derive(Debug)]
pub struct KeyRing {
    pub store: ApiKeyStore,
    clock: TimeSource,
    settings_keys: Vec<ApiKey>,
    has_other_ways: bool,
    /// Ends with the first key.
    anyone: Arc<Principal>,
    keys: RwLock<ValidKeys>,
    /// The number of changes that were read.
    version: tokio::sync::Mutex<i64>,
}

#[derive(Debug, Default)]
struct ValidKeys {
    /// Whether there is no key, and never was one.
    is_open: bool,
    by_id: HashMap<ApiKeyId, Arc<ActiveKey>>,
}

impl KeyRing {
    /// Reads the keys of the database. `has_other_ways`: whether there is another way to be authenticated, so that the API is not open
    /// without keys either. The keys of the settings win over those of the database with the same id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open(
        store: ApiKeyStore,
        settings_keys: Vec<ApiKey>,
        open_scopes: Scopes,
        has_other_ways: bool,
        clock: TimeSource,
    ) -> Result<Arc<KeyRing>, StoreError> {
        let anyone = Arc::new(Principal::anyone(open_scopes));
        let ring = KeyRing { settings_keys, has_other_ways, anyone, ..KeyRing::unread(store, clock) };
        ring.refresh().await?;
        Ok(Arc::new(ring))
    }

    /// A ring without keys, for an API that authenticates nobody.
    pub fn unread(store: ApiKeyStore, clock: TimeSource) -> KeyRing {
        let anyone = Arc::new(Principal::anyone(Scopes::NONE));
        let (keys, version) = (RwLock::default(), tokio::sync::Mutex::new(-1));
        KeyRing { store, clock, settings_keys: Vec::new(), has_other_ways: false, anyone, keys, version }
    }

    /// The principal of this key; null if it is not valid.
    pub fn authenticate(&self, token: &str) -> Option<Arc<Principal>> {
        let token: ApiKeyToken = token.parse().ok()?;
        let keys = self.read();
        let active = keys.by_id.get(&token.id).filter(|active| active.admits(&token, (self.clock)()))?;
        Some(active.principal.clone())
    }

    /// Anyone, while the API is open.
    pub fn anyone(&self) -> Option<Arc<Principal>> {
        self.read().is_open.then(|| self.anyone.clone())
    }

    /// The keys of the settings.
    pub fn settings_keys(&self) -> &[ApiKey] {
        &self.settings_keys
    }

    /// Reads the keys again if they have changed.
    ///
    /// # Errors
    /// If the database fails. The keys in memory stay valid.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        // One after the other: of two, the one that read older keys must not replace newer ones.
        let mut known = self.version.lock().await;
        let version = self.store.version().await?;
        if version != *known {
            // A row that cannot be read is a key, too.
            let has_keys = self.store.any().await?;
            self.replace(&self.store.all().await?, has_keys);
            *known = version;
        }
        Ok(())
    }

    /// When the key of a principal ends now: rotation shortens it, and what runs keeps its principal. The principal's own end if it has
    /// no key.
    pub fn expires_at(&self, principal: &Principal) -> Option<DateTime<Utc>> {
        let keys = self.read();
        let key = keys.by_id.values().find(|active| active.principal.subject == principal.subject);
        key.map_or(principal.expires_at, |active| active.key.expires_at)
    }

    /// Ends what uses an expired key.
    pub fn end_expired(&self) {
        let now = (self.clock)();
        if self.read().by_id.values().any(|active| active.key.is_expired(now)) {
            let expired = self.write().by_id.extract_if(|_, active| active.key.is_expired(now)).collect::<Vec<_>>();
            for (_, active) in expired {
                active.principal.ended.cancel();
            }
        }
    }

    /// Saves when each key was used, all by one statement.
    ///
    /// # Errors
    /// If the database fails. The next call tries again.
    pub async fn save_uses(&self) -> Result<(), StoreError> {
        let is_of_settings = |id| self.settings_keys.iter().any(|key| key.id == id);
        let used = self.read().by_id.values().filter_map(|active| active.unsaved_use()).collect::<Vec<_>>();
        let used: Vec<_> = used.into_iter().filter(|(id, _)| !is_of_settings(*id)).collect();
        if used.is_empty() {
            return Ok(());
        }
        self.store.mark_used(&used).await?;
        let keys = self.read();
        for (id, at) in used {
            if let Some(active) = keys.by_id.get(&id) {
                active.mark_saved(at);
            }
        }
        Ok(())
    }

    fn replace(&self, records: &[ApiKeyRecord], has_keys: bool) {
        let now = (self.clock)();
        // A later key wins.
        let stored = records.iter().filter(|record| record.revoked_at.is_none()).map(|record| &record.key);
        let valid = stored.chain(&self.settings_keys).filter(|key| !key.is_expired(now));
        let mut keys = self.write();
        let is_open =
            !has_keys && !self.has_other_ways && self.settings_keys.is_empty() && !self.anyone.ended.is_cancelled();
        let mut by_id: HashMap<ApiKeyId, Arc<ActiveKey>> = HashMap::new();
        for key in valid {
            let renewed = keys.by_id.get(&key.id).and_then(|active| active.renewed(key));
            by_id.insert(key.id, renewed.unwrap_or_else(|| Arc::new(ActiveKey::new(key.clone()))));
        }
        let before = std::mem::replace(&mut *keys, ValidKeys { is_open, by_id });
        let is_kept =
            |id, active: &Arc<ActiveKey>| keys.by_id.get(id).is_some_and(|now| active.renewed(&now.key).is_some());
        for active in before.by_id.iter().filter(|(id, active)| !is_kept(*id, active)).map(|(_, active)| active) {
            active.principal.ended.cancel();
        }
        if !is_open {
            self.anyone.ended.cancel();
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, ValidKeys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ValidKeys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A valid key in memory, with its principal.

use crate::access::{ApiKey, ApiKeyId, ApiKeyToken, Principal};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio_util::sync::CancellationToken;

const MINUTE: i64 = 60;

/// A valid key. Its principal ends when the key does.
#[derive(Debug)]
pub struct ActiveKey {
    pub key: ApiKey,
    pub principal: Arc<Principal>,
    /// In seconds since the Unix epoch, to the minute; 0 if it was not used.
    last_used: AtomicI64,
    /// The same, as it was saved last.
    saved: AtomicI64,
}

impl ActiveKey {
    pub fn new(key: ApiKey) -> ActiveKey {
        ActiveKey::with_end(key, CancellationToken::new())
    }

    fn with_end(key: ApiKey, ended: CancellationToken) -> ActiveKey {
        let (subject, view) = (key.subject().into(), key.view.clone());
        let principal = Principal { subject, view, expires_at: key.expires_at, ended };
        ActiveKey { key, principal: Arc::new(principal), last_used: AtomicI64::new(0), saved: AtomicI64::new(0) }
    }

    /// The key as it is now, if it still allows the same: what runs with it continues, until it expires.
    pub fn renewed(self: &Arc<Self>, key: &ApiKey) -> Option<Arc<ActiveKey>> {
        if !self.key.digest.is(&key.digest) || self.key.view != key.view {
            return None;
        }
        if self.key.expires_at == key.expires_at {
            return Some(self.clone());
        }
        let renewed = ActiveKey::with_end(key.clone(), self.principal.ended.clone());
        renewed.last_used.store(self.last_used.load(Ordering::Relaxed), Ordering::Relaxed);
        renewed.saved.store(self.saved.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(Arc::new(renewed))
    }

    /// Whether it is the key of this token, and valid. Notes the use.
    pub fn admits(&self, token: &ApiKeyToken, now: DateTime<Utc>) -> bool {
        let is_valid = self.key.digest.matches(token) && !self.key.is_expired(now);
        if is_valid {
            let minute = now.timestamp().div_euclid(MINUTE) * MINUTE;
            // Written once a minute: all requests read it.
            if self.last_used.load(Ordering::Relaxed) < minute {
                self.last_used.store(minute, Ordering::Relaxed);
            }
        }
        is_valid
    }

    /// When it was used last, if that is not saved.
    pub fn unsaved_use(&self) -> Option<(ApiKeyId, DateTime<Utc>)> {
        let last_used = self.last_used.load(Ordering::Relaxed);
        let is_unsaved = last_used > self.saved.load(Ordering::Relaxed);
        is_unsaved.then(|| DateTime::from_timestamp(last_used, 0)).flatten().map(|at| (self.key.id, at))
    }

    pub fn mark_saved(&self, at: DateTime<Utc>) {
        self.saved.fetch_max(at.timestamp(), Ordering::Relaxed);
    }
}

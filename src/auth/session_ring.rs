//! All open browser sessions of a database, in the memory of a process, so that a request needs no statement.

#[cfg(test)]
mod tests;

use crate::access::{BrowserSession, Principal, SESSION_IDLE_LIMIT, SessionDigest, SessionToken, View};
use crate::clock::TimeSource;
use crate::store::{BrowserSessionStore, LoginDigest, StoreError};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const MINUTE: i64 = 60;
/// How long a request with an unknown session waits until the sessions are read the next time: another process may have begun it.
const WAIT_FOR_SESSIONS: Duration = Duration::from_secs(1);

/// The open sessions.
#[derive(Debug)]
pub struct SessionRing {
    store: BrowserSessionStore,
    clock: TimeSource,
    by_digest: RwLock<HashMap<SessionDigest, Arc<ActiveSession>>>,
    /// The number of changes that were read.
    version: tokio::sync::Mutex<i64>,
    /// Wakes those who wait for the next look at the database.
    was_read: Notify,
}

/// An open session. Its principal ends when it does.
#[derive(Debug)]
struct ActiveSession {
    principal: Arc<Principal>,
    expires_at: DateTime<Utc>,
    /// In seconds since the Unix epoch: of any process, as far as it is known here.
    last_used: AtomicI64,
    /// The same, as it was saved last.
    saved: AtomicI64,
}

/// Why a login makes no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionNotBegun {
    #[error("the login has made a session already")]
    LoginUsed,
    #[error("the operating system has no random numbers: {0}")]
    NoRandomness(#[from] rand::rand_core::OsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SessionRing {
    /// Reads the sessions of the database.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open(store: BrowserSessionStore, clock: TimeSource) -> Result<Arc<SessionRing>, StoreError> {
        let (by_digest, version) = (RwLock::default(), tokio::sync::Mutex::new(-1));
        let ring = SessionRing { store, clock, by_digest, version, was_read: Notify::new() };
        ring.refresh().await?;
        Ok(Arc::new(ring))
    }

    /// The person of a session; null if it has ended. Notes the use.
    pub fn authenticate(&self, token: &SessionToken) -> Option<Arc<Principal>> {
        let now = (self.clock)();
        let sessions = self.read();
        let session = sessions.get(&token.digest()).filter(|session| now < session.ends_at())?;
        let minute = now.timestamp().div_euclid(MINUTE) * MINUTE;
        // Written once a minute: all requests read it.
        if session.last_used.load(Ordering::Relaxed) < minute {
            session.last_used.fetch_max(minute, Ordering::Relaxed);
        }
        Some(session.principal.clone())
    }

    /// Begins the session of a person that has logged in. Every login passes here: the place to record it.
    ///
    /// # Errors
    /// If the login has made a session already, or the database fails.
    pub async fn begin(
        &self,
        subject: String,
        view: View,
        login: LoginDigest,
    ) -> Result<SessionToken, SessionNotBegun> {
        let token = SessionToken::generate()?;
        let session = BrowserSession::begin(token.digest(), subject, view, (self.clock)());
        if !self.store.create(&session, login).await? {
            return Err(SessionNotBegun::LoginUsed);
        }
        self.refresh().await?;
        tracing::info!("a person logged in");
        Ok(token)
    }

    /// Ends a session: the person logs out. Every logout passes here: the place to record it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn end(&self, token: &SessionToken) -> Result<(), StoreError> {
        // An unknown one costs no statement.
        if !self.read().contains_key(&token.digest()) {
            return Ok(());
        }
        self.store.end(token.digest(), (self.clock)()).await?;
        self.refresh().await?;
        tracing::info!("a person logged out");
        Ok(())
    }

    /// Waits until the sessions are read the next time.
    pub async fn next_refresh(&self) {
        // If the database does not answer, the session stays unknown.
        let _ = tokio::time::timeout(WAIT_FOR_SESSIONS, self.was_read.notified()).await;
    }

    /// Reads the sessions again if one has begun or was ended.
    ///
    /// # Errors
    /// If the database fails. The sessions in memory stay open.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        // One after the other: of two, the one that read older sessions must not replace newer ones.
        let mut known = self.version.lock().await;
        let version = self.store.version().await?;
        if version != *known {
            self.reload().await?;
            *known = version;
        }
        self.was_read.notify_waiters();
        Ok(())
    }

    /// Ends what uses a session that has ended by time.
    pub fn end_expired(&self) {
        let now = (self.clock)();
        if self.read().values().any(|session| session.ends_at() <= now) {
            let ended = self.write().extract_if(|_, session| session.ends_at() <= now).collect::<Vec<_>>();
            for (_, session) in ended {
                session.principal.ended.cancel();
            }
        }
    }

    /// Saves when each session was used, and reads when others have used them.
    ///
    /// # Errors
    /// If the database fails. The next call tries again.
    pub async fn save_uses(&self) -> Result<(), StoreError> {
        let unsaved =
            |(digest, session): (&SessionDigest, &Arc<ActiveSession>)| Some((*digest, session.unsaved_use()?));
        let used = self.read().iter().filter_map(unsaved).collect::<Vec<_>>();
        if !used.is_empty() {
            self.store.mark_used(&used).await?;
        }
        let _one_at_a_time = self.version.lock().await;
        self.reload().await
    }

    async fn reload(&self) -> Result<(), StoreError> {
        let now = (self.clock)();
        let stored = self.store.open(now).await?;
        let mut sessions = self.write();
        let mut before = std::mem::take(&mut *sessions);
        for session in stored.iter().filter(|session| session.ends_at() > now) {
            let known = before.remove(&session.digest).inspect(|known| known.was_saved(session.last_used_at));
            sessions.insert(session.digest, known.unwrap_or_else(|| Arc::new(ActiveSession::new(session))));
        }
        // One that was used here only is not idle: its use is not saved yet.
        let (kept, ended): (Vec<_>, Vec<_>) = before.into_iter().partition(|(digest, session)| {
            stored.iter().any(|stored| stored.digest == *digest) && session.ends_at() > now
        });
        sessions.extend(kept);
        for (_, session) in ended {
            session.principal.ended.cancel();
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<SessionDigest, Arc<ActiveSession>>> {
        self.by_digest.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<SessionDigest, Arc<ActiveSession>>> {
        self.by_digest.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActiveSession {
    fn new(session: &BrowserSession) -> ActiveSession {
        let principal = Principal {
            subject: session.subject.as_str().into(),
            view: session.view.clone(),
            expires_at: Some(session.expires_at),
            ended: CancellationToken::new(),
        };
        let used = session.last_used_at.timestamp();
        ActiveSession {
            principal: Arc::new(principal),
            expires_at: session.expires_at,
            last_used: AtomicI64::new(used),
            saved: AtomicI64::new(used),
        }
    }

    fn ends_at(&self) -> DateTime<Utc> {
        let last_used = DateTime::from_timestamp(self.last_used.load(Ordering::Relaxed), 0).unwrap_or_default();
        self.expires_at.min(last_used + SESSION_IDLE_LIMIT)
    }

    fn unsaved_use(&self) -> Option<DateTime<Utc>> {
        let last_used = self.last_used.load(Ordering::Relaxed);
        let is_unsaved = last_used > self.saved.load(Ordering::Relaxed);
        is_unsaved.then(|| DateTime::from_timestamp(last_used, 0)).flatten()
    }

    fn was_saved(&self, at: DateTime<Utc>) {
        self.saved.fetch_max(at.timestamp(), Ordering::Relaxed);
        self.last_used.fetch_max(at.timestamp(), Ordering::Relaxed);
    }
}

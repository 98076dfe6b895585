//! How many invalid tokens a client may send: to verify a signature costs more than to refuse a request. Tokens that were verified
//! before are not affected.

use super::TokenRefused;
use crate::access::ClientNetwork;
use crate::sync::lock;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use hashlink::LruCache;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Invalid tokens of one client at once, and then one for each of these intervals.
const BURST: NonZeroU32 = NonZeroU32::new(30).expect("not zero");
const INTERVAL: Duration = Duration::from_secs(2);
/// Clients that are kept waiting.
const MAX_WAITING: usize = 4_096;
/// After this many failures, clients whose quota is full again are removed.
const FAILURES_PER_SWEEP: u32 = 4_096;

pub struct FailureLimit {
    limiter: DefaultKeyedRateLimiter<ClientNetwork>,
    /// Until when a client waits.
    waiting: Mutex<LruCache<ClientNetwork, Instant>>,
    failures: AtomicU32,
}

impl Default for FailureLimit {
    fn default() -> Self {
        let quota = Quota::with_period(INTERVAL).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(BURST);
        let waiting = Mutex::new(LruCache::new(MAX_WAITING));
        FailureLimit { limiter: DefaultKeyedRateLimiter::keyed(quota), waiting, failures: AtomicU32::new(0) }
    }
}

impl std::fmt::Debug for FailureLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FailureLimit")
    }
}

impl FailureLimit {
    /// # Errors
    /// If the client must wait.
    pub fn check(&self, client: Option<ClientNetwork>) -> Result<(), TokenRefused> {
        let Some(client) = client else { return Ok(()) };
        let mut waiting = lock(&self.waiting);
        let Some(until) = waiting.get(&client) else { return Ok(()) };
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            waiting.remove(&client);
            return Ok(());
        }
        Err(TokenRefused::TooManyFailures(rest.as_secs() + 1))
    }

    pub fn count(&self, client: Option<ClientNetwork>) {
        let Some(client) = client else { return };
        if let Err(exceeded) = self.limiter.check_key(&client) {
            let wait = exceeded.wait_time_from(DefaultClock::default().now());
            lock(&self.waiting).insert(client, Instant::now() + wait);
        }
        if self.failures.fetch_add(1, Ordering::Relaxed) % FAILURES_PER_SWEEP == FAILURES_PER_SWEEP - 1 {
            self.limiter.retain_recent();
        }
    }
}

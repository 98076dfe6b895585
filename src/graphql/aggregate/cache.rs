//! Results of slow aggregates, cached for a while and shared by concurrent requests. Fast ones are computed each time.
//!
//! A request waits for a computation that has begun. Whole queries must not (`src/http/graphql/coalesce.rs`): a query's
//! response is never older than its request, an aggregate may be.

use crate::access::View;
use crate::graphql::error::ApiError;
use crate::sync::lock;
use hashlink::LruCache;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A result that took less is not reused by later requests.
pub const MIN_COMPUTE_TIME: Duration = Duration::from_millis(100);
/// A result is reused for this many times its computing time: repeated requests use a twentieth of a core at most.
const TTL_FACTOR: u32 = 20;
const MAX_TTL: Duration = Duration::from_secs(60);
/// Results of different arguments.
const MAX_ENTRIES: usize = 64;

#[derive(Debug)]
pub struct ResultCache<V> {
    slots: Mutex<LruCache<CacheKey, Arc<CacheSlot<V>>>>,
    min_compute_time: Duration,
}

/// The view of those who asked, and the arguments.
type CacheKey = (View, String);

/// Locked while its result is being computed.
type CacheSlot<V> = tokio::sync::Mutex<Option<CachedResult<V>>>;

#[derive(Debug)]
struct CachedResult<V> {
    value: Arc<V>,
    computed_at: Instant,
    compute_time: Duration,
}

impl<V> ResultCache<V> {
    pub fn new(min_compute_time: Duration) -> Self {
        ResultCache { slots: Mutex::new(LruCache::new(MAX_ENTRIES)), min_compute_time }
    }

    /// The result for a view and these arguments: cached, being computed by another request, or else computed now.
    ///
    /// # Errors
    /// If it cannot be computed. An error is not cached.
    pub async fn get_or_compute(
        &self,
        view: &View,
        arguments: String,
        compute: impl Future<Output = Result<V, ApiError>>,
    ) -> Result<Arc<V>, ApiError> {
        let requested_at = Instant::now();
        let slot = lock(&self.slots).entry((view.clone(), arguments)).or_insert_with(Arc::default).clone();
        let mut cached = slot.lock().await;
        if let Some(result) = cached.as_ref().filter(|result| result.is_fresh(requested_at, self.min_compute_time)) {
            return Ok(result.value.clone());
        }
        let begun = Instant::now();
        let value = Arc::new(compute.await?);
        let (computed_at, compute_time) = (Instant::now(), begun.elapsed());
        *cached = Some(CachedResult { value: value.clone(), computed_at, compute_time });
        Ok(value)
    }
}

impl<V> CachedResult<V> {
    fn is_fresh(&self, requested_at: Instant, min_compute_time: Duration) -> bool {
        let age = requested_at.saturating_duration_since(self.computed_at);
        let ttl = MAX_TTL.min(self.compute_time * TTL_FACTOR);
        age.is_zero() || (self.compute_time > min_compute_time && age < ttl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Scopes;

    fn result(took: u64) -> CachedResult<()> {
        CachedResult { value: Arc::new(()), computed_at: Instant::now(), compute_time: Duration::from_millis(took) }
    }

    #[test]
    fn slow_results_are_cached_in_proportion() {
        for (took, ttl) in [(1, 0), (100, 0), (101, 2_020), (1_000, 20_000), (9_000, 60_000)] {
            let result = result(took);
            assert!(
                result.is_fresh(result.computed_at, MIN_COMPUTE_TIME),
                "it was being computed when it was requested"
            );
            for late in [1, 1_000, 2_019, 2_020, 19_999, 20_000, 59_999, 60_000] {
                let requested_at = result.computed_at + Duration::from_millis(late);
                assert_eq!(
                    result.is_fresh(requested_at, MIN_COMPUTE_TIME),
                    late < ttl,
                    "took {took}, requested {late} later"
                );
            }
        }
    }

    #[tokio::test]
    async fn concurrent_requests_share_a_computation() {
        let cache = ResultCache::<u32>::new(Duration::MAX);
        let computed = std::sync::atomic::AtomicU32::new(0);
        let compute = || async {
            tokio::task::yield_now().await;
            Ok(computed.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        };
        let view = View::everything();
        let get = |arguments: &str| cache.get_or_compute(&view, arguments.to_owned(), compute());
        let (one, shared, other) = tokio::join!(get("a"), get("a"), get("b"));
        let one = *one.expect("a result");
        assert_eq!(one, *shared.expect("a result"));
        assert_ne!(one, *other.expect("a result"));
        assert_eq!(*get("a").await.expect("a result"), 2, "a fast one is computed each time");
    }

    #[tokio::test]
    async fn another_view_has_results_of_its_own() {
        let cache = ResultCache::<u32>::new(Duration::ZERO);
        let limited = View::new(Scopes::ALL, Some(vec!["lot".to_owned()]));
        let slow = async |number| {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok(number)
        };
        for (view, number) in [(View::everything(), 1), (limited, 2)] {
            assert_eq!(cache.get_or_compute(&view, "a".to_owned(), slow(number)).await.as_deref(), Ok(&number));
        }
    }

    #[tokio::test]
    async fn an_error_is_not_cached() {
        let cache = ResultCache::<u32>::new(MIN_COMPUTE_TIME);
        let failed = cache
            .get_or_compute(&View::everything(), "a".to_owned(), async { Err(ApiError::bad_user_input("no", "no")) })
            .await;
        assert!(failed.is_err());
        assert_eq!(cache.get_or_compute(&View::everything(), "a".to_owned(), async { Ok(7) }).await.as_deref(), Ok(&7));
    }
}

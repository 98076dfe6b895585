//! Answers that take long are kept for a while and shared: who asks the same meanwhile costs nothing. What is quick is
//! computed each time.

use crate::graphql::error::ApiError;
use hashlink::LruCache;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What takes no longer is not kept.
const MIN_COMPUTE_TIME: Duration = Duration::from_millis(100);
/// An answer is kept so many times as long as it took: whoever asks again and again uses a twentieth of a core at most.
const TTL_FACTOR: u32 = 20;
/// But no longer than this.
const MAX_TTL: Duration = Duration::from_secs(60);
/// Different questions.
const MAX_ENTRIES: usize = 64;

/// Answers by their questions.
#[derive(Debug)]
pub struct ResultCache<V> {
    slots: Mutex<LruCache<String, Arc<CacheSlot<V>>>>,
    /// What takes no longer is not kept.
    min_compute_time: Duration,
}

type CacheSlot<V> = tokio::sync::Mutex<Option<CachedResult<V>>>;

#[derive(Debug)]
struct CachedResult<V> {
    value: Arc<V>,
    computed_at: Instant,
    compute_time: Duration,
}

impl<V> Default for ResultCache<V> {
    fn default() -> Self {
        ResultCache { slots: Mutex::new(LruCache::new(MAX_ENTRIES)), min_compute_time: MIN_COMPUTE_TIME }
    }
}

impl<V> ResultCache<V> {
    /// Keeps nothing, however slow the machine is that a test runs on.
    #[cfg(test)]
    pub fn disabled() -> Self {
        ResultCache { min_compute_time: Duration::MAX, ..ResultCache::default() }
    }

    /// The answer to a question: one that is kept or is being computed already, else computed now.
    ///
    /// # Errors
    /// If it cannot be computed. That is not kept.
    pub async fn get_or_compute(
        &self,
        question: String,
        compute: impl Future<Output = Result<V, ApiError>>,
    ) -> Result<Arc<V>, ApiError> {
        let asked = Instant::now();
        // A panic elsewhere leaves nothing half done here.
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(question).or_insert_with(Arc::default).clone()
        };
        let mut answer = slot.lock().await;
        if let Some(answer) = answer.as_ref().filter(|answer| answer.is_fresh(asked, self.min_compute_time)) {
            return Ok(answer.value.clone());
        }
        let begin = Instant::now();
        let value = Arc::new(compute.await?);
        *answer =
            Some(CachedResult { value: value.clone(), computed_at: Instant::now(), compute_time: begin.elapsed() });
        Ok(value)
    }
}

impl<V> CachedResult<V> {
    fn is_fresh(&self, asked: Instant, quick: Duration) -> bool {
        let old = asked.saturating_duration_since(self.computed_at);
        old.is_zero() || (self.compute_time > quick && old < MAX_TTL.min(self.compute_time * TTL_FACTOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(took: u64) -> CachedResult<()> {
        CachedResult { value: Arc::new(()), computed_at: Instant::now(), compute_time: Duration::from_millis(took) }
    }

    #[test]
    fn what_takes_long_is_kept_in_proportion() {
        for (took, kept) in [(1, 0), (100, 0), (101, 2_020), (1_000, 20_000), (9_000, 60_000)] {
            let answer = answer(took);
            assert!(
                answer.is_fresh(answer.computed_at, MIN_COMPUTE_TIME),
                "it was being computed when it was asked for"
            );
            for late in [1, 1_000, 2_019, 2_020, 19_999, 20_000, 59_999, 60_000] {
                let asked = answer.computed_at + Duration::from_millis(late);
                assert_eq!(answer.is_fresh(asked, MIN_COMPUTE_TIME), late < kept, "took {took}, asked {late} later");
            }
        }
    }

    #[tokio::test]
    async fn who_asks_while_it_is_computed_shares_it() {
        let kept = ResultCache::<u32>::disabled();
        let computed = std::sync::atomic::AtomicU32::new(0);
        let compute = || async {
            tokio::task::yield_now().await;
            Ok(computed.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        };
        let ask = |question: &str| kept.get_or_compute(question.to_owned(), compute());
        let (one, same, other) = tokio::join!(ask("a"), ask("a"), ask("b"));
        let one = *one.expect("an answer");
        assert_eq!(one, *same.expect("an answer"));
        assert_ne!(one, *other.expect("an answer"));
        assert_eq!(*ask("a").await.expect("an answer"), 2, "what is quick is computed each time");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let kept = ResultCache::<u32>::default();
        let failed = kept.get_or_compute("a".to_owned(), async { Err(ApiError::bad_user_input("no", "no")) }).await;
        assert!(failed.is_err());
        assert_eq!(kept.get_or_compute("a".to_owned(), async { Ok(7) }).await.as_deref(), Ok(&7));
    }
}

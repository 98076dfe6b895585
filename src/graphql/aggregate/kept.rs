//! Answers that take long are kept for a while and shared: who asks the same meanwhile costs nothing. What is quick is
//! computed each time.

use crate::graphql::error::Fault;
use hashlink::LruCache;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What takes no longer is not kept.
const QUICK: Duration = Duration::from_millis(100);
/// An answer is kept so many times as long as it took: whoever asks again and again uses a twentieth of a core at most.
const TIMES: u32 = 20;
/// But no longer than this.
const LONGEST: Duration = Duration::from_secs(60);
/// Different questions.
const QUESTIONS: usize = 64;

/// Answers by their questions.
#[derive(Debug)]
pub struct Kept<V> {
    slots: Mutex<LruCache<String, Arc<Slot<V>>>>,
    /// What takes no longer is not kept.
    quick: Duration,
}

type Slot<V> = tokio::sync::Mutex<Option<Answer<V>>>;

#[derive(Debug)]
struct Answer<V> {
    value: Arc<V>,
    known: Instant,
    took: Duration,
}

impl<V> Default for Kept<V> {
    fn default() -> Self {
        Kept { slots: Mutex::new(LruCache::new(QUESTIONS)), quick: QUICK }
    }
}

impl<V> Kept<V> {
    /// Keeps nothing, however slow the machine is that a test runs on.
    #[cfg(test)]
    pub fn nothing() -> Self {
        Kept { quick: Duration::MAX, ..Kept::default() }
    }

    /// The answer to a question: one that is kept or is being computed already, else computed now.
    ///
    /// # Errors
    /// If it cannot be computed. That is not kept.
    pub async fn get(
        &self,
        question: String,
        compute: impl Future<Output = Result<V, Fault>>,
    ) -> Result<Arc<V>, Fault> {
        let asked = Instant::now();
        // A panic elsewhere leaves nothing half done here.
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(question).or_insert_with(Arc::default).clone()
        };
        let mut answer = slot.lock().await;
        if let Some(answer) = answer.as_ref().filter(|answer| answer.serves(asked, self.quick)) {
            return Ok(answer.value.clone());
        }
        let begin = Instant::now();
        let value = Arc::new(compute.await?);
        *answer = Some(Answer { value: value.clone(), known: Instant::now(), took: begin.elapsed() });
        Ok(value)
    }
}

impl<V> Answer<V> {
    fn serves(&self, asked: Instant, quick: Duration) -> bool {
        let old = asked.saturating_duration_since(self.known);
        old.is_zero() || (self.took > quick && old < LONGEST.min(self.took * TIMES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(took: u64) -> Answer<()> {
        Answer { value: Arc::new(()), known: Instant::now(), took: Duration::from_millis(took) }
    }

    #[test]
    fn what_takes_long_is_kept_in_proportion() {
        for (took, kept) in [(1, 0), (100, 0), (101, 2_020), (1_000, 20_000), (9_000, 60_000)] {
            let answer = answer(took);
            assert!(answer.serves(answer.known, QUICK), "it was being computed when it was asked for");
            for late in [1, 1_000, 2_019, 2_020, 19_999, 20_000, 59_999, 60_000] {
                let asked = answer.known + Duration::from_millis(late);
                assert_eq!(answer.serves(asked, QUICK), late < kept, "took {took}, asked {late} later");
            }
        }
    }

    #[tokio::test]
    async fn who_asks_while_it_is_computed_shares_it() {
        let kept = Kept::<u32>::nothing();
        let computed = std::sync::atomic::AtomicU32::new(0);
        let compute = || async {
            tokio::task::yield_now().await;
            Ok(computed.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        };
        let ask = |question: &str| kept.get(question.to_owned(), compute());
        let (one, same, other) = tokio::join!(ask("a"), ask("a"), ask("b"));
        let one = *one.expect("an answer");
        assert_eq!(one, *same.expect("an answer"));
        assert_ne!(one, *other.expect("an answer"));
        assert_eq!(*ask("a").await.expect("an answer"), 2, "what is quick is computed each time");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let kept = Kept::<u32>::default();
        let failed = kept.get("a".to_owned(), async { Err(Fault::input("no", "no")) }).await;
        assert!(failed.is_err());
        assert_eq!(kept.get("a".to_owned(), async { Ok(7) }).await.as_deref(), Ok(&7));
    }
}

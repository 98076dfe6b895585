//! Questions that many fields of one query ask at once go to the database as one statement.
//!
//! Whoever asks lets the others come up with their keys, round by round, until no more come; then one of them asks for
//! all. Nothing is kept afterwards, so that a subscription, which is one long request, always reads what is true now.
//! If the request is dropped, so is the question.

use super::ApiContext;
use super::batch_scheduler::BatchScheduler;
use super::error::ApiError;
use super::loaders::Loaders;
use crate::store::{ReadPool, StoreError};
use async_graphql::Context;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;
use tokio::task::unconstrained;

/// Keys of one statement at most; SQLite takes 32,766 parameters.
const MAX_KEYS: usize = 16_384;

/// A question that can be asked for many keys at once. Its fields are what all keys have in common.
pub trait BatchLoader: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    type Key: Copy + Debug + Eq + Hash + Ord + Send + Sync;
    type Value: Clone + Debug + Send + Sync;

    /// Where such questions wait for each other.
    fn queue(loaders: &Loaders) -> &BatchQueue<Self>;

    /// Asks for all keys. A key without an answer is left out.
    fn load(
        &self,
        db: &ReadPool,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Value>, StoreError>> + Send;
}

/// The questions of one sort that wait for keys.
#[derive(Debug)]
pub struct BatchQueue<Q: BatchLoader>(Mutex<HashMap<Q, Arc<PendingBatch<Q>>>>);

type LoadResult<Q> = Result<HashMap<<Q as BatchLoader>::Key, <Q as BatchLoader>::Value>, ApiError>;

#[derive(Debug)]
struct PendingBatch<Q: BatchLoader> {
    keys: Mutex<Vec<Q::Key>>,
    answers: OnceCell<LoadResult<Q>>,
}

impl<Q: BatchLoader> Default for BatchQueue<Q> {
    fn default() -> Self {
        BatchQueue(Mutex::default())
    }
}

/// The answer for one key, asked together with those of other fields.
pub async fn load<Q: BatchLoader>(ctx: &Context<'_>, question: Q, key: Q::Key) -> Result<Option<Q::Value>, ApiError> {
    let (api, loaders) = (ApiContext::of(ctx)?, Loaders::of(ctx)?);
    Q::queue(loaders).load(&api.readers, &loaders.scheduler, question, key).await
}

impl<Q: BatchLoader> BatchQueue<Q> {
    async fn load(
        &self,
        db: &ReadPool,
        scheduler: &BatchScheduler,
        question: Q,
        key: Q::Key,
    ) -> Result<Option<Q::Value>, ApiError> {
        let wave = self.enqueue(&question, key);
        let mut known = 0;
        loop {
            scheduler.next_tick().await;
            let keys = lock(&wave.keys).len();
            if keys == known {
                break;
            }
            known = keys;
        }
        self.seal(&question, &wave);
        // If who asks first is dropped, the next one asks. Unconstrained, because tokio would make some of many who wait
        // here go on later than the others, and their next questions would miss each other.
        match unconstrained(wave.answers.get_or_init(|| wave.load(db, &question))).await {
            Ok(answers) => Ok(answers.get(&key).cloned()),
            Err(fault) => Err(fault.clone()),
        }
    }

    fn enqueue(&self, question: &Q, key: Q::Key) -> Arc<PendingBatch<Q>> {
        let mut open = lock(&self.0);
        let wave = open
            .entry(question.clone())
            .or_insert_with(|| Arc::new(PendingBatch { keys: Mutex::default(), answers: OnceCell::new() }));
        lock(&wave.keys).push(key);
        wave.clone()
    }

    fn seal(&self, question: &Q, wave: &Arc<PendingBatch<Q>>) {
        let mut open = lock(&self.0);
        if open.get(question).is_some_and(|open| Arc::ptr_eq(open, wave)) {
            open.remove(question);
        }
    }
}

impl<Q: BatchLoader> PendingBatch<Q> {
    async fn load(&self, db: &ReadPool, question: &Q) -> LoadResult<Q> {
        let mut keys = lock(&self.keys).clone();
        keys.sort_unstable();
        keys.dedup();
        let mut answers = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS) {
            answers.extend(question.load(db, keys).await?);
        }
        Ok(answers)
    }
}

// A panic elsewhere leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

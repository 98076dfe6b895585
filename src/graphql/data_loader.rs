//! Data loaders: fields of one request that load the same thing share a statement.
//!
//! A field waits tick by tick until no other field adds a key; then one field loads all keys. Nothing is cached
//! afterwards, so a subscription, which is one long request, always reads the current state. Dropping the request
//! cancels the statement.

use super::ApiContext;
use super::error::ApiError;
use super::loaders::Loaders;
use crate::store::{ReadPool, StoreError};
use crate::sync::lock;
use async_graphql::Context;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use tokio::sync::OnceCell;
use tokio::task::unconstrained;

/// Keys per statement. SQLite accepts 32,766 parameters.
const MAX_KEYS: usize = 16_384;

/// Loads values for many keys at once. Its fields are what all keys have in common.
pub trait BatchLoader: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    type Key: Copy + Debug + Eq + Hash + Ord + Send + Sync;
    type Value: Clone + Debug + Send + Sync;

    /// Where loads of this type wait for each other.
    fn queue(loaders: &Loaders) -> &BatchQueue<Self>;

    /// Loads all keys. A key without a value is left out.
    fn load(
        &self,
        db: &ReadPool,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Value>, StoreError>> + Send;
}

/// The batches of one loader type that still accept keys.
#[derive(Debug)]
pub struct BatchQueue<Q: BatchLoader>(Mutex<HashMap<Q, Arc<PendingBatch<Q>>>>);

type LoadResult<Q> = Result<HashMap<<Q as BatchLoader>::Key, <Q as BatchLoader>::Value>, ApiError>;

#[derive(Debug)]
struct PendingBatch<Q: BatchLoader> {
    keys: Mutex<Vec<Q::Key>>,
    values: OnceCell<LoadResult<Q>>,
}

impl<Q: BatchLoader> Default for BatchQueue<Q> {
    fn default() -> Self {
        BatchQueue(Mutex::default())
    }
}

/// The value for one key, loaded together with the keys of other fields.
pub async fn load<Q: BatchLoader>(ctx: &Context<'_>, loader: Q, key: Q::Key) -> Result<Option<Q::Value>, ApiError> {
    let (api, loaders) = (ApiContext::of(ctx)?, Loaders::of(ctx)?);
    let queue = Q::queue(loaders);
    let batch = queue.enqueue(&loader, key);
    let mut previous = 0;
    loop {
        loaders.scheduler.next_tick().await;
        let keys = lock(&batch.keys).len();
        if keys == previous {
            break;
        }
        previous = keys;
    }
    queue.seal(&loader, &batch);
    // If the first field is dropped, the next one loads. Unconstrained, because tokio's budget would let some of
    // many waiters continue later than the others, and then their next loads would not be batched.
    match unconstrained(batch.values.get_or_init(|| batch.load(&api.readers, &loader))).await {
        Ok(values) => Ok(values.get(&key).cloned()),
        Err(error) => Err(error.clone()),
    }
}

impl<Q: BatchLoader> BatchQueue<Q> {
    fn enqueue(&self, loader: &Q, key: Q::Key) -> Arc<PendingBatch<Q>> {
        let mut open = lock(&self.0);
        let batch = open
            .entry(loader.clone())
            .or_insert_with(|| Arc::new(PendingBatch { keys: Mutex::default(), values: OnceCell::new() }));
        lock(&batch.keys).push(key);
        batch.clone()
    }

    fn seal(&self, loader: &Q, batch: &Arc<PendingBatch<Q>>) {
        let mut open = lock(&self.0);
        if open.get(loader).is_some_and(|open| Arc::ptr_eq(open, batch)) {
            open.remove(loader);
        }
    }
}

impl<Q: BatchLoader> PendingBatch<Q> {
    async fn load(&self, db: &ReadPool, loader: &Q) -> LoadResult<Q> {
        let mut keys = lock(&self.keys).clone();
        keys.sort_unstable();
        keys.dedup();
        let mut values = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS) {
            values.extend(loader.load(db, keys).await?);
        }
        Ok(values)
    }
}

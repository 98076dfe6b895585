//! Questions that many fields of one query ask at once go to the database as one statement.
//!
//! Whoever asks lets the others come up with their keys, round by round, until no more come; then one of them asks for
//! all. Nothing is kept afterwards, so that a subscription, which is one long request, always reads what is true now.
//! If the request is dropped, so is the question.

use super::Api;
use super::error::Fault;
use super::questions::Batches;
use super::rounds::Rounds;
use crate::store::{Readers, StoreError};
use async_graphql::Context;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;
use tokio::task::unconstrained;

/// Keys of one statement at most; SQLite takes 32,766 parameters.
const KEYS: usize = 16_384;

/// A question that can be asked for many keys at once. Its fields are what all keys have in common.
pub trait Question: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    type Key: Copy + Debug + Eq + Hash + Ord + Send + Sync;
    type Answer: Clone + Debug + Send + Sync;

    /// Where such questions wait for each other.
    fn waiting(batches: &Batches) -> &Batch<Self>;

    /// Asks for all keys. A key without an answer is left out.
    fn ask(
        &self,
        db: &Readers,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Answer>, StoreError>> + Send;
}

/// The questions of one sort that wait for keys.
#[derive(Debug)]
pub struct Batch<Q: Question>(Mutex<HashMap<Q, Arc<Wave<Q>>>>);

type Answers<Q> = Result<HashMap<<Q as Question>::Key, <Q as Question>::Answer>, Fault>;

#[derive(Debug)]
struct Wave<Q: Question> {
    keys: Mutex<Vec<Q::Key>>,
    answers: OnceCell<Answers<Q>>,
}

impl<Q: Question> Default for Batch<Q> {
    fn default() -> Self {
        Batch(Mutex::default())
    }
}

/// The answer for one key, asked together with those of other fields.
pub async fn ask<Q: Question>(ctx: &Context<'_>, question: Q, key: Q::Key) -> Result<Option<Q::Answer>, Fault> {
    let (api, batches) = (Api::of(ctx)?, Batches::of(ctx)?);
    Q::waiting(batches).ask(&api.readers, &batches.rounds, question, key).await
}

impl<Q: Question> Batch<Q> {
    async fn ask(&self, db: &Readers, rounds: &Rounds, question: Q, key: Q::Key) -> Result<Option<Q::Answer>, Fault> {
        let wave = self.join(&question, key);
        let mut known = 0;
        loop {
            rounds.next().await;
            let keys = locked(&wave.keys).len();
            if keys == known {
                break;
            }
            known = keys;
        }
        self.close(&question, &wave);
        // If who asks first is dropped, the next one asks. Unconstrained, because tokio would make some of many who wait
        // here go on later than the others, and their next questions would miss each other.
        match unconstrained(wave.answers.get_or_init(|| wave.ask(db, &question))).await {
            Ok(answers) => Ok(answers.get(&key).cloned()),
            Err(fault) => Err(fault.clone()),
        }
    }

    fn join(&self, question: &Q, key: Q::Key) -> Arc<Wave<Q>> {
        let mut open = locked(&self.0);
        let wave = open
            .entry(question.clone())
            .or_insert_with(|| Arc::new(Wave { keys: Mutex::default(), answers: OnceCell::new() }));
        locked(&wave.keys).push(key);
        wave.clone()
    }

    fn close(&self, question: &Q, wave: &Arc<Wave<Q>>) {
        let mut open = locked(&self.0);
        if open.get(question).is_some_and(|open| Arc::ptr_eq(open, wave)) {
            open.remove(question);
        }
    }
}

impl<Q: Question> Wave<Q> {
    async fn ask(&self, db: &Readers, question: &Q) -> Answers<Q> {
        let mut keys = locked(&self.keys).clone();
        keys.sort_unstable();
        keys.dedup();
        let mut answers = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(KEYS) {
            answers.extend(question.ask(db, keys).await?);
        }
        Ok(answers)
    }
}

// A panic elsewhere leaves nothing half done here.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

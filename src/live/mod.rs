//! Subscriptions of many subscribers: those with the same operation share one execution and one serialised payload for
//! each change, whatever cursor each of them began with.
//!
//! `operation` finds what is the same, `execution` follows the history once for all, `tail` keeps what it has told until
//! all have taken it, and `answers` is one subscriber's way: first alone over the past, then along the tail.

mod answers;
mod execution;
mod news;
mod operation;
mod tail;
#[cfg(test)]
mod tests;

pub use answers::Answers;
pub use news::{News, Payloads};
pub use tail::Room;

use crate::feed::Feed;
use crate::graphql::{Fault, Walk};
use crate::request::{Client, Params, Pipeline, Prepared};
use futures_util::{StreamExt, stream};
use operation::{Begin, Key, Kind};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tail::{End, Seat, Tail};

/// All that is being listened to.
pub struct Live {
    pipeline: Arc<Pipeline>,
    feed: Arc<Feed>,
    room: Room,
    tails: Mutex<HashMap<Key, Arc<Tail>>>,
    /// Subscribers that follow a tail, or are on their way to one.
    followers: AtomicUsize,
    /// Executions begun so far: shared ones, catching up, and all others.
    executions: AtomicU64,
}

impl Live {
    pub fn new(pipeline: Arc<Pipeline>, feed: Arc<Feed>) -> Arc<Live> {
        Live::with_room(pipeline, feed, Room::default())
    }

    /// With other limits of what is kept for those who are behind.
    pub fn with_room(pipeline: Arc<Pipeline>, feed: Arc<Feed>, room: Room) -> Arc<Live> {
        let (followers, executions) = (AtomicUsize::default(), AtomicU64::default());
        Arc::new(Live { pipeline, feed, room, tails: Mutex::default(), followers, executions })
    }

    /// Answers a request of this client: a query once, a subscription with each of its changes. Must be called within
    /// tokio.
    pub fn answer(self: &Arc<Self>, params: Params, client: Option<Client>) -> Answers {
        match self.pipeline.prepare(params, client) {
            Ok(prepared) => self.answer_prepared(prepared),
            Err(why) => Answers::refused(&why),
        }
    }

    /// The same, for what is prepared already.
    pub fn answer_prepared(self: &Arc<Self>, prepared: Prepared) -> Answers {
        let operation = Arc::new(prepared);
        match Kind::of(&operation) {
            Kind::Query => Answers::alone(self.execute(&operation, None)),
            Kind::Odd => Answers::alone(self.execute(&operation, Some(Walk::new(None, None)))),
            Kind::Refused(why) => Answers::refused(&why),
            // Of another history, or of one that this process has not heard of yet: the execution knows.
            Kind::Shared(_, Begin::After { generation, .. }) if generation != self.feed.generation() => {
                Answers::alone(self.execute(&operation, Some(Walk::new(None, None))))
            }
            Kind::Shared(key, begin) => {
                let newest = self.feed.newest();
                let seat = self.enter(key, &operation);
                match begin {
                    Begin::Now => Answers::now(seat, newest),
                    Begin::After { position, .. } => Answers::after(seat, operation, position),
                }
            }
        }
    }

    /// Of which history the positions are that are told now.
    pub fn generation(&self) -> i64 {
        self.feed.generation()
    }

    /// How many follow a tail, or are on their way to one.
    pub fn followers(&self) -> usize {
        self.followers.load(Ordering::Relaxed)
    }

    /// How many executions are shared now.
    pub fn shared(&self) -> usize {
        self.tails().len()
    }

    /// How many executions were begun so far.
    pub fn executions(&self) -> u64 {
        self.executions.load(Ordering::Relaxed)
    }

    fn enter(self: &Arc<Self>, key: Key, operation: &Prepared) -> Seat {
        self.followers.fetch_add(1, Ordering::Relaxed);
        let mut tails = self.tails();
        let tail = tails.entry(key.clone()).or_insert_with(|| self.begin(key, operation)).clone();
        Seat::new(self.clone(), tail)
    }

    fn begin(self: &Arc<Self>, key: Key, operation: &Prepared) -> Arc<Tail> {
        self.executions.fetch_add(1, Ordering::Relaxed);
        let from = self.feed.newest();
        let tail = Tail::new(key, from, self.room);
        let walk = Walk::new(Some(from), None);
        let answers = self.pipeline.follow(operation, &walk);
        let mut running = Running { live: self.clone(), tail: tail.clone(), why: None };
        tail.runs(tokio::spawn(async move {
            let why = execution::follow(answers, &walk, &running.tail).await;
            running.because(why);
        }));
        tail
    }

    // The tail is left and forgotten under one lock, so that nobody enters one that has ended.
    fn leave(&self, tail: &Arc<Tail>, place: usize) {
        self.followers.fetch_sub(1, Ordering::Relaxed);
        let mut tails = self.tails();
        if tail.leave(place) {
            if tails.get(tail.key()).is_some_and(|known| Arc::ptr_eq(known, tail)) {
                tails.remove(tail.key());
            }
            drop(tails);
            tail.stop();
        }
    }

    fn forget(&self, tail: &Arc<Tail>) {
        let mut tails = self.tails();
        if tails.get(tail.key()).is_some_and(|known| Arc::ptr_eq(known, tail)) {
            tails.remove(tail.key());
        }
    }

    /// Executes for one subscriber alone. With a walk it is a subscription.
    fn execute(&self, operation: &Arc<Prepared>, walk: Option<Arc<Walk>>) -> execution::Alone {
        self.executions.fetch_add(1, Ordering::Relaxed);
        let answers = match &walk {
            Some(walk) => self.pipeline.follow(operation, walk),
            None => {
                let (pipeline, operation) = (self.pipeline.clone(), operation.clone());
                stream::once(async move { pipeline.answer(&operation).await }).boxed()
            }
        };
        execution::Alone::spawn(answers, walk)
    }

    // A panic elsewhere leaves nothing half done here.
    fn tails(&self) -> MutexGuard<'_, HashMap<Key, Arc<Tail>>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("followers", &self.followers).field("executions", &self.executions).finish()
    }
}

/// However an execution ends, those who follow hear of it, and nobody enters its tail any more.
struct Running {
    live: Arc<Live>,
    tail: Arc<Tail>,
    why: End,
}

impl Running {
    fn because(&mut self, why: End) {
        self.why = why;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.live.forget(&self.tail);
        self.tail.end(self.why.take());
    }
}

/// Who is further behind than is kept goes on from here.
fn too_slow(position: i64, generation: i64) -> News {
    let cursor = crate::graphql::Cursor::Change { position, generation }.encode();
    News::Failed(news::failure(Fault::Slow { cursor }))
}

/// The errors of an operation that is one too many on its connection.
pub fn too_many(most: usize) -> bytes::Bytes {
    news::failure(Fault::input(
        format!("a connection takes at most {most} operations at the same time"),
        "Complete what you do not need any more, or open another connection.",
    ))
}

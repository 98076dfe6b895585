//! Subscriptions of many subscribers: those with the same operation share one execution and one serialised payload for
//! each change, whatever cursor each of them began with.
//!
//! `operation` finds what is the same, `execution` follows the history once for all, `tail` keeps what it has told until
//! all have taken it, and `answers` is one subscriber's way: first alone over the past, then along the tail.

mod broadcast_buffer;
mod execution;
mod message;
mod operation;
mod subscription_stream;
#[cfg(test)]
mod tests;

pub use broadcast_buffer::BufferLimits;
pub use message::{Payloads, StreamMessage};
pub use subscription_stream::SubscriptionStream;

use crate::feed::Feed;
use crate::graphql::{ApiError, SubscriptionProgress};
use crate::request::{ClientNetwork, Params, Pipeline, PreparedOperation};
use broadcast_buffer::{BroadcastBuffer, EndReason, Subscriber};
use futures_util::{StreamExt, stream};
use operation::{ExecutionMode, StartPosition, SubscriptionKey};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All that is being listened to.
pub struct SubscriptionManager {
    pipeline: Arc<Pipeline>,
    feed: Arc<Feed>,
    buffer_limits: BufferLimits,
    buffers: Mutex<HashMap<SubscriptionKey, Arc<BroadcastBuffer>>>,
    /// Subscribers that follow a tail, or are on their way to one.
    subscribers: AtomicUsize,
    /// Executions begun so far: shared ones, catching up, and all others.
    executions_started: AtomicU64,
}

impl SubscriptionManager {
    pub fn new(pipeline: Arc<Pipeline>, feed: Arc<Feed>) -> Arc<SubscriptionManager> {
        SubscriptionManager::with_buffer_limits(pipeline, feed, BufferLimits::default())
    }

    /// With other limits of what is kept for those who are behind.
    pub fn with_buffer_limits(
        pipeline: Arc<Pipeline>,
        feed: Arc<Feed>,
        room: BufferLimits,
    ) -> Arc<SubscriptionManager> {
        let (followers, executions) = (AtomicUsize::default(), AtomicU64::default());
        Arc::new(SubscriptionManager {
            pipeline,
            feed,
            buffer_limits: room,
            buffers: Mutex::default(),
            subscribers: followers,
            executions_started: executions,
        })
    }

    /// Answers a request of this client: a query once, a subscription with each of its changes. Must be called within
    /// tokio.
    pub fn execute(self: &Arc<Self>, params: Params, client: Option<ClientNetwork>) -> SubscriptionStream {
        match self.pipeline.prepare(params, client) {
            Ok(prepared) => self.execute_prepared(prepared),
            Err(why) => SubscriptionStream::rejected(&why),
        }
    }

    /// The same, for what is prepared already.
    pub fn execute_prepared(self: &Arc<Self>, prepared: PreparedOperation) -> SubscriptionStream {
        let operation = Arc::new(prepared);
        match ExecutionMode::of(&operation) {
            ExecutionMode::Query => SubscriptionStream::dedicated(self.spawn_dedicated(&operation, None)),
            ExecutionMode::Dedicated => SubscriptionStream::dedicated(
                self.spawn_dedicated(&operation, Some(SubscriptionProgress::new(None, None))),
            ),
            ExecutionMode::Rejected(why) => SubscriptionStream::rejected(&why),
            // Of another history, or of one that this process has not heard of yet: the execution knows.
            ExecutionMode::Shared(_, StartPosition::After { generation, .. })
                if generation != self.feed.generation() =>
            {
                SubscriptionStream::dedicated(
                    self.spawn_dedicated(&operation, Some(SubscriptionProgress::new(None, None))),
                )
            }
            ExecutionMode::Shared(key, begin) => {
                let newest = self.feed.newest();
                let seat = self.join_shared(key, &operation);
                match begin {
                    StartPosition::Now => SubscriptionStream::from_now(seat, newest),
                    StartPosition::After { position, .. } => {
                        SubscriptionStream::from_position(seat, operation, position)
                    }
                }
            }
        }
    }

    /// Of which history the positions are that are told now.
    pub fn generation(&self) -> i64 {
        self.feed.generation()
    }

    /// How many follow a tail, or are on their way to one.
    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    /// How many executions are shared now.
    pub fn shared_executions(&self) -> usize {
        self.lock_buffers().len()
    }

    /// How many executions were begun so far.
    pub fn executions_started(&self) -> u64 {
        self.executions_started.load(Ordering::Relaxed)
    }

    fn join_shared(self: &Arc<Self>, key: SubscriptionKey, operation: &PreparedOperation) -> Subscriber {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
        let mut tails = self.lock_buffers();
        let tail = tails.entry(key.clone()).or_insert_with(|| self.start_shared(key, operation)).clone();
        Subscriber::new(self.clone(), tail)
    }

    fn start_shared(self: &Arc<Self>, key: SubscriptionKey, operation: &PreparedOperation) -> Arc<BroadcastBuffer> {
        self.executions_started.fetch_add(1, Ordering::Relaxed);
        let from = self.feed.newest();
        let tail = BroadcastBuffer::new(key, from, self.buffer_limits);
        let walk = SubscriptionProgress::new(Some(from), None);
        let answers = self.pipeline.subscribe(operation, &walk);
        let mut running = ExecutionGuard { subscriptions: self.clone(), buffer: tail.clone(), end_reason: None };
        tail.set_execution(tokio::spawn(async move {
            let why = execution::run_shared(answers, &walk, &running.buffer).await;
            running.set_end_reason(why);
        }));
        tail
    }

    // The tail is left and forgotten under one lock, so that nobody enters one that has ended.
    fn leave_shared(&self, tail: &Arc<BroadcastBuffer>, place: usize) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
        let mut tails = self.lock_buffers();
        if tail.remove_subscriber(place) {
            if tails.get(tail.key()).is_some_and(|known| Arc::ptr_eq(known, tail)) {
                tails.remove(tail.key());
            }
            drop(tails);
            tail.abort_execution();
        }
    }

    fn remove_buffer(&self, tail: &Arc<BroadcastBuffer>) {
        let mut tails = self.lock_buffers();
        if tails.get(tail.key()).is_some_and(|known| Arc::ptr_eq(known, tail)) {
            tails.remove(tail.key());
        }
    }

    /// Executes for one subscriber alone. With a walk it is a subscription.
    fn spawn_dedicated(
        &self,
        operation: &Arc<PreparedOperation>,
        walk: Option<Arc<SubscriptionProgress>>,
    ) -> execution::DedicatedExecution {
        self.executions_started.fetch_add(1, Ordering::Relaxed);
        let answers = match &walk {
            Some(walk) => self.pipeline.subscribe(operation, walk),
            None => {
                let (pipeline, operation) = (self.pipeline.clone(), operation.clone());
                stream::once(async move { pipeline.execute(&operation).await }).boxed()
            }
        };
        execution::DedicatedExecution::spawn(answers, walk)
    }

    // A panic elsewhere leaves nothing half done here.
    fn lock_buffers(&self) -> MutexGuard<'_, HashMap<SubscriptionKey, Arc<BroadcastBuffer>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for SubscriptionManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("followers", &self.subscribers)
            .field("executions", &self.executions_started)
            .finish()
    }
}

/// However an execution ends, those who follow hear of it, and nobody enters its tail any more.
struct ExecutionGuard {
    subscriptions: Arc<SubscriptionManager>,
    buffer: Arc<BroadcastBuffer>,
    end_reason: EndReason,
}

impl ExecutionGuard {
    fn set_end_reason(&mut self, why: EndReason) {
        self.end_reason = why;
    }
}

impl Drop for ExecutionGuard {
    fn drop(&mut self) {
        self.subscriptions.remove_buffer(&self.buffer);
        self.buffer.close(self.end_reason.take());
    }
}

/// Who is further behind than is kept goes on from here.
fn slow_consumer(position: i64, generation: i64) -> StreamMessage {
    let cursor = crate::graphql::Cursor::Change { position, generation }.encode();
    StreamMessage::Error(message::error_payload(ApiError::SlowConsumer { cursor }))
}

/// The errors of an operation that is one too many on its connection.
pub fn too_many_operations(most: usize) -> bytes::Bytes {
    message::error_payload(ApiError::bad_user_input(
        format!("a connection takes at most {most} operations at the same time"),
        "Complete what you do not need any more, or open another connection.",
    ))
}

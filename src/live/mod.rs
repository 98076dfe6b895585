//! Live subscriptions. Subscribers with the same operation share one execution and one serialised payload for each change,
//! whatever cursor each of them began with.
//!
//! `operation` finds which operations are the same and where each subscriber begins; `execution` runs them;
//! `broadcast_buffer` retains a shared execution's messages until every subscriber has read them; `subscription_stream` is
//! one subscriber's way from backfill to live; `round_robin` polls the operations of one connection in turn.

mod broadcast_buffer;
mod execution;
mod message;
mod operation;
mod round_robin;
mod subscription_stream;
#[cfg(test)]
mod tests;

pub use broadcast_buffer::BufferLimits;
pub use message::{BatchEntry, Payloads, StreamMessage};
pub use round_robin::RoundRobin;
pub use subscription_stream::SubscriptionStream;

use crate::feed::Feed;
use crate::graphql::{ApiError, ApiErrorCode, StartPosition, SubscriptionProgress};
use crate::request::{Caller, ExecutionKey, Params, Pipeline, PreparedOperation};
use crate::sync::lock;
use broadcast_buffer::{BroadcastBuffer, EndReason, Subscriber};
use futures_util::{StreamExt, stream};
use operation::ExecutionMode;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use subscription_stream::StreamState;

/// All executions of subscriptions in this process.
#[derive(Debug)]
pub struct SubscriptionManager {
    pipeline: Arc<Pipeline>,
    feed: Arc<Feed>,
    buffer_limits: BufferLimits,
    buffers: Mutex<HashMap<ExecutionKey, Arc<BroadcastBuffer>>>,
    /// Subscribers of shared executions, those in backfill included.
    subscribers: AtomicUsize,
    /// Executions started so far: shared ones, backfill, and all others.
    executions_started: AtomicU64,
}

impl SubscriptionManager {
    pub fn new(pipeline: Arc<Pipeline>, feed: Arc<Feed>) -> Arc<SubscriptionManager> {
        SubscriptionManager::with_buffer_limits(pipeline, feed, BufferLimits::default())
    }

    pub fn with_buffer_limits(
        pipeline: Arc<Pipeline>,
        feed: Arc<Feed>,
        buffer_limits: BufferLimits,
    ) -> Arc<SubscriptionManager> {
        Arc::new(SubscriptionManager {
            pipeline,
            feed,
            buffer_limits,
            buffers: Mutex::default(),
            subscribers: AtomicUsize::default(),
            executions_started: AtomicU64::default(),
        })
    }

    /// Executes a request of this caller: a query has one message, a subscription one for each change. Must be called within
    /// tokio.
    pub fn execute(self: &Arc<Self>, params: Params, caller: &Caller) -> SubscriptionStream {
        match self.pipeline.prepare(params, caller) {
            Ok(prepared) => self.execute_prepared(prepared),
            Err(error) => SubscriptionStream::new(StreamState::rejected(&error), self, &caller.principal),
        }
    }

    /// Like [`Self::execute`], for an operation that is prepared.
    pub fn execute_prepared(self: &Arc<Self>, prepared: PreparedOperation) -> SubscriptionStream {
        let principal = prepared.principal.clone();
        SubscriptionStream::new(self.start(Arc::new(prepared)), self, &principal)
    }

    fn start(self: &Arc<Self>, operation: Arc<PreparedOperation>) -> StreamState {
        match ExecutionMode::of(&operation, self.feed.generation()) {
            Err(error) => StreamState::rejected(&error),
            Ok(ExecutionMode::Query) => StreamState::Dedicated(self.spawn_dedicated(&operation, None)),
            Ok(ExecutionMode::LiveOnly) => StreamState::Dedicated(self.spawn_live_only(&operation)),
            Ok(ExecutionMode::Dedicated) => {
                let progress = SubscriptionProgress::new(operation.start.clone(), None);
                StreamState::Dedicated(self.spawn_dedicated(&operation, Some(progress)))
            }
            Ok(ExecutionMode::Shared { key, after }) => {
                let newest = self.feed.newest();
                let subscriber = self.join_shared(key, &operation);
                match after {
                    None => StreamState::from_now(subscriber, newest),
                    Some(position) => StreamState::from_position(subscriber, operation, position),
                }
            }
        }
    }

    /// The generation of the history that is delivered now.
    pub fn generation(&self) -> i64 {
        self.feed.generation()
    }

    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    pub fn shared_executions(&self) -> usize {
        lock(&self.buffers).len()
    }

    pub fn executions_started(&self) -> u64 {
        self.executions_started.load(Ordering::Relaxed)
    }

    fn join_shared(self: &Arc<Self>, key: ExecutionKey, operation: &PreparedOperation) -> Subscriber {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
        let mut buffers = lock(&self.buffers);
        let buffer = buffers.entry(key.clone()).or_insert_with(|| self.start_shared(key, operation)).clone();
        Subscriber::new(self.clone(), buffer)
    }

    fn start_shared(self: &Arc<Self>, key: ExecutionKey, operation: &PreparedOperation) -> Arc<BroadcastBuffer> {
        self.executions_started.fetch_add(1, Ordering::Relaxed);
        let newest = self.feed.newest();
        let buffer = BroadcastBuffer::new(key, newest, self.buffer_limits);
        let progress = SubscriptionProgress::new(StartPosition::Position(newest), None);
        let responses = self.pipeline.subscribe(operation, &progress);
        let mut guard = ExecutionGuard { subscriptions: self.clone(), buffer: buffer.clone(), end_reason: None };
        buffer.set_execution(tokio::spawn(async move {
            let guard = &mut guard;
            guard.end_reason = execution::run_shared(responses, &progress, &guard.buffer).await;
        }));
        buffer
    }

    // One lock for leaving and removing the buffer: nobody joins an execution that is about to end.
    fn leave_shared(&self, buffer: &Arc<BroadcastBuffer>, slot: usize) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
        let mut buffers = lock(&self.buffers);
        if buffer.remove_subscriber(slot) {
            remove_buffer(&mut buffers, buffer);
            drop(buffers);
            buffer.abort_execution();
        }
    }

    // Without progress through the history.
    fn spawn_live_only(&self, operation: &PreparedOperation) -> execution::DedicatedExecution {
        self.executions_started.fetch_add(1, Ordering::Relaxed);
        let responses = self.pipeline.subscribe(operation, &Arc::default());
        execution::DedicatedExecution::spawn(responses, None)
    }

    /// Executes for one subscriber alone: a subscription if there is progress to record, else a query.
    fn spawn_dedicated(
        &self,
        operation: &Arc<PreparedOperation>,
        progress: Option<Arc<SubscriptionProgress>>,
    ) -> execution::DedicatedExecution {
        self.executions_started.fetch_add(1, Ordering::Relaxed);
        let responses = match &progress {
            Some(progress) => self.pipeline.subscribe(operation, progress),
            None => {
                let (pipeline, operation) = (self.pipeline.clone(), operation.clone());
                stream::once(async move { pipeline.execute(&operation).await }).boxed()
            }
        };
        execution::DedicatedExecution::spawn(responses, progress)
    }
}

/// Unless a newer execution has taken its place.
fn remove_buffer(buffers: &mut HashMap<ExecutionKey, Arc<BroadcastBuffer>>, buffer: &Arc<BroadcastBuffer>) {
    if buffers.get(&buffer.key).is_some_and(|current| Arc::ptr_eq(current, buffer)) {
        buffers.remove(&buffer.key);
    }
}

/// However an execution ends, its subscribers are notified, and nobody joins it any more.
struct ExecutionGuard {
    subscriptions: Arc<SubscriptionManager>,
    buffer: Arc<BroadcastBuffer>,
    end_reason: EndReason,
}

impl Drop for ExecutionGuard {
    fn drop(&mut self) {
        remove_buffer(&mut lock(&self.subscriptions.buffers), &self.buffer);
        self.buffer.close(self.end_reason.take());
    }
}

/// Disconnects a subscriber that is too far behind; it can resume from the cursor.
fn slow_consumer(position: i64, generation: i64) -> StreamMessage {
    let cursor = crate::graphql::Cursor::Change { position, generation }.encode();
    let error = ApiError::new(
        ApiErrorCode::SlowConsumer,
        "the client fell too far behind and was disconnected",
        "Subscribe again with the cursor as `after` to receive all missed changes, in order.",
    );
    StreamMessage::Error(message::error_payload(error.with_extension("cursor", cursor)))
}

/// Ends an operation whose credential has ended. A subscription can resume from the cursor.
fn credential_ended(position: Option<i64>, generation: i64) -> StreamMessage {
    let error = ApiError::new(
        ApiErrorCode::Unauthenticated,
        "the credential has ended: it was revoked, replaced, or has expired",
        "Use a valid credential. A subscription that has `extensions.cursor` resumes with it as `after`.",
    );
    let cursor = position.map(|position| crate::graphql::Cursor::Change { position, generation }.encode());
    StreamMessage::Error(message::error_payload(match cursor {
        Some(cursor) => error.with_extension("cursor", cursor),
        None => error,
    }))
}

/// The errors for an operation beyond a connection's limit.
pub fn too_many_operations(max: usize) -> bytes::Bytes {
    message::error_payload(ApiError::bad_user_input(
        format!("a connection takes at most {max} operations at the same time"),
        "Complete operations that you do not need any more, or open another connection.",
    ))
}

//! The bounded buffer of one shared execution's messages, retained until every subscriber has read them or a limit is reached.
//!
//! A subscriber that falls further behind than the limits allow is disconnected, so that memory stays bounded. If most
//! subscribers are behind, the hub is slow and not they: the execution then waits for them, as long as they make progress.

use super::SubscriptionManager;
use super::message::{MessageBatch, Payloads};
use crate::request::ExecutionKey;
use crate::sync::lock;
use bytes::Bytes;
use slab::Slab;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

/// How often a waiting execution checks the progress of its subscribers.
const BACKPRESSURE_POLL_INTERVAL: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug)]
pub struct BufferLimits {
    pub messages: u64,
    pub bytes: usize,
    /// How long the execution waits for most subscribers while none of them makes progress.
    pub stall_timeout: Duration,
    /// How long it waits at all.
    pub max_wait: Duration,
}

impl Default for BufferLimits {
    fn default() -> Self {
        let (stall_timeout, max_wait) = (Duration::from_secs(1), Duration::from_secs(10));
        BufferLimits { messages: 4096, bytes: 8 << 20, stall_timeout, max_wait }
    }
}

#[derive(Debug)]
pub struct BroadcastBuffer {
    pub key: ExecutionKey,
    limits: BufferLimits,
    state: Mutex<BufferState>,
}

#[derive(Debug, Default)]
struct BufferState {
    /// Contiguous: each batch begins with the index after the end of the one before.
    batches: VecDeque<Arc<MessageBatch>>,
    bytes: usize,
    /// The index of the next message.
    end_index: u64,
    /// The watermark: all changes up to this position are in a message, or do not match.
    scanned_to: i64,
    subscribers: Slab<SubscriberState>,
    ended: Option<EndReason>,
    execution: Option<AbortHandle>,
}

#[derive(Debug, Default)]
struct SubscriberState {
    /// The index that is read next; null while it is in backfill and nothing is retained for it.
    next_index: Option<u64>,
    waker: Option<Waker>,
    /// The execution waited for it in vain. Once it reads again, it counts again.
    wait_abandoned: bool,
}

/// Why an execution has ended: with these errors, or normally.
pub type EndReason = Option<Bytes>;

impl BroadcastBuffer {
    pub fn new(key: ExecutionKey, scanned_to: i64, limits: BufferLimits) -> Arc<BroadcastBuffer> {
        let state = Mutex::new(BufferState { scanned_to, ..BufferState::default() });
        Arc::new(BroadcastBuffer { key, limits, state })
    }

    pub fn set_execution(&self, execution: JoinHandle<()>) {
        lock(&self.state).execution = Some(execution.abort_handle());
    }

    pub fn abort_execution(&self) {
        let execution = lock(&self.state).execution.take();
        if let Some(execution) = execution {
            execution.abort();
        }
    }

    /// Messages of a batch that fits beside those that most subscribers have not read yet.
    pub fn max_batch_len(&self) -> usize {
        usize::try_from(self.limits.messages / 2).unwrap_or(usize::MAX).max(1)
    }

    /// Waits until there is room for more, or until no progress can be expected.
    pub async fn wait_for_capacity(&self) {
        let begun = Instant::now();
        let mut last_progress = (begun, None);
        while let Some(read) = self.progress_if_most_lag() {
            let now = Instant::now();
            if last_progress.1 != Some(read) {
                last_progress = (now, Some(read));
            }
            if now - last_progress.0 >= self.limits.stall_timeout || now - begun >= self.limits.max_wait {
                lock(&self.state).abandon_wait();
                return;
            }
            tokio::time::sleep(BACKPRESSURE_POLL_INTERVAL).await;
        }
    }

    /// If the buffer is half full and most subscribers lag: the sum of their indexes.
    fn progress_if_most_lag(&self) -> Option<u64> {
        let state = lock(&self.state);
        if state.end_index - state.first_index() < self.limits.messages / 2 && state.bytes < self.limits.bytes / 2 {
            return None;
        }
        let threshold = state.lag_threshold();
        let (mut progress, mut readers, mut lagging) = (0, 0, 0);
        for (_, subscriber) in &state.subscribers {
            let Some(next) = subscriber.next_index.filter(|_| !subscriber.wait_abandoned) else { continue };
            readers += 1;
            lagging += usize::from(next < threshold);
            progress += next;
        }
        (lagging * 2 > readers).then_some(progress)
    }

    /// Appends a batch that brings the watermark to `scanned_to`.
    pub fn push(&self, mut batch: MessageBatch, scanned_to: i64) {
        let mut state = lock(&self.state);
        state.scanned_to = scanned_to;
        if batch.entries.is_empty() {
            return;
        }
        batch.first_index = state.end_index;
        state.end_index = batch.end_index();
        state.bytes += batch.bytes();
        state.batches.push_back(Arc::new(batch));
        state.trim(self.limits);
        wake_all(state);
    }

    /// No change up to this position matches.
    pub fn advance_watermark(&self, scanned_to: i64) {
        lock(&self.state).scanned_to = scanned_to;
    }

    pub fn close(&self, end: EndReason) {
        let mut state = lock(&self.state);
        state.ended = Some(end);
        wake_all(state);
    }

    /// Returns whether it was the last subscriber.
    pub fn remove_subscriber(&self, slot: usize) -> bool {
        let mut state = lock(&self.state);
        state.subscribers.try_remove(slot);
        state.subscribers.is_empty()
    }
}

/// Wakes all subscribers, without the lock: they take it at once.
fn wake_all(mut state: MutexGuard<'_, BufferState>) {
    let wakers: Vec<Waker> =
        state.subscribers.iter_mut().filter_map(|(_, subscriber)| subscriber.waker.take()).collect();
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

impl BufferState {
    fn first_index(&self) -> u64 {
        self.batches.front().map_or(self.end_index, |batch| batch.first_index)
    }

    /// A subscriber that has not read up to here lags.
    fn lag_threshold(&self) -> u64 {
        self.end_index - (self.end_index - self.first_index()) / 2
    }

    /// The execution does not wait for lagging subscribers any more.
    fn abandon_wait(&mut self) {
        let threshold = self.lag_threshold();
        for (_, subscriber) in &mut self.subscribers {
            subscriber.wait_abandoned = subscriber.next_index.is_some_and(|next| next < threshold);
        }
    }

    /// Drops batches that all have read, and those beyond the limits. The newest batch always remains.
    fn trim(&mut self, limits: BufferLimits) {
        let read_by_all = self.subscribers.iter().filter_map(|(_, subscriber)| subscriber.next_index).min();
        let read_by_all = read_by_all.unwrap_or(self.end_index);
        while self.batches.len() > 1 {
            let Some(first) = self.batches.front() else { return };
            if first.end_index() > read_by_all
                && self.end_index - first.first_index <= limits.messages
                && self.bytes <= limits.bytes
            {
                return;
            }
            self.bytes -= first.bytes();
            self.batches.pop_front();
        }
    }
}

/// A subscriber of a shared execution, which runs as long as it has one.
#[derive(Debug)]
pub struct Subscriber {
    pub subscriptions: Arc<SubscriptionManager>,
    buffer: Arc<BroadcastBuffer>,
    slot: usize,
}

/// What a subscriber finds in the buffer.
#[derive(Debug)]
pub enum BufferRead {
    Payloads(Payloads),
    /// The next message is no longer retained.
    Lagged,
    Ended(EndReason),
}

impl Subscriber {
    /// Nothing is retained for it until it attaches.
    pub fn new(subscriptions: Arc<SubscriptionManager>, buffer: Arc<BroadcastBuffer>) -> Subscriber {
        let slot = lock(&buffer.state).subscribers.insert(SubscriberState::default());
        Subscriber { subscriptions, buffer, slot }
    }

    pub fn scanned_to(&self) -> i64 {
        lock(&self.buffer.state).scanned_to
    }

    /// From here on, messages are retained for this subscriber: those about changes after the returned watermark.
    pub fn attach(&self) -> i64 {
        let mut state = lock(&self.buffer.state);
        let end_index = state.end_index;
        if let Some(subscriber) = state.subscribers.get_mut(self.slot) {
            subscriber.next_index = Some(end_index);
        }
        state.scanned_to
    }

    pub fn detach(&self) {
        if let Some(subscriber) = lock(&self.buffer.state).subscribers.get_mut(self.slot) {
            subscriber.next_index = None;
        }
    }

    /// Reads the next batch, without responses about changes up to `after`.
    pub fn poll(&self, context: &Context<'_>, after: i64) -> Poll<BufferRead> {
        let mut state = lock(&self.buffer.state);
        let state = &mut *state;
        let first_index = state.first_index();
        let Some(subscriber) = state.subscribers.get_mut(self.slot) else { return Poll::Ready(BufferRead::Lagged) };
        let next = subscriber.next_index.unwrap_or(state.end_index);
        if next < first_index {
            return Poll::Ready(BufferRead::Lagged);
        }
        let found = state.batches.partition_point(|batch| batch.end_index() <= next);
        if let Some(batch) = state.batches.get(found) {
            subscriber.next_index = Some(batch.end_index());
            subscriber.wait_abandoned = false;
            let start_index = usize::try_from(next - batch.first_index).unwrap_or_default();
            return Poll::Ready(BufferRead::Payloads(Payloads::new(batch.clone(), start_index, after)));
        }
        if let Some(end) = &state.ended {
            return Poll::Ready(BufferRead::Ended(end.clone()));
        }
        match &mut subscriber.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.subscriptions.leave_shared(&self.buffer, self.slot);
    }
}

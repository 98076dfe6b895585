//! What an execution has told, kept until all who follow have taken it, and no longer than there is room.
//!
//! Whoever is further behind than there is room for is cut off, so that memory stays bounded. But if most are behind, it
//! is the hub that is slow and not they: then the execution waits for them, as long as they come on.

use super::SubscriptionManager;
use super::message::{MessageBatch, Payloads};
use super::operation::SubscriptionKey;
use bytes::Bytes;
use slab::Slab;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

/// How often it is looked whether those who are behind have come on.
const BACKPRESSURE_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// What is kept for those who are behind.
#[derive(Clone, Copy, Debug)]
pub struct BufferLimits {
    pub messages: u64,
    pub bytes: usize,
    /// How long the execution waits for most of them if none of them comes on.
    pub stall_timeout: Duration,
    /// How long it waits for them at all.
    pub max_wait: Duration,
}

impl Default for BufferLimits {
    fn default() -> Self {
        let (stalled, patience) = (Duration::from_secs(1), Duration::from_secs(10));
        BufferLimits { messages: 4096, bytes: 8 << 20, stall_timeout: stalled, max_wait: patience }
    }
}

/// What one execution has told, and who follows it.
#[derive(Debug)]
pub struct BroadcastBuffer {
    key: SubscriptionKey,
    limits: BufferLimits,
    state: Mutex<BufferState>,
}

#[derive(Debug, Default)]
struct BufferState {
    /// Without holes: each begins with the number after the end of the one before.
    batches: VecDeque<Arc<MessageBatch>>,
    bytes: usize,
    /// The number of the next answer.
    end_index: u64,
    /// All changes up to this position are told, or are not for these subscribers.
    scanned_to: i64,
    subscribers: Slab<SubscriberState>,
    ended: Option<EndReason>,
    execution: Option<AbortHandle>,
}

/// One who follows.
#[derive(Debug, Default)]
struct SubscriberState {
    /// The number that is taken next; none as long as nothing is taken.
    next_index: Option<u64>,
    waker: Option<Waker>,
    /// It was waited for in vain. Once it takes something, it counts again.
    wait_abandoned: bool,
}

/// Why an execution has ended: with these errors, or by itself.
pub type EndReason = Option<Bytes>;

impl BroadcastBuffer {
    pub fn new(key: SubscriptionKey, seen: i64, room: BufferLimits) -> Arc<BroadcastBuffer> {
        Arc::new(BroadcastBuffer {
            key,
            limits: room,
            state: Mutex::new(BufferState { scanned_to: seen, ..BufferState::default() }),
        })
    }

    pub fn key(&self) -> &SubscriptionKey {
        &self.key
    }

    /// This execution tells what is kept here.
    pub fn set_execution(&self, execution: JoinHandle<()>) {
        self.lock().execution = Some(execution.abort_handle());
    }

    /// Ends the execution.
    pub fn abort_execution(&self) {
        let execution = self.lock().execution.take();
        if let Some(execution) = execution {
            execution.abort();
        }
    }

    /// Answers that find room beside those that most have not taken yet.
    pub fn max_batch_len(&self) -> usize {
        usize::try_from(self.limits.messages / 2).unwrap_or(usize::MAX).max(1)
    }

    /// Waits until there is room for more, or until waiting makes no sense.
    pub async fn wait_for_capacity(&self) {
        let begun = Instant::now();
        let mut came_on = (begun, None);
        while let Some(taken) = self.progress_if_most_lag() {
            let now = Instant::now();
            if came_on.1 != Some(taken) {
                came_on = (now, Some(taken));
            }
            if now - came_on.0 >= self.limits.stall_timeout || now - begun >= self.limits.max_wait {
                self.lock().abandon_wait();
                return;
            }
            tokio::time::sleep(BACKPRESSURE_POLL_INTERVAL).await;
        }
    }

    // What those who are waited for have taken together, if most of them are behind.
    fn progress_if_most_lag(&self) -> Option<u64> {
        let state = self.lock();
        if state.end_index - state.first_index() < self.limits.messages / 2 && state.bytes < self.limits.bytes / 2 {
            return None;
        }
        let middle = state.lag_threshold();
        let (mut taken, mut readers, mut behind) = (0, 0, 0);
        for (_, place) in &state.subscribers {
            let Some(next) = place.next_index.filter(|_| !place.wait_abandoned) else { continue };
            readers += 1;
            behind += usize::from(next < middle);
            taken += next;
        }
        (behind * 2 > readers).then_some(taken)
    }

    /// Tells these answers. All changes up to `seen` are told with them.
    pub fn push(&self, mut batch: MessageBatch, seen: i64) {
        let mut state = self.lock();
        state.scanned_to = seen;
        if batch.entries.is_empty() {
            return;
        }
        batch.first_index = state.end_index;
        state.end_index = batch.end_index();
        state.bytes += batch.bytes();
        state.batches.push_back(Arc::new(batch));
        state.trim(self.limits);
        let wakers = state.take_wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// There was nothing to tell up to this position.
    pub fn advance_watermark(&self, seen: i64) {
        self.lock().scanned_to = seen;
    }

    /// Nothing more will be told.
    pub fn close(&self, end: EndReason) {
        let mut state = self.lock();
        state.ended = Some(end);
        let wakers = state.take_wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether the last one has left.
    pub fn remove_subscriber(&self, place: usize) -> bool {
        let mut state = self.lock();
        state.subscribers.try_remove(place);
        state.subscribers.is_empty()
    }

    // A panic elsewhere leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, BufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BufferState {
    /// The number of the first answer that is kept.
    fn first_index(&self) -> u64 {
        self.batches.front().map_or(self.end_index, |batch| batch.first_index)
    }

    /// Who has not come so far is behind.
    fn lag_threshold(&self) -> u64 {
        self.end_index - (self.end_index - self.first_index()) / 2
    }

    /// Those who are behind are not waited for any more.
    fn abandon_wait(&mut self) {
        let middle = self.lag_threshold();
        for (_, place) in &mut self.subscribers {
            place.wait_abandoned = place.next_index.is_some_and(|next| next < middle);
        }
    }

    /// Drops what all have taken, and what there is no room for. The newest batch always stays.
    fn trim(&mut self, room: BufferLimits) {
        let taken = self.subscribers.iter().filter_map(|(_, place)| place.next_index).min().unwrap_or(self.end_index);
        while self.batches.len() > 1 {
            let Some(first) = self.batches.front() else { return };
            if first.end_index() > taken
                && self.end_index - first.first_index <= room.messages
                && self.bytes <= room.bytes
            {
                return;
            }
            self.bytes -= first.bytes();
            self.batches.pop_front();
        }
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        self.subscribers.iter_mut().filter_map(|(_, place)| place.waker.take()).collect()
    }
}

/// A place among those who follow. The execution goes on as long as one is taken.
#[derive(Debug)]
pub struct Subscriber {
    subscriptions: Arc<SubscriptionManager>,
    buffer: Arc<BroadcastBuffer>,
    slot: usize,
}

/// What comes next for one who follows.
#[derive(Debug)]
pub enum BufferRead {
    Payloads(Payloads),
    /// It is not kept any more.
    Lagged,
    Ended(EndReason),
}

impl Subscriber {
    /// Takes a place. Nothing is kept for it yet.
    pub fn new(subscriptions: Arc<SubscriptionManager>, buffer: Arc<BroadcastBuffer>) -> Subscriber {
        let slot = buffer.lock().subscribers.insert(SubscriberState::default());
        Subscriber { subscriptions, buffer, slot }
    }

    pub fn subscriptions(&self) -> &Arc<SubscriptionManager> {
        &self.subscriptions
    }

    /// All changes up to this position are told.
    pub fn scanned_to(&self) -> i64 {
        self.buffer.lock().scanned_to
    }

    /// From here on all is kept for this one: the changes after the position that is returned.
    pub fn attach(&self) -> i64 {
        let mut state = self.buffer.lock();
        let end = state.end_index;
        if let Some(place) = state.subscribers.get_mut(self.slot) {
            place.next_index = Some(end);
        }
        state.scanned_to
    }

    /// Nothing is kept for this one any more.
    pub fn detach(&self) {
        if let Some(place) = self.buffer.lock().subscribers.get_mut(self.slot) {
            place.next_index = None;
        }
    }

    /// Takes what is there, without what is not after this position.
    pub fn poll(&self, context: &Context<'_>, after: i64) -> Poll<BufferRead> {
        let mut state = self.buffer.lock();
        let state = &mut *state;
        let begin = state.first_index();
        let Some(place) = state.subscribers.get_mut(self.slot) else { return Poll::Ready(BufferRead::Lagged) };
        let next = place.next_index.unwrap_or(state.end_index);
        if next < begin {
            return Poll::Ready(BufferRead::Lagged);
        }
        let found = state.batches.partition_point(|batch| batch.end_index() <= next);
        if let Some(batch) = state.batches.get(found) {
            place.next_index = Some(batch.end_index());
            place.wait_abandoned = false;
            let from = usize::try_from(next - batch.first_index).unwrap_or_default();
            return Poll::Ready(BufferRead::Payloads(Payloads::new(batch.clone(), from, after)));
        }
        if let Some(end) = &state.ended {
            return Poll::Ready(BufferRead::Ended(end.clone()));
        }
        match &mut place.waker {
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

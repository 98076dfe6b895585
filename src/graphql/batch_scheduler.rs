//! Rounds: how fields of one request wait for each other without a timer.
//!
//! A request is one future. Whenever it can go no further, all its fields have come up that could: a round ends, and
//! who waited for that goes on. This holds on any executor, because nobody wakes anybody before the round has ended.

use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// The rounds of one request.
#[derive(Debug, Default)]
pub struct BatchScheduler(Mutex<SchedulerState>);

#[derive(Debug, Default)]
struct SchedulerState {
    ticks: u64,
    waiters: Vec<Waker>,
}

impl BatchScheduler {
    /// Answers a request in rounds.
    pub async fn drive<T>(self: Arc<Self>, request: impl Future<Output = T>) -> T {
        let mut request = pin!(request);
        poll_fn(|context| {
            let answer = request.as_mut().poll(context);
            self.end_tick_if_pending(&answer);
            answer
        })
        .await
    }

    /// Answers a subscription in rounds.
    pub fn drive_stream<T>(self: Arc<Self>, mut request: BoxStream<'static, T>) -> impl Stream<Item = T> + use<T> {
        stream::poll_fn(move |context| {
            let answer = request.poll_next_unpin(context);
            self.end_tick_if_pending(&answer);
            answer
        })
    }

    /// Waits until every other field has come as far as it can.
    pub async fn next_tick(&self) {
        let ended = self.state().ticks;
        poll_fn(|context| {
            let mut state = self.state();
            if state.ticks > ended {
                return Poll::Ready(());
            }
            state.waiters.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn end_tick_if_pending<T>(&self, answer: &Poll<T>) {
        if answer.is_ready() {
            return;
        }
        let mut state = self.state();
        if state.waiters.is_empty() {
            return;
        }
        state.ticks += 1;
        let waiting = std::mem::take(&mut state.waiters);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    // A panic elsewhere leaves nothing half done here.
    fn state(&self) -> MutexGuard<'_, SchedulerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

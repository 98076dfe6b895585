//! Ticks: how the fields of one request wait for each other without a timer.
//!
//! A request is one future. When it is pending, all its fields have made the progress they can: the tick ends, and the
//! fields that wait for it continue. This holds on any executor, because no waiter is woken before the tick has ended.

use crate::sync::lock;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

#[derive(Debug, Default)]
pub struct BatchScheduler(Mutex<SchedulerState>);

#[derive(Debug, Default)]
struct SchedulerState {
    ticks: u64,
    waiters: Vec<Waker>,
}

impl BatchScheduler {
    pub async fn drive<T>(self: Arc<Self>, request: impl Future<Output = T>) -> T {
        let mut request = pin!(request);
        poll_fn(|context| {
            let response = request.as_mut().poll(context);
            self.end_tick_if_pending(&response);
            response
        })
        .await
    }

    pub fn drive_stream<T>(self: Arc<Self>, mut request: BoxStream<'static, T>) -> impl Stream<Item = T> + use<T> {
        stream::poll_fn(move |context| {
            let response = request.poll_next_unpin(context);
            self.end_tick_if_pending(&response);
            response
        })
    }

    /// Waits until every other field has made the progress it can.
    pub async fn next_tick(&self) {
        let current = lock(&self.0).ticks;
        poll_fn(|context| {
            let mut state = lock(&self.0);
            if state.ticks > current {
                return Poll::Ready(());
            }
            state.waiters.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn end_tick_if_pending<T>(&self, response: &Poll<T>) {
        if response.is_ready() {
            return;
        }
        let mut state = lock(&self.0);
        if state.waiters.is_empty() {
            return;
        }
        state.ticks += 1;
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.into_iter().for_each(Waker::wake);
    }
}

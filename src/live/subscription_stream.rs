//! One subscriber's messages. A subscription that shares an execution has two phases:
//!
//! 1. **Backfill.** A subscriber with a cursor reads the history by executions of its own, each up to a position that the
//!    shared execution has reached.
//! 2. **Live.** It reads the shared execution's buffer.
//!
//! The **hand-over** rule: `delivered_to` bounds both phases, so that each position is delivered once and in order.
//!
//! - While the subscriber is more than [`HANDOFF_THRESHOLD`] changes behind, the buffer retains nothing for it. A backfill run
//!   ends at the buffer's watermark; the next run begins there.
//! - Closer than that, it attaches first: under one lock it reads the watermark, and from then on the buffer retains every
//!   later message for it. The last run ends at exactly this watermark, and live continues with the first retained message.
//! - If the buffer overflows during the last run, the subscriber returns to backfill: it has read nothing from the buffer yet.
//!   A subscriber that falls behind later is disconnected with `SLOW_CONSUMER`; backfill for the slowest would cost the most.

use super::broadcast_buffer::{BufferRead, Subscriber};
use super::execution::DedicatedExecution;
use super::{StreamMessage, SubscriptionManager, credential_ended, message, slow_consumer};
use crate::access::Principal;
use crate::graphql::{ApiError, StartPosition, SubscriptionProgress};
use crate::request::PreparedOperation;
use futures_util::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// The distance, in changes, at which a subscriber attaches to the shared buffer.
const HANDOFF_THRESHOLD: i64 = 1000;

/// The messages of one operation. It ends after the last one, or after a [`StreamMessage::Error`], which says so if the
/// credential of its principal has ended.
pub struct SubscriptionStream {
    state: StreamState,
    /// Ready when the credential has ended.
    credential_end: Pin<Box<WaitForCancellationFutureOwned>>,
    subscriptions: Arc<SubscriptionManager>,
    /// The newest change that was delivered.
    last_position: Option<i64>,
}

#[derive(Debug)]
pub(super) enum StreamState {
    Dedicated(DedicatedExecution),
    Shared(SharedSubscription),
    Rejected(bytes::Bytes),
    Ended,
}

#[derive(Debug)]
pub(super) struct SharedSubscription {
    subscriber: Subscriber,
    /// All changes up to here were delivered, or do not match.
    delivered_to: i64,
    phase: StreamPhase,
    /// For backfill; null once it cannot be needed any more.
    backfill: Option<Box<Backfill>>,
}

#[derive(Debug)]
enum StreamPhase {
    Backfill,
    Live,
}

#[derive(Debug)]
struct Backfill {
    operation: Arc<PreparedOperation>,
    /// Whether `delivered_to` is known to be a position of this history. The first run verifies it.
    is_verified: bool,
    run: Option<BackfillRun>,
}

/// One execution over a part of the history.
#[derive(Debug)]
struct BackfillRun {
    execution: DedicatedExecution,
    until: i64,
    /// Whether the buffer retains what follows.
    is_last: bool,
}

impl SubscriptionStream {
    pub(super) fn new(
        state: StreamState,
        subscriptions: &Arc<SubscriptionManager>,
        principal: &Principal,
    ) -> SubscriptionStream {
        let credential_end = Box::pin(principal.ended.clone().cancelled_owned());
        SubscriptionStream { state, credential_end, subscriptions: subscriptions.clone(), last_position: None }
    }
}

impl StreamState {
    pub(super) fn rejected(why: &ApiError) -> StreamState {
        StreamState::Rejected(message::error_payload(why.clone()))
    }

    /// Begins live, after the position that is the newest now.
    pub(super) fn from_now(subscriber: Subscriber, newest: i64) -> StreamState {
        let delivered_to = subscriber.attach().max(newest);
        StreamState::Shared(SharedSubscription { subscriber, delivered_to, phase: StreamPhase::Live, backfill: None })
    }

    /// Begins with backfill, after a position that is not verified yet.
    pub(super) fn from_position(
        subscriber: Subscriber,
        operation: Arc<PreparedOperation>,
        position: i64,
    ) -> StreamState {
        let (delivered_to, phase) = (position, StreamPhase::Backfill);
        let backfill = Some(Box::new(Backfill { operation, is_verified: false, run: None }));
        StreamState::Shared(SharedSubscription { subscriber, delivered_to, phase, backfill })
    }

    /// All changes up to here were delivered, or do not match; null where that is not known.
    fn delivered_to(&self) -> Option<i64> {
        if let StreamState::Shared(shared) = self { Some(shared.delivered_to) } else { None }
    }
}

impl fmt::Debug for SubscriptionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SubscriptionStream").field(&self.state).finish()
    }
}

impl Stream for SubscriptionStream {
    type Item = StreamMessage;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<StreamMessage>> {
        let stream = self.get_mut();
        // First: nothing is delivered after the credential has ended.
        if !matches!(stream.state, StreamState::Ended) && stream.credential_end.as_mut().poll(context).is_ready() {
            let position = stream.last_position.max(stream.state.delivered_to());
            stream.state = StreamState::Ended;
            return Poll::Ready(Some(credential_ended(position, stream.subscriptions.generation())));
        }
        let message = match &mut stream.state {
            StreamState::Dedicated(execution) => ready!(execution.poll(context)),
            StreamState::Shared(shared) => ready!(shared.poll(context)),
            StreamState::Rejected(errors) => Some(StreamMessage::Error(std::mem::take(errors))),
            StreamState::Ended => None,
        };
        match &message {
            // A query is about no change.
            Some(StreamMessage::Next(payloads)) => {
                stream.last_position =
                    payloads.last_position().filter(|position| *position > 0).max(stream.last_position);
            }
            _ => stream.state = StreamState::Ended,
        }
        Poll::Ready(message)
    }
}

impl SharedSubscription {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<StreamMessage>> {
        loop {
            match self.phase {
                StreamPhase::Backfill => match ready!(self.poll_backfill(context)) {
                    Some(message) => return Poll::Ready(Some(message)),
                    None => self.phase = StreamPhase::Live,
                },
                StreamPhase::Live => match ready!(self.subscriber.poll(context, self.delivered_to)) {
                    BufferRead::Payloads(payloads) => {
                        self.backfill = None;
                        self.delivered_to = payloads.last_position().unwrap_or_default().max(self.delivered_to);
                        return Poll::Ready(Some(StreamMessage::Next(payloads)));
                    }
                    BufferRead::Lagged if self.backfill.is_some() => self.phase = StreamPhase::Backfill,
                    BufferRead::Lagged => {
                        let generation = self.subscriber.subscriptions.generation();
                        return Poll::Ready(Some(slow_consumer(self.delivered_to, generation)));
                    }
                    BufferRead::Ended(errors) => return Poll::Ready(errors.map(StreamMessage::Error)),
                },
            }
        }
    }

    /// Null once the subscriber can go live.
    fn poll_backfill(&mut self, context: &mut Context<'_>) -> Poll<Option<StreamMessage>> {
        let Some(backfill) = &mut self.backfill else { return Poll::Ready(None) };
        loop {
            let run = match &mut backfill.run {
                Some(run) => run,
                none => {
                    match backfill_run(&self.subscriber, self.delivered_to, &backfill.operation, backfill.is_verified) {
                        Some(run) => none.insert(run),
                        None => break,
                    }
                }
            };
            if let Some(message) = ready!(run.execution.poll(context)) {
                return Poll::Ready(Some(message));
            }
            let (until, is_last) = (run.until, run.is_last);
            self.delivered_to = self.delivered_to.max(until);
            backfill.is_verified = true;
            backfill.run = None;
            if is_last {
                break;
            }
        }
        // If it returns here, it was at a position of the shared execution.
        backfill.is_verified = true;
        Poll::Ready(None)
    }
}

/// The next part of the history to read, by the hand-over rule. Null if there is none.
fn backfill_run(
    subscriber: &Subscriber,
    delivered_to: i64,
    operation: &Arc<PreparedOperation>,
    is_verified: bool,
) -> Option<BackfillRun> {
    let watermark = subscriber.scanned_to();
    let is_last = watermark.saturating_sub(delivered_to) <= HANDOFF_THRESHOLD;
    let until = if is_last {
        subscriber.attach()
    } else {
        subscriber.detach();
        watermark
    };
    // The watermark itself is a position of this history; one beyond it has to be verified.
    if is_last && (until == delivered_to || is_verified && until < delivered_to) {
        return None;
    }
    let start = if is_verified { StartPosition::Position(delivered_to) } else { operation.start.clone() };
    let execution =
        subscriber.subscriptions.spawn_dedicated(operation, Some(SubscriptionProgress::new(start, Some(until))));
    Some(BackfillRun { execution, until, is_last })
}

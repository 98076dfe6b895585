//! One subscriber's way: first over the past by an execution of its own, then along the tail that it shares.

use super::broadcast_buffer::{BufferRead, Subscriber};
use super::execution::DedicatedExecution;
use super::message;
use super::{StreamMessage, slow_consumer};
use crate::graphql::{ApiError, SubscriptionProgress};
use crate::request::PreparedOperation;
use futures_util::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// So many changes are caught up with while the tail keeps what comes meanwhile. Who is further behind comes closer
/// first, without anything being kept.
const HANDOFF_THRESHOLD: i64 = 1000;

/// The answers to one operation: it ends after the last one, or after [`News::Failed`].
#[derive(Debug)]
pub struct SubscriptionStream(StreamPhase);

#[derive(Debug)]
enum StreamPhase {
    Dedicated(DedicatedExecution),
    Backfill(Box<BackfillPhase>),
    Live(LivePhase),
    Failed(bytes::Bytes),
    Ended,
}

/// On the way from a position to the tail.
#[derive(Debug)]
struct BackfillPhase {
    subscriber: Subscriber,
    operation: Arc<PreparedOperation>,
    /// All up to here is told.
    delivered_to: i64,
    /// Whether the beginning is known to be a position of this history.
    cursor_verified: bool,
    run: Option<BackfillRun>,
}

/// One execution over a part of the past.
#[derive(Debug)]
struct BackfillRun {
    execution: DedicatedExecution,
    until: i64,
    /// Whether the tail keeps what comes after this part.
    joins_live: bool,
}

/// Along the tail.
#[derive(Debug)]
struct LivePhase {
    subscriber: Subscriber,
    /// All up to here is told.
    delivered_to: i64,
    /// What it takes to catch up once more, as long as nothing was taken from the tail.
    backfill_operation: Option<Arc<PreparedOperation>>,
}

impl SubscriptionStream {
    pub(super) fn dedicated(alone: DedicatedExecution) -> SubscriptionStream {
        SubscriptionStream(StreamPhase::Dedicated(alone))
    }

    pub(super) fn rejected(why: &ApiError) -> SubscriptionStream {
        SubscriptionStream(StreamPhase::Failed(message::error_payload(why.clone())))
    }

    /// Tells what comes after the position that is the newest now.
    pub(super) fn from_now(seat: Subscriber, newest: i64) -> SubscriptionStream {
        let last = seat.attach().max(newest);
        SubscriptionStream(StreamPhase::Live(LivePhase {
            subscriber: seat,
            delivered_to: last,
            backfill_operation: None,
        }))
    }

    /// Tells what comes after a position.
    pub(super) fn from_position(
        seat: Subscriber,
        operation: Arc<PreparedOperation>,
        position: i64,
    ) -> SubscriptionStream {
        SubscriptionStream(StreamPhase::Backfill(Box::new(BackfillPhase {
            subscriber: seat,
            operation,
            delivered_to: position,
            cursor_verified: false,
            run: None,
        })))
    }
}

impl Stream for SubscriptionStream {
    type Item = StreamMessage;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<StreamMessage>> {
        let way = &mut self.get_mut().0;
        loop {
            match way {
                StreamPhase::Dedicated(alone) => return alone.poll(context),
                StreamPhase::Backfill(past) => match ready!(past.poll(context)) {
                    Some(news) => return Poll::Ready(Some(end_on_error(way, news))),
                    None => *way = std::mem::replace(way, StreamPhase::Ended).into_live(),
                },
                StreamPhase::Live(along) => match ready!(along.poll(context)) {
                    LiveEvent::Next(news) => return Poll::Ready(Some(news)),
                    LiveEvent::Error(news) => return Poll::Ready(Some(end_on_error(way, news))),
                    LiveEvent::FallBack => *way = std::mem::replace(way, StreamPhase::Ended).into_backfill(),
                    LiveEvent::Ended => *way = StreamPhase::Ended,
                },
                StreamPhase::Failed(errors) => {
                    let news = StreamMessage::Error(std::mem::take(errors));
                    return Poll::Ready(Some(end_on_error(way, news)));
                }
                StreamPhase::Ended => return Poll::Ready(None),
            }
        }
    }
}

// Failing is the end.
fn end_on_error(way: &mut StreamPhase, news: StreamMessage) -> StreamMessage {
    if matches!(news, StreamMessage::Error(_)) {
        *way = StreamPhase::Ended;
    }
    news
}

impl StreamPhase {
    /// From the past to the tail.
    fn into_live(self) -> StreamPhase {
        match self {
            StreamPhase::Backfill(past) => StreamPhase::Live(LivePhase {
                subscriber: past.subscriber,
                delivered_to: past.delivered_to,
                backfill_operation: Some(past.operation),
            }),
            other => other,
        }
    }

    /// Missed while it caught up: it does so once more.
    fn into_backfill(self) -> StreamPhase {
        match self {
            StreamPhase::Live(LivePhase {
                subscriber: seat,
                delivered_to: last,
                backfill_operation: Some(operation),
            }) => StreamPhase::Backfill(Box::new(BackfillPhase {
                subscriber: seat,
                operation,
                delivered_to: last,
                cursor_verified: true,
                run: None,
            })),
            other => other,
        }
    }
}

impl BackfillPhase {
    /// None once the tail can be followed.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<StreamMessage>> {
        loop {
            let Some(round) = &mut self.run else {
                match self.next_run() {
                    Some(round) => self.run = Some(round),
                    None => return Poll::Ready(None),
                }
                continue;
            };
            match ready!(round.execution.poll(context)) {
                Some(news) => return Poll::Ready(Some(news)),
                None => {
                    self.delivered_to = self.delivered_to.max(round.until);
                    self.cursor_verified = true;
                    let joins = round.joins_live;
                    self.run = None;
                    if joins {
                        return Poll::Ready(None);
                    }
                }
            }
        }
    }

    fn next_run(&self) -> Option<BackfillRun> {
        let seen = self.subscriber.scanned_to();
        let joins = seen.saturating_sub(self.delivered_to) <= HANDOFF_THRESHOLD;
        let until = if joins {
            self.subscriber.attach()
        } else {
            self.subscriber.detach();
            seen
        };
        // All up to `seen` is known to be there.
        if joins && (until == self.delivered_to || self.cursor_verified && until < self.delivered_to) {
            return None;
        }
        let walk = SubscriptionProgress::new(self.cursor_verified.then_some(self.delivered_to), Some(until));
        Some(BackfillRun {
            execution: self.subscriber.subscriptions().spawn_dedicated(&self.operation, Some(walk)),
            until,
            joins_live: joins,
        })
    }
}

enum LiveEvent {
    Next(StreamMessage),
    Error(StreamMessage),
    FallBack,
    Ended,
}

impl LivePhase {
    fn poll(&mut self, context: &Context<'_>) -> Poll<LiveEvent> {
        Poll::Ready(match ready!(self.subscriber.poll(context, self.delivered_to)) {
            BufferRead::Payloads(payloads) => {
                self.backfill_operation = None;
                self.delivered_to = payloads.last_position().unwrap_or_default().max(self.delivered_to);
                LiveEvent::Next(StreamMessage::Next(payloads))
            }
            BufferRead::Lagged if self.backfill_operation.is_some() => LiveEvent::FallBack,
            BufferRead::Lagged => {
                LiveEvent::Error(slow_consumer(self.delivered_to, self.subscriber.subscriptions().feed.generation()))
            }
            BufferRead::Ended(Some(errors)) => LiveEvent::Error(StreamMessage::Error(errors)),
            BufferRead::Ended(None) => LiveEvent::Ended,
        })
    }
}

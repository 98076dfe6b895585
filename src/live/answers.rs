//! One subscriber's way: first over the past by an execution of its own, then along the tail that it shares.

use super::execution::Alone;
use super::news;
use super::tail::{Next, Seat};
use super::{News, too_slow};
use crate::graphql::{Fault, Walk};
use crate::request::Prepared;
use futures_util::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// So many changes are caught up with while the tail keeps what comes meanwhile. Who is further behind comes closer
/// first, without anything being kept.
const NEAR: i64 = 1000;

/// The answers to one operation: it ends after the last one, or after [`News::Failed`].
#[derive(Debug)]
pub struct Answers(Way);

#[derive(Debug)]
enum Way {
    Alone(Alone),
    Past(Box<Past>),
    Tail(Along),
    Failed(bytes::Bytes),
    Ended,
}

/// On the way from a position to the tail.
#[derive(Debug)]
struct Past {
    seat: Seat,
    operation: Arc<Prepared>,
    /// All up to here is told.
    at: i64,
    /// Whether the beginning is known to be a position of this history.
    checked: bool,
    round: Option<Round>,
}

/// One execution over a part of the past.
#[derive(Debug)]
struct Round {
    answers: Alone,
    until: i64,
    /// Whether the tail keeps what comes after this part.
    joins: bool,
}

/// Along the tail.
#[derive(Debug)]
struct Along {
    seat: Seat,
    /// All up to here is told.
    last: i64,
    /// What it takes to catch up once more, as long as nothing was taken from the tail.
    again: Option<Arc<Prepared>>,
}

impl Answers {
    pub(super) fn alone(alone: Alone) -> Answers {
        Answers(Way::Alone(alone))
    }

    pub(super) fn refused(why: &Fault) -> Answers {
        Answers(Way::Failed(news::failure(why.clone())))
    }

    /// Tells what comes after the position that is the newest now.
    pub(super) fn now(seat: Seat, newest: i64) -> Answers {
        let last = seat.begin().max(newest);
        Answers(Way::Tail(Along { seat, last, again: None }))
    }

    /// Tells what comes after a position.
    pub(super) fn after(seat: Seat, operation: Arc<Prepared>, position: i64) -> Answers {
        Answers(Way::Past(Box::new(Past { seat, operation, at: position, checked: false, round: None })))
    }
}

impl Stream for Answers {
    type Item = News;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<News>> {
        let way = &mut self.get_mut().0;
        loop {
            match way {
                Way::Alone(alone) => return alone.poll(context),
                Way::Past(past) => match ready!(past.poll(context)) {
                    Some(news) => return Poll::Ready(Some(ending(way, news))),
                    None => *way = std::mem::replace(way, Way::Ended).joined(),
                },
                Way::Tail(along) => match ready!(along.poll(context)) {
                    Step::Told(news) => return Poll::Ready(Some(news)),
                    Step::Failed(news) => return Poll::Ready(Some(ending(way, news))),
                    Step::Back => *way = std::mem::replace(way, Way::Ended).back(),
                    Step::Ended => *way = Way::Ended,
                },
                Way::Failed(errors) => {
                    let news = News::Failed(std::mem::take(errors));
                    return Poll::Ready(Some(ending(way, news)));
                }
                Way::Ended => return Poll::Ready(None),
            }
        }
    }
}

// Failing is the end.
fn ending(way: &mut Way, news: News) -> News {
    if matches!(news, News::Failed(_)) {
        *way = Way::Ended;
    }
    news
}

impl Way {
    /// From the past to the tail.
    fn joined(self) -> Way {
        match self {
            Way::Past(past) => Way::Tail(Along { seat: past.seat, last: past.at, again: Some(past.operation) }),
            other => other,
        }
    }

    /// Missed while it caught up: it does so once more.
    fn back(self) -> Way {
        match self {
            Way::Tail(Along { seat, last, again: Some(operation) }) => {
                Way::Past(Box::new(Past { seat, operation, at: last, checked: true, round: None }))
            }
            other => other,
        }
    }
}

impl Past {
    /// None once the tail can be followed.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<News>> {
        loop {
            let Some(round) = &mut self.round else {
                match self.next_round() {
                    Some(round) => self.round = Some(round),
                    None => return Poll::Ready(None),
                }
                continue;
            };
            match ready!(round.answers.poll(context)) {
                Some(news) => return Poll::Ready(Some(news)),
                None => {
                    self.at = self.at.max(round.until);
                    self.checked = true;
                    let joins = round.joins;
                    self.round = None;
                    if joins {
                        return Poll::Ready(None);
                    }
                }
            }
        }
    }

    fn next_round(&self) -> Option<Round> {
        let seen = self.seat.seen();
        let joins = seen.saturating_sub(self.at) <= NEAR;
        let until = if joins {
            self.seat.begin()
        } else {
            self.seat.rest();
            seen
        };
        // All up to `seen` is known to be there.
        if joins && (until == self.at || self.checked && until < self.at) {
            return None;
        }
        let walk = Walk::new(self.checked.then_some(self.at), Some(until));
        Some(Round { answers: self.seat.live().execute(&self.operation, Some(walk)), until, joins })
    }
}

enum Step {
    Told(News),
    Failed(News),
    Back,
    Ended,
}

impl Along {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Step> {
        Poll::Ready(match ready!(self.seat.poll(context, self.last)) {
            Next::Told(payloads) => {
                self.again = None;
                self.last = payloads.last().unwrap_or_default().max(self.last);
                Step::Told(News::Told(payloads))
            }
            Next::Missed if self.again.is_some() => Step::Back,
            Next::Missed => Step::Failed(too_slow(self.last, self.seat.live().feed.generation())),
            Next::Ended(Some(errors)) => Step::Failed(News::Failed(errors)),
            Next::Ended(None) => Step::Ended,
        })
    }
}

//! Executions of subscriptions and queries: one for many, whose answers go into a tail, or one for one.

use super::News;
use super::news::{self, Batch, Entry, Payloads};
use super::tail::{End, Tail};
use crate::graphql::{Walk, is_request_error};
use async_graphql::Response;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Answers and bytes that are told at once, if they are ready.
const BATCH: usize = 64;
const BYTES: usize = 256 << 10;
/// Answers that wait for one who follows alone.
const AHEAD: usize = 16;

type Answers = BoxStream<'static, Response>;

/// Tells a tail each answer, until there are no more; then why.
pub async fn follow(mut answers: Answers, walk: &Walk, tail: &Tail) -> End {
    loop {
        let gathered = poll_fn(|context| gather(&mut answers, walk, tail, context)).await;
        tail.has_room().await;
        tail.tell(gathered.batch, gathered.seen);
        if let Some(end) = gathered.end {
            return end;
        }
    }
}

struct Gathered {
    batch: Batch,
    seen: i64,
    end: Option<End>,
}

// What is ready already is told together, so that each subscriber wakes once for all of it.
fn gather(answers: &mut Answers, walk: &Walk, tail: &Tail, context: &mut Context<'_>) -> Poll<Gathered> {
    let mut batch = Batch::default();
    let mut bytes = 0;
    let mut end = None;
    let most = tail.most_at_once().min(BATCH);
    while end.is_none() && batch.entries.len() < most && bytes < BYTES {
        match answers.poll_next_unpin(context) {
            Poll::Ready(Some(answer)) => match entry(&answer, walk) {
                Ok(entry) => {
                    bytes += entry.payload.len();
                    batch.entries.push(entry);
                }
                Err(errors) => end = Some(Some(errors)),
            },
            Poll::Ready(None) => end = Some(None),
            Poll::Pending if batch.entries.is_empty() => {
                tail.passed(walk.looked());
                return Poll::Pending;
            }
            Poll::Pending => break,
        }
    }
    Poll::Ready(Gathered { batch, seen: walk.looked(), end })
}

// An answer that is about no change says why there is no subscription.
fn entry(answer: &Response, walk: &Walk) -> Result<Entry, bytes::Bytes> {
    match walk.take() {
        Some(position) => Ok(Entry { position, payload: news::payload(answer) }),
        None => Err(news::errors(&answer.errors)),
    }
}

/// An execution for one. It is a task of its own, so that it can neither hold up nor be held up by what else its
/// subscriber listens to, and it ends when nobody wants its answers any more.
#[derive(Debug)]
pub struct Alone {
    news: mpsc::Receiver<News>,
    _task: AbortOnDropHandle<()>,
}

impl Alone {
    pub fn spawn(answers: Answers, walk: Option<Arc<Walk>>) -> Alone {
        let (sender, news) = mpsc::channel(AHEAD);
        Alone { news, _task: AbortOnDropHandle::new(tokio::spawn(run(answers, walk, sender))) }
    }

    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<News>> {
        let news = ready!(self.news.poll_recv(context));
        Poll::Ready(news)
    }
}

async fn run(mut answers: Answers, walk: Option<Arc<Walk>>, news: mpsc::Sender<News>) {
    while let Some(answer) = answers.next().await {
        let entry = match &walk {
            Some(walk) => entry(&answer, walk),
            None if is_request_error(&answer) => Err(news::errors(&answer.errors)),
            None => Ok(Entry { position: 0, payload: news::payload(&answer) }),
        };
        let (told, last) = match entry {
            Ok(entry) => (told(entry), false),
            Err(errors) => (News::Failed(errors), true),
        };
        if news.send(told).await.is_err() || last {
            return;
        }
    }
}

fn told(entry: Entry) -> News {
    News::Told(Payloads::new(Arc::new(Batch { first: 0, entries: vec![entry] }), 0, i64::MIN))
}

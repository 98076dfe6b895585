//! Executions of subscriptions and queries: one for many, whose answers go into a tail, or one for one.

use super::StreamMessage;
use super::broadcast_buffer::{BroadcastBuffer, EndReason};
use super::message::{self, BatchEntry, MessageBatch, Payloads};
use crate::graphql::{SubscriptionProgress, is_request_error};
use async_graphql::Response;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Answers and bytes that are told at once, if they are ready.
const MAX_BATCH_MESSAGES: usize = 64;
const MAX_BATCH_BYTES: usize = 256 << 10;
/// Answers that wait for one who follows alone.
const DEDICATED_QUEUE_CAPACITY: usize = 16;

type ExecutionStream = BoxStream<'static, Response>;

/// Tells a tail each answer, until there are no more; then why.
pub async fn run_shared(
    mut answers: ExecutionStream,
    walk: &SubscriptionProgress,
    tail: &BroadcastBuffer,
) -> EndReason {
    loop {
        let gathered = poll_fn(|context| poll_batch(&mut answers, walk, tail, context)).await;
        tail.wait_for_capacity().await;
        tail.push(gathered.batch, gathered.scanned_to);
        if let Some(end) = gathered.end {
            return end;
        }
    }
}

struct GatheredBatch {
    batch: MessageBatch,
    scanned_to: i64,
    end: Option<EndReason>,
}

// What is ready already is told together, so that each subscriber wakes once for all of it.
fn poll_batch(
    answers: &mut ExecutionStream,
    walk: &SubscriptionProgress,
    tail: &BroadcastBuffer,
    context: &mut Context<'_>,
) -> Poll<GatheredBatch> {
    let mut batch = MessageBatch::default();
    let mut bytes = 0;
    let mut end = None;
    let most = tail.max_batch_len().min(MAX_BATCH_MESSAGES);
    while end.is_none() && batch.entries.len() < most && bytes < MAX_BATCH_BYTES {
        match answers.poll_next_unpin(context) {
            Poll::Ready(Some(answer)) => match serialize_entry(&answer, walk) {
                Ok(entry) => {
                    bytes += entry.payload.len();
                    batch.entries.push(entry);
                }
                Err(errors) => end = Some(Some(errors)),
            },
            Poll::Ready(None) => end = Some(None),
            Poll::Pending if batch.entries.is_empty() => {
                tail.advance_watermark(walk.scanned_to());
                return Poll::Pending;
            }
            Poll::Pending => break,
        }
    }
    Poll::Ready(GatheredBatch { batch, scanned_to: walk.scanned_to(), end })
}

// An answer that is about no change says why there is no subscription.
fn serialize_entry(answer: &Response, walk: &SubscriptionProgress) -> Result<BatchEntry, bytes::Bytes> {
    match walk.ack() {
        Some(position) => Ok(BatchEntry { position, payload: message::serialize_response(answer) }),
        None => Err(message::serialize_errors(&answer.errors)),
    }
}

/// An execution for one. It is a task of its own, so that it can neither hold up nor be held up by what else its
/// subscriber listens to, and it ends when nobody wants its answers any more.
#[derive(Debug)]
pub struct DedicatedExecution {
    messages: mpsc::Receiver<StreamMessage>,
    _task: AbortOnDropHandle<()>,
}

impl DedicatedExecution {
    pub fn spawn(answers: ExecutionStream, walk: Option<Arc<SubscriptionProgress>>) -> DedicatedExecution {
        let (sender, messages) = mpsc::channel(DEDICATED_QUEUE_CAPACITY);
        DedicatedExecution {
            messages,
            _task: AbortOnDropHandle::new(tokio::spawn(run_dedicated(answers, walk, sender))),
        }
    }

    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<StreamMessage>> {
        let news = ready!(self.messages.poll_recv(context));
        Poll::Ready(news)
    }
}

async fn run_dedicated(
    mut answers: ExecutionStream,
    walk: Option<Arc<SubscriptionProgress>>,
    news: mpsc::Sender<StreamMessage>,
) {
    while let Some(answer) = answers.next().await {
        let entry = match &walk {
            Some(walk) => serialize_entry(&answer, walk),
            None if is_request_error(&answer) => Err(message::serialize_errors(&answer.errors)),
            None => Ok(BatchEntry { position: 0, payload: message::serialize_response(&answer) }),
        };
        let (told, last) = match entry {
            Ok(entry) => (single_message(entry), false),
            Err(errors) => (StreamMessage::Error(errors), true),
        };
        if news.send(told).await.is_err() || last {
            return;
        }
    }
}

fn single_message(entry: BatchEntry) -> StreamMessage {
    StreamMessage::Next(Payloads::new(Arc::new(MessageBatch { first_index: 0, entries: vec![entry] }), 0, i64::MIN))
}

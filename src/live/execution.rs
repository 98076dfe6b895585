//! Executions: a shared one fills a buffer for many subscribers, a dedicated one serves one subscriber.

use super::StreamMessage;
use super::broadcast_buffer::{BroadcastBuffer, EndReason};
use super::message::{self, BatchEntry, MessageBatch, Payloads};
use crate::graphql::{SubscriptionProgress, is_request_error};
use async_graphql::Response;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Messages and bytes that are pushed at once, if they are ready.
const MAX_BATCH_MESSAGES: usize = 64;
const MAX_BATCH_BYTES: usize = 256 << 10;
/// Messages that wait for a dedicated execution's subscriber.
const DEDICATED_QUEUE_CAPACITY: usize = 16;

type ExecutionStream = BoxStream<'static, Response>;

/// Pushes each response into the buffer until there are no more. Returns the reason.
pub async fn run_shared(
    mut responses: ExecutionStream,
    progress: &SubscriptionProgress,
    buffer: &BroadcastBuffer,
) -> EndReason {
    loop {
        let (batch, end) = poll_fn(|context| poll_batch(&mut responses, progress, buffer, context)).await;
        buffer.wait_for_capacity().await;
        buffer.push(batch, progress.scanned_to());
        if let Some(end) = end {
            return end;
        }
    }
}

// All responses that are ready make one batch, so that each subscriber wakes once for them.
fn poll_batch(
    responses: &mut ExecutionStream,
    progress: &SubscriptionProgress,
    buffer: &BroadcastBuffer,
    context: &mut Context<'_>,
) -> Poll<(MessageBatch, Option<EndReason>)> {
    let mut batch = MessageBatch::default();
    let mut bytes = 0;
    let mut end = None;
    let max_messages = buffer.max_batch_len().min(MAX_BATCH_MESSAGES);
    while end.is_none() && batch.entries.len() < max_messages && bytes < MAX_BATCH_BYTES {
        match responses.poll_next_unpin(context) {
            Poll::Ready(Some(response)) => match serialize_entry(&response, progress) {
                Ok(entry) => {
                    bytes += entry.payload.len();
                    batch.entries.push(entry);
                }
                Err(errors) => end = Some(Some(errors)),
            },
            Poll::Ready(None) => end = Some(None),
            Poll::Pending if batch.entries.is_empty() => {
                buffer.advance_watermark(progress.scanned_to());
                return Poll::Pending;
            }
            Poll::Pending => break,
        }
    }
    Poll::Ready((batch, end))
}

// A response that is about no change says why the subscription failed.
fn serialize_entry(response: &Response, progress: &SubscriptionProgress) -> Result<BatchEntry, bytes::Bytes> {
    match progress.ack() {
        Some(position) => Ok(BatchEntry { position, payload: message::serialize_response(response) }),
        None => Err(message::serialize_errors(&response.errors)),
    }
}

/// An execution for one subscriber. It is a task of its own, so that it neither blocks nor is blocked by the subscriber's
/// other operations. It is aborted when the subscriber drops it.
#[derive(Debug)]
pub struct DedicatedExecution {
    messages: mpsc::Receiver<StreamMessage>,
    _task: AbortOnDropHandle<()>,
}

impl DedicatedExecution {
    pub fn spawn(responses: ExecutionStream, progress: Option<Arc<SubscriptionProgress>>) -> DedicatedExecution {
        let (sender, messages) = mpsc::channel(DEDICATED_QUEUE_CAPACITY);
        let task = tokio::spawn(run_dedicated(responses, progress, sender));
        DedicatedExecution { messages, _task: AbortOnDropHandle::new(task) }
    }

    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<StreamMessage>> {
        self.messages.poll_recv(context)
    }
}

async fn run_dedicated(
    mut responses: ExecutionStream,
    progress: Option<Arc<SubscriptionProgress>>,
    messages: mpsc::Sender<StreamMessage>,
) {
    while let Some(response) = responses.next().await {
        let entry = match &progress {
            Some(progress) => serialize_entry(&response, progress),
            None if is_request_error(&response) => Err(message::serialize_errors(&response.errors)),
            None => Ok(BatchEntry { position: 0, payload: message::serialize_response(&response) }),
        };
        let (message, is_last) = match entry {
            Ok(entry) => (StreamMessage::Next(Payloads::single(entry)), false),
            Err(errors) => (StreamMessage::Error(errors), true),
        };
        if messages.send(message).await.is_err() || is_last {
            return;
        }
    }
}

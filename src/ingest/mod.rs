//! What happens to a webhook, from top to bottom. Many requests at once become one transaction per batch: the **group commit**.
//!
//! 1. The request's own task verifies the webhook (`vendor::verify`) and parses it: [`LogRecord::prepare`].
//! 2. [`IngestQueue::submit`] puts it into a bounded queue and waits. A full queue refuses it: the vendor sends again.
//! 3. One thread, the [`WriterTask`], takes all that have gathered while the batch before was being written, up to
//!    `MAX_BATCH_DELIVERIES`. That is the group commit: the slower a commit, the larger the next batch.
//! 4. [`BatchWriter::write_batch`] begins a transaction and loads what the batch needs. For each delivery (`batch.rs`): resolve its dedup
//!    key; deduplicate (`batch/dedup.rs`): a duplicate is counted on its original; apply its events to the entities
//!    (`batch/apply_events.rs`, `event/apply.rs`); record its rows (`batch/output.rs`). Then it writes all rows and commits.
//! 5. If that fails, `retry.rs` says what is retried, and when.
//! 6. After the commit, the newest position is published and all waiting requests are answered, by one task for each batch.
//!
//! A command of the API takes the same way from the second step on: it is a record of the same log, in the same batch
//! (`batch/apply_command.rs`).
//!
//! Four structs own the body on its way: `UnverifiedDelivery`, `Verified` (a `RawDelivery`), `PreparedDelivery`, `delivery::Model`. The
//! last two have it compressed (`store::payload`).

mod batch;
mod dedup_key;
mod handshake_confirmer;
mod log_record;
mod prepared_delivery;
mod retry;
mod writer;

pub use handshake_confirmer::{ConfirmationTarget, HandshakeConfirmer};
pub use log_record::LogRecord;
pub use prepared_delivery::ReplayContext;
pub use writer::{BatchWriter, CommandReceipt, CommittedBatch, DeliveryReceipt, RecordReceipt, Writer};

use crate::command::{CommandError, NewCommand};
use crate::failpoints;
use crate::feed::Feed;
use crate::store::StoreError;
use crate::vendor::verify::Verified;
use retry::BatchResults;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};

/// Deliveries that may wait. More are refused.
const QUEUE_CAPACITY: usize = 8192;
/// The most deliveries in one transaction.
const MAX_BATCH_DELIVERIES: usize = 512;

/// After a batch could not be stored, the hub is ready again once there is room for twice its bytes and these: about what a batch
/// of one writes, in whole pages, four times.
const PROBE_EXTRA_BYTES: usize = 256 << 10;
/// The most that a probe writes.
const MAX_PROBE_BYTES: usize = 8 << 20;

/// Where a request waits for the result of its record.
type ResponseSender = oneshot::Sender<Result<RecordReceipt, Unavailable>>;

/// The entrance to the queue.
#[derive(Clone, Debug)]
pub struct IngestQueue(mpsc::Sender<WriterRequest>);

/// A message to the writer's task.
#[derive(Debug)]
enum WriterRequest {
    Record {
        record: LogRecord,
        response: ResponseSender,
    },
    /// Asks whether a delivery could be stored.
    Probe {
        response: oneshot::Sender<Result<(), &'static str>>,
    },
    /// No further deliveries are accepted.
    Close,
}

/// The delivery was not stored, and the sender is not at fault: the vendor should send it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// More deliveries arrive than can be written.
    #[error("too many deliveries are waiting")]
    Overloaded,
    /// The database's fault, or a delivery's that the database does not accept; the log says which.
    #[error("the database failed")]
    Storage,
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// The task that writes. It ends when the queue is closed, or every [`IngestQueue`] is dropped, and all waiting requests are answered.
#[derive(Debug)]
pub struct WriterTask {
    queue: mpsc::Receiver<WriterRequest>,
    writer: Box<dyn BatchWriter>,
    feed: Arc<Feed>,
    /// Notified when a vendor asked to confirm the webhook URL.
    handshake_wake: Arc<Notify>,
    /// The size of the last batch in bytes, if it could not be stored.
    failed_bytes: Option<usize>,
}

/// A queue, and the task that drains it.
pub fn channel(
    writer: Box<dyn BatchWriter>,
    feed: Arc<Feed>,
    handshake_wake: Arc<Notify>,
) -> (IngestQueue, WriterTask) {
    let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
    (IngestQueue(sender), WriterTask { queue: receiver, writer, feed, handshake_wake, failed_bytes: None })
}

impl IngestQueue {
    /// A queue that accepts nothing, where there is no writer.
    pub fn closed() -> IngestQueue {
        IngestQueue(mpsc::channel(1).0)
    }

    /// Queues a delivery and waits until it is durable.
    ///
    /// # Errors
    /// If it is not; then it is not stored at all.
    pub async fn submit(&self, delivery: Verified) -> Result<DeliveryReceipt, Unavailable> {
        match self.submit_record(LogRecord::prepare(delivery)).await? {
            RecordReceipt::Delivery(receipt) => Ok(receipt),
            RecordReceipt::Command(_) => Err(Unavailable::Storage),
        }
    }

    /// Queues a command and waits until it is durable, with all that it changes.
    ///
    /// # Errors
    /// If that is not known. With [`Unavailable::Overloaded`], nothing has changed. The inner error is the caller's to fix, and then
    /// nothing has changed either.
    pub async fn submit_command(
        &self,
        command: NewCommand,
    ) -> Result<Result<CommandReceipt, CommandError>, Unavailable> {
        match self.submit_record(LogRecord::command(command)).await? {
            RecordReceipt::Command(result) => Ok(result),
            RecordReceipt::Delivery(_) => Err(Unavailable::Storage),
        }
    }

    async fn submit_record(&self, record: LogRecord) -> Result<RecordReceipt, Unavailable> {
        let (response, receipt) = oneshot::channel();
        self.enqueue(WriterRequest::Record { record, response })?;
        receipt.await.unwrap_or(Err(Unavailable::Storage))
    }

    /// Whether a delivery would be stored now: waits in the queue as a delivery does, and writes without changing anything.
    ///
    /// # Errors
    /// If it would not be stored; a short reason for a health check.
    pub async fn probe(&self) -> Result<(), &'static str> {
        let (response, result) = oneshot::channel();
        self.enqueue(WriterRequest::Probe { response }).map_err(|unavailable| match unavailable {
            Unavailable::Overloaded => "too many deliveries are waiting",
            Unavailable::Storage | Unavailable::ShuttingDown => "the server is shutting down",
        })?;
        result.await.unwrap_or(Err("the server is shutting down"))
    }

    /// Closes the queue for all senders. What waits already is written, then the task ends.
    pub async fn close(&self) {
        // An error means that the task has ended.
        let _ = self.0.send(WriterRequest::Close).await;
    }

    fn enqueue(&self, request: WriterRequest) -> Result<(), Unavailable> {
        self.0.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unavailable::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Unavailable::ShuttingDown,
        })
    }
}

impl WriterTask {
    /// Writes batches until the queue is closed. Blocks, so it needs a thread of its own. `requests_runtime` runs the tasks of the
    /// requests.
    pub fn run(mut self, requests_runtime: &Handle) {
        let mut requests = Vec::with_capacity(MAX_BATCH_DELIVERIES);
        while self.queue.blocking_recv_many(&mut requests, MAX_BATCH_DELIVERIES) > 0 {
            let (mut batch, mut responses, mut probes) = (Vec::new(), Vec::new(), Vec::new());
            for request in requests.drain(..) {
                match request {
                    WriterRequest::Record { record, response } => {
                        batch.push(record);
                        responses.push(response);
                    }
                    WriterRequest::Probe { response } => probes.push(response),
                    WriterRequest::Close => self.queue.close(),
                }
            }
            if !batch.is_empty() {
                metrics::histogram!("inspection_hub_batch_deliveries").record(batch.len() as f64);
                let results = self.process_batch(&batch);
                let deliveries = batch.len();
                if deliveries == 1 {
                    // A task would only be a detour.
                    respond(responses, results);
                } else {
                    // A task that is woken by another one gets into the queue of that task's thread. This thread would put
                    // each of them into the queue that all threads share, and wake a thread for it.
                    requests_runtime.spawn(async move {
                        respond(responses, results);
                        drop(batch);
                    });
                }
                self.writer.run_maintenance(deliveries);
            }
            if !probes.is_empty() {
                let probed = self.probe();
                probes.into_iter().for_each(|response| _ = response.send(probed));
            }
        }
    }

    // A probe alone is so small that it may fit where deliveries do not: after a failure it needs as much room as they did.
    fn probe(&mut self) -> Result<(), &'static str> {
        let room = self.failed_bytes.map_or(0, |bytes| (2 * bytes + PROBE_EXTRA_BYTES).min(MAX_PROBE_BYTES));
        self.writer.probe(room).map_err(|error| {
            tracing::warn!(%error, room, "readiness probe failed: the database is not writable");
            error.outage_message()
        })?;
        self.failed_bytes = None;
        Ok(())
    }

    fn process_batch(&mut self, batch: &[LogRecord]) -> Vec<Result<RecordReceipt, Unavailable>> {
        let BatchResults { results, database_failed } =
            retry::commit_or_isolate(batch, LogRecord::source, |part| self.commit_batch(part));
        self.failed_bytes = database_failed.then(|| batch.iter().map(LogRecord::payload_bytes).sum());
        results
    }

    fn commit_batch(&mut self, batch: &[LogRecord]) -> Result<Vec<RecordReceipt>, StoreError> {
        let committed = self.writer.write_batch(batch)?;
        tracing::debug!(position = committed.head.position, records = batch.len(), "committed");
        failpoints::pause_at("unacknowledged");
        self.feed.publish(committed.head.position);
        if committed.handshake_requested {
            self.handshake_wake.notify_one();
        }
        Ok(committed.into_record_receipts(batch))
    }
}

fn respond(responses: Vec<ResponseSender>, results: Vec<Result<RecordReceipt, Unavailable>>) {
    for (response, result) in responses.into_iter().zip(results) {
        // If a sender has disconnected, it sends the delivery again, as a duplicate.
        let _ = response.send(result);
    }
}

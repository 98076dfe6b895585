//! From many requests at once to one transaction per batch: deliveries wait in a queue, one task drains it, writes
//! what has gathered meanwhile, and answers all who wait once it is on the disk (group commit).

mod batch;
mod dedup_key;
mod handshake_confirmer;
mod prepared_delivery;
mod writer;

pub use batch::DUPLICATE_REASON_PREFIX;
pub use handshake_confirmer::{ConfirmationTarget, HandshakeConfirmer};
pub use prepared_delivery::{PreparedDelivery, RawDelivery, ReplayContext};
pub use writer::{CommittedBatch, DeliveryReceipt, Writer};

use crate::failpoints;
use crate::feed::Feed;
use crate::store::StoreError;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};

/// Deliveries that may wait; more are refused until there is room.
const QUEUE_CAPACITY: usize = 8192;
/// Deliveries in one transaction at most.
const MAX_BATCH_DELIVERIES: usize = 512;

/// After a batch could not be stored, the hub is ready again once there is room for twice as many bytes and so many more,
/// for what hangs on them: about what a batch of one writes, in whole pages, four times. So much is written to find out.
const PROBE_EXTRA_BYTES: usize = 256 << 10;
/// No more than that is written to find out.
const MAX_PROBE_BYTES: usize = 8 << 20;

/// Where deliveries are handed in.
#[derive(Clone, Debug)]
pub struct IngestQueue {
    queue: mpsc::Sender<WriterRequest>,
}

/// Who waits for the writer.
#[derive(Debug)]
enum WriterRequest {
    Delivery {
        incoming: Box<PreparedDelivery>,
        answer: oneshot::Sender<Result<DeliveryReceipt, Unavailable>>,
    },
    /// Only wants to know whether it could write.
    Probe {
        answer: oneshot::Sender<Result<(), &'static str>>,
    },
    /// Nobody is to be waited for any more.
    Close,
}

/// The delivery could not be stored; the vendor should send it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("too many deliveries are waiting")]
    Overloaded,
    #[error("the database failed")]
    Storage,
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// The task that writes. It ends when it is told to, or every [`Ingest`] is gone, and all that waited is answered.
#[derive(Debug)]
pub struct WriterTask {
    queue: mpsc::Receiver<WriterRequest>,
    writer: Writer,
    feed: Arc<Feed>,
    /// Told when a vendor asked to confirm a URL.
    handshake_wake: Arc<Notify>,
    /// How many bytes a batch had that could not be stored, if none was since.
    failed_bytes: Option<usize>,
}

/// A queue, and the task that drains it.
pub fn channel(writer: Writer, feed: Arc<Feed>, handshakes: Arc<Notify>) -> (IngestQueue, WriterTask) {
    let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
    (
        IngestQueue { queue: sender },
        WriterTask { queue: receiver, writer, feed, handshake_wake: handshakes, failed_bytes: None },
    )
}

impl IngestQueue {
    /// Hands in a delivery and waits until it is durable.
    ///
    /// # Errors
    /// If it is not; then it is not stored at all.
    pub async fn submit(&self, incoming: PreparedDelivery) -> Result<DeliveryReceipt, Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(WriterRequest::Delivery { incoming: Box::new(incoming), answer })?;
        answered.await.unwrap_or(Err(Unavailable::Storage))
    }

    /// Whether a delivery that came now would be stored: waits in the queue as it would, and writes where nothing changes.
    ///
    /// # Errors
    /// If it would not: why, in a few words for whoever may ask.
    pub async fn probe(&self) -> Result<(), &'static str> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(WriterRequest::Probe { answer }).map_err(|unavailable| match unavailable {
            Unavailable::Overloaded => "too many deliveries are waiting",
            Unavailable::Storage | Unavailable::ShuttingDown => "the server is shutting down",
        })?;
        answered.await.unwrap_or(Err("the server is shutting down"))
    }

    /// Takes nothing any more, from anybody: what waits already is written, then the task ends.
    pub async fn close(&self) {
        // An error says that it has ended.
        let _ = self.queue.send(WriterRequest::Close).await;
    }

    fn enqueue(&self, waiting: WriterRequest) -> Result<(), Unavailable> {
        self.queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unavailable::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Unavailable::ShuttingDown,
        })
    }
}

impl WriterTask {
    /// Writes until there is nobody left who could hand in a delivery. It blocks: it wants a thread of its own.
    pub fn run(mut self) {
        let mut waiting = Vec::with_capacity(MAX_BATCH_DELIVERIES);
        while self.queue.blocking_recv_many(&mut waiting, MAX_BATCH_DELIVERIES) > 0 {
            let (mut batch, mut answers, mut probes) = (Vec::new(), Vec::new(), Vec::new());
            for one in waiting.drain(..) {
                match one {
                    WriterRequest::Delivery { incoming, answer } => {
                        batch.push(*incoming);
                        answers.push(answer);
                    }
                    WriterRequest::Probe { answer } => probes.push(answer),
                    WriterRequest::Close => self.queue.close(),
                }
            }
            // Who has hung up meanwhile will send it again, and it will be a duplicate.
            if !batch.is_empty() {
                let deliveries = batch.len();
                metrics::histogram!("inspection_hub_batch_deliveries").record(deliveries as f64);
                answers
                    .into_iter()
                    .zip(self.process_batch(batch))
                    .for_each(|(answer, receipt)| _ = answer.send(receipt));
                self.writer.run_maintenance(deliveries);
            }
            if !probes.is_empty() {
                let probed = self.probe();
                probes.into_iter().for_each(|answer| _ = answer.send(probed));
            }
        }
    }

    // What is written for that is little, and may fit where deliveries do not: if they did not, as much as they need.
    fn probe(&mut self) -> Result<(), &'static str> {
        let room = self.failed_bytes.map_or(0, |bytes| (2 * bytes + PROBE_EXTRA_BYTES).min(MAX_PROBE_BYTES));
        self.writer.probe(room).map_err(|error| {
            tracing::warn!(%error, room, "readiness probe failed: the database is not writable");
            error.outage_message()
        })?;
        self.failed_bytes = None;
        Ok(())
    }

    fn process_batch(&mut self, batch: Vec<PreparedDelivery>) -> Vec<Result<DeliveryReceipt, Unavailable>> {
        match self.commit_batch(&batch) {
            Ok(receipts) => {
                self.failed_bytes = None;
                receipts.into_iter().map(Ok).collect()
            }
            Err(error) if batch.len() > 1 && !error.is_unavailable() => {
                tracing::warn!(%error, deliveries = batch.len(), "a batch failed; each of its deliveries is tried alone");
                self.commit_individually(&batch)
            }
            Err(error) => {
                tracing::error!(%error, deliveries = batch.len(), "deliveries could not be stored");
                self.record_failure(&batch);
                batch.iter().map(|_| Err(Unavailable::Storage)).collect()
            }
        }
    }

    fn record_failure(&mut self, batch: &[PreparedDelivery]) {
        self.failed_bytes = Some(batch.iter().map(PreparedDelivery::payload_bytes).sum());
    }

    // One delivery that the database cannot take must not cost its neighbours their answer. Two failures in a row
    // are the database's.
    fn commit_individually(&mut self, batch: &[PreparedDelivery]) -> Vec<Result<DeliveryReceipt, Unavailable>> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut failures = 0;
        for incoming in batch {
            if failures == 2 {
                self.record_failure(batch);
                answers.push(Err(Unavailable::Storage));
                continue;
            }
            match self.commit_batch(std::slice::from_ref(incoming)) {
                Ok(receipts) => {
                    failures = 0;
                    answers.extend(receipts.into_iter().map(Ok));
                }
                Err(error) => {
                    failures += 1;
                    tracing::error!(%error, source = incoming.source(), "a delivery could not be stored");
                    answers.push(Err(Unavailable::Storage));
                }
            }
        }
        answers
    }

    fn commit_batch(&mut self, batch: &[PreparedDelivery]) -> Result<Vec<DeliveryReceipt>, StoreError> {
        let written = match self.writer.write_batch(batch) {
            // The database has ended one of two transactions that were in each other's way.
            Err(error) if error.is_transaction_rollback() => self.writer.write_batch(batch)?,
            written => written?,
        };
        tracing::debug!(position = written.position, deliveries = batch.len(), "committed");
        failpoints::pause_at("unacknowledged");
        self.feed.publish(written.position);
        if written.handshake_requested {
            self.handshake_wake.notify_one();
        }
        Ok(written.receipts)
    }
}

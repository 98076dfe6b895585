//! From many requests at once to one transaction per batch: deliveries wait in a queue, one task drains it, writes
//! what has gathered meanwhile, and answers all who wait once it is on the disk (group commit).

mod confirm;
mod retention;

pub use confirm::{Confirmer, Target};
pub use retention::Retention;

use crate::faults;
use crate::feed::Feed;
use crate::store::{Incoming, Receipt, StoreError, Writer};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot};

/// Deliveries that may wait; more are refused until there is room.
const QUEUE: usize = 8192;
/// Deliveries in one transaction at most.
const BATCH: usize = 512;

/// After a batch could not be stored, the hub does not count as ready for so long, unless another one could.
const DOUBT: Duration = Duration::from_secs(3);

/// Where deliveries are handed in.
#[derive(Clone, Debug)]
pub struct Ingest {
    queue: mpsc::Sender<Waiting>,
}

/// Who waits for the writer.
#[derive(Debug)]
enum Waiting {
    Delivery {
        incoming: Box<Incoming>,
        answer: oneshot::Sender<Result<Receipt, Unavailable>>,
    },
    /// Only wants to know whether it could write.
    Probe {
        answer: oneshot::Sender<Result<(), Unavailable>>,
    },
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

/// The task that writes. It ends when every [`Ingest`] is gone and all that waited is answered.
#[derive(Debug)]
pub struct WriterTask {
    queue: mpsc::Receiver<Waiting>,
    writer: Writer,
    feed: Arc<Feed>,
    /// Told when a vendor asked to confirm a URL.
    handshakes: Arc<Notify>,
    /// When a batch could not be stored, if none was since.
    failed_at: Option<Instant>,
}

/// A queue, and the task that drains it.
pub fn channel(writer: Writer, feed: Arc<Feed>, handshakes: Arc<Notify>) -> (Ingest, WriterTask) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Ingest { queue: sender }, WriterTask { queue: receiver, writer, feed, handshakes, failed_at: None })
}

impl Ingest {
    /// Hands in a delivery and waits until it is durable.
    ///
    /// # Errors
    /// If it is not; then it is not stored at all.
    pub async fn receive(&self, incoming: Incoming) -> Result<Receipt, Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(Waiting::Delivery { incoming: Box::new(incoming), answer })?;
        answered.await.unwrap_or(Err(Unavailable::Storage))
    }

    /// Whether a delivery that came now would be stored: waits in the queue as it would, and writes where nothing changes.
    ///
    /// # Errors
    /// If it would not.
    pub async fn probe(&self) -> Result<(), Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(Waiting::Probe { answer })?;
        answered.await.unwrap_or(Err(Unavailable::Storage))
    }

    fn hand_in(&self, waiting: Waiting) -> Result<(), Unavailable> {
        self.queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unavailable::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Unavailable::ShuttingDown,
        })
    }
}

impl WriterTask {
    /// Writes until there is nobody left who could hand in a delivery. It blocks: it wants a thread of its own.
    pub fn run(mut self) {
        let mut waiting = Vec::with_capacity(BATCH);
        while self.queue.blocking_recv_many(&mut waiting, BATCH) > 0 {
            let (mut batch, mut answers, mut probes) = (Vec::new(), Vec::new(), Vec::new());
            for one in waiting.drain(..) {
                match one {
                    Waiting::Delivery { incoming, answer } => {
                        batch.push(*incoming);
                        answers.push(answer);
                    }
                    Waiting::Probe { answer } => probes.push(answer),
                }
            }
            // Who has hung up meanwhile will send it again, and it will be a duplicate.
            if !batch.is_empty() {
                let deliveries = batch.len();
                metrics::histogram!("inspection_hub_batch_deliveries").record(deliveries as f64);
                answers.into_iter().zip(self.write(batch)).for_each(|(answer, receipt)| _ = answer.send(receipt));
                self.writer.rest(deliveries);
            }
            if !probes.is_empty() {
                let probed = self.probe();
                probes.into_iter().for_each(|answer| _ = answer.send(probed));
            }
        }
    }

    // What is written for that is little. It may fit where deliveries do not.
    fn probe(&mut self) -> Result<(), Unavailable> {
        if self.failed_at.is_some_and(|at| at.elapsed() < DOUBT) {
            return Err(Unavailable::Storage);
        }
        self.writer.probe().map_err(|error| {
            tracing::warn!(%error, "nothing can be written now");
            Unavailable::Storage
        })
    }

    fn write(&mut self, batch: Vec<Incoming>) -> Vec<Result<Receipt, Unavailable>> {
        match self.write_at_once(&batch) {
            Ok(receipts) => {
                self.failed_at = None;
                receipts.into_iter().map(Ok).collect()
            }
            Err(error) if batch.len() > 1 && !error.is_out_of_reach() => {
                tracing::warn!(%error, deliveries = batch.len(), "a batch failed; each of its deliveries is tried alone");
                self.write_one_by_one(&batch)
            }
            Err(error) => {
                tracing::error!(%error, deliveries = batch.len(), "deliveries could not be stored");
                self.failed_at = Some(Instant::now());
                batch.iter().map(|_| Err(Unavailable::Storage)).collect()
            }
        }
    }

    // One delivery that the database cannot take must not cost its neighbours their answer. Two failures in a row
    // are the database's.
    fn write_one_by_one(&mut self, batch: &[Incoming]) -> Vec<Result<Receipt, Unavailable>> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut failures = 0;
        for incoming in batch {
            if failures == 2 {
                answers.push(Err(Unavailable::Storage));
                continue;
            }
            match self.write_at_once(std::slice::from_ref(incoming)) {
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

    fn write_at_once(&mut self, batch: &[Incoming]) -> Result<Vec<Receipt>, StoreError> {
        let written = match self.writer.write(batch) {
            // The database has ended one of two transactions that were in each other's way.
            Err(error) if error.is_conflict() => self.writer.write(batch)?,
            written => written?,
        };
        tracing::debug!(position = written.position, deliveries = batch.len(), "committed");
        faults::at("unanswered");
        self.feed.news(written.position);
        if written.handshakes {
            self.handshakes.notify_one();
        }
        Ok(written.receipts)
    }
}

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
use tokio::sync::{Notify, mpsc, oneshot};

/// Deliveries that may wait; more are refused until there is room.
const QUEUE: usize = 8192;
/// Deliveries in one transaction at most.
const BATCH: usize = 512;

/// After a batch could not be stored, the hub is ready again once there is room for twice as many bytes and so many more,
/// for what hangs on them: about what a batch of one writes, in whole pages, four times. So much is written to find out.
const ROOM: usize = 256 << 10;
/// No more than that is written to find out.
const MOST_ROOM: usize = 8 << 20;

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
    queue: mpsc::Receiver<Waiting>,
    writer: Writer,
    feed: Arc<Feed>,
    /// Told when a vendor asked to confirm a URL.
    handshakes: Arc<Notify>,
    /// How many bytes a batch had that could not be stored, if none was since.
    failed: Option<usize>,
}

/// A queue, and the task that drains it.
pub fn channel(writer: Writer, feed: Arc<Feed>, handshakes: Arc<Notify>) -> (Ingest, WriterTask) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Ingest { queue: sender }, WriterTask { queue: receiver, writer, feed, handshakes, failed: None })
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
    /// If it would not: why, in a few words for whoever may ask.
    pub async fn probe(&self) -> Result<(), &'static str> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(Waiting::Probe { answer }).map_err(|unavailable| match unavailable {
            Unavailable::Overloaded => "too many deliveries are waiting",
            Unavailable::Storage | Unavailable::ShuttingDown => "the server is shutting down",
        })?;
        answered.await.unwrap_or(Err("the server is shutting down"))
    }

    /// Takes nothing any more, from anybody: what waits already is written, then the task ends.
    pub async fn close(&self) {
        // An error says that it has ended.
        let _ = self.queue.send(Waiting::Close).await;
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
                    Waiting::Close => self.queue.close(),
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

    // What is written for that is little, and may fit where deliveries do not: if they did not, as much as they need.
    fn probe(&mut self) -> Result<(), &'static str> {
        let room = self.failed.map_or(0, |bytes| (2 * bytes + ROOM).min(MOST_ROOM));
        self.writer.probe(room).map_err(|error| {
            tracing::warn!(%error, room, "readiness probe failed: the database is not writable");
            error.outage()
        })?;
        self.failed = None;
        Ok(())
    }

    fn write(&mut self, batch: Vec<Incoming>) -> Vec<Result<Receipt, Unavailable>> {
        match self.write_at_once(&batch) {
            Ok(receipts) => {
                self.failed = None;
                receipts.into_iter().map(Ok).collect()
            }
            Err(error) if batch.len() > 1 && !error.is_out_of_reach() => {
                tracing::warn!(%error, deliveries = batch.len(), "a batch failed; each of its deliveries is tried alone");
                self.write_one_by_one(&batch)
            }
            Err(error) => {
                tracing::error!(%error, deliveries = batch.len(), "deliveries could not be stored");
                self.has_failed(&batch);
                batch.iter().map(|_| Err(Unavailable::Storage)).collect()
            }
        }
    }

    fn has_failed(&mut self, batch: &[Incoming]) {
        self.failed = Some(batch.iter().map(Incoming::size).sum());
    }

    // One delivery that the database cannot take must not cost its neighbours their answer. Two failures in a row
    // are the database's.
    fn write_one_by_one(&mut self, batch: &[Incoming]) -> Vec<Result<Receipt, Unavailable>> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut failures = 0;
        for incoming in batch {
            if failures == 2 {
                self.has_failed(batch);
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

//! Live news: one reader per process follows the history and hands each change to all who listen.
//!
//! What the writer says here, and what other processes say (`postgres.rs`, `nats.rs`), is a hint that there is news, never
//! the news itself: a lost hint costs the time until the next look, and nothing else. A listener that has missed something
//! reads it from the history, so that each sees every position once and in order, and a slow one costs no memory.

mod listener;
pub mod nats;
pub mod postgres;
mod replay_buffer;

use crate::failpoints;
use crate::store::read::{ChangeWithEntity, changes_after, ensure_retained_after, head};
use crate::store::{ReadPool, StoreError};
use entity::log_head;
use replay_buffer::ReplayBuffer;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Changes read from the history at once.
const PAGE_SIZE: u64 = 500;
/// Changes kept for listeners that are a little behind; who is further behind reads the history.
const BUFFER_CAPACITY: usize = 4096;
/// Listeners that read the history at the same time. The others wait for as long as that takes: there may be thousands, and
/// a connection of the pool is only waited for so long.
const MAX_CONCURRENT_CATCH_UPS: usize = 2;
/// The time after which we look without a hint.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The feed of a process.
#[derive(Debug)]
pub struct Feed {
    db: ReadPool,
    /// The newest position that this process wrote.
    committed: watch::Sender<i64>,
    /// There may be news.
    wake_signal: Notify,
    /// Somebody has begun to listen.
    listener_joined: Notify,
    /// The newest position that was handed on.
    published_to: AtomicI64,
    /// The newest position that is known.
    newest: AtomicI64,
    /// Which history it is.
    generation: AtomicI64,
    events: broadcast::Sender<FeedEvent>,
    /// What was handed on last, for who comes back.
    replay_buffer: ReplayBuffer,
    /// Places for those who read the history.
    catch_up_permits: Semaphore,
}

/// What is handed to all who listen.
#[derive(Clone, Debug)]
enum FeedEvent {
    Change(Arc<ChangeWithEntity>),
    /// The history is another one now, of this generation.
    Rebuilt(i64),
}

impl Feed {
    /// A feed that reads from this database, whose history stands there.
    pub fn new(db: ReadPool, head: &log_head::Model) -> Arc<Self> {
        let position = head.position;
        Arc::new(Feed {
            db,
            committed: watch::Sender::new(position),
            wake_signal: Notify::new(),
            listener_joined: Notify::new(),
            published_to: AtomicI64::new(position),
            newest: AtomicI64::new(position),
            generation: AtomicI64::new(head.generation),
            events: broadcast::Sender::new(BUFFER_CAPACITY),
            replay_buffer: ReplayBuffer::default(),
            catch_up_permits: Semaphore::new(MAX_CONCURRENT_CATCH_UPS),
        })
    }

    /// This process has written news up to this position.
    pub fn publish(&self, position: i64) {
        self.newest.fetch_max(position, Ordering::Relaxed);
        self.committed.send_if_modified(|known| {
            let newer = position > *known;
            *known = position.max(*known);
            newer
        });
        self.wake(position);
    }

    /// Somebody says that there is news up to this position. Only the database knows.
    pub fn wake(&self, position: i64) {
        if position > self.published_to.load(Ordering::Relaxed) && !failpoints::drop_hint() {
            self.wake_signal.notify_one();
        }
    }

    /// The newest position that this process wrote, and each newer one, for those who tell other processes.
    pub fn watch_committed(&self) -> watch::Receiver<i64> {
        self.committed.subscribe()
    }

    /// The newest position that is known to be in the database: at once what this process wrote, and within a second what
    /// others did.
    pub fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// Which history the positions are of, as far as this process has heard.
    pub fn generation(&self) -> i64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The database has said which history it has.
    pub fn set_generation(&self, generation: i64) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Whether a position is of this history and all that came after it is at hand.
    pub fn can_replay(&self, position: i64, generation: i64) -> bool {
        self.replay_buffer.covers(position, generation)
    }

    /// How many are listening.
    pub fn listeners(&self) -> usize {
        self.events.receiver_count()
    }

    /// Reads the news and hands it on, until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.publish_loop() => {}
        }
    }

    async fn publish_loop(&self) {
        let mut last = *self.committed.borrow();
        let mut generation = Some(self.generation());
        loop {
            if self.listeners() == 0 {
                // Who listens from now on reads the history first, and finds there what came before this moment.
                match head(&self.db).await {
                    Ok(head) => {
                        self.generation.store(head.generation, Ordering::Relaxed);
                        match generation.replace(head.generation) {
                            Some(known) if known != head.generation => {
                                self.newest.store(head.position, Ordering::Relaxed);
                                // Somebody may have begun meanwhile with what is remembered of the one before.
                                self.replay_buffer.clear();
                                let _ = self.events.send(FeedEvent::Rebuilt(head.generation));
                            }
                            _ => _ = self.newest.fetch_max(head.position, Ordering::Relaxed),
                        }
                        // Somebody may have begun to listen meanwhile, and count on what is remembered.
                        if self.replay_buffer.clear_unless(|| self.listeners() > 0) {
                            last = head.position;
                        }
                    }
                    Err(error) => tracing::debug!(%error, "the feed cannot read where the history ends"),
                }
                let _ = tokio::time::timeout(POLL_INTERVAL, self.listener_joined.notified()).await;
            } else {
                last = self.publish_pending(last, &mut generation).await;
                self.published_to.store(last, Ordering::Relaxed);
                self.newest.fetch_max(last, Ordering::Relaxed);
                let _ = tokio::time::timeout(POLL_INTERVAL, self.wake_signal.notified()).await;
            }
        }
    }

    async fn publish_pending(&self, mut last: i64, generation: &mut Option<i64>) -> i64 {
        loop {
            let page = match read_page_after(&self.db, last, generation).await {
                Ok(page) => page,
                Err(StoreError::GenerationChanged) => {
                    let Ok(head) = head(&self.db).await else { return last };
                    *generation = Some(head.generation);
                    self.generation.store(head.generation, Ordering::Relaxed);
                    self.newest.store(head.position, Ordering::Relaxed);
                    self.committed.send_replace(head.position);
                    self.replay_buffer.clear();
                    let _ = self.events.send(FeedEvent::Rebuilt(head.generation));
                    return head.position;
                }
                // Who listens sees the hole, and learns from the history what it has missed.
                Err(StoreError::Expired { retained_from, .. }) => {
                    last = retained_from;
                    self.replay_buffer.clear();
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "the feed cannot read the history; it tries again");
                    return last;
                }
            };
            let full = page.len() as u64 == PAGE_SIZE;
            // That of the page: a query may have heard of a newer one already.
            let of = generation.unwrap_or_else(|| self.generation());
            for changed in page {
                last = changed.change.position;
                let changed = Arc::new(changed);
                // Before it is told, so that who has joined the tail finds it here or hears of it there.
                self.replay_buffer.push(&changed, of);
                // Nobody listening any more is no fault.
                let _ = self.events.send(FeedEvent::Change(changed));
            }
            if !full {
                return last;
            }
        }
    }
}

/// The changes after a position, if the history is still that of the generation, and all there; the first look says which
/// generation that is.
async fn read_page_after(
    db: &ReadPool,
    after: i64,
    generation: &mut Option<i64>,
) -> Result<Vec<ChangeWithEntity>, StoreError> {
    let page = changes_after(db, after, PAGE_SIZE).await?;
    // Looked at afterwards: what was read before the history was replaced is of the one before, and what was read before
    // something was removed is whole.
    let now = head(db).await?;
    match *generation.get_or_insert(now.generation) {
        generation if generation != now.generation => Err(StoreError::GenerationChanged),
        _ => ensure_retained_after(&now, after).map(|()| page),
    }
}

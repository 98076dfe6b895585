//! The live feed: one reader per process follows the history and hands each change to all listeners.
//!
//! What the writer and other processes (`postgres.rs`, `nats.rs`) send is a hint that there are new changes, never the
//! changes themselves: a lost hint costs the time until the next poll, and nothing else. A listener that missed something
//! reads it from the history. So each listener receives every position once and in order, and a slow one costs no memory.

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
/// Changes buffered for listeners that are a little behind. A listener further behind reads the history.
const BUFFER_CAPACITY: usize = 4096;
/// Listeners that read the history concurrently. There may be thousands, and the wait for a connection of the pool has a
/// limit; the wait for this permit has none.
const MAX_CONCURRENT_CATCH_UPS: usize = 2;
/// The feed polls after this long without a hint.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The feed of a process.
#[derive(Debug)]
pub struct Feed {
    db: ReadPool,
    /// The newest position that this process committed.
    committed: watch::Sender<i64>,
    /// There may be new changes.
    wake_signal: Notify,
    /// A listener has subscribed.
    listener_joined: Notify,
    /// The newest position that was published to listeners.
    published_to: AtomicI64,
    /// The newest known position.
    newest: AtomicI64,
    /// The generation of the history.
    generation: AtomicI64,
    events: broadcast::Sender<FeedEvent>,
    /// The changes published last, for listeners that reconnect.
    replay_buffer: ReplayBuffer,
    /// Permits to read the history.
    catch_up_permits: Semaphore,
}

/// An event for all listeners.
#[derive(Clone, Debug)]
enum FeedEvent {
    Change(Arc<ChangeWithEntity>),
    /// The history was rebuilt, with this generation.
    Rebuilt(i64),
}

impl Feed {
    /// The feed of a database with these counters.
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

    /// This process has committed changes up to a position.
    pub fn publish(&self, position: i64) {
        self.newest.fetch_max(position, Ordering::Relaxed);
        self.committed.send_if_modified(|known| {
            let newer = position > *known;
            *known = position.max(*known);
            newer
        });
        self.wake(position);
    }

    /// A hint that there are changes up to a position. Only the database knows.
    pub fn wake(&self, position: i64) {
        if position > self.published_to.load(Ordering::Relaxed) && !failpoints::drop_hint() {
            self.wake_signal.notify_one();
        }
    }

    /// The newest position that this process committed, and each newer one, to publish it to other processes.
    pub fn watch_committed(&self) -> watch::Receiver<i64> {
        self.committed.subscribe()
    }

    /// The newest position known to be in the database. It includes commits of this process at once, and those of others
    /// within a second.
    pub fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// The generation of the history, as far as this process knows.
    pub fn generation(&self) -> i64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Sets the generation, read from the database.
    pub fn set_generation(&self, generation: i64) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Whether a position is of this generation, and all changes after it are buffered.
    pub fn can_replay(&self, position: i64, generation: i64) -> bool {
        self.replay_buffer.covers(position, generation)
    }

    /// The number of listeners.
    pub fn listeners(&self) -> usize {
        self.events.receiver_count()
    }

    /// Publishes new changes until it is cancelled.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        stop.run_until_cancelled(self.publish_loop()).await;
    }

    async fn publish_loop(&self) {
        let mut last = *self.committed.borrow();
        let mut generation = self.generation();
        loop {
            if self.listeners() == 0 {
                // A new listener reads the history first, and finds there what was committed until now.
                match head(&self.db).await {
                    Ok(head) => {
                        if std::mem::replace(&mut generation, head.generation) == head.generation {
                            self.set_generation(head.generation);
                            self.newest.fetch_max(head.position, Ordering::Relaxed);
                        } else {
                            // A listener may have begun with buffered changes of the previous generation.
                            self.publish_rebuilt(&head);
                        }
                        // A listener that has subscribed since may rely on the buffer.
                        if self.replay_buffer.clear_unless(|| self.listeners() > 0) {
                            last = head.position;
                        }
                    }
                    Err(error) => tracing::debug!(%error, "the feed could not read the newest position"),
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

    fn publish_rebuilt(&self, head: &log_head::Model) {
        self.set_generation(head.generation);
        self.newest.store(head.position, Ordering::Relaxed);
        self.replay_buffer.clear();
        // Fails if there is no listener.
        let _ = self.events.send(FeedEvent::Rebuilt(head.generation));
    }

    async fn publish_pending(&self, mut last: i64, generation: &mut i64) -> i64 {
        loop {
            let page = match read_page_after(&self.db, last, *generation).await {
                Ok(page) => page,
                Err(StoreError::GenerationChanged) => {
                    let Ok(head) = head(&self.db).await else { return last };
                    *generation = head.generation;
                    self.committed.send_replace(head.position);
                    self.publish_rebuilt(&head);
                    return head.position;
                }
                // Listeners notice the gap, and learn from the history what they have missed.
                Err(StoreError::Expired { retained_from, .. }) => {
                    last = retained_from;
                    self.replay_buffer.clear();
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "the feed could not read the history; it retries");
                    return last;
                }
            };
            let full = page.len() as u64 == PAGE_SIZE;
            for changed in page {
                last = changed.change.position;
                let changed = Arc::new(changed);
                // With the generation of the page: a query may have set a newer one already. Before the event, so that a new listener finds the change here or receives the event.
                self.replay_buffer.push(&changed, *generation);
                // Fails if there is no listener any more.
                let _ = self.events.send(FeedEvent::Change(changed));
            }
            if !full {
                return last;
            }
        }
    }
}

/// The changes after a position. Fails if the history has another generation, or if a change after the position was purged.
async fn read_page_after(db: &ReadPool, after: i64, generation: i64) -> Result<Vec<ChangeWithEntity>, StoreError> {
    let page = changes_after(db, after, PAGE_SIZE).await?;
    // Read after the page: a page that was read before a rebuild is of the previous generation, and one that was read before
    // a purge is complete.
    let now = head(db).await?;
    if generation != now.generation {
        return Err(StoreError::GenerationChanged);
    }
    ensure_retained_after(&now, after).map(|()| page)
}

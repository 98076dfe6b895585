//! Live news: one reader per process follows the history and hands each change to all who listen.
//!
//! What the writer says here, and what other processes say (`postgres.rs`, `nats.rs`), is a hint that there is news, never
//! the news itself: a lost hint costs the time until the next look, and nothing else. A listener that has missed something
//! reads it from the history, so that each sees every position once and in order, and a slow one costs no memory.

mod follow;
pub mod nats;
pub mod postgres;
mod recent;

use crate::faults;
use crate::store::read::{Changed, changes_after, head, kept_after};
use crate::store::{Readers, StoreError};
use entity::log_head;
use recent::Recent;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Changes read from the history at once.
const PAGE: u64 = 500;
/// Changes kept for listeners that are a little behind; who is further behind reads the history.
const TAIL: usize = 4096;
/// Listeners that read the history at the same time. The others wait for as long as that takes: there may be thousands, and
/// a connection of the pool is only waited for so long.
const READING: usize = 2;
/// The time after which we look without a hint.
const LOOK: Duration = Duration::from_secs(1);

/// The feed of a process.
#[derive(Debug)]
pub struct Feed {
    db: Readers,
    /// The newest position that this process wrote.
    written: watch::Sender<i64>,
    /// There may be news.
    wake: Notify,
    /// Somebody has begun to listen.
    joined: Notify,
    /// The newest position that was handed on.
    handed_on: AtomicI64,
    /// The newest position that is known.
    newest: AtomicI64,
    /// Which history it is.
    generation: AtomicI64,
    tail: broadcast::Sender<Told>,
    /// What was handed on last, for who comes back.
    recent: Recent,
    /// Places for those who read the history.
    reading: Semaphore,
}

/// What is handed to all who listen.
#[derive(Clone, Debug)]
enum Told {
    Change(Arc<Changed>),
    /// The history is another one now, of this generation.
    Rebuilt(i64),
}

impl Feed {
    /// A feed that reads from this database, whose history stands there.
    pub fn new(db: Readers, head: &log_head::Model) -> Arc<Self> {
        let position = head.position;
        Arc::new(Feed {
            db,
            written: watch::Sender::new(position),
            wake: Notify::new(),
            joined: Notify::new(),
            handed_on: AtomicI64::new(position),
            newest: AtomicI64::new(position),
            generation: AtomicI64::new(head.generation),
            tail: broadcast::Sender::new(TAIL),
            recent: Recent::default(),
            reading: Semaphore::new(READING),
        })
    }

    /// This process has written news up to this position.
    pub fn news(&self, position: i64) {
        self.newest.fetch_max(position, Ordering::Relaxed);
        self.written.send_if_modified(|known| {
            let newer = position > *known;
            *known = position.max(*known);
            newer
        });
        self.heard(position);
    }

    /// Somebody says that there is news up to this position. Only the database knows.
    pub fn heard(&self, position: i64) {
        if position > self.handed_on.load(Ordering::Relaxed) && !faults::lost() {
            self.wake.notify_one();
        }
    }

    /// The newest position that this process wrote, and each newer one, for those who tell other processes.
    pub fn written(&self) -> watch::Receiver<i64> {
        self.written.subscribe()
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
    pub fn is_of(&self, generation: i64) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Whether a position is of this history and all that came after it is at hand.
    pub fn remembers(&self, position: i64, generation: i64) -> bool {
        self.recent.reaches(position, generation)
    }

    /// How many are listening.
    pub fn listeners(&self) -> usize {
        self.tail.receiver_count()
    }

    /// Reads the news and hands it on, until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.look() => {}
        }
    }

    async fn look(&self) {
        let mut last = *self.written.borrow();
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
                                self.recent.forget();
                                let _ = self.tail.send(Told::Rebuilt(head.generation));
                            }
                            _ => _ = self.newest.fetch_max(head.position, Ordering::Relaxed),
                        }
                        // Somebody may have begun to listen meanwhile, and count on what is remembered.
                        if self.recent.forget_unless(|| self.listeners() > 0) {
                            last = head.position;
                        }
                    }
                    Err(error) => tracing::debug!(%error, "the feed cannot read where the history ends"),
                }
                let _ = tokio::time::timeout(LOOK, self.joined.notified()).await;
            } else {
                last = self.hand_on(last, &mut generation).await;
                self.handed_on.store(last, Ordering::Relaxed);
                self.newest.fetch_max(last, Ordering::Relaxed);
                let _ = tokio::time::timeout(LOOK, self.wake.notified()).await;
            }
        }
    }

    async fn hand_on(&self, mut last: i64, generation: &mut Option<i64>) -> i64 {
        loop {
            let page = match page_after(&self.db, last, generation).await {
                Ok(page) => page,
                Err(StoreError::Rebuilt) => {
                    let Ok(head) = head(&self.db).await else { return last };
                    *generation = Some(head.generation);
                    self.generation.store(head.generation, Ordering::Relaxed);
                    self.newest.store(head.position, Ordering::Relaxed);
                    self.written.send_replace(head.position);
                    self.recent.forget();
                    let _ = self.tail.send(Told::Rebuilt(head.generation));
                    return head.position;
                }
                // Who listens sees the hole, and learns from the history what it has missed.
                Err(StoreError::Expired { kept_from, .. }) => {
                    last = kept_from;
                    self.recent.forget();
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "the feed cannot read the history; it tries again");
                    return last;
                }
            };
            let full = page.len() as u64 == PAGE;
            // That of the page: a query may have heard of a newer one already.
            let of = generation.unwrap_or_else(|| self.generation());
            for changed in page {
                last = changed.change.position;
                let changed = Arc::new(changed);
                // Before it is told, so that who has joined the tail finds it here or hears of it there.
                self.recent.add(&changed, of);
                // Nobody listening any more is no fault.
                let _ = self.tail.send(Told::Change(changed));
            }
            if !full {
                return last;
            }
        }
    }
}

/// The changes after a position, if the history is still that of the generation, and all there; the first look says which
/// generation that is.
async fn page_after(db: &Readers, after: i64, generation: &mut Option<i64>) -> Result<Vec<Changed>, StoreError> {
    let page = changes_after(db, after, PAGE).await?;
    // Looked at afterwards: what was read before the history was replaced is of the one before, and what was read before
    // something was removed is whole.
    let now = head(db).await?;
    match *generation.get_or_insert(now.generation) {
        generation if generation != now.generation => Err(StoreError::Rebuilt),
        _ => kept_after(&now, after).map(|()| page),
    }
}

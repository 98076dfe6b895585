//! A listener to the feed: first the history after its position, then the live changes, without a gap.

use super::{Feed, FeedEvent, PAGE_SIZE, read_page_after};
use crate::store::StoreError;
use crate::store::read::ChangeWithEntity;
use futures_util::Stream;
use futures_util::stream::unfold;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

struct FeedListener {
    feed: Arc<Feed>,
    events: Receiver<FeedEvent>,
    /// The generation of its positions.
    generation: i64,
    /// The position delivered last.
    delivered_to: i64,
    /// The last position to deliver; without it, the listener never ends.
    until: Option<i64>,
    /// Read from the history, and not delivered yet.
    backlog: VecDeque<Arc<ChangeWithEntity>>,
    /// Whether the history may have more than was read.
    needs_catch_up: bool,
}

impl Feed {
    /// Every change after a position, once and in order, up to another position. Without that one it ends only if the history
    /// is rebuilt.
    pub fn subscribe(
        self: &Arc<Self>,
        after: i64,
        until: Option<i64>,
    ) -> impl Stream<Item = Result<Arc<ChangeWithEntity>, StoreError>> + Send + 'static {
        // Subscribes before reading the history: what is committed in between is in both.
        let listener = FeedListener {
            feed: self.clone(),
            events: self.events.subscribe(),
            // The generation for which the position was validated. The first page may already be of the next one.
            generation: self.generation(),
            delivered_to: after,
            until,
            backlog: VecDeque::new(),
            needs_catch_up: true,
        };
        self.listener_joined.notify_one();
        unfold(listener, |mut listener| async move {
            let next = listener.next().await?;
            Some((next, listener))
        })
    }
}

impl FeedListener {
    async fn next(&mut self) -> Option<Result<Arc<ChangeWithEntity>, StoreError>> {
        loop {
            if self.until.is_some_and(|until| self.delivered_to >= until) {
                return None;
            }
            if let Some(changed) = self.backlog.pop_front() {
                self.delivered_to = changed.change.position;
                return Some(Ok(changed));
            }
            if self.needs_catch_up {
                match self.catch_up().await {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                }
            }
            match self.events.recv().await {
                Ok(FeedEvent::Rebuilt(generation)) if self.generation != generation => {
                    return Some(Err(StoreError::GenerationChanged));
                }
                Ok(FeedEvent::Change(changed)) if changed.change.position <= self.delivered_to => {}
                Ok(FeedEvent::Change(changed)) if changed.change.position == self.delivered_to + 1 => {
                    self.delivered_to = changed.change.position;
                    return Some(Ok(changed));
                }
                // Positions are contiguous, so something was missed.
                Ok(_) | Err(RecvError::Lagged(_)) => self.needs_catch_up = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    // From the replay buffer, else from the history.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        if let Some((generation, recent)) = self.feed.replay_buffer.after(self.delivered_to) {
            if self.generation != generation {
                return Err(StoreError::GenerationChanged);
            }
            self.needs_catch_up = false;
            self.backlog.extend(recent);
            return Ok(());
        }
        // The semaphore is never closed.
        let _permit = self.feed.catch_up_permits.acquire().await;
        let page = read_page_after(&self.feed.db, self.delivered_to, self.generation).await?;
        self.needs_catch_up = page.len() as u64 == PAGE_SIZE;
        self.backlog.extend(page.into_iter().map(Arc::new));
        Ok(())
    }
}

//! One listener: first the history after its position, then the live tail, without a seam.

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
    /// Which history its positions are of; none until it was looked at.
    generation: Option<i64>,
    /// The position handed out last.
    delivered_to: i64,
    /// Where it ends; without it, never.
    until: Option<i64>,
    /// Read from the history and not handed out yet.
    backlog: VecDeque<Arc<ChangeWithEntity>>,
    /// Whether there may be more in the history than was read.
    needs_catch_up: bool,
}

impl Feed {
    /// Every change after a position, once and in order, and up to another; without that it never ends by itself, unless the
    /// history is replaced.
    pub fn subscribe(
        self: &Arc<Self>,
        after: i64,
        until: Option<i64>,
    ) -> impl Stream<Item = Result<Arc<ChangeWithEntity>, StoreError>> + Send + 'static {
        // The tail is joined before the history is read: what is committed in between is seen in both.
        let listener = FeedListener {
            feed: self.clone(),
            events: self.events.subscribe(),
            // That for which the position was found to be good. What is read first could be of the next one already.
            generation: Some(self.generation()),
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
                Ok(FeedEvent::Rebuilt(generation)) if self.generation != Some(generation) => {
                    return Some(Err(StoreError::GenerationChanged));
                }
                Ok(FeedEvent::Change(changed)) if changed.change.position <= self.delivered_to => {}
                Ok(FeedEvent::Change(changed)) if changed.change.position == self.delivered_to + 1 => {
                    self.delivered_to = changed.change.position;
                    return Some(Ok(changed));
                }
                // Positions have no holes: something was missed.
                Ok(_) | Err(RecvError::Lagged(_)) => self.needs_catch_up = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    // From what is at hand, else from the history.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        if let Some((generation, recent)) = self.feed.replay_buffer.after(self.delivered_to) {
            if *self.generation.get_or_insert(generation) != generation {
                return Err(StoreError::GenerationChanged);
            }
            self.needs_catch_up = false;
            self.backlog.extend(recent);
            return Ok(());
        }
        // It is never closed.
        let _place = self.feed.catch_up_permits.acquire().await;
        let page = read_page_after(&self.feed.db, self.delivered_to, &mut self.generation).await?;
        self.needs_catch_up = page.len() as u64 == PAGE_SIZE;
        self.backlog.extend(page.into_iter().map(Arc::new));
        Ok(())
    }
}

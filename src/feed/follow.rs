//! One listener: first the history after its position, then the live tail, without a seam.

use super::{Feed, PAGE, Told, page_after};
use crate::store::StoreError;
use crate::store::read::Changed;
use futures_util::Stream;
use futures_util::stream::unfold;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

struct Listener {
    feed: Arc<Feed>,
    tail: Receiver<Told>,
    /// Which history its positions are of; none until it was looked at.
    generation: Option<i64>,
    /// The position handed out last.
    last: i64,
    /// Where it ends; without it, never.
    until: Option<i64>,
    /// Read from the history and not handed out yet.
    past: VecDeque<Arc<Changed>>,
    /// Whether there may be more in the history than was read.
    behind: bool,
}

impl Feed {
    /// Every change after a position, once and in order, and up to another; without that it never ends by itself, unless the
    /// history is replaced.
    pub fn follow(
        self: &Arc<Self>,
        after: i64,
        until: Option<i64>,
    ) -> impl Stream<Item = Result<Arc<Changed>, StoreError>> + Send + 'static {
        // The tail is joined before the history is read: what is committed in between is seen in both.
        let listener = Listener {
            feed: self.clone(),
            tail: self.tail.subscribe(),
            // That for which the position was found to be good. What is read first could be of the next one already.
            generation: Some(self.generation()),
            last: after,
            until,
            past: VecDeque::new(),
            behind: true,
        };
        self.joined.notify_one();
        unfold(listener, |mut listener| async move {
            let next = listener.next().await?;
            Some((next, listener))
        })
    }
}

impl Listener {
    async fn next(&mut self) -> Option<Result<Arc<Changed>, StoreError>> {
        loop {
            if self.until.is_some_and(|until| self.last >= until) {
                return None;
            }
            if let Some(changed) = self.past.pop_front() {
                self.last = changed.change.position;
                return Some(Ok(changed));
            }
            if self.behind {
                match self.catch_up().await {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                }
            }
            match self.tail.recv().await {
                Ok(Told::Rebuilt(generation)) if self.generation != Some(generation) => {
                    return Some(Err(StoreError::Rebuilt));
                }
                Ok(Told::Change(changed)) if changed.change.position <= self.last => {}
                Ok(Told::Change(changed)) if changed.change.position == self.last + 1 => {
                    self.last = changed.change.position;
                    return Some(Ok(changed));
                }
                // Positions have no holes: something was missed.
                Ok(_) | Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    // From what is at hand, else from the history.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        if let Some((generation, recent)) = self.feed.recent.after(self.last) {
            if *self.generation.get_or_insert(generation) != generation {
                return Err(StoreError::Rebuilt);
            }
            self.behind = false;
            self.past.extend(recent);
            return Ok(());
        }
        // It is never closed.
        let _place = self.feed.reading.acquire().await;
        let page = page_after(&self.feed.db, self.last, &mut self.generation).await?;
        self.behind = page.len() as u64 == PAGE;
        self.past.extend(page.into_iter().map(Arc::new));
        Ok(())
    }
}

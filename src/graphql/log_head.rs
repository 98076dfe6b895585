//! The end of the history.

use super::cursor::Cursor;
use super::scalar::Long;
use crate::store::read::datetime_from_micros;
use async_graphql::Object;
use chrono::{DateTime, Utc};
use entity::log_head;

#[derive(Debug)]
pub struct LogHead(pub log_head::Model);

/// The end of the history.
#[Object]
impl LogHead {
    /// The newest position; 0 if there are no changes yet.
    async fn position(&self) -> Long {
        Long(self.0.position)
    }

    /// The cursor of the newest change. A subscription with `after: cursor` begins with the next change, so there is no
    /// gap between what was read before and what it receives.
    async fn cursor(&self) -> String {
        Cursor::Change { position: self.0.position, generation: self.0.generation }.encode()
    }

    /// The oldest cursor after which the history is complete. Of older changes, only those of retained entities exist.
    /// `after` with an older cursor is refused with `CURSOR_EXPIRED`.
    async fn oldest_cursor(&self) -> String {
        Cursor::Change { position: self.0.retained_from, generation: self.0.generation }.encode()
    }

    /// When the newest change was written; null if there are no changes yet.
    async fn time(&self) -> Option<DateTime<Utc>> {
        (self.0.position > 0).then(|| datetime_from_micros(self.0.updated_at))
    }
}

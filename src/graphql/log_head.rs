//! Where the history ends.

use super::cursor::Cursor;
use super::scalar::Long;
use crate::store::read::datetime_from_micros;
use async_graphql::Object;
use chrono::{DateTime, Utc};
use entity::log_head;

#[derive(Debug)]
pub struct LogHead(pub log_head::Model);

/// Where the history ends.
#[Object]
impl LogHead {
    /// The newest position; 0 as long as there is none.
    async fn position(&self) -> Long {
        Long(self.0.position)
    }

    /// The cursor of the newest change. A subscription with `after: cursor` begins with the change after it, so what was
    /// read before and what is heard from then on join without a gap.
    async fn cursor(&self) -> String {
        Cursor::Change { position: self.0.position, generation: self.0.generation }.encode()
    }

    /// The oldest cursor that the history can be followed from. All that came after it is there; of what is older, only the
    /// lives that are kept. `after` with an older cursor is refused with `CURSOR_EXPIRED`.
    async fn oldest_cursor(&self) -> String {
        Cursor::Change { position: self.0.retained_from, generation: self.0.generation }.encode()
    }

    /// When the newest change was written; none as long as there is none.
    async fn time(&self) -> Option<DateTime<Utc>> {
        (self.0.position > 0).then(|| datetime_from_micros(self.0.updated_at))
    }
}

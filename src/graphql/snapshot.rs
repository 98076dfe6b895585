//! An entity as it was.

use super::scalar::Long;
use super::words::{Clock, Status};
use crate::store::read::{self, moment};
use async_graphql::Object;
use chrono::{DateTime, Utc};
use std::sync::Arc;

#[derive(Debug)]
pub struct Snapshot {
    pub at: DateTime<Utc>,
    pub clock: Clock,
    pub row: Arc<read::Snapshot>,
}

/// How an inspection, session, job or item stood at a moment in the past.
#[Object]
impl Snapshot {
    /// The moment asked for.
    async fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// The clock by which it is meant.
    async fn clock(&self) -> Clock {
        self.clock
    }

    /// The vendor's word at that moment; none before the vendor reported one.
    async fn state(&self) -> Option<&str> {
        self.row.state.as_deref()
    }

    /// The status at that moment; items have none.
    async fn status(&self) -> Option<Status> {
        self.row.status.map(Status::from)
    }

    /// The cycle at that moment.
    async fn cycle(&self) -> i32 {
        self.row.cycle
    }

    /// The position of the change that was the newest by then: in the order of arrival or of happening, by the clock.
    async fn position(&self) -> Long {
        Long(self.row.position)
    }

    /// When that change's event happened. By `OCCURRED`, as well as can be known; by `RECEIVED`, only as the vendor says.
    async fn occurred_at(&self) -> Option<DateTime<Utc>> {
        self.row.occurred_at.map(moment)
    }

    /// When the hub received that change's event. By `OCCURRED`, this can be later than the moment asked for.
    async fn received_at(&self) -> DateTime<Utc> {
        moment(self.row.received_at)
    }

    /// The vendor's name of that change's event.
    async fn event(&self) -> &str {
        &self.row.event
    }
}

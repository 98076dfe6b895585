//! Inspections, sessions, jobs and items as they were.

use super::entity::selected_columns;
use super::enums::{Clock, InspectionStatus, JobStatus, SessionStatus, Status};
use super::inspection::Inspection;
use super::job::Job;
use super::scalar::Long;
use super::session::Session;
use crate::store::read::{self, EntityAsOf, EntityProjection, datetime_from_micros};
use async_graphql::{Context, Object};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// How something stood at a moment. Its fields are those of all the types of this file.
#[derive(Debug)]
pub struct SnapshotFields {
    pub at: DateTime<Utc>,
    pub clock: Clock,
    pub row: Arc<read::SnapshotRow>,
}

#[Object]
impl SnapshotFields {
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
        self.row.occurred_at.map(datetime_from_micros)
    }

    /// When the hub received that change's event. By `OCCURRED`, this can be later than the moment asked for.
    async fn received_at(&self) -> DateTime<Utc> {
        datetime_from_micros(self.row.received_at)
    }

    /// The vendor's name of that change's event.
    async fn event(&self) -> &str {
        &self.row.event
    }
}

#[derive(Debug)]
pub struct Snapshot(pub SnapshotFields);

/// How an inspection, session, job or item stood at a moment in the past.
#[Object]
impl Snapshot {
    #[graphql(flatten)]
    async fn standing(&self) -> &SnapshotFields {
        &self.0
    }

    /// The status at that moment; items have none.
    async fn status(&self) -> Option<Status> {
        self.0.row.status.map(Status::from)
    }
}

/// A row of a board of the past: how it stood, and the thing itself as it stands now.
pub trait SnapshotNode {
    /// The field under which the thing itself stands.
    const FIELD: &'static str;

    fn of(at: DateTime<Utc>, clock: Clock, row: EntityAsOf) -> Self;
}

/// Declares the rows of the boards.
macro_rules! rows {
    ($($(#[$about:meta])* $name:ident: $thing:ident $field:ident $status:ident, $now:literal;)+) => {
        $(
            #[derive(Debug)]
            pub struct $name {
                then: SnapshotFields,
                now: $thing,
            }

            $(#[$about])*
            #[Object]
            impl $name {
                #[graphql(flatten)]
                async fn standing(&self) -> &SnapshotFields {
                    &self.then
                }

                /// The status at that moment; none before the vendor reported a state.
                async fn status(&self) -> Option<$status> {
                    $status::of(self.then.row.status?)
                }

                #[doc = $now]
                async fn $field(&self) -> &$thing {
                    &self.now
                }
            }

            impl SnapshotNode for $name {
                const FIELD: &'static str = stringify!($field);

                fn of(at: DateTime<Utc>, clock: Clock, row: EntityAsOf) -> Self {
                    $name { then: SnapshotFields { at, clock, row: row.snapshot }, now: row.current.into() }
                }
            }
        )+
    };
}

rows! {
    /// How an inspection stood at a moment in the past. What stands here is of then; what stands under `inspection` is of now.
    InspectionSnapshot: Inspection inspection InspectionStatus,
        "The inspection as it stands now: its ids, and all the facts known of it by now. How its sessions and jobs stood then is \
         told by the `asOf` of each.";
    /// How a session stood at a moment in the past. What stands here is of then; what stands under `session` is of now.
    SessionSnapshot: Session session SessionStatus,
        "The session as it stands now: its ids, and all the facts known of it by now.";
    /// How a job stood at a moment in the past. What stands here is of then; what stands under `job` is of now.
    JobSnapshot: Job job JobStatus,
        "The job as it stands now: its ids, its kind, and all the facts known of it by now.";
}

/// Which columns the things themselves need, under a connection's rows.
pub fn selected_columns_of_snapshots<T: SnapshotNode>(ctx: &Context<'_>) -> EntityProjection {
    let rows = super::entity::node_selections(ctx).into_iter();
    let things = rows.flat_map(|row| row.selection_set().filter(|field| field.name() == T::FIELD).collect::<Vec<_>>());
    things.map(selected_columns).collect()
}

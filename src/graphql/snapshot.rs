//! The state of entities at a time in the past.

use super::entities::{Inspection, Job, Session};
use super::entity::selected_columns;
use super::enums::{InspectionStatus, JobStatus, SessionStatus};
use super::scalar::Long;
use crate::store::read::{EntityAsOf, EntityProjection, SnapshotRow, TimeAxis, datetime_from_micros};
use async_graphql::{Context, Object, SelectionField, SimpleObject};
use chrono::{DateTime, Utc};
use entity::Status;
use std::sync::Arc;

/// The fields of all snapshots.
#[derive(Debug, SimpleObject)]
pub struct SnapshotFields {
    /// The requested time.
    at: DateTime<Utc>,
    /// The clock that the time refers to.
    clock: TimeAxis,
    /// The state at that time, in the vendor's words; null before the vendor reported one.
    state: Option<String>,
    /// The cycle at that time.
    cycle: i32,
    /// The position of the newest change at that time: in the order of receipt or of occurrence, according to the
    /// clock.
    position: Long,
    /// When that change's event happened. By `OCCURRED`, the best known time; by `RECEIVED`, only what the vendor
    /// reported.
    occurred_at: Option<DateTime<Utc>>,
    /// When the hub received that change's event. By `OCCURRED`, this can be later than the requested time.
    received_at: DateTime<Utc>,
    /// The vendor's name for that change's event.
    event: String,
    #[graphql(skip)]
    status: Option<Status>,
}

impl SnapshotFields {
    pub fn new(at: DateTime<Utc>, clock: TimeAxis, row: Arc<SnapshotRow>) -> Self {
        let row = Arc::unwrap_or_clone(row);
        SnapshotFields {
            at,
            clock,
            state: row.state,
            cycle: row.cycle,
            position: Long(row.position),
            occurred_at: row.occurred_at.map(datetime_from_micros),
            received_at: datetime_from_micros(row.received_at),
            event: row.event,
            status: row.status,
        }
    }
}

#[derive(Debug)]
pub struct Snapshot(pub SnapshotFields);

/// The state of an inspection, session, job or item at a time in the past.
#[Object]
impl Snapshot {
    #[graphql(flatten)]
    async fn common(&self) -> &SnapshotFields {
        &self.0
    }

    /// The status at that time; null for items.
    async fn status(&self) -> Option<Status> {
        self.0.status
    }
}

/// A row of an as-of list: the snapshot, and the current entity.
pub trait SnapshotNode {
    /// The field with the current entity.
    const FIELD: &'static str;

    fn of(at: DateTime<Utc>, clock: TimeAxis, row: EntityAsOf) -> Self;
}

/// Declares the rows of as-of lists.
macro_rules! snapshots {
    ($($(#[$about:meta])* $name:ident: $entity:ident $field:ident $status:ident, $current:literal;)+) => {
        $(
            #[derive(Debug)]
            pub struct $name {
                snapshot: SnapshotFields,
                current: $entity,
            }

            $(#[$about])*
            #[Object]
            impl $name {
                #[graphql(flatten)]
                async fn common(&self) -> &SnapshotFields {
                    &self.snapshot
                }

                /// The status at that time; null before the vendor reported a state.
                async fn status(&self) -> Option<$status> {
                    $status::of(self.snapshot.status?)
                }

                #[doc = $current]
                async fn $field(&self) -> &$entity {
                    &self.current
                }
            }

            impl SnapshotNode for $name {
                const FIELD: &'static str = stringify!($field);

                fn of(at: DateTime<Utc>, clock: TimeAxis, row: EntityAsOf) -> Self {
                    $name { snapshot: SnapshotFields::new(at, clock, row.snapshot), current: row.current.into() }
                }
            }
        )+
    };
}

snapshots! {
    /// An inspection at a time in the past. Its own fields are of that time; `inspection` has the current ones.
    InspectionSnapshot: Inspection inspection InspectionStatus,
        "The current inspection: its ids, and all facts known now. For the past state of its sessions and jobs, use the `asOf` of each.";
    /// A session at a time in the past. Its own fields are of that time; `session` has the current ones.
    SessionSnapshot: Session session SessionStatus,
        "The current session: its ids, and all facts known now.";
    /// A job at a time in the past. Its own fields are of that time; `job` has the current ones.
    JobSnapshot: Job job JobStatus,
        "The current job: its ids, its kind, and all facts known now.";
}

/// The columns that the current entities under the rows of a connection need.
pub fn selected_columns_of_snapshots<T: SnapshotNode>(ctx: &Context<'_>) -> EntityProjection {
    let rows = super::entity::node_selections(ctx);
    let fields = rows.iter().flat_map(SelectionField::selection_set);
    fields.filter(|field| field.name() == T::FIELD).map(selected_columns).collect()
}

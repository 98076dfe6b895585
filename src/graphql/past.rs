//! Boards of the past: what callers can ask them for, and how they are fetched.

use super::Api;
use super::connection::{Asked, Connection, Total};
use super::cursor::{self, Cursor};
use super::error::Fault;
use super::filter::{of, texts};
use super::job;
use super::node::uuid;
use super::order::OrderDirection;
use super::snapshot::{Row, wants_of_rows};
use super::words::{Clock, InspectionStatus, JobKind, JobStatus, SessionStatus};
use crate::event::storable;
use crate::store::read::{Board, Direction, EntityFilter, Then};
use async_graphql::{Context, ID, InputObject, OutputType};
use chrono::{DateTime, SecondsFormat, Utc};
use entity::Kind;

/// What boards of the past can all be filtered by.
#[derive(Clone, Debug, Default, InputObject)]
pub struct CommonPast {
    /// From one of these vendors, e.g. `["hover", "pave"]`.
    vendor: Option<Vec<String>>,
    /// By one of these sources: see `Source.name`.
    source: Option<Vec<String>>,
    /// In one of these states at that moment: the vendor's own words, as in `state`.
    state: Option<Vec<String>>,
    /// With exactly this key of the customer's, e.g. `PO-4711`, as known now.
    reference: Option<String>,
    /// With exactly this id of the vendor's: see `externalId`.
    external_id: Option<String>,
    /// Sharing this `group`, as known now.
    group: Option<String>,
}

impl CommonPast {
    fn rows(self, kind: Kind) -> EntityFilter {
        EntityFilter {
            kind: Some(kind),
            vendor: texts(self.vendor),
            source: texts(self.source),
            state: texts(self.state),
            reference: self.reference.map(storable),
            external_id: self.external_id.map(storable),
            group: self.group.map(storable),
            ..EntityFilter::default()
        }
    }
}

/// Which inspections of a moment in the past. A field that is left out or null does not filter; an empty list lets nothing
/// through.
#[derive(Clone, Debug, Default, InputObject)]
pub struct InspectionPastFilter {
    /// In one of these statuses at that moment.
    status: Option<Vec<InspectionStatus>>,
    #[graphql(flatten)]
    common: CommonPast,
}

impl InspectionPastFilter {
    pub fn rows(self) -> EntityFilter {
        EntityFilter { status: of(self.status), ..self.common.rows(Kind::Inspection) }
    }
}

/// Which sessions of a moment in the past. A field that is left out or null does not filter; an empty list lets nothing
/// through.
#[derive(Clone, Debug, Default, InputObject)]
pub struct SessionPastFilter {
    /// In one of these statuses at that moment.
    status: Option<Vec<SessionStatus>>,
    /// Belonging to this inspection, named by its `id`, as known now.
    inspection: Option<ID>,
    #[graphql(flatten)]
    common: CommonPast,
}

impl SessionPastFilter {
    pub fn rows(self) -> Result<EntityFilter, Fault> {
        let inspection = self.inspection.as_ref().map(uuid).transpose()?;
        Ok(EntityFilter { status: of(self.status), inspection, ..self.common.rows(Kind::Session) })
    }
}

/// Which jobs of a moment in the past. A field that is left out or null does not filter; an empty list lets nothing through.
#[derive(Clone, Debug, Default, InputObject)]
pub struct JobPastFilter {
    /// Of one of these kinds.
    kind: Option<Vec<JobKind>>,
    /// In one of these statuses at that moment.
    status: Option<Vec<JobStatus>>,
    /// Belonging to this inspection, named by its `id`, as known now.
    inspection: Option<ID>,
    #[graphql(flatten)]
    common: CommonPast,
}

impl JobPastFilter {
    pub fn rows(self) -> Result<EntityFilter, Fault> {
        let inspection = self.inspection.as_ref().map(uuid).transpose()?;
        let subkind = job::of_kinds(self.kind).subkind;
        Ok(EntityFilter { status: of(self.status), inspection, subkind, ..self.common.rows(Kind::Job) })
    }
}

/// The board of a moment.
///
/// # Errors
/// If the moment is still to come: what it will look like then is not known.
pub fn board(api: &Api, at: DateTime<Utc>, clock: Clock, filter: EntityFilter) -> Result<Board, Fault> {
    let now = api.now();
    if at > now {
        let spelled = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        return Err(Fault::input(
            format!("`at` is {}, which is still to come", spelled(at)),
            format!("The hub's clock says {}. For the present, ask the field without `AsOf`.", spelled(now)),
        ));
    }
    Ok(Board { at, clock: clock.into(), filter })
}

/// A page of a board.
pub async fn page<T: Row + OutputType>(
    ctx: &Context<'_>,
    asked: Asked,
    board: Board,
    clock: Clock,
    direction: OrderDirection,
) -> Result<Connection<T>, Fault> {
    let direction: Direction = direction.into();
    let page = asked.page(|text| cursor::created(text, direction))?;
    let part = board.page(&Api::of(ctx)?.readers, wants_of_rows::<T>(ctx), direction, &page).await?;
    let at = board.at;
    Ok(Connection::of(part, &page, Total::Board(board), |row: Then| {
        (Cursor::Created(row.now.number, direction), T::of(at, clock, row))
    }))
}

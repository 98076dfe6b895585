//! Boards of the past: what callers can ask them for, and how they are fetched.

use super::ApiContext;
use super::connection::{Connection, PageArgs, TotalCount};
use super::cursor::{self, Cursor};
use super::enums::{Clock, InspectionStatus, JobKind, JobStatus, SessionStatus};
use super::error::ApiError;
use super::filter::{convert_all, storable_texts};
use super::job;
use super::node::parse_id;
use super::order::OrderDirection;
use super::snapshot::{SnapshotNode, selected_columns_of_snapshots};
use crate::event::storable;
use crate::store::read::{AsOfList, EntityAsOf, EntityFilter, SortDirection};
use async_graphql::{Context, ID, InputObject, OutputType};
use chrono::{DateTime, SecondsFormat, Utc};
use entity::Kind;

/// What boards of the past can all be filtered by.
#[derive(Clone, Debug, Default, InputObject)]
pub struct CommonAsOfFilter {
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

impl CommonAsOfFilter {
    fn into_store_filter(self, kind: Kind) -> EntityFilter {
        EntityFilter {
            kind: Some(kind),
            vendor: storable_texts(self.vendor),
            source: storable_texts(self.source),
            state: storable_texts(self.state),
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
    common: CommonAsOfFilter,
}

impl InspectionPastFilter {
    pub fn into_store_filter(self) -> EntityFilter {
        EntityFilter { status: convert_all(self.status), ..self.common.into_store_filter(Kind::Inspection) }
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
    common: CommonAsOfFilter,
}

impl SessionPastFilter {
    pub fn into_store_filter(self) -> Result<EntityFilter, ApiError> {
        let inspection = self.inspection.as_ref().map(parse_id).transpose()?;
        Ok(EntityFilter {
            status: convert_all(self.status),
            inspection,
            ..self.common.into_store_filter(Kind::Session)
        })
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
    common: CommonAsOfFilter,
}

impl JobPastFilter {
    pub fn into_store_filter(self) -> Result<EntityFilter, ApiError> {
        let inspection = self.inspection.as_ref().map(parse_id).transpose()?;
        let subkind = job::kind_filter(self.kind).subkind;
        Ok(EntityFilter {
            status: convert_all(self.status),
            inspection,
            subkind,
            ..self.common.into_store_filter(Kind::Job)
        })
    }
}

/// The board of a moment.
///
/// # Errors
/// If the moment is still to come: what it will look like then is not known.
pub fn as_of_list(
    api: &ApiContext,
    at: DateTime<Utc>,
    clock: Clock,
    filter: EntityFilter,
) -> Result<AsOfList, ApiError> {
    let now = api.now();
    if at > now {
        let spelled = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        return Err(ApiError::bad_user_input(
            format!("`at` is {}, which is still to come", spelled(at)),
            format!("The hub's clock says {}. For the present, ask the field without `AsOf`.", spelled(now)),
        ));
    }
    Ok(AsOfList { at, axis: clock.into(), filter })
}

/// A page of a board.
pub async fn as_of_page<T: SnapshotNode + OutputType>(
    ctx: &Context<'_>,
    asked: PageArgs,
    board: AsOfList,
    clock: Clock,
    direction: OrderDirection,
) -> Result<Connection<T>, ApiError> {
    let direction: SortDirection = direction.into();
    let page = asked.page(|text| cursor::parse_created_cursor(text, direction))?;
    let part =
        board.page(&ApiContext::of(ctx)?.readers, selected_columns_of_snapshots::<T>(ctx), direction, &page).await?;
    let at = board.at;
    Ok(Connection::of(part, &page, TotalCount::AsOfList(board), |row: EntityAsOf| {
        (Cursor::Created(row.current.row_id, direction), T::of(at, clock, row))
    }))
}

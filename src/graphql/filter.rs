//! What callers can filter by. A field that is left out does not filter; several fields must all fit.

use super::duration;
use super::enums::{EntityKind, InspectionStatus, ItemKind, JobKind, JobStatus, SessionStatus, Status, Verdict};
use super::error::ApiError;
use super::node::parse_id;
use super::{item, job};
use crate::event::storable;
use crate::store::read;
use async_graphql::{ID, InputObject};
use chrono::{DateTime, Utc};
use entity::Kind;

/// What inspections, sessions, jobs and items can all be filtered by.
#[derive(Clone, Debug, Default, InputObject)]
pub struct CommonFilter {
    /// From one of these vendors, e.g. `["hover", "pave"]`.
    vendor: Option<Vec<String>>,
    /// By one of these sources: see `Source.name`.
    source: Option<Vec<String>>,
    /// In one of these states: the vendor's own words, as in `state`.
    state: Option<Vec<String>>,
    /// With exactly this key of the customer's, e.g. `PO-4711`.
    reference: Option<String>,
    /// With exactly this id of the vendor's: see `externalId`.
    external_id: Option<String>,
    /// Sharing this `group`.
    group: Option<String>,
    /// Changed later than this moment, e.g. `2024-05-01T12:00:00Z`. In a subscription: received later than this moment.
    updated_after: Option<DateTime<Utc>>,
    /// Changed before this moment, e.g. `2024-05-01T12:00:00Z`. In a subscription: received before this moment.
    updated_before: Option<DateTime<Utc>>,
    /// Without a change for at least so long, and not at an end (`COMPLETED`, `CANCELED`, `EXPIRED`, `FAILED`,
    /// `SUCCEEDED`). An ISO 8601 duration of weeks, days, hours, minutes and seconds (`PT24H`, `P3D`), or a number with
    /// a unit (`90s`, `15m`, `24h`, `3d`, `2w`). Not for subscriptions: that nothing happens is no news.
    stalled_for: Option<String>,
}

// No stored text has what no database takes.
pub(super) fn storable_texts(texts: Option<Vec<String>>) -> Option<Vec<String>> {
    texts.map(|texts| texts.into_iter().map(storable).collect())
}

impl CommonFilter {
    fn into_store_filter(self, kind: Kind, now: DateTime<Utc>) -> Result<read::EntityFilter, ApiError> {
        let stalled_since = self.stalled_for.map(|text| duration::before(now, &text)).transpose()?;
        Ok(read::EntityFilter {
            kind: Some(kind),
            vendor: storable_texts(self.vendor),
            source: storable_texts(self.source),
            state: storable_texts(self.state),
            reference: self.reference.map(storable),
            external_id: self.external_id.map(storable),
            group: self.group.map(storable),
            updated_after: self.updated_after,
            updated_before: self.updated_before,
            stalled_since,
            ..read::EntityFilter::default()
        })
    }
}

/// Which inspections. A field that is left out or null does not filter; an empty list lets nothing through.
#[derive(Clone, Debug, Default, InputObject)]
pub struct InspectionFilter {
    /// In one of these statuses.
    status: Option<Vec<InspectionStatus>>,
    #[graphql(flatten)]
    common: CommonFilter,
}

impl InspectionFilter {
    pub fn into_store_filter(self, now: DateTime<Utc>) -> Result<read::EntityFilter, ApiError> {
        let rows = self.common.into_store_filter(Kind::Inspection, now)?;
        Ok(read::EntityFilter { status: convert_all(self.status), ..rows })
    }
}

/// Which sessions. A field that is left out or null does not filter; an empty list lets nothing through.
#[derive(Clone, Debug, Default, InputObject)]
pub struct SessionFilter {
    /// In one of these statuses.
    status: Option<Vec<SessionStatus>>,
    /// Belonging to this inspection: its `id`.
    inspection: Option<ID>,
    #[graphql(flatten)]
    common: CommonFilter,
}

impl SessionFilter {
    pub fn into_store_filter(self, now: DateTime<Utc>) -> Result<read::EntityFilter, ApiError> {
        let rows = self.common.into_store_filter(Kind::Session, now)?;
        let inspection = self.inspection.as_ref().map(parse_id).transpose()?;
        Ok(read::EntityFilter { status: convert_all(self.status), inspection, ..rows })
    }
}

/// Which jobs. A field that is left out or null does not filter; an empty list lets nothing through.
#[derive(Clone, Debug, Default, InputObject)]
pub struct JobFilter {
    /// Of one of these kinds.
    kind: Option<Vec<JobKind>>,
    /// In one of these statuses.
    status: Option<Vec<JobStatus>>,
    /// Belonging to this inspection: its `id`.
    inspection: Option<ID>,
    #[graphql(flatten)]
    common: CommonFilter,
}

impl JobFilter {
    pub fn into_store_filter(self, now: DateTime<Utc>) -> Result<read::EntityFilter, ApiError> {
        let rows = self.common.into_store_filter(Kind::Job, now)?;
        let inspection = self.inspection.as_ref().map(parse_id).transpose()?;
        let subkind = job::kind_filter(self.kind).subkind;
        Ok(read::EntityFilter { status: convert_all(self.status), inspection, subkind, ..rows })
    }
}

/// Which items. A field that is left out or null does not filter; an empty list lets nothing through.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ItemFilter {
    /// Of one of these kinds.
    kind: Option<Vec<ItemKind>>,
    /// Belonging to this inspection: its `id`.
    inspection: Option<ID>,
    #[graphql(flatten)]
    common: CommonFilter,
}

impl ItemFilter {
    pub fn into_store_filter(self, now: DateTime<Utc>) -> Result<read::EntityFilter, ApiError> {
        let rows = self.common.into_store_filter(Kind::Item, now)?;
        let inspection = self.inspection.as_ref().map(parse_id).transpose()?;
        Ok(read::EntityFilter { inspection, subkind: item::kind_filter(self.kind).subkind, ..rows })
    }
}

/// Which changes. A field that is left out or null does not filter; an empty list lets nothing through.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ChangeFilter {
    /// From one of these vendors, e.g. `["hover", "pave"]`.
    vendor: Option<Vec<String>>,
    /// By one of these sources: see `Source.name`.
    source: Option<Vec<String>>,
    /// About things of these kinds.
    kind: Option<Vec<EntityKind>>,
    /// With one of these verdicts.
    verdict: Option<Vec<Verdict>>,
    /// By one of these events: the vendor's names, e.g. `["job-state-changed"]`.
    event: Option<Vec<String>>,
    /// About this inspection, named by its `id`, or anything that belonged to it when the change was written.
    inspection: Option<ID>,
    /// About exactly this inspection, session, job or item: its `id`.
    entity: Option<ID>,
    /// Brought by this delivery: `Delivery.id`, or what the vendor got in the answer to the POST.
    delivery: Option<ID>,
    /// After which the status is one of these.
    to_status: Option<Vec<Status>>,
}

impl ChangeFilter {
    pub fn into_store_filter(self) -> Result<read::ChangeRowFilter, ApiError> {
        let delivery = self.delivery.as_ref().map(parse_id).transpose()?;
        if delivery.is_some_and(|id| read::delivery_row_id(id).is_none()) {
            return Err(ApiError::bad_user_input("`delivery` is the id of something else", "Use `Delivery.id`."));
        }
        Ok(read::ChangeRowFilter {
            vendor: storable_texts(self.vendor),
            source: storable_texts(self.source),
            kind: convert_all(self.kind),
            verdict: convert_all(self.verdict),
            event: storable_texts(self.event),
            inspection: self.inspection.as_ref().map(parse_id).transpose()?,
            entity: self.entity.as_ref().map(parse_id).transpose()?,
            delivery,
            to_status: convert_all(self.to_status),
        })
    }
}

/// Which deliveries. A field that is left out or null does not filter; an empty list lets nothing through.
#[derive(Clone, Debug, Default, InputObject)]
pub struct DeliveryFilter {
    /// From one of these vendors, e.g. `["hover", "pave"]`.
    vendor: Option<Vec<String>>,
    /// By one of these sources: see `Source.name`.
    source: Option<Vec<String>>,
    /// With one of these verdicts.
    verdict: Option<Vec<Verdict>>,
    /// Of one of these events: the vendor's names, e.g. `["job-state-changed"]`.
    event: Option<Vec<String>>,
    /// Received later than this moment, e.g. `2024-05-01T12:00:00Z`.
    received_after: Option<DateTime<Utc>>,
    /// Received before this moment, e.g. `2024-05-01T12:00:00Z`.
    received_before: Option<DateTime<Utc>>,
    /// True: only those whose news came again. False: only those whose news never did.
    duplicated: Option<bool>,
}

impl DeliveryFilter {
    pub fn into_store_filter(self) -> read::DeliveryRowFilter {
        read::DeliveryRowFilter {
            vendor: storable_texts(self.vendor),
            source: storable_texts(self.source),
            verdict: convert_all(self.verdict),
            event: storable_texts(self.event),
            received_after: self.received_after,
            received_before: self.received_before,
            duplicated: self.duplicated,
        }
    }
}

pub fn convert_all<T, U: From<T>>(words: Option<Vec<T>>) -> Option<Vec<U>> {
    words.map(|words| words.into_iter().map(U::from).collect())
}

//! What clients can filter lists by, and its translation to store filters. A row must match all fields that are given.

use super::ApiContext;
use super::act::label_key;
use super::command::LabelInput;
use super::duration;
use super::enums::{InspectionStatus, JobStatus, SessionStatus};
use super::error::ApiError;
use super::node::parse_id;
use super::source::SourceInfo;
use crate::access::View;
use crate::command::MAX_LABELS;
use crate::event::storable;
use crate::machine::EntityType;
use crate::store::read::{self, EntityFilter, GroupSources, LabelFilter, Overdue, StateGroup};
use crate::vendor::{self, WaitingRules};
use async_graphql::{ID, InputObject};
use chrono::{DateTime, Utc};
use entity::{ItemKind, JobKind, Kind, Party, ReasonCode, Scope, Status, Verdict};

/// What entities of all kinds can be filtered by, in the present and in the past.
#[derive(Clone, Debug, Default, InputObject)]
struct CommonFilter {
    /// From one of these vendors, e.g. `["hover", "pave"]`.
    vendor: Option<Vec<String>>,
    /// Received by one of these sources: see `Source.name`.
    source: Option<Vec<String>>,
    /// In one of these states: the vendor's words, as in `state`.
    state: Option<Vec<String>>,
    /// With exactly this reference, set by hand or passed on by the vendor, e.g. `PO-4711`.
    reference: Option<String>,
    /// With exactly this id of the vendor's: see `externalId`.
    external_id: Option<String>,
    /// In this `group`.
    group: Option<String>,
}

/// What only the present can be filtered by.
#[derive(Clone, Debug, Default, InputObject)]
struct PresentFilter {
    /// Changed after this time, e.g. `2024-05-01T12:00:00Z`. In a subscription: received after this time.
    updated_after: Option<DateTime<Utc>>,
    /// Changed before this time, e.g. `2024-05-01T12:00:00Z`. In a subscription: received before this time.
    updated_before: Option<DateTime<Utc>>,
    /// Unchanged for at least this long, and not in a final status (`COMPLETED`, `CANCELED`, `EXPIRED`, `FAILED`,
    /// `SUCCEEDED`). An ISO 8601 duration of weeks, days, hours, minutes and seconds (`PT24H`, `P3D`), or a number with
    /// a unit (`90s`, `15m`, `24h`, `3d`, `2w`). Not for subscriptions: the passing of time is not a change.
    stalled_for: Option<String>,
}

/// What only inspections in the present can be filtered by.
#[derive(Clone, Debug, Default, InputObject)]
struct PresentInspectionFilter {
    #[graphql(flatten)]
    present: PresentFilter,
    /// True: only those that are past `dueAt` and not in a final status. False: only the others. Not for subscriptions: the
    /// passing of time is not a change.
    overdue: Option<bool>,
}

impl PresentInspectionFilter {
    fn narrow(self, filter: EntityFilter, now: DateTime<Utc>) -> Result<EntityFilter, ApiError> {
        let overdue = self.overdue.map(|wanted| Overdue { at: now, wanted });
        self.present.narrow(EntityFilter { overdue, ..filter }, now)
    }
}

impl CommonFilter {
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

impl PresentFilter {
    fn narrow(self, filter: EntityFilter, now: DateTime<Utc>) -> Result<EntityFilter, ApiError> {
        Ok(EntityFilter {
            updated_after: self.updated_after,
            updated_before: self.updated_before,
            stalled_since: self.stalled_for.map(|text| duration::before(now, &text)).transpose()?,
            ..filter
        })
    }
}

// Stored text has no U+0000, and PostgreSQL refuses it in a parameter.
fn storable_texts(texts: Option<Vec<String>>) -> Option<Vec<String>> {
    texts.map(|texts| texts.into_iter().map(storable).collect())
}

/// Declares the filter of a kind in the present, and the one as of a time in the past, from the same fields: each with
/// its type, the field of the store's filter, and the value for it.
macro_rules! entity_filters {
    ($plural:literal, $kind:ident: $present:ident($only_present:ident), $past:ident |$api:ident| $fields:tt) => {
        entity_filters!($plural, $kind: $present($only_present) |$api| $fields);
        entity_filters!(@filter $plural, " as of a time in the past: `status` and `state` are those of that time, all else is as known now. \
            A field that is omitted or null does not filter; an empty list matches nothing.", $kind: $past |$api| [] $fields);
    };
    ($plural:literal, $kind:ident: $present:ident($only_present:ident) |$api:ident| $fields:tt) => {
        entity_filters!(@filter $plural, ". A field that is omitted or null does not filter; an empty list matches nothing.",
            $kind: $present |$api| [present $only_present] $fields);
    };
    (@filter $plural:literal, $about:literal, $kind:ident: $name:ident |$api:ident| [$($present:ident $only_present:ident)?] {
        $($(#[$doc:meta])* $field:ident: $type:ty => $target:ident |$given:ident| $value:expr;)+
    }) => {
        #[doc = concat!("Which ", $plural, $about)]
        #[derive(Clone, Debug, Default, InputObject)]
        pub struct $name {
            $($(#[$doc])* $field: Option<$type>,)+
            #[graphql(flatten)]
            common: CommonFilter,
            $(#[graphql(flatten)] $present: $only_present,)?
        }

        impl $name {
            pub fn into_store_filter(self, $api: &ApiContext) -> Result<EntityFilter, ApiError> {
                let filter = EntityFilter {
                    $($target: { let $given = self.$field; $value },)+
                    ..self.common.into_store_filter(Kind::$kind)
                };
                $(let filter = self.$present.narrow(filter, $api.now())?;)?
                Ok(imply_statuses(filter))
            }
        }
    };
}

entity_filters!("inspections", Inspection: InspectionFilter(PresentInspectionFilter), InspectionPastFilter |api| {
    /// In one of these statuses.
    status: Vec<InspectionStatus> => status |given| statuses(given);
    /// With all of these labels, e.g. `[{ key: "team", value: "north" }]`; without a value, any value fits. At most 50; an
    /// empty list does not filter.
    label: Vec<LabelInput> => labels |given| label_filters(given)?;
    /// Waiting for one of these parties: see `waitsFor`.
    waits_for: Vec<Party> => state_groups |given| given.map(|parties| state_groups(&api.sources, &parties));
});

entity_filters!("sessions", Session: SessionFilter(PresentFilter), SessionPastFilter |_api| {
    /// In one of these statuses.
    status: Vec<SessionStatus> => status |given| statuses(given);
    /// Of this inspection: its `id`.
    inspection: ID => inspection |given| given.as_ref().map(parse_id).transpose()?;
});

entity_filters!("jobs", Job: JobFilter(PresentFilter), JobPastFilter |_api| {
    /// Of one of these kinds.
    kind: Vec<JobKind> => subkind |given| subkinds(given, EntityType::Job);
    /// In one of these statuses.
    status: Vec<JobStatus> => status |given| statuses(given);
    /// Of this inspection: its `id`.
    inspection: ID => inspection |given| given.as_ref().map(parse_id).transpose()?;
});

entity_filters!("items", Item: ItemFilter(PresentFilter) |_api| {
    /// Of one of these kinds.
    kind: Vec<ItemKind> => subkind |given| subkinds(given, EntityType::Item);
    /// Of this inspection: its `id`.
    inspection: ID => inspection |given| given.as_ref().map(parse_id).transpose()?;
});

/// Which changes. A field that is omitted or null does not filter; an empty list matches nothing.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ChangeFilter {
    /// From one of these vendors, e.g. `["hover", "pave"]`.
    vendor: Option<Vec<String>>,
    /// Received by one of these sources: see `Source.name`.
    source: Option<Vec<String>>,
    /// Of entities of these kinds.
    kind: Option<Vec<Kind>>,
    /// With one of these verdicts.
    verdict: Option<Vec<Verdict>>,
    /// Caused by one of these events: the vendor's names, e.g. `["job-state-changed"]`.
    event: Option<Vec<String>>,
    /// Of the inspection with this `id`, or of an entity that belonged to it when the change was written.
    inspection: Option<ID>,
    /// Of exactly this inspection, session, job or item: its `id`.
    entity: Option<ID>,
    /// Caused by this delivery: `Delivery.id`, which the vendor receives in the response to its POST.
    delivery: Option<ID>,
    /// With one of these statuses after the change.
    to_status: Option<Vec<Status>>,
    /// With one of these reasons.
    reason_code: Option<Vec<ReasonCode>>,
    /// Made by commands of this subject, e.g. `key:3f9a51c07be2`. Needs the scope `READ_PERSONAL`: without it, actors are withheld.
    actor: Option<String>,
}

impl ChangeFilter {
    pub fn into_store_filter(self, view: &View) -> Result<read::ChangeRowFilter, ApiError> {
        if self.actor.is_some() && !view.has(Scope::ReadPersonal) {
            return Err(ApiError::missing_scope(Scope::ReadPersonal));
        }
        let delivery = self.delivery.as_ref().map(parse_id).transpose()?;
        if delivery.is_some_and(|id| read::delivery_row_id(id).is_none()) {
            return Err(ApiError::bad_user_input("`delivery` is not the id of a delivery", "Use `Delivery.id`."));
        }
        Ok(read::ChangeRowFilter {
            vendor: storable_texts(self.vendor),
            source: storable_texts(self.source),
            kind: self.kind,
            verdict: self.verdict,
            event: storable_texts(self.event),
            inspection: self.inspection.as_ref().map(parse_id).transpose()?,
            entity: self.entity.as_ref().map(parse_id).transpose()?,
            delivery,
            to_status: self.to_status,
            reason_code: self.reason_code,
            actor: self.actor.map(storable),
        })
    }
}

/// Which deliveries. A field that is omitted or null does not filter; an empty list matches nothing.
#[derive(Clone, Debug, Default, InputObject)]
pub struct DeliveryFilter {
    /// From one of these vendors, e.g. `["hover", "pave"]`.
    vendor: Option<Vec<String>>,
    /// Received by one of these sources: see `Source.name`.
    source: Option<Vec<String>>,
    /// With one of these verdicts.
    verdict: Option<Vec<Verdict>>,
    /// Of one of these events: the vendor's names, e.g. `["job-state-changed"]`.
    event: Option<Vec<String>>,
    /// Received after this time, e.g. `2024-05-01T12:00:00Z`.
    received_after: Option<DateTime<Utc>>,
    /// Received before this time, e.g. `2024-05-01T12:00:00Z`.
    received_before: Option<DateTime<Utc>>,
    /// True: only deliveries that were received again as duplicates. False: only deliveries that were not.
    duplicated: Option<bool>,
}

impl DeliveryFilter {
    pub fn into_store_filter(self) -> read::DeliveryRowFilter {
        read::DeliveryRowFilter {
            vendor: storable_texts(self.vendor),
            source: storable_texts(self.source),
            verdict: self.verdict,
            event: storable_texts(self.event),
            received_after: self.received_after,
            received_before: self.received_before,
            duplicated: self.duplicated,
        }
    }
}

/// The stored names of kinds of jobs or items.
pub fn subkinds<T>(kinds: Option<Vec<T>>, of: impl Fn(T) -> EntityType) -> Option<Vec<&'static str>> {
    kinds.map(|kinds| kinds.into_iter().map(|kind| of(kind).subkind()).collect())
}

fn label_filters(given: Option<Vec<LabelInput>>) -> Result<Option<Vec<LabelFilter>>, ApiError> {
    if given.as_ref().is_some_and(|labels| labels.len() > MAX_LABELS) {
        return Err(ApiError::bad_user_input(
            format!("`label` has more than {MAX_LABELS} labels"),
            "An inspection has no more: filter by fewer.",
        ));
    }
    let filter = |LabelInput { key, value }| Ok(LabelFilter { key: label_key(key)?, value: value.map(storable) });
    given.map(|labels| labels.into_iter().map(filter).collect()).transpose()
}

fn statuses<T: Into<Status>>(given: Option<Vec<T>>) -> Option<Vec<Status>> {
    given.map(|given| given.into_iter().map(T::into).collect())
}

/// The states in which inspections wait for one of these parties: by the vendors' defaults, except for sources with rules of their
/// own.
fn state_groups(sources: &[SourceInfo], parties: &[Party]) -> Vec<StateGroup> {
    let special: Vec<&SourceInfo> = sources.iter().filter(|source| !source.waiting_rules.are_defaults()).collect();
    let names = |of: &str| {
        let special = special.iter().filter(|source| source.vendor.name == of);
        special.map(|source| source.name.clone()).collect()
    };
    let defaults = vendor::ALL.iter().map(|vendor| StateGroup {
        vendor: vendor.name,
        sources: GroupSources::AllBut(names(vendor.name)),
        states: WaitingRules::of(vendor).states_waiting_for(parties),
    });
    let own = special.iter().map(|source| StateGroup {
        vendor: source.vendor.name,
        sources: GroupSources::One(source.name.clone()),
        states: source.waiting_rules.states_waiting_for(parties),
    });
    defaults.chain(own).filter(|group| !group.states.is_empty()).collect()
}

// The statuses of the states in the groups, so that an index finds them.
fn imply_statuses(filter: EntityFilter) -> EntityFilter {
    let (Some(groups), None) = (&filter.state_groups, &filter.status) else { return filter };
    let machine = |group: &StateGroup| vendor::by_name(group.vendor)?.machine(EntityType::Inspection);
    let statuses = groups.iter().filter_map(|group| Some((machine(group)?, &group.states)));
    let statuses = statuses.flat_map(|(machine, states)| states.iter().map(|state| machine.status_of(Some(state))));
    let mut statuses: Vec<Status> = statuses.flatten().collect();
    statuses.sort_unstable();
    statuses.dedup();
    EntityFilter { status: Some(statuses), ..filter }
}

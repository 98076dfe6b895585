//! Whether a change matches a subscription's filter, decided from the change alone.

use crate::access::View;
use crate::event::has_effect;
use crate::store::read::{ChangeRowFilter, ChangeWithEntity, EntityFilter, StateGroup, delivery_row_id};
use chrono::{DateTime, Utc};
use entity::Status;

/// How a change relates to a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterMatch {
    No,
    Yes,
    /// It matched by status or state before the change, and no longer does.
    LeavesFilter,
}

/// Whether a change is of a source that the view includes.
pub fn is_in_view(view: &View, changed: &ChangeWithEntity) -> bool {
    match &changed.change.source {
        Some(source) => view.includes_source(source),
        None => view.sources().is_none(),
    }
}

/// Whether a change had an effect on an entity that the filter matches.
pub fn match_entity(filter: &EntityFilter, changed: &ChangeWithEntity) -> FilterMatch {
    let change = &changed.change;
    let Some(entity) = &changed.entity else { return FilterMatch::No };
    let matches = has_effect(change.verdict)
        && filter.kind.is_none_or(|kind| kind == change.kind)
        && is_one_of(&filter.subkind, &entity.subkind.as_str())
        && is_some_of(&filter.vendor, &change.vendor)
        && is_some_of(&filter.source, &change.source)
        && filter.reference.as_ref().is_none_or(|reference| {
            [&entity.customer_reference, &entity.reference].into_iter().flatten().any(|known| known == reference)
        })
        && filter.labels.as_ref().is_none_or(|labels| {
            labels.iter().all(|label| entity.labels.as_ref().is_some_and(|known| known.contains(&label.pattern())))
        })
        && equal(&filter.group, &entity.group_key)
        && filter.external_id.as_ref().is_none_or(|id| *id == entity.external_id)
        && filter.inspection.is_none_or(|id| changed.inspection_id == Some(id))
        && within(filter.updated_after, filter.updated_before, change.received_at);
    let is_in = |status: Option<Status>, state: &Option<String>| {
        let is_of_group = |groups: &Vec<StateGroup>| {
            let (vendor, source, state) = (change.vendor.as_deref(), change.source.as_deref(), state.as_deref());
            groups.iter().any(|group| group.contains(vendor, source, state))
        };
        filter.state_groups.as_ref().is_none_or(is_of_group)
            && filter.status.as_ref().is_none_or(|wanted| status.is_some_and(|status| wanted.contains(&status)))
            && filter.state.as_ref().is_none_or(|wanted| state.as_ref().is_some_and(|state| wanted.contains(state)))
    };
    if !matches {
        FilterMatch::No
    } else if is_in(change.to_status, &change.to_state) {
        FilterMatch::Yes
    } else if is_in(change.from_status, &change.from_state) {
        FilterMatch::LeavesFilter
    } else {
        FilterMatch::No
    }
}

/// Whether the filter matches a change.
pub fn match_change(filter: &ChangeRowFilter, changed: &ChangeWithEntity) -> bool {
    let change = &changed.change;
    is_some_of(&filter.vendor, &change.vendor)
        && is_some_of(&filter.source, &change.source)
        && is_one_of(&filter.kind, &change.kind)
        && is_one_of(&filter.verdict, &change.verdict)
        && is_one_of(&filter.event, &change.event)
        && filter.inspection.is_none_or(|id| changed.inspection_id == Some(id))
        && filter.entity.is_none_or(|id| changed.entity.as_ref().is_some_and(|entity| entity.id == id))
        && filter.delivery.is_none_or(|id| delivery_row_id(id).is_some_and(|id| change.delivery_row_id == Some(id)))
        && is_one_of(&filter.reason_code, &change.reason_code)
        && (filter.actor.is_none() || filter.actor == changed.actor)
        && filter.to_status.as_ref().is_none_or(|wanted| change.to_status.is_some_and(|to| wanted.contains(&to)))
}

fn is_one_of<T: PartialEq>(wanted: &Option<Vec<T>>, value: &T) -> bool {
    wanted.as_ref().is_none_or(|wanted| wanted.contains(value))
}

fn is_some_of<T: PartialEq>(wanted: &Option<Vec<T>>, value: &Option<T>) -> bool {
    wanted.as_ref().is_none_or(|wanted| value.as_ref().is_some_and(|value| wanted.contains(value)))
}

fn equal(wanted: &Option<String>, value: &Option<String>) -> bool {
    wanted.is_none() || wanted == value
}

fn within(after: Option<DateTime<Utc>>, before: Option<DateTime<Utc>>, micros: i64) -> bool {
    after.is_none_or(|after| micros > after.timestamp_micros())
        && before.is_none_or(|before| micros < before.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::{GroupSources, Identity};
    use entity::{Kind, ReasonCode, Verdict, change};
    use uuid::Uuid;

    fn completed() -> ChangeWithEntity {
        ChangeWithEntity {
            change: change::Model {
                position: 7,
                kind: Kind::Inspection,
                entity_row_id: Some(1),
                inspection_row_id: Some(1),
                delivery_row_id: Some(3),
                command_row_id: None,
                source: Some("lot".into()),
                vendor: Some("pave".into()),
                event: "SESSION:COMPLETE".into(),
                verdict: Verdict::Applied,
                reason_code: ReasonCode::StateChanged,
                reason_params: None,
                warnings: None,
                from_state: Some("CONFIRM".into()),
                to_state: Some("COMPLETE".into()),
                from_status: Some(Status::Processing),
                to_status: Some(Status::Completed),
                cycle: 0,
                occurred_at: None,
                received_at: 1_000,
                dedup_key: None,
                target_state: None,
                at_least: false,
                order_cycle: None,
                order_rank: 0,
                previous_step: None,
            },
            entity: Some(Identity {
                row_id: 1,
                id: Uuid::nil(),
                kind: Kind::Inspection,
                subkind: String::new(),
                external_id: "KEY".into(),
                reference: Some("order 1".into()),
                customer_reference: Some("claim 1".into()),
                labels: Some("{\"team\":\"north\"}".into()),
                group_key: None,
            }),
            inspection_id: Some(Uuid::nil()),
            actor: None,
        }
    }

    #[test]
    fn a_status_matches_before_or_after_the_change() {
        let by = |status| EntityFilter { status: Some(vec![status]), ..EntityFilter::default() };
        assert_eq!(match_entity(&EntityFilter::default(), &completed()), FilterMatch::Yes);
        assert_eq!(match_entity(&by(Status::Completed), &completed()), FilterMatch::Yes);
        assert_eq!(match_entity(&by(Status::Processing), &completed()), FilterMatch::LeavesFilter);
        assert_eq!(match_entity(&by(Status::Failed), &completed()), FilterMatch::No);
    }

    #[test]
    fn a_group_of_states_matches_by_vendor_source_and_state() {
        let by = |vendor, sources, state| EntityFilter {
            state_groups: Some(vec![StateGroup { vendor, sources, states: vec![state] }]),
            ..EntityFilter::default()
        };
        let (lot, others) = (|| GroupSources::One("lot".into()), |name: &str| GroupSources::AllBut(vec![name.into()]));
        for (filter, expected) in [
            (by("pave", lot(), "COMPLETE"), FilterMatch::Yes),
            (by("pave", others("yard"), "COMPLETE"), FilterMatch::Yes),
            (by("pave", lot(), "CONFIRM"), FilterMatch::LeavesFilter),
            (by("pave", GroupSources::One("yard".into()), "COMPLETE"), FilterMatch::No),
            (by("pave", others("lot"), "COMPLETE"), FilterMatch::No),
            (by("hover", lot(), "COMPLETE"), FilterMatch::No),
            (by("pave", lot(), "IDLE"), FilterMatch::No),
            (EntityFilter { state_groups: Some(vec![]), ..EntityFilter::default() }, FilterMatch::No),
        ] {
            assert_eq!(match_entity(&filter, &completed()), expected, "{filter:?}");
        }
    }

    #[test]
    fn every_field_must_match() {
        let no = [
            EntityFilter { kind: Some(Kind::Job), ..EntityFilter::default() },
            EntityFilter { vendor: Some(vec![]), ..EntityFilter::default() },
            EntityFilter { source: Some(vec!["roof".into()]), ..EntityFilter::default() },
            EntityFilter { reference: Some("order 2".into()), ..EntityFilter::default() },
            EntityFilter { group: Some("g".into()), ..EntityFilter::default() },
            EntityFilter { external_id: Some("key".into()), ..EntityFilter::default() },
            EntityFilter { inspection: Some(Uuid::max()), ..EntityFilter::default() },
            EntityFilter { updated_after: DateTime::from_timestamp_micros(1_000), ..EntityFilter::default() },
            EntityFilter { updated_before: DateTime::from_timestamp_micros(1_000), ..EntityFilter::default() },
        ];
        for filter in no {
            assert_eq!(match_entity(&filter, &completed()), FilterMatch::No, "{filter:?}");
        }
    }

    #[test]
    fn an_event_without_effect_changes_no_inspection() {
        let mut stale = completed();
        stale.change.verdict = Verdict::Stale;
        assert_eq!(match_entity(&EntityFilter::default(), &stale), FilterMatch::No);
        assert!(match_change(&ChangeRowFilter::default(), &stale));
        assert!(match_change(
            &ChangeRowFilter { verdict: Some(vec![Verdict::Stale]), ..ChangeRowFilter::default() },
            &stale
        ));
        assert!(!match_change(&ChangeRowFilter { kind: Some(vec![Kind::Job]), ..ChangeRowFilter::default() }, &stale));
        assert!(!match_change(&ChangeRowFilter { entity: Some(Uuid::max()), ..ChangeRowFilter::default() }, &stale));
    }
}

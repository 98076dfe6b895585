//! Whether a change fits a subscription's filter, decided on the change itself.

use crate::event::effective;
use crate::store::read::{ChangeFilter, Changed, EntityFilter, delivery_number};
use chrono::{DateTime, Utc};
use entity::Status;

/// How a change stands to a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    No,
    Yes,
    /// It fitted by status or state before the change, and does not any more.
    Leaving,
}

/// Whether a change had an effect on an entity that the filter lets through.
pub fn entity(filter: &EntityFilter, changed: &Changed) -> Fit {
    let change = &changed.change;
    let Some(about) = &changed.about else { return Fit::No };
    let fits = effective(change.verdict)
        && filter.kind.is_none_or(|kind| kind == change.kind)
        && among(&filter.subkind, &about.subkind.as_str())
        && among(&filter.vendor, &change.vendor)
        && among(&filter.source, &change.source)
        && equal(&filter.reference, &about.reference)
        && equal(&filter.group, &about.group_key)
        && filter.external_id.as_ref().is_none_or(|id| *id == about.external_id)
        && filter.inspection.is_none_or(|id| changed.inspection == Some(id))
        && within(filter.updated_after, filter.updated_before, change.received_at);
    let stands = |status: Option<Status>, state: &Option<String>| {
        filter.status.as_ref().is_none_or(|wanted| status.is_some_and(|status| wanted.contains(&status)))
            && filter.state.as_ref().is_none_or(|wanted| state.as_ref().is_some_and(|state| wanted.contains(state)))
    };
    if !fits {
        Fit::No
    } else if stands(change.to_status, &change.to_state) {
        Fit::Yes
    } else if stands(change.from_status, &change.from_state) {
        Fit::Leaving
    } else {
        Fit::No
    }
}

/// Whether a change is one that the filter lets through.
pub fn change(filter: &ChangeFilter, changed: &Changed) -> bool {
    let change = &changed.change;
    among(&filter.vendor, &change.vendor)
        && among(&filter.source, &change.source)
        && among(&filter.kind, &change.kind)
        && among(&filter.verdict, &change.verdict)
        && among(&filter.event, &change.event)
        && filter.inspection.is_none_or(|id| changed.inspection == Some(id))
        && filter.entity.is_none_or(|id| changed.about.as_ref().is_some_and(|about| about.id == id))
        && filter.delivery.is_none_or(|id| delivery_number(id) == Some(change.delivery))
        && filter.to_status.as_ref().is_none_or(|wanted| change.to_status.is_some_and(|to| wanted.contains(&to)))
}

fn among<T: PartialEq>(wanted: &Option<Vec<T>>, value: &T) -> bool {
    wanted.as_ref().is_none_or(|wanted| wanted.contains(value))
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
    use crate::store::read::Identity;
    use entity::{Kind, Verdict, change};
    use uuid::Uuid;

    fn completed() -> Changed {
        Changed {
            change: change::Model {
                position: 7,
                kind: Kind::Inspection,
                entity: Some(1),
                inspection: Some(1),
                delivery: 3,
                source: "lot".into(),
                vendor: "pave".into(),
                event: "SESSION:COMPLETE".into(),
                verdict: Verdict::Applied,
                reason: String::new(),
                from_state: Some("CONFIRM".into()),
                to_state: Some("COMPLETE".into()),
                from_status: Some(Status::Processing),
                to_status: Some(Status::Completed),
                cycle: 0,
                occurred_at: None,
                received_at: 1_000,
                news: None,
                named_state: None,
                implied: false,
                placed_cycle: 0,
                placed_rank: 0,
                step_before: None,
            },
            about: Some(Identity {
                number: 1,
                id: Uuid::nil(),
                kind: Kind::Inspection,
                subkind: String::new(),
                external_id: "KEY".into(),
                reference: Some("order 1".into()),
                group_key: None,
            }),
            inspection: Some(Uuid::nil()),
        }
    }

    #[test]
    fn what_comes_in_and_what_goes_out_both_fit() {
        let by = |status| EntityFilter { status: Some(vec![status]), ..EntityFilter::default() };
        assert_eq!(entity(&EntityFilter::default(), &completed()), Fit::Yes);
        assert_eq!(entity(&by(Status::Completed), &completed()), Fit::Yes);
        assert_eq!(entity(&by(Status::Processing), &completed()), Fit::Leaving);
        assert_eq!(entity(&by(Status::Failed), &completed()), Fit::No);
    }

    #[test]
    fn every_field_must_fit() {
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
            assert_eq!(entity(&filter, &completed()), Fit::No, "{filter:?}");
        }
    }

    #[test]
    fn news_without_effect_changes_no_inspection() {
        let mut stale = completed();
        stale.change.verdict = Verdict::Stale;
        assert_eq!(entity(&EntityFilter::default(), &stale), Fit::No);
        assert!(change(&ChangeFilter::default(), &stale));
        assert!(change(&ChangeFilter { verdict: Some(vec![Verdict::Stale]), ..ChangeFilter::default() }, &stale));
        assert!(!change(&ChangeFilter { kind: Some(vec![Kind::Job]), ..ChangeFilter::default() }, &stale));
        assert!(!change(&ChangeFilter { entity: Some(Uuid::max()), ..ChangeFilter::default() }, &stale));
    }
}

use super::*;
use sea_orm::{EntityTrait, IdenStatic, Iterable};

fn assert_lists<E: EntityTrait, R: TableRow>() {
    let declared: Vec<&str> = E::Column::iter().map(|column| column.as_str()).collect();
    assert_eq!(ColumnNames::of::<R>().iter().collect::<Vec<_>>(), declared);
}

#[test]
fn the_lists_have_the_order_of_the_tables() {
    assert_lists::<entity::entity::Entity, entity::entity::Model>();
    assert_lists::<delivery::Entity, delivery::Model>();
    assert_lists::<change_row::Entity, change_row::Model>();
    assert_lists::<change_type::Entity, change_type::Model>();
    assert_lists::<step::Entity, step::Model>();
    assert_lists::<update_order::Entity, update_order::Model>();
    assert_lists::<ledger::Entity, ledger::Model>();
    assert_lists::<log_head::Entity, log_head::Model>();
}

/// The stored numbers with their words.
macro_rules! numbers {
    ($type:ident) => {{
        let words = (i16::MIN..=i16::MAX).filter_map(|number| Some((number, $type::from_number(number)?)));
        let words: Vec<String> = words.map(|(number, value)| format!("{number} {value}")).collect();
        let declared: Vec<String> = $type::ALL.iter().map(|value| format!("{} {value}", value.number())).collect();
        assert_eq!(words, declared, "each has a number of its own, in ascending order");
        words.join(", ")
    }};
}

// Databases have these numbers. Add to the end of a list; never change or remove what is there.
#[test]
fn a_number_keeps_its_meaning() {
    let kinds = "1 INSPECTION, 2 SESSION, 3 JOB, 4 ITEM, 5 DELIVERY";
    let statuses = "1 REQUESTED, 2 STARTED, 3 IN_PROGRESS, 4 CAPTURING, 5 CAPTURED, 6 SUBMITTED, 7 PROCESSING, \
                    8 READY_FOR_REVIEW, 9 COMPLETED, 10 CANCELED, 11 EXPIRED, 12 FAILED, 13 QUEUED, 14 RUNNING, \
                    15 WAITING, 16 SUCCEEDED";
    let verdicts = "1 APPLIED, 2 SKIPPED_AHEAD, 3 UNEXPECTED, 4 STALE, 5 REFUSED, 6 NO_CHANGE, 7 UNRECOGNIZED, \
                    8 UNREADABLE, 9 ORPHANED";
    let reasons = "1 STATE_CHANGED, 2 STATES_SKIPPED, 3 UNEXPECTED_TRANSITION, 4 LATE_STATE_CHANGE, \
                   5 STATE_UNCHANGED, 6 TRANSITION_REFUSED, 7 OLDER_STATE, 8 OLDER_FACTS, 9 UNKNOWN_STATE, \
                   10 FACTS_CHANGED, 11 LINKED, 12 LINKED_BY_PARENT, 13 FIRST_SEEN, 14 NOTHING_NEW, \
                   15 ONLY_IMPLIED, 16 DUPLICATE, 17 NOT_APPLICABLE, 18 CONFIRMATION_REQUESTED, \
                   19 UNRECOGNIZED_EVENT, 20 UNREADABLE_BODY, 21 REGISTERED, 22 ANNOTATED, 23 COMMENTED, \
                   24 LINKED_BY_HAND, 25 UNLINKED_BY_HAND";
    let commands = "1 REGISTER, 2 ANNOTATE, 3 COMMENT, 4 LINK";
    let stored = [numbers!(Kind), numbers!(Status), numbers!(Verdict), numbers!(ReasonCode), numbers!(CommandKind)];
    assert_eq!(stored, [kinds, statuses, verdicts, reasons, commands]);
}

// Which index a query uses depends on this text, and a migration names no types.
#[test]
fn the_indexes_name_items_by_their_number() {
    let migration = include_str!("../../../../migration/src/m20261130_000001_initial_schema.rs");
    let conditions: Vec<&str> = migration.split("\"kind ").skip(1).collect();
    let item = Kind::Item.number();
    assert!(!conditions.is_empty());
    for condition in conditions {
        let named = [format!("<> {item}\""), format!("= {item}\"")];
        assert!(named.iter().any(|named| condition.starts_with(named.as_str())), "{condition}");
    }
}

#[test]
fn an_unknown_number_is_an_invalid_row() {
    let db = rusqlite::Connection::open_in_memory().expect("a database");
    let read =
        |value: &str| db.query_row(&format!("SELECT {value}"), [], |row| Ok(Verdict::read(row, 0))).expect("a row");
    assert!(read("4").is_ok_and(|verdict| verdict == Verdict::Stale));
    for value in ["0", "99", "-1", "70000", "NULL", "'STALE'"] {
        assert!(matches!(read(value), Err(StoreError::Corrupt(_))), "{value}: {:?}", read(value));
    }
    // As the API reads it.
    let error = StoreError::from(<Verdict as sea_orm::ActiveEnum>::try_from_value(&99).expect_err("no verdict"));
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}

#[test]
fn groups_name_columns_that_exist() {
    use EntityColumnGroup::{Facts, Identity, Links, State};
    let groups = ColumnNames::of::<entity::entity::Model>();
    let count = |group| groups.iter().filter(|name| EntityColumnGroup::of(name) == group).count();
    assert_eq!((count(Identity), count(Links), count(Facts)), (8, 10, 3));
    assert!(count(State) > 0);
}

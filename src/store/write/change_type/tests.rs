use super::*;
use crate::database::TestDatabase;
use crate::event::{Explanation, Warning, reason_examples};
use crate::store::read::{changes_after, changes_by_position};
use crate::store::{BatchRows, Database, OpenMode, StoreError, WriteConnection};
use entity::{Kind, Verdict, ledger, log_head};
use proptest::prelude::*;
use proptest::sample::select;
use sea_orm::ConnectionTrait;
use tokio::runtime::Runtime;

/// A database with an open writer. The tests are not async, because a writer blocks.
struct Fixture {
    runtime: Runtime,
    _database: TestDatabase,
    db: Database,
    writer: Box<dyn WriteConnection>,
}

impl Fixture {
    fn new() -> Fixture {
        let runtime = Runtime::new().expect("a runtime");
        let database = runtime.block_on(TestDatabase::new());
        let db = runtime.block_on(Database::open(&database.address, OpenMode::Migrate)).expect("a database");
        let writer = db.open_write_connection().expect("a writer");
        Fixture { runtime, _database: database, db, writer }
    }

    /// Writes changes as one batch. Their positions are set to the next ones.
    fn write(&mut self, changes: &mut [change::Model]) {
        let before = self.writer.begin(None).expect("begun").head;
        let mut head = log_head::Model { updated_at: before.updated_at + 1, ..before.clone() };
        for change in &mut *changes {
            head.position += 1;
            change.position = head.position;
        }
        // Every batch has counts.
        let ledger = ledger::Model { source: "lot".to_owned(), received: 1, ..ledger::Model::default() };
        let rows = BatchRows {
            entities: Vec::new(),
            invalidated: Vec::new(),
            deliveries: &[],
            commands: &[],
            idempotency_keys: &[],
            changes,
            duplicate_counts: Vec::new(),
            ledger: vec![&ledger],
            handshakes: &[],
            obsolete_places: &[],
            head_before: &before,
            head: &head,
        };
        self.writer.write_rows(&rows).expect("written");
        self.writer.commit().expect("committed");
    }

    fn execute(&self, statement: &str) {
        self.runtime.block_on(self.db.write_pool.execute_unprepared(statement)).expect("executed");
    }
}

fn word() -> impl Strategy<Value = String> {
    select(vec!["", "a", "ab", "b", "Prüfung läuft", "a,b\t\\\"'"]).prop_map(str::to_owned)
}

fn maybe_word() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(word())
}

fn maybe_status() -> impl Strategy<Value = Option<Status>> {
    proptest::option::of(select(Status::ALL))
}

/// Every reason, with and without each warning.
fn explanation() -> impl Strategy<Value = Explanation> {
    let warnings = select(vec![
        Warning::TimeNotUnderstood { field: "created_at".to_owned() },
        Warning::ClockAhead { field: String::new() },
        Warning::DetailTimeNotUnderstood,
        Warning::InspectionNotNamed { why: "no inspection is named".to_owned() },
    ]);
    (select(reason_examples()), proptest::collection::vec(warnings, 0..3))
        .prop_map(|(reason, warnings)| Explanation { reason, warnings })
}

fn change() -> impl Strategy<Value = change::Model> {
    let words = (maybe_word(), maybe_word(), word(), maybe_word(), maybe_word(), maybe_word());
    let numbers = (any::<Option<i64>>(), any::<Option<i64>>(), any::<i64>(), any::<Option<i64>>(), any::<i32>());
    let of_step = (any::<bool>(), any::<Option<i32>>(), any::<i32>(), any::<Option<i64>>());
    let statuses = (maybe_status(), maybe_status());
    let kinds = (select(Kind::ALL), select(Verdict::ALL));
    (words, numbers, of_step, statuses, kinds, explanation()).prop_map(
        |(words, numbers, of_step, (from_status, to_status), (kind, verdict), explanation)| {
            let (source, vendor, event, from_state, to_state, target_state) = words;
            let (entity_row_id, inspection_row_id, received_at, occurred_at, cycle) = numbers;
            let (at_least, order_cycle, order_rank, previous_step) = of_step;
            change::Model {
                position: 0,
                kind,
                entity_row_id,
                inspection_row_id,
                delivery_row_id: entity_row_id,
                command_row_id: inspection_row_id,
                source,
                vendor,
                event,
                verdict,
                reason_code: explanation.reason.code(),
                reason_params: explanation.params_column(),
                warnings: explanation.warnings_column(),
                from_state,
                to_state,
                from_status,
                to_status,
                cycle,
                occurred_at,
                received_at,
                dedup_key: inspection_row_id,
                target_state,
                at_least,
                order_cycle,
                order_rank,
                previous_step,
            }
        },
    )
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn what_is_read_is_what_was_written() {
    let fixture = std::cell::RefCell::new(Fixture::new());
    proptest!(config(), |(mut changes in proptest::collection::vec(change(), 1..12))| {
        let fixture = &mut *fixture.borrow_mut();
        fixture.write(&mut changes);
        let before = changes[0].position - 1;
        let read = fixture.runtime.block_on(changes_after(&fixture.db.read_pool, before, 100)).expect("read");
        let read: Vec<change::Model> = read.into_iter().map(|change| change.change).collect();
        prop_assert_eq!(&read, &changes);
        let positions: Vec<i64> = changes.iter().map(|change| change.position).collect();
        let viewed = fixture.runtime.block_on(changes_by_position(&fixture.db.read_pool, &positions)).expect("read");
        for change in &changes {
            prop_assert_eq!(viewed.get(&change.position).map(|viewed| &**viewed), Some(change));
        }
        for change in &read {
            let (params, warnings) = (change.reason_params.as_deref(), change.warnings.as_deref());
            let explanation = Explanation::from_columns(change.reason_code, params, warnings).expect("an explanation");
            prop_assert_eq!(explanation.reason.code(), change.reason_code);
        }
    });
}

#[test]
fn changes_have_one_type_exactly_if_all_its_columns_are_equal() {
    proptest!(config(), |(one in change(), other in change(), position in any::<i64>())| {
        prop_assert_eq!(type_of(&one, 0) == type_of(&other, 0), type_id(&one) == type_id(&other));
        prop_assert_eq!(type_id(&change::Model { position, cycle: 7, ..one.clone() }), type_id(&one));
    });
}

fn state_changed() -> change::Model {
    change::Model {
        position: 1,
        kind: Kind::Inspection,
        entity_row_id: Some(1),
        inspection_row_id: Some(1),
        delivery_row_id: Some(1),
        command_row_id: None,
        source: Some("lot".to_owned()),
        vendor: Some("pave".to_owned()),
        event: "SESSION:STATUS_CHANGE".to_owned(),
        verdict: Verdict::Applied,
        reason_code: ReasonCode::StateChanged,
        reason_params: Some(r#"{"from":"IDLE","to":"STARTED"}"#.to_owned()),
        warnings: None,
        from_state: Some("IDLE".to_owned()),
        to_state: Some("STARTED".to_owned()),
        from_status: Some(Status::Requested),
        to_status: Some(Status::Started),
        cycle: 0,
        occurred_at: None,
        received_at: 0,
        dedup_key: None,
        target_state: Some("STARTED".to_owned()),
        at_least: false,
        order_cycle: Some(0),
        order_rank: 2,
        previous_step: None,
    }
}

// Databases have this number: a change here needs a migration.
#[test]
fn a_type_keeps_its_number() {
    assert_eq!(type_id(&state_changed()), 6_176_340_072_005_187_156);
}

#[test]
fn a_type_is_written_until_it_was_committed() {
    let mut known = KnownTypes::default();
    let changes = [state_changed(), change::Model { position: 2, ..state_changed() }];
    for _ in 0..2 {
        assert_eq!(known.split(&changes).new_types.len(), 1);
        known.rollback();
    }
    assert_eq!(known.split(&changes).new_types.len(), 1);
    known.commit();
    assert_eq!(known.split(&changes).new_types, []);
}

#[test]
fn texts_stay_with_their_rows() {
    for reason in reason_examples() {
        let explanation = Explanation::from(reason);
        let (reason_code, reason_params) = (explanation.reason.code(), explanation.params_column());
        let change = change::Model { reason_code, reason_params, ..state_changed() };
        let (row, kind) = (row_of(&change, 0), type_of(&change, 0));
        let has_own = row.reason_params.is_some();
        assert!(!(has_own && kind.reason_params.is_some()), "{reason_code}");
        assert_eq!(has_own, has_own_words(reason_code), "{reason_code}");
        assert_eq!(row.event.is_some(), has_own, "{reason_code}");
    }
}

#[test]
fn a_type_has_only_names_of_events() {
    for name in ["SESSION:STATUS_CHANGE", "sync_job_run:record_error", "job-created", "a.b"] {
        let change = change::Model { event: name.to_owned(), ..state_changed() };
        assert_eq!((row_of(&change, 0).event, type_of(&change, 0).event), (None, name.to_owned()));
    }
    for text in ["", "Ann Lee", "ann@example.com", "+49 151", "0151234567", "Jörg", &"a".repeat(MAX_NAME + 1)] {
        let change = change::Model { event: text.to_owned(), ..state_changed() };
        assert_eq!((row_of(&change, 0).event, type_of(&change, 0).event), (Some(text.to_owned()), String::new()));
    }
}

#[test]
fn known_types_are_bounded() {
    let mut known = KnownTypes::default();
    let changes: Vec<_> =
        (0..KNOWN_TYPES as i32 + 7).map(|order_rank| change::Model { order_rank, ..state_changed() }).collect();
    assert_eq!(known.split(&changes).new_types.len(), changes.len());
    known.commit();
    assert_eq!((known.committed.len(), known.pending.len()), (KNOWN_TYPES, 0));
    assert_eq!(known.split(&changes[changes.len() - 1..]).new_types, []);
}

#[test]
fn an_invalid_type_is_an_error_that_says_so() {
    let mut fixture = Fixture::new();
    fixture.write(&mut [state_changed()]);
    let read = |fixture: &Fixture| fixture.runtime.block_on(changes_by_position(&fixture.db.read_pool, &[1]));
    for damage in ["UPDATE change_type SET verdict = 99", "DELETE FROM change_type"] {
        assert!(read(&fixture).is_ok_and(|rows| rows.len() == 1));
        fixture.execute(damage);
        let error = read(&fixture).expect_err(damage);
        assert!(matches!(error, StoreError::Corrupt(_)), "{damage}: {error:?}");
        let error = fixture.runtime.block_on(changes_after(&fixture.db.read_pool, 0, 10)).expect_err(damage);
        assert!(matches!(error, StoreError::Corrupt(_)), "{damage}: {error:?}");
        fixture.execute("DELETE FROM change_type");
        fixture.execute("DELETE FROM change_row");
        fixture.execute("UPDATE log_head SET position = 0");
        fixture.writer = fixture.db.open_write_connection().expect("a writer");
        fixture.write(&mut [state_changed()]);
    }
}

//! What a writing connection promises, on both databases.

use super::{BatchRows, HandshakeRequest, WriteConnection};
use crate::database::TestDatabase;
use crate::event::{CachedEntity, MaterializedStep, PendingSteps};
use crate::ingest::{BatchWriter, LogRecord, Writer};
use crate::machine::fold::{OrderKey, Step};
use crate::store::{Database, OpenMode, StoreError};
use crate::vendor;
use crate::vendor::verify::{UnverifiedDelivery, Verifier};
use chrono::DateTime;
use entity::{handshake, ledger, log_head, step};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};
use std::array;
use tokio::runtime::Runtime;

/// A database with two entities, and a connection that writes to it.
struct WriteFixture {
    runtime: Runtime,
    // Removed at the end.
    database: TestDatabase,
    db: Database,
    connection: Box<dyn WriteConnection>,
    entities: [CachedEntity; 2],
    head: log_head::Model,
}

impl WriteFixture {
    fn new() -> WriteFixture {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (database, db) = runtime.block_on(async {
            let database = TestDatabase::new().await;
            let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
            (database, db)
        });
        let two = ["A", "B"].map(|key| {
            let body = format!(r#"{{"event":"SESSION:STATUS_CHANGE","session_key":"{key}","status":"STARTED"}}"#);
            let delivery = UnverifiedDelivery {
                source: "pave".into(),
                vendor: vendor::by_name("pave").expect("a vendor"),
                received_at: DateTime::UNIX_EPOCH,
                method: "POST",
                path: "/",
                query: None,
                headers: &Default::default(),
                body: body.into(),
            };
            LogRecord::prepare(Verifier::open().check(delivery).expect("an open source"))
        });
        Writer::open(&db).expect("a writer").write_batch(&two).expect("written");
        let rows = runtime.block_on(entity::entity::Entity::find().all(&db.read_pool)).expect("entities");
        let mut connection = db.open_write_connection().expect("a connection");
        let head = connection.begin(None).expect("begun").head;
        let mut ids = rows.iter().map(|row| row.id);
        let entities = array::from_fn(|_| {
            let id = ids.next().expect("two entities");
            let mut found = connection.load_entities(&[id]).expect("loaded");
            let mut cached = CachedEntity::from_stored(found.pop().expect("an entity"), None);
            cached.entity.steps_materialized = true;
            cached
        });
        connection.commit().expect("committed");
        WriteFixture { runtime, database, db, connection, entities, head }
    }

    /// Writes a batch and returns whether it could be read before the commit.
    fn write<T: PartialEq>(
        &mut self,
        steps: [PendingSteps; 2],
        handshakes: &[HandshakeRequest],
        read: impl Fn(&WriteFixture) -> T,
    ) -> Result<bool, StoreError> {
        for (cached, steps) in self.entities.iter_mut().zip(steps) {
            cached.pending_steps = steps;
        }
        let after = log_head::Model { updated_at: self.head.updated_at + 1, ..self.head.clone() };
        let ledger = ledger::Model { source: "pave".to_owned(), ..ledger::Model::default() };
        self.connection.begin(Some(&self.head))?;
        self.connection.write_rows(&BatchRows {
            entities: self.entities.iter().collect(),
            invalidated: self.entities.iter().map(|cached| cached.entity.id).collect(),
            deliveries: &[],
            commands: &[],
            idempotency_keys: &[],
            changes: &[],
            duplicate_counts: Vec::new(),
            ledger: vec![&ledger],
            handshakes,
            obsolete_places: &[],
            head_before: &self.head,
            head: &after,
        })?;
        let before_commit = read(self);
        self.connection.commit()?;
        self.head = after;
        Ok(before_commit == read(self))
    }

    fn steps(&self) -> Vec<step::Model> {
        let all = step::Entity::find().order_by_asc(step::Column::EntityRowId).order_by_asc(step::Column::Seq);
        self.runtime.block_on(all.all(&self.db.read_pool)).expect("steps")
    }

    /// Code, time and attempts of each.
    fn handshakes(&self) -> Vec<(String, i64, i32)> {
        let all = handshake::Entity::find().order_by_asc(handshake::Column::Code).all(&self.db.read_pool);
        let all = self.runtime.block_on(all).expect("handshakes");
        all.into_iter().map(|row| (row.code, row.requested_at, row.attempts)).collect()
    }
}

fn steps(times: &[i64], first: i32, round: i64) -> Vec<MaterializedStep> {
    let step = |(seq, effective_at): (i32, &i64)| MaterializedStep {
        seq,
        step: Step {
            target_state: "STARTED",
            at_least: false,
            key: OrderKey { position: round, ..OrderKey::default() },
            received_at: DateTime::UNIX_EPOCH,
        },
        effective_at: *effective_at,
        state_after: None,
        status_after: None,
        cycle_after: 0,
    };
    (first..).zip(times).map(step).collect()
}

/// What identifies a step, and in which round it was written.
fn content(steps: &[step::Model]) -> Vec<(i64, i32, i64, i64)> {
    steps.iter().map(|step| (step.entity_row_id, step.seq, step.effective_at, step.position)).collect()
}

// The times are few, so the keys of the old steps and of the new ones overlap in many ways. The new steps may be fewer, or none.
#[test]
fn steps_are_replaced_and_added_whatever_their_keys() {
    let mut fixture = WriteFixture::new();
    let mut random = StdRng::seed_from_u64(3);
    let row_ids = [0, 1].map(|index: usize| fixture.entities[index].entity.row_id);
    let mut expected: [Vec<(i64, i32, i64, i64)>; 2] = Default::default();
    for round in 1..=60 {
        let pending = [0, 1].map(|index| {
            let replace_all = index == 0 || random.random_bool(0.5);
            let stored: &mut Vec<_> = &mut expected[index];
            if replace_all {
                stored.clear();
            }
            let first = i32::try_from(stored.len()).expect("few");
            let mut times: Vec<i64> = (0..random.random_range(0..6)).map(|_| random.random_range(0..4)).collect();
            times.sort_unstable();
            let steps = steps(&times, first, round);
            stored.extend(steps.iter().map(|step| (row_ids[index], step.seq, step.effective_at, round)));
            PendingSteps { steps, replace_all }
        });
        let same = fixture.write(pending, &[], WriteFixture::steps).expect("written");
        assert_eq!(content(&fixture.steps()), expected.concat(), "round {round}");
        // On PostgreSQL the one statement is the whole transaction.
        assert!(same || fixture.database.is_file(), "round {round} is committed by a statement of its own");
    }
}

#[test]
fn the_newest_of_equal_handshakes_is_stored_and_starts_again() {
    let mut fixture = WriteFixture::new();
    let mut request = |requests: &[(&str, i64)]| {
        let request = |(code, requested_at): &(&str, i64)| HandshakeRequest {
            source: "hover".to_owned(),
            code: (*code).to_owned(),
            requested_at: *requested_at,
        };
        let requests: Vec<_> = requests.iter().map(request).collect();
        let same = fixture.write(Default::default(), &requests, WriteFixture::handshakes).expect("written");
        assert!(same || fixture.database.is_file(), "committed by a statement of its own");
        let stored = fixture.handshakes();
        let attempt = fixture.db.write_pool.execute_unprepared("UPDATE handshake SET attempts = attempts + 1");
        fixture.runtime.block_on(attempt).expect("an attempt");
        stored
    };
    let row = |code: &str, at, attempts| (code.to_owned(), at, attempts);
    assert_eq!(request(&[("A", 1), ("B", 2), ("A", 3)]), [row("A", 3, 0), row("B", 2, 0)]);
    assert_eq!(request(&[("B", 4)]), [row("A", 3, 1), row("B", 4, 0)]);
}

#[test]
fn a_batch_that_another_writer_has_overtaken_replaces_nothing() {
    let mut fixture = WriteFixture::new();
    if fixture.database.is_file() {
        return crate::skip::skip("needs PostgreSQL: on SQLite a writer has the lock from the beginning");
    }
    let replacing =
        |times: &[i64], round| [0, 1].map(|_| PendingSteps { steps: steps(times, 0, round), replace_all: true });
    fixture.write(replacing(&[1, 2], 1), &[], WriteFixture::steps).expect("written");
    let before = fixture.steps();
    let overtaken = "UPDATE log_head SET updated_at = updated_at + 7";
    fixture.runtime.block_on(fixture.db.write_pool.execute_unprepared(overtaken)).expect("written");
    let written = fixture.write(replacing(&[2], 2), &[], WriteFixture::steps);
    assert!(matches!(written, Err(StoreError::Conflict)), "{written:?}");
    assert_eq!((before.len(), fixture.steps()), (4, before));
}

//! The saved inspection index: whatever is saved, by whom and when, counts are those of the rows.

use super::*;
use crate::store::InspectionIndex;
use crate::store::read::EntityFilter;
use proptest::prelude::*;
use sea_orm::ConnectionTrait;
use std::collections::HashMap;

/// What happens to the database, or to one of two processes that count.
#[derive(Clone, Debug)]
enum IndexStep {
    Create {
        source: u8,
    },
    Update {
        which: prop::sample::Index,
        status: Option<u8>,
    },
    Purge {
        which: prop::sample::Index,
    },
    /// A rebuild that changes a status without a change, and begins a new generation.
    Rebuild {
        which: prop::sample::Index,
        status: Option<u8>,
    },
    Count {
        process: usize,
    },
    Save {
        process: usize,
    },
    Restart {
        process: usize,
    },
    /// Somebody edits what is saved.
    Damage {
        with: &'static str,
    },
}

fn any_step() -> impl Strategy<Value = IndexStep> {
    let status = || prop::option::of(0..3_u8);
    let which = any::<prop::sample::Index>;
    prop_oneof![
        6 => (0..3_u8).prop_map(|source| IndexStep::Create { source }),
        6 => (which(), status()).prop_map(|(which, status)| IndexStep::Update { which, status }),
        1 => which().prop_map(|which| IndexStep::Purge { which }),
        1 => (which(), status()).prop_map(|(which, status)| IndexStep::Rebuild { which, status }),
        3 => (0..2_usize).prop_map(|process| IndexStep::Count { process }),
        4 => (0..2_usize).prop_map(|process| IndexStep::Save { process }),
        2 => (0..2_usize).prop_map(|process| IndexStep::Restart { process }),
        1 => prop::sample::select(vec![
            "DELETE FROM inspection_index_page WHERE number = 0",
            "DELETE FROM inspection_index_page WHERE number = 1",
            "UPDATE inspection_index_page SET content = 'x'",
            "UPDATE inspection_index_page SET content = '{}' WHERE number = 0",
            "DELETE FROM inspection_index_page WHERE number >= 1000000; UPDATE inspection_index_page SET number = number + 1000000",
            "DELETE FROM inspection_index_page",
        ]).prop_map(|with| IndexStep::Damage { with }),
    ]
}

struct Model {
    hub: ApiFixture,
    db: Database,
    processes: [InspectionIndex; 2],
    position: i64,
    row_ids: Vec<i64>,
    newest: i64,
}

impl Model {
    async fn new() -> Model {
        let hub = ApiFixture::new().await;
        let db = Database::open(&hub.database.address, OpenMode::SkipMigrations).await.expect("the database");
        Model { hub, db, processes: Default::default(), position: 0, row_ids: Vec::new(), newest: 0 }
    }

    async fn apply(&mut self, step: IndexStep) {
        match step {
            IndexStep::Create { source } => {
                self.newest += 1;
                self.row_ids.push(self.newest);
                let of = |row: &mut entity::entity::Model| row.source = format!("source-{source}");
                self.hub.entity(self.newest, EntityType::Inspection, of).await;
                self.changed(self.newest).await;
            }
            IndexStep::Update { which, status } if !self.row_ids.is_empty() => {
                let row_id = *which.get(&self.row_ids);
                self.set_status(row_id, status).await;
                self.changed(row_id).await;
            }
            IndexStep::Purge { which } if !self.row_ids.is_empty() => {
                let row_id = self.row_ids.remove(which.index(self.row_ids.len()));
                self.execute(&format!("DELETE FROM entity WHERE row_id = {row_id}")).await;
                self.execute("UPDATE log_head SET retained_from = 1, updated_at = updated_at + 1").await;
                self.execute(
                    "INSERT INTO purged_ledger VALUES ('lot', 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
                     ON CONFLICT (source) DO UPDATE SET received = purged_ledger.received + 1",
                )
                .await;
            }
            IndexStep::Rebuild { which, status } if !self.row_ids.is_empty() => {
                self.set_status(*which.get(&self.row_ids), status).await;
                self.execute("UPDATE log_head SET generation = generation + 1").await;
            }
            IndexStep::Count { process } => self.check(process).await,
            IndexStep::Save { process } => {
                self.processes[process].refresh(&self.db.read_pool).await.expect("refreshed");
                self.processes[process].save(&self.db).await.expect("saved");
            }
            IndexStep::Restart { process } => self.processes[process] = InspectionIndex::default(),
            IndexStep::Damage { with } => self.execute(with).await,
            IndexStep::Update { .. } | IndexStep::Purge { .. } | IndexStep::Rebuild { .. } => {}
        }
    }

    async fn changed(&mut self, row_id: i64) {
        self.position += 1;
        self.hub.change(self.position, Kind::Inspection, row_id, |row| row.inspection_row_id = Some(row_id)).await;
    }

    async fn set_status(&self, row_id: i64, status: Option<u8>) {
        let status = match status {
            Some(0) => Status::Started.number().to_string(),
            Some(1) => Status::Submitted.number().to_string(),
            Some(_) => Status::Completed.number().to_string(),
            None => "NULL".to_owned(),
        };
        self.execute(&format!("UPDATE entity SET status = {status} WHERE row_id = {row_id}")).await;
    }

    async fn execute(&self, statement: &str) {
        self.hub.writer.execute_unprepared(statement).await.expect("executed");
    }

    async fn check(&self, process: usize) {
        let filter = EntityFilter { kind: Some(Kind::Inspection), ..EntityFilter::default() };
        let counts = self.processes[process].counts(&self.db.read_pool, &filter).await.expect("counts");
        let counts = counts.expect("the index supports it").into_iter().filter(|(_, count)| *count > 0);
        let counts: HashMap<_, _> = counts.map(|(group, count)| ((group.source, group.status), count)).collect();
        let mut expected: HashMap<(String, Option<Status>), i64> = HashMap::new();
        for row in entity::entity::Entity::find().all(&self.hub.writer).await.expect("rows") {
            *expected.entry((row.source, row.status)).or_default() += 1;
        }
        assert_eq!(counts, expected);
    }
}

#[test]
fn counts_are_exact_whatever_was_saved() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) };
    proptest!(config, |(steps in prop::collection::vec(any_step(), 1..60))| {
        runtime.block_on(async {
            let mut model = Model::new().await;
            for step in steps {
                model.apply(step).await;
            }
            for process in [0, 1] {
                model.check(process).await;
                model.processes[process] = InspectionIndex::default();
                model.check(process).await;
            }
        });
    });
}

#[tokio::test]
async fn a_start_reads_what_was_saved_and_what_has_changed_since() {
    let mut model = Model::new().await;
    for number in 0..11 {
        model.apply(IndexStep::Create { source: number % 3 }).await;
    }
    model.apply(IndexStep::Save { process: 0 }).await;
    // Seen only by a load of all rows.
    model.execute("UPDATE entity SET source = 'edited' WHERE row_id = 1").await;
    let saved_counts = async |model: &Model| {
        let filter = EntityFilter {
            source: Some(vec!["edited".into()]),
            kind: Some(Kind::Inspection),
            ..EntityFilter::default()
        };
        model.processes[1].count(&model.db.read_pool, &filter).await.expect("a count")
    };
    assert_eq!(saved_counts(&model).await, Some(0));
    model.changed(1).await;
    model.apply(IndexStep::Restart { process: 1 }).await;
    assert_eq!(saved_counts(&model).await, Some(1));
    model.check(1).await;
}

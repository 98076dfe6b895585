//! All tables and indexes. The `entity` crate describes the columns, and declares the numbers of kinds, statuses, verdicts and
//! reason codes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, integer, integer_null, small_integer, small_integer_null, text, text_null,
    uuid,
};
use sea_orm_migration::sea_orm::DbBackend;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        manager.create_table(log_head(backend)).await?;
        let first = Query::insert()
            .into_table("log_head")
            .columns([
                "id",
                "position",
                "last_delivery_row_id",
                "last_entity_row_id",
                "received_at",
                "updated_at",
                "generation",
                "retained_from",
            ])
            .values_panic([
                1.into(),
                0.into(),
                0.into(),
                0.into(),
                0.into(),
                0.into(),
                new_generation().into(),
                0.into(),
            ])
            .to_owned();
        manager.execute(first).await?;
        manager.create_table(payload_dictionary()).await?;
        manager.create_table(delivery(backend)).await?;
        manager.create_table(command(backend)).await?;
        manager.get_connection().execute_unprepared(LOG_RECORD).await?;
        manager.create_table(idempotency_key()).await?;
        manager.create_table(change_row(backend)).await?;
        manager.create_table(change_type(backend)).await?;
        manager.get_connection().execute_unprepared(CHANGE).await?;
        manager.create_table(entity(backend)).await?;
        manager.create_table(step(backend)).await?;
        manager.create_table(update_order(backend)).await?;
        manager.create_table(ledger("ledger").col(big_integer_null("received_at")).take()).await?;
        manager.create_table(handshake()).await?;
        manager.create_table(rejection()).await?;
        manager.create_table(replica()).await?;
        manager.create_table(source_rate()).await?;
        manager.create_table(ledger("purged_ledger")).await?;
        manager.create_table(log_gap(backend)).await?;
        manager.create_table(tombstone()).await?;
        manager.create_table(inspection_index()).await?;
        // Of no generation: nothing is saved.
        let none = Query::insert()
            .into_table("inspection_index")
            .columns(["id", "generation", "position", "purged", "inspections"])
            .values_panic([1.into(), 0.into(), 0.into(), 0.into(), 0.into()])
            .to_owned();
        manager.execute(none).await?;
        manager.create_table(inspection_index_page()).await?;
        manager.create_table(api_key()).await?;
        manager.create_table(access_version()).await?;
        let none = Query::insert()
            .into_table("access_version")
            .columns(["id", "version"])
            .values_panic([1.into(), 0.into()])
            .values_panic([2.into(), 0.into()])
            .to_owned();
        manager.execute(none).await?;
        manager.create_table(browser_session()).await?;
        manager.create_table(login_key()).await?;
        // A SQLite file has one writer, which needs no invalidation.
        if backend == DbBackend::Postgres {
            manager.create_table(invalidation_log()).await?;
            // Bodies are compressed already.
            let storage = "ALTER TABLE delivery ALTER body SET STORAGE EXTERNAL";
            manager.get_connection().execute_unprepared(storage).await?;
        }

        manager.create_index(not_null_index("delivery", "delivery_dedup_key_idx", "dedup_key")).await?;
        manager
            .create_index(index("change_row", "change_entity_idx", &["entity_row_id", "position", "dedup_key"]))
            .await?;
        manager.create_index(not_null_index("command", "command_entity_idx", "entity_row_id")).await?;
        manager.create_index(not_null_index("command", "command_target_idx", "target_row_id")).await?;
        manager.create_index(index("idempotency_key", "idempotency_key_created_at_idx", &["created_at"])).await?;
        manager.create_index(index("entity", "entity_id_key", &["id"]).unique().take()).await?;
        manager.create_index(not_null_index("entity", "entity_reference_idx", "reference")).await?;
        manager.create_index(not_null_index("entity", "entity_customer_reference_idx", "customer_reference")).await?;
        manager.create_index(labelled()).await?;
        manager
            .create_index(not_null_index("entity", "entity_vendor_inspection_idx", "vendor_inspection_row_id"))
            .await?;
        manager.create_index(not_null_index("change_row", "change_command_idx", "command_row_id")).await?;
        manager.create_index(index("command", "command_actor_idx", &["actor"])).await?;
        manager.create_index(not_null_index("entity", "entity_due_at_idx", "due_at")).await?;
        manager.create_index(not_null_index("entity", "entity_group_key_idx", "group_key")).await?;
        manager.create_index(index("entity", "entity_inspection_idx", &["inspection_row_id", "kind"])).await?;
        manager.create_index(not_null_index("entity", "entity_parent_idx", "parent_row_id")).await?;
        manager.create_index(index("rejection", "rejection_at_idx", &["at", "id"])).await?;
        manager.create_index(index("rejection", "rejection_source_idx", &["source", "cause", "at", "id"])).await?;
        // Half of all entities are items (kind 4): a list of them reads the table itself.
        let columns: &[&str] = match backend {
            // Each index ends with the row id.
            DbBackend::Sqlite => &["kind"],
            _ => &["kind", "row_id"],
        };
        manager.create_index(partial_index(index("entity", "entity_kind_idx", columns), "kind <> 4")).await?;
        if backend == DbBackend::Postgres {
            // A change writes the new version of the row into the same page, and no index: none has a column that changes with it.
            manager.get_connection().execute_unprepared("ALTER TABLE entity SET (fillfactor = 80)").await?;
        }
        if backend == DbBackend::Sqlite {
            seed_planner_statistics(manager).await?;
        }
        Ok(())
    }
}

/// Statistics of each index for SQLite's planner, as `ANALYZE` finds them in a large database: rows, then rows per value of
/// the first column, of the first two, and so on (<https://sqlite.org/fileformat2.html#stat1tab>). Without them the planner
/// assumes that a kind is as selective as an order number. PostgreSQL analyzes its tables itself.
const PLANNER_STATISTICS: &[(&str, &str, &str)] = &[
    ("entity", "entity_id_key", "1000000 1"),
    ("entity", "entity_reference_idx", "200000 2"),
    ("entity", "entity_customer_reference_idx", "200000 2"),
    ("entity", "entity_labels_idx", "200000 1"),
    ("entity", "entity_due_at_idx", "200000 1"),
    ("entity", "entity_group_key_idx", "50000 3"),
    ("entity", "entity_inspection_idx", "1000000 12 4"),
    ("entity", "entity_parent_idx", "600000 5"),
    ("entity", "entity_kind_idx", "400000 130000"),
    ("update_order", "update_order", "1000000 60000 1 1"),
    ("change_row", "change_entity_idx", "2000000 3 1 1"),
    ("delivery", "delivery_dedup_key_idx", "50000 1"),
    ("command", "command_entity_idx", "400000 2"),
    ("command", "command_target_idx", "10000 2"),
    ("command", "command_actor_idx", "400000 5000"),
    ("change_row", "change_command_idx", "400000 1"),
    ("entity", "entity_vendor_inspection_idx", "10000 4"),
];

async fn seed_planner_statistics(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // Creates the table of statistics.
    manager.get_connection().execute_unprepared("ANALYZE").await?;
    let mut insert = Query::insert();
    insert.into_table("sqlite_stat1").columns(["tbl", "idx", "stat"]);
    for (table, index, expected) in PLANNER_STATISTICS {
        insert.values_panic([(*table).into(), (*index).into(), (*expected).into()]);
    }
    manager.execute(insert).await
}

fn log_head(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("log_head")
        .col(primary_key(backend, "id"))
        .col(big_integer("position"))
        .col(big_integer("last_delivery_row_id"))
        .col(big_integer("last_entity_row_id"))
        .col(big_integer("received_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("generation"))
        .col(big_integer("retained_from"))
        .to_owned()
}

fn delivery(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("delivery")
        .col(primary_key(backend, "row_id"))
        .col(text("source"))
        .col(text("vendor"))
        .col(big_integer("received_at"))
        .col(text("method"))
        .col(big_integer_null("dedup_key"))
        .col(text("event"))
        .col(big_integer_null("occurred_at"))
        .col(small_integer("verdict"))
        .col(small_integer("reason_code"))
        .col(text_null("reason_params"))
        .col(text_null("warnings"))
        .col(big_integer_null("duplicate_of"))
        .col(big_integer("first_position"))
        .col(integer("change_count"))
        .col(integer_null("dictionary_id"))
        .col(big_integer("duplicates"))
        .col(big_integer_null("last_duplicate_at"))
        .col(big_integer("body_size"))
        .col(blob("headers"))
        .col(blob("body"))
        .to_owned()
}

fn command(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("command")
        .col(primary_key(backend, "row_id"))
        .col(small_integer("kind"))
        .col(text("source"))
        .col(text("vendor"))
        .col(big_integer("received_at"))
        .col(big_integer_null("entity_row_id"))
        .col(big_integer_null("target_row_id"))
        .col(text("actor"))
        .col(text_null("reason"))
        .col(text("input"))
        .col(big_integer("first_position"))
        .col(integer("change_count"))
        .to_owned()
}

/// The raw log: deliveries and commands, numbered by one counter.
const LOG_RECORD: &str = "CREATE VIEW log_record AS SELECT row_id, first_position, change_count FROM delivery \
    UNION ALL SELECT row_id, first_position, change_count FROM command";

fn idempotency_key() -> TableCreateStatement {
    Table::create()
        .table("idempotency_key")
        .col(text("digest").primary_key())
        .col(text("input_digest"))
        .col(big_integer("command_row_id"))
        .col(big_integer("created_at"))
        .take()
}

fn payload_dictionary() -> TableCreateStatement {
    let id = integer("id").primary_key().take();
    Table::create().table("payload_dictionary").col(id).col(text("vendor")).col(blob("content")).take()
}

fn change_row(backend: DbBackend) -> TableCreateStatement {
    // On PostgreSQL, columns of eight bytes first: no padding between them.
    Table::create()
        .table("change_row")
        .col(primary_key(backend, "position"))
        .col(big_integer("type_id"))
        .col(big_integer_null("entity_row_id"))
        .col(big_integer_null("inspection_row_id"))
        .col(big_integer_null("delivery_row_id"))
        .col(big_integer_null("command_row_id"))
        .col(big_integer("received_at"))
        .col(big_integer_null("occurred_at"))
        .col(big_integer_null("dedup_key"))
        .col(big_integer_null("previous_step"))
        .col(integer("cycle"))
        .col(integer_null("order_cycle"))
        .col(text_null("event"))
        .col(text_null("reason_params"))
        .to_owned()
}

fn change_type(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("change_type")
        .col(primary_key(backend, "id"))
        .col(small_integer("kind"))
        .col(text_null("source"))
        .col(text_null("vendor"))
        .col(text("event"))
        .col(small_integer("verdict"))
        .col(small_integer("reason_code"))
        .col(text_null("reason_params"))
        .col(text_null("warnings"))
        .col(text_null("from_state"))
        .col(text_null("to_state"))
        .col(small_integer_null("from_status"))
        .col(small_integer_null("to_status"))
        .col(text_null("target_state"))
        .col(ColumnDef::new("at_least").boolean().not_null())
        .col(integer("order_rank"))
        .to_owned()
}

/// The history in words. An outer join: a row without its type must be seen as invalid, not disappear. Both planners leave the
/// type out of a query that needs none of its columns, because its key is unique.
const CHANGE: &str = "CREATE VIEW change AS SELECT change.position, type.kind, change.entity_row_id, change.inspection_row_id, \
    change.delivery_row_id, change.command_row_id, type.source, type.vendor, COALESCE(change.event, type.event) AS event, type.verdict, type.reason_code, \
    COALESCE(change.reason_params, type.reason_params) AS reason_params, type.warnings, type.from_state, type.to_state, \
    type.from_status, type.to_status, change.cycle, change.occurred_at, change.received_at, change.dedup_key, \
    type.target_state, type.at_least, change.order_cycle, type.order_rank, change.previous_step, change.type_id \
    FROM change_row AS change LEFT JOIN change_type AS type ON type.id = change.type_id";

fn entity(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("entity")
        .col(primary_key(backend, "row_id"))
        .col(uuid("id"))
        .col(small_integer("kind"))
        .col(text("subkind"))
        .col(text("source"))
        .col(text("vendor"))
        .col(text("external_id"))
        .col(big_integer_null("parent_row_id"))
        .col(big_integer_null("inspection_row_id"))
        .col(big_integer_null("hand_linked_row_id"))
        .col(big_integer_null("vendor_inspection_row_id"))
        .col(text_null("reference"))
        .col(text_null("customer_reference"))
        .col(text_null("labels"))
        .col(big_integer_null("due_at"))
        .col(big_integer_null("registered_at"))
        .col(text_null("group_key"))
        .col(text_null("state"))
        .col(small_integer_null("status"))
        .col(integer("cycle"))
        .col(text("facts"))
        .col(text("details"))
        .col(text("field_versions"))
        .col(text("fold_state"))
        .col(ColumnDef::new("steps_materialized").boolean().not_null())
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer_null("occurred_at"))
        .col(big_integer("position"))
        .to_owned()
}

// Clustered by entity and time, so that an as-of query is one look-up and a refold reads one range.
fn step(backend: DbBackend) -> TableCreateStatement {
    let mut table = Table::create();
    if backend == DbBackend::Sqlite {
        table.extra("WITHOUT ROWID");
    }
    table
        .table("step")
        .col(big_integer("entity_row_id"))
        .col(integer("seq"))
        .col(big_integer("position"))
        .col(text("target_state"))
        .col(ColumnDef::new("at_least").boolean().not_null())
        .col(big_integer_null("occurred_at"))
        .col(integer("order_cycle"))
        .col(integer("order_rank"))
        .col(big_integer("received_at"))
        .col(big_integer("effective_at"))
        .col(text_null("state_after"))
        .col(small_integer_null("status_after"))
        .col(integer("cycle_after"))
        .primary_key(Index::create().col("entity_row_id").col("effective_at").col("seq"))
        .to_owned()
}

// Clustered by list and position: a row is added at the end of its list.
fn update_order(backend: DbBackend) -> TableCreateStatement {
    let mut table = Table::create();
    if backend == DbBackend::Sqlite {
        table.extra("WITHOUT ROWID");
    }
    table
        .table("update_order")
        .col(integer("list"))
        .col(big_integer("position"))
        .col(big_integer("entity_row_id"))
        .primary_key(Index::create().col("list").col("position").col("entity_row_id"))
        .to_owned()
}

/// The counters of a source: what was received, and with which verdict. `purged_ledger` counts the purged deliveries.
fn ledger(table: &'static str) -> TableCreateStatement {
    let mut ledger = Table::create();
    ledger.table(table).col(text("source").primary_key());
    for count in [
        "received",
        "duplicates",
        "applied",
        "skipped_ahead",
        "unexpected",
        "stale",
        "refused",
        "no_change",
        "unrecognized",
        "unreadable",
        "orphaned",
    ] {
        ledger.col(big_integer(count));
    }
    ledger
}

fn handshake() -> TableCreateStatement {
    Table::create()
        .table("handshake")
        .col(text("source"))
        .col(text("code"))
        .col(big_integer("requested_at"))
        .col(big_integer_null("confirmed_at"))
        .col(integer("attempts"))
        .col(text_null("last_error"))
        .primary_key(Index::create().col("source").col("code"))
        .to_owned()
}

// Few rows: the newest 100 of each source and cause.
fn rejection() -> TableCreateStatement {
    Table::create()
        .table("rejection")
        .col(uuid("id").primary_key())
        .col(text("source"))
        .col(text("cause"))
        .col(text_null("scheme"))
        .col(integer("http_status"))
        .col(text("method"))
        .col(text("path"))
        .col(text("header_names"))
        .col(big_integer("bytes"))
        .col(text_null("address"))
        .col(text("reason"))
        .col(text("would_fit"))
        .col(big_integer("count"))
        .col(big_integer("first_at"))
        .col(big_integer("at"))
        .take()
}

// As many rows as there are processes.
fn replica() -> TableCreateStatement {
    Table::create()
        .table("replica")
        .col(uuid("id").primary_key())
        .col(text("version"))
        .col(big_integer("started_at"))
        .col(big_integer("seen_at"))
        .col(text("settings_digest"))
        .col(big_integer("feed_lag"))
        .take()
}

// By minute for a day, and by hour for a week.
fn source_rate() -> TableCreateStatement {
    let mut rate = Table::create();
    rate.table("source_rate").col(integer("seconds")).col(big_integer("begins_at")).col(text("source"));
    for count in
        ["accepted", "duplicates", "quarantined", "not_authenticated", "rate_limited", "unavailable", "rejected"]
    {
        rate.col(big_integer(count));
    }
    rate.primary_key(Index::create().col("seconds").col("begins_at").col("source")).take()
}

fn log_gap(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("log_gap")
        .col(primary_key(backend, "next_delivery_row_id"))
        .col(big_integer("last_position"))
        .col(big_integer("last_entity_row_id"))
        .take()
}

fn tombstone() -> TableCreateStatement {
    Table::create().table("tombstone").col(uuid("id").primary_key()).col(big_integer("last_delivery_row_id")).take()
}

fn inspection_index() -> TableCreateStatement {
    Table::create()
        .table("inspection_index")
        .col(big_integer("id").primary_key())
        .col(big_integer("generation"))
        .col(big_integer("position"))
        .col(big_integer("purged"))
        .col(big_integer("inspections"))
        .take()
}

fn inspection_index_page() -> TableCreateStatement {
    Table::create().table("inspection_index_page").col(integer("number").primary_key()).col(text("content")).take()
}

fn api_key() -> TableCreateStatement {
    Table::create()
        .table("api_key")
        .col(text("id").primary_key())
        .col(text("name"))
        .col(text("digest"))
        .col(text("scopes"))
        .col(text_null("sources"))
        .col(big_integer("created_at"))
        .col(text("created_by"))
        .col(big_integer_null("expires_at"))
        .col(big_integer_null("last_used_at"))
        .col(big_integer_null("revoked_at"))
        .take()
}

fn access_version() -> TableCreateStatement {
    Table::create().table("access_version").col(big_integer("id").primary_key()).col(big_integer("version")).take()
}

fn browser_session() -> TableCreateStatement {
    Table::create()
        .table("browser_session")
        .col(text("digest").primary_key())
        .col(text("login_digest").unique_key())
        .col(text("subject"))
        .col(text("scopes"))
        .col(text_null("sources"))
        .col(text("grants_digest"))
        .col(big_integer("created_at"))
        .col(big_integer("last_used_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("ended_at"))
        .take()
}

fn login_key() -> TableCreateStatement {
    Table::create().table("login_key").col(big_integer("id").primary_key()).col(text("key")).take()
}

/// The entities of the newest batches. Other writers drop exactly these from their caches. A ring buffer of few rows, each with
/// `log_head.updated_at` before and after its batch.
fn invalidation_log() -> TableCreateStatement {
    Table::create()
        .table("invalidation_log")
        .col(integer("slot").primary_key())
        .col(big_integer("head_before"))
        .col(big_integer("head_after"))
        .col(ColumnDef::new("entity_ids").array(ColumnType::Uuid).not_null())
        .take()
}

/// The generation of a new history: the time in microseconds, so that cursors of another database are recognized.
fn new_generation() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    <i64 as TryFrom<u128>>::try_from(now).unwrap_or_default()
}

// SQLite clusters a table by its key only if the type is spelled `integer`, which has 64 bits there.
fn primary_key(backend: DbBackend, name: &'static str) -> ColumnDef {
    match backend {
        DbBackend::Sqlite => integer(name).primary_key().to_owned(),
        _ => big_integer(name).primary_key().to_owned(),
    }
}

fn index(table: &'static str, name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index.to_owned()
}

// Most values are null: the index leaves those out.
fn not_null_index(table: &'static str, name: &'static str, column: &'static str) -> IndexCreateStatement {
    index(table, name, &[column]).cond_where(Expr::col(column).is_not_null()).to_owned()
}

fn labelled() -> IndexCreateStatement {
    index("entity", "entity_labels_idx", &["row_id"]).cond_where(Expr::col("labels").is_not_null()).to_owned()
}

// A query uses it only if it repeats the condition literally.
fn partial_index(mut index: IndexCreateStatement, which: &'static str) -> IndexCreateStatement {
    index.cond_where(Expr::cust(which)).to_owned()
}

//! The tables of the first release. What the columns mean stands in the `entity` crate.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, integer, text, text_null, uuid};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        manager.create_table(log_head(backend)).await?;
        let first = Query::insert()
            .into_table("log_head")
            .columns(["id", "position", "delivery", "entity", "received_at", "updated_at"])
            .values_panic([1.into(), 0.into(), 0.into(), 0.into(), 0.into(), 0.into()])
            .to_owned();
        manager.execute(first).await?;
        manager.create_table(delivery(backend)).await?;
        manager.create_table(change(backend)).await?;
        manager.create_table(entity(backend)).await?;
        manager.create_table(step(backend)).await?;
        manager.create_table(ledger()).await?;
        manager.create_table(handshake()).await?;

        manager.create_index(known("delivery", "delivery_about_nothing", "news")).await?;
        manager.create_index(index("change", "change_of_entity", &["entity", "position", "news"])).await?;
        manager.create_index(index("entity", "entity_id", &["id"]).unique().take()).await?;
        manager.create_index(known("entity", "entity_by_reference", "reference")).await?;
        manager.create_index(known("entity", "entity_by_group", "group_key")).await?;
        manager.create_index(index("entity", "entity_of_inspection", &["inspection", "kind"])).await?;
        manager.create_index(known("entity", "entity_of_parent", "parent")).await?;
        // Half of all entities are items, which are listed in fewer ways: what they do not need is not kept for them.
        let by_external_id = index("entity", "entity_by_external_id", &["external_id"]);
        manager.create_index(only(by_external_id, "kind <> 'ITEM'")).await?;
        let by_status = index("entity", "entity_by_status", &["kind", "status", "updated_at", "number"]);
        manager.create_index(only(by_status, "kind <> 'ITEM'")).await?;
        let by_update = index("entity", "entity_by_update", &["kind", "updated_at", "number"]);
        manager.create_index(only(by_update, "kind <> 'ITEM'")).await?;
        let by_creation = index("entity", "entity_by_creation", &["kind", "created_at", "number"]);
        manager.create_index(only(by_creation, "kind <> 'ITEM'")).await?;
        let items_by_update = index("entity", "item_by_update", &["updated_at", "number"]);
        manager.create_index(only(items_by_update, "kind = 'ITEM'")).await?;
        // Grows at its end alone.
        let items_by_creation = index("entity", "item_by_creation", &["created_at", "number"]);
        manager.create_index(only(items_by_creation, "kind = 'ITEM'")).await?;
        if backend == DbBackend::Sqlite {
            expect_much(manager).await?;
        }
        Ok(())
    }
}

/// What SQLite's planner may expect of each index, as `ANALYZE` would find it in a database that is in use: rows, and
/// rows for each value of the first column, of the first two, and so on (<https://sqlite.org/fileformat2.html#stat1tab>).
/// Without it, it takes a kind for as rare as an order number. PostgreSQL looks for itself.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("entity", "entity_id", "1000000 1"),
    ("entity", "entity_by_external_id", "400000 2"),
    ("entity", "entity_by_reference", "200000 2"),
    ("entity", "entity_by_group", "50000 3"),
    ("entity", "entity_of_inspection", "1000000 12 4"),
    ("entity", "entity_of_parent", "600000 5"),
    ("entity", "entity_by_status", "400000 130000 12000 1 1"),
    ("entity", "entity_by_update", "400000 130000 1 1"),
    ("entity", "entity_by_creation", "400000 130000 1 1"),
    ("entity", "item_by_update", "600000 1 1"),
    ("entity", "item_by_creation", "600000 1 1"),
    ("change", "change_of_entity", "2000000 3 1 1"),
    ("delivery", "delivery_about_nothing", "50000 1"),
];

async fn expect_much(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // Makes the table of statistics, which is empty as long as the others are.
    manager.get_connection().execute_unprepared("ANALYZE").await?;
    let mut insert = Query::insert();
    insert.into_table("sqlite_stat1").columns(["tbl", "idx", "stat"]);
    for (table, index, expected) in EXPECTED {
        insert.values_panic([(*table).into(), (*index).into(), (*expected).into()]);
    }
    manager.execute(insert).await
}

fn log_head(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("log_head")
        .col(key(backend, "id"))
        .col(big_integer("position"))
        .col(big_integer("delivery"))
        .col(big_integer("entity"))
        .col(big_integer("received_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

fn delivery(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("delivery")
        .col(key(backend, "number"))
        .col(text("source"))
        .col(text("vendor"))
        .col(big_integer("received_at"))
        .col(text("method"))
        .col(text("headers"))
        .col(blob("body"))
        .col(big_integer_null("news"))
        .col(text("event"))
        .col(big_integer_null("occurred_at"))
        .col(text("verdict"))
        .col(text("reason"))
        .col(big_integer("first_position"))
        .col(integer("changes"))
        .col(big_integer("duplicates"))
        .col(big_integer_null("duplicate_at"))
        .to_owned()
}

fn change(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("change")
        .col(key(backend, "position"))
        .col(text("kind"))
        .col(big_integer_null("entity"))
        .col(big_integer_null("inspection"))
        .col(big_integer("delivery"))
        .col(text("source"))
        .col(text("vendor"))
        .col(text("event"))
        .col(text("verdict"))
        .col(text("reason"))
        .col(text_null("from_state"))
        .col(text_null("to_state"))
        .col(text_null("from_status"))
        .col(text_null("to_status"))
        .col(integer("cycle"))
        .col(big_integer_null("occurred_at"))
        .col(big_integer("received_at"))
        .col(big_integer_null("news"))
        .col(text_null("named_state"))
        .col(ColumnDef::new("implied").boolean().not_null())
        .col(integer("placed_cycle"))
        .col(integer("placed_rank"))
        .col(big_integer_null("step_before"))
        .to_owned()
}

fn entity(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("entity")
        .col(key(backend, "number"))
        .col(uuid("id"))
        .col(text("kind"))
        .col(text("subkind"))
        .col(text("source"))
        .col(text("vendor"))
        .col(text("external_id"))
        .col(big_integer_null("parent"))
        .col(big_integer_null("inspection"))
        .col(text_null("reference"))
        .col(text_null("group_key"))
        .col(text_null("state"))
        .col(text_null("status"))
        .col(integer("cycle"))
        .col(text("facts"))
        .col(text("details"))
        .col(text("stamps"))
        .col(text("tip"))
        .col(ColumnDef::new("retold").boolean().not_null())
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer_null("occurred_at"))
        .col(big_integer("position"))
        .to_owned()
}

// Clustered by entity and time, so that "as of" is one look-up and a refold reads one range.
fn step(backend: DbBackend) -> TableCreateStatement {
    let mut table = Table::create();
    if backend == DbBackend::Sqlite {
        table.extra("WITHOUT ROWID");
    }
    table
        .table("step")
        .col(big_integer("entity"))
        .col(integer("seq"))
        .col(big_integer("position"))
        .col(text("to_state"))
        .col(ColumnDef::new("at_least").boolean().not_null())
        .col(big_integer_null("time"))
        .col(integer("cycle"))
        .col(integer("rank"))
        .col(big_integer("received_at"))
        .col(big_integer("effective_at"))
        .col(text_null("state_after"))
        .col(text_null("status_after"))
        .col(integer("cycle_after"))
        .primary_key(Index::create().col("entity").col("effective_at").col("seq"))
        .to_owned()
}

fn ledger() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("ledger").col(text("source").primary_key());
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
        table.col(big_integer(count));
    }
    table.col(big_integer_null("received_at")).to_owned()
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

// SQLite stores a table by its key only if the type is spelled `integer`, which holds 64 bits there.
fn key(backend: DbBackend, name: &'static str) -> ColumnDef {
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

// Most rows have none: only those that do are in the index.
fn known(table: &'static str, name: &'static str, column: &'static str) -> IndexCreateStatement {
    index(table, name, &[column]).cond_where(Expr::col(column).is_not_null()).to_owned()
}

// A query must say the same in the same words to be answered by it.
fn only(mut index: IndexCreateStatement, which: &'static str) -> IndexCreateStatement {
    index.cond_where(Expr::cust(which)).to_owned()
}

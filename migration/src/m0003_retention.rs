//! What is remembered of what was removed: how far the history reaches back, what the ledger counted, where the raw log
//! goes on, and which entities are gone. A log of which nothing was removed needs nothing of it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text, uuid};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let kept_from = Table::alter().table("log_head").add_column(big_integer("kept_from").default(0)).to_owned();
        manager.alter_table(kept_from).await?;
        manager.create_table(forgotten()).await?;
        manager.create_table(gap(manager.get_database_backend())).await?;
        manager
            .create_table(
                Table::create().table("tombstone").col(uuid("id").primary_key()).col(big_integer("delivery")).take(),
            )
            .await
    }
}

fn forgotten() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("forgotten").col(text("source").primary_key());
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
    table.take()
}

fn gap(backend: DbBackend) -> TableCreateStatement {
    // As the other keys of SQLite: `m0001_first_tables`.
    let key = match backend {
        DbBackend::Sqlite => ColumnDef::new("delivery").integer().not_null().primary_key().take(),
        _ => ColumnDef::new("delivery").big_integer().not_null().primary_key().take(),
    };
    Table::create().table("gap").col(key).col(big_integer("position")).col(big_integer("entity")).take()
}

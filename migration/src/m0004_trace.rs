//! Which entities the newest batches were about, so that the other writers of a PostgreSQL database need not give up all that
//! they have at hand. A SQLite file has one writer.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, integer};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        // Few rows, each overwritten again and again: `log_head.updated_at` before and after a batch, and the ids of its
        // entities.
        let trace = Table::create()
            .table("trace")
            .col(integer("slot").primary_key())
            .col(big_integer("before"))
            .col(big_integer("after"))
            .col(ColumnDef::new("entities").array(ColumnType::Uuid).not_null())
            .take();
        manager.create_table(trace).await
    }
}

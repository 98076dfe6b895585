//! The counters say which history the positions are of: a rebuild can replace it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_integer;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A number of its own for each database, so that a cursor of another one is recognized: when it was made.
        let made = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let made = <i64 as TryFrom<u128>>::try_from(made).unwrap_or_default();
        let generation =
            Table::alter().table("log_head").add_column(big_integer("generation").default(made)).to_owned();
        manager.alter_table(generation).await
    }
}

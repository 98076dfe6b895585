//! The counters say which history the positions are of: a rebuild can replace it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_integer;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let generation = Table::alter().table("log_head").add_column(big_integer("generation").default(0)).to_owned();
        manager.alter_table(generation).await
    }
}

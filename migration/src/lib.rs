//! The migrations, one file each. A released migration is never edited.

pub use sea_orm_migration::prelude::MigratorTrait;

mod m20261130_000001_initial_schema;

use sea_orm_migration::prelude::{MigrationTrait, async_trait};

/// All migrations, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261130_000001_initial_schema::Migration)]
    }
}

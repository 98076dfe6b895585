//! How the tables came to be, one file per step. A step that has been released is never edited.

pub use sea_orm_migration::prelude::MigratorTrait;

mod m0001_first_tables;
mod m0002_generation;
mod m0003_retention;
mod m0004_trace;

use sea_orm_migration::prelude::{MigrationTrait, async_trait};

/// All steps, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first_tables::Migration),
            Box::new(m0002_generation::Migration),
            Box::new(m0003_retention::Migration),
            Box::new(m0004_trace::Migration),
        ]
    }
}

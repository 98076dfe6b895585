//! The layout of the database: runs migrations, and refuses a database whose migrations this version does not know.

use crate::store::StoreError;
use migration::{Migrator, MigratorTrait};
use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use std::collections::BTreeSet;

/// Brings the tables up to date. `database` names the database in errors.
pub async fn migrate(db: &DatabaseConnection, database: &str) -> Result<(), StoreError> {
    let applied = Migrator::get_migration_models(db).await?;
    let applied = applied.into_iter().map(|migration| migration.version).collect();
    check_versions(&applied, &known_versions(), database)?;
    Ok(Migrator::up(db, None).await?)
}

/// Whether all migrations of this version were applied.
pub async fn is_current<C: ConnectionTrait>(db: &C, database: &str) -> Result<bool, StoreError> {
    let applied = Query::select().column("version").from("seaql_migrations").take();
    let applied = db.query_all(&applied).await?;
    let applied = applied.iter().map(|row| row.try_get("", "version")).collect::<Result<BTreeSet<String>, DbErr>>()?;
    let known = known_versions();
    check_versions(&applied, &known, database)?;
    Ok(known.is_subset(&applied))
}

fn known_versions() -> BTreeSet<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

// Names of migrations sort by their age.
fn check_versions(applied: &BTreeSet<String>, known: &BTreeSet<String>, database: &str) -> Result<(), StoreError> {
    let Some(unknown) = applied.difference(known).next() else { return Ok(()) };
    let why = match known.first().is_some_and(|oldest| unknown < oldest) {
        true => "was made by a version before 0.1.0: start with a new database",
        false => "was made by a newer version: run that version, or a newer one",
    };
    Err(StoreError::Configuration(format!("the database {database} {why} (migration {unknown})")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::TestDatabase;
    use crate::store::{Database, OpenMode};

    #[tokio::test]
    async fn a_layout_of_another_version_is_refused() {
        for (version, expected) in [
            ("m0001_first_tables", "a version before 0.1.0: start with a new database"),
            ("m9999_later", "a newer version"),
        ] {
            let database = TestDatabase::new().await;
            let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
            assert!(db.is_ready().await.expect("an answer"));
            let row = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{version}', 1)");
            db.write_pool.execute_unprepared(&row).await.expect("a row");
            let mut errors = vec![db.is_ready().await.expect_err(version)];
            assert_eq!(errors[0].outage_message(), "the database was made by another version of the hub");
            for mode in [OpenMode::Migrate, OpenMode::SkipMigrations] {
                errors.push(Database::open(&database.address, mode).await.expect_err(version));
            }
            for error in errors {
                let is_named = error.to_string().contains(&format!("{} was made by {expected}", db.redacted_address()));
                assert!(matches!(error, StoreError::Configuration(_)) && is_named, "{error}");
            }
        }
    }
}

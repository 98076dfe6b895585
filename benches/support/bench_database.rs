//! The databases of a benchmark: SQLite files in a folder or, where `TEST_DATABASE_URL` names a PostgreSQL
//! server, databases there that are dropped at the end.

use super::disk;
use sea_orm::{ConnectionTrait, Database, Statement};
use std::path::PathBuf;

/// The server, with the name of a database that is there.
const URL: &str = "TEST_DATABASE_URL";

pub enum BenchDatabase {
    Folder(PathBuf),
    Server { url: String, made: Vec<String> },
}

impl BenchDatabase {
    /// As the environment says. Prints which it is.
    pub async fn new(name: &str) -> anyhow::Result<BenchDatabase> {
        if let Ok(url) = std::env::var(URL) {
            let db = Database::connect(&url).await?;
            for setting in ["server_version", "fsync", "synchronous_commit", "shared_buffers"] {
                let row = db.query_one_raw(Statement::from_string(
                    db.get_database_backend(),
                    format!("SELECT current_setting('{setting}')"),
                ));
                if let Some(row) = row.await? {
                    println!("PostgreSQL, {setting}: {}", row.try_get_by_index::<String>(0)?);
                }
            }
            db.close().await?;
            return Ok(BenchDatabase::Server { url, made: Vec::new() });
        }
        let folder = disk::folder(name)?;
        println!("databases in {}, where a synced write takes {:?}", folder.display(), disk::time_to_sync(&folder)?);
        Ok(BenchDatabase::Folder(folder))
    }

    /// The address of an empty database with this name.
    pub async fn database(&mut self, name: &str) -> anyhow::Result<String> {
        match self {
            BenchDatabase::Folder(folder) => Ok(format!("sqlite://{}", folder.join(format!("{name}.db")).display())),
            BenchDatabase::Server { url, made } => {
                let name = format!("bench_{name}");
                execute(url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
                execute(url, &format!("CREATE DATABASE {name}")).await?;
                let (server, _) = url.rsplit_once('/').unwrap_or((url, ""));
                let address = format!("{server}/{name}");
                made.push(name);
                Ok(address)
            }
        }
    }

    /// Removes all of them.
    pub async fn remove(self) -> anyhow::Result<()> {
        match self {
            BenchDatabase::Folder(folder) => std::fs::remove_dir_all(folder)?,
            BenchDatabase::Server { url, made } => {
                for name in made {
                    execute(&url, &format!("DROP DATABASE {name} WITH (FORCE)")).await?;
                }
            }
        }
        Ok(())
    }
}

async fn execute(url: &str, statement: &str) -> anyhow::Result<()> {
    let db = Database::connect(url).await?;
    db.execute_unprepared(statement).await?;
    db.close().await?;
    Ok(())
}

//! An empty database for one test: a SQLite file in a folder of its own or, where `TEST_DATABASE_URL` names a PostgreSQL
//! server, a database there that is dropped at the end.

use inspection_hub::ingest::{BatchWriter, CommittedBatch, LogRecord, Writer};
use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;
use uuid::Uuid;

/// The server to make databases on, with the name of one that is there.
pub const URL: &str = "TEST_DATABASE_URL";

/// An empty database and a folder.
pub struct TestDatabase {
    pub address: String,
    pub folder: TempDir,
    /// The name of the database, and where to drop it.
    server: Option<(String, String)>,
}

impl TestDatabase {
    /// On what the environment says.
    pub async fn new() -> TestDatabase {
        match std::env::var(URL) {
            Ok(url) => TestDatabase::on(url).await,
            Err(_) => TestDatabase::file(),
        }
    }

    /// A SQLite file.
    pub fn file() -> TestDatabase {
        let folder = tempfile::tempdir().expect("a folder");
        TestDatabase { address: format!("sqlite://{}/hub.db", folder.path().display()), folder, server: None }
    }

    /// A database on this PostgreSQL server.
    pub async fn on(url: String) -> TestDatabase {
        let name = format!("hub_test_{}", Uuid::new_v4().simple());
        execute(&url, &format!("CREATE DATABASE {name}")).await;
        let address = in_database(&url, &name);
        TestDatabase { address, folder: tempfile::tempdir().expect("a folder"), server: Some((url, name)) }
    }

    /// Whether it is a SQLite file, once it has been opened.
    pub fn is_file(&self) -> bool {
        self.folder.path().join("hub.db").exists()
    }
}

// The same server, another database.
fn in_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let (server, _) = base.rsplit_once('/').expect("a URL that names a database");
    query.map_or(format!("{server}/{name}"), |query| format!("{server}/{name}?{query}"))
}

async fn execute(url: &str, statement: &str) {
    let db = Database::connect(url).await.expect("PostgreSQL");
    db.execute_unprepared(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    db.close().await.expect("closed");
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some((url, name)) = self.server.take() else { return };
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(execute(&url, &format!("DROP DATABASE {name} WITH (FORCE)")));
        });
        // If it fails, a database is left over on a server that is for tests.
        let _ = dropping.join();
    }
}

/// Writes from a thread of its own, as the hub does: a writer blocks.
pub fn write(writer: &mut Writer, batch: &[LogRecord]) -> CommittedBatch {
    std::thread::scope(|scope| scope.spawn(|| writer.write_batch(batch).expect("written")).join().expect("no panic"))
}

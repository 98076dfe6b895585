//! PgBouncer before PostgreSQL: session pooling works, with the hub's limits. Transaction and statement pooling are refused.

use super::postgres::{PostgresCluster, assert_unavailable_with_retry_after, hold_lock, migrate, until_ready};
use super::proxy::port_of;
use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::{TestHub, wait_until};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

struct PgBouncer {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl PgBouncer {
    /// In front of a server, in one of its pool modes.
    async fn before(database: u16, mode: &str) -> PgBouncer {
        let folder = tempfile::tempdir().expect("a folder");
        let port = HubProcess::free_port();
        // `any` logs everybody in as the user that is named here.
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={database} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 30\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("the settings");
        let found = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pgbouncer.sh")).output().expect("a shell");
        let program = String::from_utf8(found.stdout).expect("a path");
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        // It refuses to run as root.
        Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()).status().expect("chmod");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program.trim()).arg(&file);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pgbouncer starts");
        let listens = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        wait_until("PgBouncer listens", listens).await;
        PgBouncer { process, port, _folder: folder }
    }

    fn address(&self, of: &str) -> String {
        of.replace(&format!("127.0.0.1:{}", port_of(of)), &format!("127.0.0.1:{}", self.port))
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_for_each_connection_keeps_the_limits() {
    if !super::is_root() {
        return crate::skip::skip("needs root: it starts a program as another user");
    }
    let cluster = PostgresCluster::start();
    let mut database = TestDatabase::on(cluster.url.clone()).await;
    let direct = database.address.clone();
    let pooler = PgBouncer::before(port_of(&direct), "session").await;
    database.address = pooler.address(&direct);
    // Without PostgreSQL's own limit on waiting for a lock, nothing would end the wait in this test.
    let app =
        TestHub::on(Arc::new(database), "database_acquire_timeout = \"2s\"\ndatabase_statement_timeout = \"1h\"").await;
    app.post_sample("hover/job-state-changed-working.json").await;
    assert_eq!(app.ledger("hover").await["received"], 1);
    let somebody = hold_lock(&direct, "SELECT * FROM log_head FOR UPDATE").await;
    assert_unavailable_with_retry_after(&app).await;
    somebody.close().await.expect("closed");
    until_ready(&app).await;
    drop(app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_shares_sessions_is_refused_with_the_reason() {
    if !super::is_root() {
        return crate::skip::skip("needs root: it starts a program as another user");
    }
    let cluster = PostgresCluster::start();
    let database = TestDatabase::on(cluster.url.clone()).await;
    for mode in ["transaction", "statement"] {
        let pooler = PgBouncer::before(port_of(&database.address), mode).await;
        let address = pooler.address(&database.address);
        for _ in 0..2 {
            let (code, text) = migrate(&address);
            assert_eq!(code, Some(1), "{mode}: {text}");
            assert!(text.contains("a pooler that shares sessions between connections"), "{mode}: {text}");
        }
    }
    let (code, text) = migrate(&database.address);
    assert_eq!(code, Some(0), "{text}");
}

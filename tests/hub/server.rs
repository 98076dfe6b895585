//! A hub as a process of its own, which can be killed.

use crate::database::TestDatabase;
use crate::driver::{PATIENCE, client};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Server {
    process: Child,
    pub port: u16,
    pub url: String,
    /// From the start of the process to its first answer that it is ready.
    pub ready_after: Duration,
}

impl Server {
    pub async fn start(database: &TestDatabase) -> Server {
        Server::with(database, &[]).await
    }

    /// With these variables.
    pub async fn with(database: &TestDatabase, variables: &[(&str, String)]) -> Server {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        Server::at(port, database, variables).await
    }

    /// Where another was before.
    pub async fn at(port: u16, database: &TestDatabase, variables: &[(&str, String)]) -> Server {
        let started = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_inspection-hub"))
            .args(["serve", "--log", "warn", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--database", &database.address])
            .envs(variables.iter().map(|(name, value)| (*name, value.as_str())))
            .current_dir(database.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut server = Server { process, port, url: format!("http://127.0.0.1:{port}"), ready_after: Duration::ZERO };
        let client = client();
        while !matches!(client.get(format!("{}/readyz", server.url)).send().await, Ok(answer) if answer.status() == 200)
        {
            assert!(started.elapsed() < PATIENCE, "the server is not ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.ready_after = started.elapsed();
        server
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// As `kill -9` does it.
    pub fn kill(mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }

    /// As an operator ends it; waits until it has.
    pub async fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().expect("kill");
        assert!(told.success());
        let asked = Instant::now();
        while self.process.try_wait().expect("its end").is_none() {
            assert!(asked.elapsed() < PATIENCE, "the server does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for a line on its standard output.
    pub async fn says(&mut self, expected: String) {
        let output = self.process.stdout.take().expect("a standard output");
        let said = tokio::task::spawn_blocking(move || BufReader::new(output).lines().next());
        let said = tokio::time::timeout(PATIENCE, said).await.expect("in time").expect("no panic");
        assert_eq!(said.expect("a line").expect("text"), expected);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

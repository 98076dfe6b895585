//! A hub as a process of its own, which can be killed.

use crate::database::TestDatabase;
use crate::test_hub::{TIMEOUT, client};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub struct HubProcess {
    process: Child,
    log: Arc<Mutex<String>>,
    pub port: u16,
    pub url: String,
    /// From the start of the process to its first answer that it is ready.
    pub ready_after: Duration,
}

impl HubProcess {
    pub async fn start(database: &TestDatabase) -> HubProcess {
        HubProcess::with(database, &[]).await
    }

    /// With these variables.
    pub async fn with(database: &TestDatabase, variables: &[(&str, String)]) -> HubProcess {
        HubProcess::at(HubProcess::free_port(), database, variables).await
    }

    /// Where another was before.
    pub async fn at(port: u16, database: &TestDatabase, variables: &[(&str, String)]) -> HubProcess {
        let mut command = HubProcess::command(port, &database.address);
        command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
        command.current_dir(database.folder.path());
        HubProcess::ready(port, command).await
    }

    /// What starts a server there.
    pub fn command(port: u16, database: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
        HubProcess::arguments(&mut command, port, database);
        command
    }

    /// Gives these arguments to what starts a server.
    pub fn arguments(command: &mut Command, port: u16, database: &str) {
        command.args(["serve", "--log", "warn", "--listen", &format!("127.0.0.1:{port}"), "--database", database]);
    }

    /// Any free port.
    pub fn free_port() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
    }

    /// Starts it, and waits until it is ready.
    pub async fn ready(port: u16, command: Command) -> HubProcess {
        let started = Instant::now();
        let mut server = HubProcess::spawn(port, command);
        let client = client();
        while !matches!(client.get(format!("{}/readyz", server.url)).send().await, Ok(answer) if answer.status() == 200)
        {
            assert!(started.elapsed() < TIMEOUT, "the server is not ready: {}", server.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.ready_after = started.elapsed();
        server
    }

    /// Starts it, and waits for nothing.
    pub fn spawn(port: u16, mut command: Command) -> HubProcess {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the server starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, heard) = (BufReader::new(process.stderr.take().expect("an output")), log.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                *heard.lock().expect("lock") += &format!("{line}\n");
            }
        });
        HubProcess { process, log, port, url: format!("http://127.0.0.1:{port}"), ready_after: Duration::ZERO }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.log.lock().expect("lock").clone()
    }

    /// Waits until it has logged something.
    pub async fn wait_for_log(&self, text: &str) {
        let asked = Instant::now();
        while !self.log().contains(text) {
            assert!(asked.elapsed() < TIMEOUT, "it does not log {text:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let told = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status().expect("kill");
        assert!(told.success());
    }

    /// Waits until it has ended, and says how.
    pub async fn wait_for_exit(&mut self) -> Option<i32> {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("its end") {
                return status.code();
            }
            assert!(asked.elapsed() < TIMEOUT, "the server does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
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
        self.signal("TERM");
        self.wait_for_exit().await;
    }

    /// Waits for a line on its standard output.
    pub async fn wait_for_stdout(&mut self, expected: String) {
        let output = self.process.stdout.take().expect("a standard output");
        let said = tokio::task::spawn_blocking(move || BufReader::new(output).lines().next());
        let said = tokio::time::timeout(TIMEOUT, said).await.expect("in time").expect("no panic");
        assert_eq!(said.expect("a line").expect("text"), expected);
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

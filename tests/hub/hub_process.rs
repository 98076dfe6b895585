//! A hub as a process of its own, which can be killed.

use crate::database::TestDatabase;
use crate::test_hub::{TIMEOUT, client, wait_until};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

pub struct HubProcess {
    process: Child,
    log: Arc<Mutex<String>>,
    pub port: u16,
    pub url: String,
}

impl HubProcess {
    pub async fn start(database: &TestDatabase) -> HubProcess {
        HubProcess::with(database, &[]).await
    }

    /// With these environment variables.
    pub async fn with(database: &TestDatabase, variables: &[(&str, String)]) -> HubProcess {
        HubProcess::at(HubProcess::free_port(), database, variables).await
    }

    /// On this port.
    pub async fn at(port: u16, database: &TestDatabase, variables: &[(&str, String)]) -> HubProcess {
        let mut command = HubProcess::command(port, &database.address);
        command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
        command.current_dir(database.folder.path());
        HubProcess::ready(port, command).await
    }

    /// The command that starts a hub.
    pub fn command(port: u16, database: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
        HubProcess::arguments(&mut command, port, database);
        command
    }

    /// Adds the arguments of `serve` to a command.
    pub fn arguments(command: &mut Command, port: u16, database: &str) {
        command.args(["serve", "--log", "warn", "--listen", &format!("127.0.0.1:{port}"), "--database", database]);
    }

    /// Any free port.
    pub fn free_port() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
    }

    /// Starts it, and waits until it is ready.
    pub async fn ready(port: u16, command: Command) -> HubProcess {
        let mut server = HubProcess::spawn(port, command);
        let (client, url) = (client(), format!("{}/readyz", server.url));
        wait_until("the hub is ready", async || {
            let ended = server.process.try_wait().expect("its status");
            assert!(ended.is_none(), "the hub ended ({ended:?}): {}", server.log());
            client.get(&url).send().await.is_ok_and(|response| response.status() == 200)
        })
        .await;
        server
    }

    /// Starts it without waiting.
    pub fn spawn(port: u16, mut command: Command) -> HubProcess {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the server starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, written) = (BufReader::new(process.stderr.take().expect("an output")), log.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                *written.lock().expect("lock") += &format!("{line}\n");
            }
        });
        HubProcess { process, log, port, url: format!("http://127.0.0.1:{port}") }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("lock").clone()
    }

    /// Waits until it has logged something.
    pub async fn wait_for_log(&self, text: &str) {
        wait_until(&format!("the hub logs {text:?}"), async || self.log().contains(text)).await;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// Waits until it has ended; its exit status.
    pub async fn wait_for_exit(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the hub ends", async || {
            status = self.process.try_wait().expect("its status");
            status.is_some()
        })
        .await;
        status.and_then(|it| it.code())
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// As with `kill -9`.
    pub fn kill(mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }

    /// With SIGTERM; waits until it has ended.
    pub async fn stop(mut self) {
        self.signal("TERM");
        self.wait_for_exit().await;
    }

    /// Waits for a line on its standard output.
    pub async fn wait_for_stdout(&mut self, expected: String) {
        let output = self.process.stdout.take().expect("a standard output");
        let line = tokio::task::spawn_blocking(move || BufReader::new(output).lines().next());
        let line = tokio::time::timeout(TIMEOUT, line).await.expect("in time").expect("no panic");
        assert_eq!(line.expect("a line").expect("text"), expected);
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log of the hub on port {}:\n{}", self.port, self.log());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! A server in a separate process, and its cost as Linux counts it.

use anyhow::{Context, ensure};
use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The limit of a start.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// Nanoseconds of each thread when it was last seen, so that ended threads count.
    threads: Mutex<HashMap<OsString, u64>>,
}

impl Process {
    /// Starts a server on a free port. Its log goes to `log`.
    pub fn start(log: impl Into<Stdio>, make: impl FnOnce(SocketAddr) -> Command) -> anyhow::Result<Process> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = make(address);
        // No other settings.
        command.env_clear().stdout(Stdio::null()).stderr(log);
        let process = Process { child: command.spawn()?, address, threads: Mutex::default() };
        let begin = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            ensure!(begin.elapsed() < PATIENCE, "it does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(process)
    }

    /// CPU seconds of all threads.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end while the folder is read.
            let thread = thread?;
            let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let nanoseconds = text.split(' ').next().context("an empty schedstat")?.trim().parse()?;
            threads.insert(thread.file_name(), nanoseconds);
        }
        Ok(threads.values().sum::<u64>() as f64 / 1e9)
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no such line")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }

    /// Ends it as an operator does, and waits for it.
    pub fn end(mut self) -> anyhow::Result<()> {
        let kill = format!("kill -TERM {}", self.child.id());
        ensure!(Command::new("sh").args(["-c", &kill]).status()?.success(), "it was gone already");
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is still there only if something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fails if a process may not open so many files.
pub fn check_files(needed: u64) -> anyhow::Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).context("no limit of files")?;
    let soft = line.split_whitespace().next().unwrap_or_default();
    let enough = soft == "unlimited" || soft.parse::<u64>()? >= needed;
    ensure!(enough, "each process may open {soft} files, and {needed} are needed: ulimit -n {needed}");
    Ok(())
}

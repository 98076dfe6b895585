//! Many cheap subscribers: they count frames and parse few of them.

use anyhow::{bail, ensure};
use chrono::{DateTime, Utc};
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The limit of waiting for frames.
const PATIENCE: Duration = Duration::from_secs(60);
/// One subscriber in this many measures the latency of its frames.
const TIMED: usize = 20;
const BUFFER: usize = 32 << 10;

pub struct Subscribers {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// The arrival of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub position: u64,
    pub received_at: DateTime<Utc>,
    pub at: DateTime<Utc>,
}

impl Timing {
    /// Milliseconds from an event to the arrival of the frame.
    pub fn since(&self, before: DateTime<Utc>) -> f64 {
        (self.at - before).num_microseconds().unwrap_or_default() as f64 / 1e3
    }
}

struct Shared {
    frames: Vec<AtomicU64>,
    timed: AtomicBool,
    timings: Mutex<Vec<Timing>>,
    sample: Mutex<String>,
}

impl Subscribers {
    /// Opens sockets, and subscribes this many times on each if there is an operation. The frames of a socket are those of all its
    /// subscriptions.
    pub async fn open(
        address: SocketAddr,
        operation: Option<&str>,
        count: usize,
        each: usize,
    ) -> anyhow::Result<Subscribers> {
        let frames = std::iter::repeat_with(AtomicU64::default).take(count).collect();
        let (timed, timings, sample) = Default::default();
        let shared = Arc::new(Shared { frames, timed, timings, sample });
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            handshake(&mut stream).await?;
            if let Some(operation) = operation {
                stream.write_all(&masked(0x81, br#"{"type":"connection_init"}"#)).await?;
                let payload = serde_json::json!({ "query": operation });
                for id in 1..=each {
                    let subscribe =
                        serde_json::json!({ "id": id.to_string(), "type": "subscribe", "payload": payload });
                    stream.write_all(&masked(0x81, subscribe.to_string().as_bytes())).await?;
                }
            }
            let shared = shared.clone();
            let skipped = u64::from(operation.is_some());
            tasks.spawn(async move {
                if let Err(error) = receive(stream, &shared, number, skipped).await {
                    eprintln!("subscriber {number}: {error}");
                }
            });
        }
        Ok(Subscribers { shared, _tasks: tasks })
    }

    /// Frames of all sockets.
    pub fn frames(&self) -> u64 {
        self.shared.frames.iter().map(|frames| frames.load(Ordering::Relaxed)).sum()
    }

    /// The frames of the socket with the fewest.
    pub fn fewest(&self) -> u64 {
        self.shared.frames.iter().map(|frames| frames.load(Ordering::Relaxed)).min().unwrap_or_default()
    }

    /// Waits until each has exactly this many.
    pub async fn have(&self, wanted: u64) -> anyhow::Result<()> {
        let begin = Instant::now();
        while self.fewest() < wanted {
            if begin.elapsed() > PATIENCE {
                bail!("one has {} frames and not {wanted}", self.fewest());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let all = wanted * self.shared.frames.len() as u64;
        ensure!(self.frames() == all, "there are {} frames and not {all}", self.frames());
        Ok(())
    }

    /// From now on, some measure latencies.
    pub fn time(&self) {
        self.shared.timed.store(true, Ordering::Relaxed);
    }

    pub fn timings(&self) -> Vec<Timing> {
        std::mem::take(&mut self.shared.timings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The text of a frame.
    pub fn sample(&self) -> String {
        self.shared.sample.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn handshake(stream: &mut TcpStream) -> anyhow::Result<()> {
    let head = "GET /graphql HTTP/1.1\r\nhost: hub\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        sec-websocket-protocol: graphql-transport-ws\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    // Byte by byte at the end, so that no byte of a frame is read with the header.
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    ensure!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

// The mask is zero, so the bytes are unchanged.
fn masked(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend((long as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Counts text frames. The first `skipped` are not changes.
async fn receive(mut stream: TcpStream, shared: &Shared, number: usize, skipped: u64) -> anyhow::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let (mut filled, mut seen) = (0, 0_u64);
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut at = 0;
        while let Some((kind, payload, end)) = frame(&buffer[at..filled]) {
            let text = &buffer[at + payload..at + end];
            match kind {
                0x81 => {
                    seen += 1;
                    if number.is_multiple_of(TIMED) && seen > skipped {
                        shared.look(text, number, seen - skipped);
                    }
                }
                0x89 => stream.write_all(&masked(0x8A, text)).await?,
                0x88 => return Ok(()),
                other => bail!("a frame of kind {other:#x}"),
            }
            at += end;
        }
        shared.frames[number].store(seen.saturating_sub(skipped), Ordering::Relaxed);
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

impl Shared {
    fn look(&self, text: &[u8], number: usize, seen: u64) {
        if number == 0 && seen == 2 {
            *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = String::from_utf8_lossy(text).into_owned();
        }
        if !self.timed.load(Ordering::Relaxed) {
            return;
        }
        let at = Utc::now();
        let (Some(position), Some(received_at)) = (after(text, "\"position\":"), after(text, "\"receivedAt\":\""))
        else {
            return;
        };
        self.timings.lock().unwrap_or_else(PoisonError::into_inner).push(Timing { position, received_at, at });
    }
}

/// The first byte of a frame, where its payload begins, and where it ends.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (kind, length) = (*bytes.first()?, *bytes.get(1)?);
    let (payload, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= payload + length).then_some((kind, payload, payload + length))
}

/// The value after a name.
fn after<T: FromStr>(text: &[u8], name: &str) -> Option<T> {
    let begin = text.windows(name.len()).position(|window| window == name.as_bytes())? + name.len();
    let rest = str::from_utf8(&text[begin..]).ok()?;
    rest.split([',', '"', '}']).next()?.parse().ok()
}

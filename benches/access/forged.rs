//! Requests that nobody signed.

use crate::client::Connection;
use crate::process::Process;
use crate::{Seen, judge};
use anyhow::ensure;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The bytes of the body.
const BYTES: usize = 1024;
/// Good requests per second of a flood, over so many connections.
const GOOD_PER_SECOND: u32 = 200;
const GOOD_CONNECTIONS: u32 = 4;

fn request(path: &str, header: &str) -> Vec<u8> {
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(BYTES - 11));
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{header}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn webhook() -> Vec<u8> {
    let signature = "0123456789abcdef".repeat(4);
    request("/webhooks/truto", &format!("x-truto-signature: format=sha256,v={signature}\r\n"))
}

fn made_up_key() -> Vec<u8> {
    request("/graphql", &format!("authorization: Bearer ihub_0123456789ab_{}\r\n", "A".repeat(43)))
}

/// The processor time of forged requests against that of a static 404.
pub async fn cost(hub: &Process, times: usize) -> anyhow::Result<bool> {
    println!("forged requests of {BYTES} bytes, {times} times each over one connection");
    let kinds = [
        ("a static 404", request("/nothing", ""), 404),
        ("a webhook with a made-up signature (HMAC)", webhook(), 401),
        ("a query with a made-up API key", made_up_key(), 401),
    ];
    let mut costs = [const { Vec::new() }; 3];
    for _ in 0..5 {
        for ((_, request, status), costs) in kinds.iter().zip(&mut costs) {
            let mut connection = Connection::open(hub.address).await?;
            let before = hub.cpu()?;
            for _ in 0..times / 5 {
                let (answered, _) = connection.exchange(request).await?;
                ensure!(answered == *status || answered == 429, "answered {answered} instead of {status}");
            }
            costs.push((hub.cpu()? - before) * 1e6 / (times / 5) as f64);
        }
    }
    let [nothing, webhook, key] = costs.map(crate::median);
    println!("  CPU µs: {nothing:.1} for a 404, {webhook:.1} for the webhook, {key:.1} for the key");
    let mut missed = judge("a forged webhook against a 404 (at most 1.5)", webhook / nothing, webhook / nothing <= 1.5);
    missed |= judge("a made-up key against a 404 (at most 1.5)", key / nothing, key / nothing <= 1.5);
    Ok(missed)
}

/// Good requests at a fixed rate, with `forged` forged ones for each.
pub async fn paced(address: SocketAddr, good: &[u8], forged: usize, length: Duration) -> anyhow::Result<Seen> {
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    let end = begin + length;
    let pace = Duration::from_secs(1) * GOOD_CONNECTIONS / GOOD_PER_SECOND;
    for _ in 0..GOOD_CONNECTIONS {
        let good = good.to_vec();
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let (mut millis, mut due) = (Vec::new(), begin);
            while due < end {
                tokio::time::sleep_until(due.into()).await;
                connection.ask(&good).await?;
                // From when it was due: a late request is a slow one.
                millis.push(due.elapsed().as_secs_f64() * 1e3);
                due += pace;
            }
            anyhow::Ok(millis)
        });
        for (number, request) in [webhook(), made_up_key()].into_iter().enumerate() {
            let share = forged / 2 + (forged % 2) * usize::from(number == 0);
            let Ok(share) = u32::try_from(share) else { continue };
            if share == 0 {
                continue;
            }
            tasks.spawn(async move {
                let mut connection = Connection::open(address).await?;
                let (pace, mut due) = (pace / share, begin);
                while due < end {
                    tokio::time::sleep_until(due.into()).await;
                    let (status, _) = connection.exchange(&request).await?;
                    ensure!(status == 401 || status == 429, "a forged request is answered {status}");
                    due += pace;
                }
                Ok(Vec::new())
            });
        }
    }
    let mut millis: Vec<f64> = Vec::new();
    while let Some(seen) = tasks.join_next().await {
        millis.extend(seen??);
    }
    millis.sort_by(f64::total_cmp);
    Ok(Seen { per_second: millis.len() as f64 / length.as_secs_f64(), millis })
}

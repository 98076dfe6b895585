//! The cost of requests that the hub refuses.

use super::bombs::{self, Bomb};
use crate::client::Connection;
use crate::process::Process;
use anyhow::Context;
use std::time::Instant;

pub struct Cost {
    /// CPU microseconds of the hub's process per request.
    pub cpu: f64,
    /// Milliseconds of the slowest response.
    pub longest: f64,
    /// Why it was refused; `None` if it was executed.
    pub code: Option<String>,
}

/// Sends a document repeatedly over one connection, each time with another text.
pub async fn of(process: &Process, bomb: &Bomb, times: usize) -> anyhow::Result<Cost> {
    let mut connection = Connection::open(process.address).await?;
    let is_bomb = bomb.what != Bomb::none().what;
    let mut cost = Cost { cpu: 0.0, longest: 0.0, code: None };
    let warm = times / 10;
    let mut before = process.cpu()?;
    for number in 0..warm + times {
        if number == warm {
            before = process.cpu()?;
            cost.longest = 0.0;
        }
        let request = bomb.request(number);
        let sent = Instant::now();
        let (status, body) = connection.exchange(&request).await.with_context(|| bomb.what)?;
        cost.longest = cost.longest.max(sent.elapsed().as_secs_f64() * 1e3);
        if is_bomb {
            cost.code = Some(bombs::refused(status, body).with_context(|| bomb.what)?);
        } else {
            anyhow::ensure!(status == 200, "{} is answered {status}", bomb.what);
        }
    }
    cost.cpu = (process.cpu()? - before) * 1e6 / times as f64;
    Ok(cost)
}

//! The processor time of this process.

use anyhow::Context;
use std::time::Duration;

/// Clock ticks per second in `/proc`, on every architecture.
const TICKS: f64 = 100.0;

/// The time of all threads so far, those of the client included.
pub fn own() -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in parentheses, may contain blanks. The state follows; `utime` and `stime` are 11 fields on.
    let (_, fields) = text.rsplit_once(')').context("no name in /proc/self/stat")?;
    let times = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    let ticks = times.sum::<Result<f64, _>>()?;
    Ok(Duration::from_secs_f64(ticks / TICKS))
}

//! The results as lines of text, and whether the targets are reached.

use crate::support::load::Outcome;

/// One system at one number of connections.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub per_second: f64,
    /// In milliseconds.
    pub median: f64,
    pub p99: f64,
    pub longest: f64,
}

/// All systems at one number of connections.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub connections: usize,
    pub hub: Figures,
    pub naive: Figures,
    pub bare: Figures,
    /// Deliveries in one transaction of the hub, on average.
    pub batch: f64,
}

impl Figures {
    pub fn of(outcome: &Outcome) -> Figures {
        let at = |share: f64| {
            let index = (outcome.micros.len().saturating_sub(1)) as f64 * share;
            outcome.micros.get(index.round() as usize).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
        };
        let per_second = outcome.within as f64 / outcome.window.as_secs_f64();
        Figures { per_second, median: at(0.5), p99: at(0.99), longest: at(1.0) }
    }
}

impl Row {
    pub fn over_naive(&self) -> f64 {
        self.hub.per_second / self.naive.per_second
    }

    pub fn over_bare(&self) -> f64 {
        self.hub.per_second / self.bare.per_second
    }
}

pub fn head() {
    println!("connections  system  requests/s    p50 ms    p99 ms    max ms   hub/naive  hub/bare  deliveries/commit");
}

pub fn row(row: &Row) {
    let line = |name: &str, figures: &Figures| {
        let Figures { per_second, median, p99, longest } = figures;
        format!("{:>11}  {name:<6}  {per_second:>10.0} {median:>9.2} {p99:>9.2} {longest:>9.2}", row.connections)
    };
    let (over_naive, over_bare) = (row.over_naive(), row.over_bare());
    println!("{}   {over_naive:>9.1} {over_bare:>9.2} {:>18.1}", line("hub", &row.hub), row.batch);
    println!("{}", line("naive", &row.naive));
    println!("{}\n", line("bare", &row.bare));
}

/// The targets, and whether they were reached.
pub fn targets(row: &Row, on_server: bool) {
    let Row { connections, hub, naive, .. } = row;
    println!("targets at {connections} connections");
    let (over_naive, over_bare) = (row.over_naive(), row.over_bare());
    let times = if on_server { 10.0 } else { 25.0 };
    println!("  at least {times:.0} times naive     {over_naive:>8.1}     {}", reached(over_naive >= times));
    if !on_server {
        println!("  at least 0.5 times bare     {over_bare:>8.2}     {}", reached(over_bare >= 0.5));
    }
    let share = hub.p99 / naive.p99;
    println!("  p99 a tenth of naive's      {share:>8.2}     {}", reached(share <= 0.1));
}

/// Requests per second of one hub and of two on the same database.
pub fn replicas([one, two]: [f64; 2]) {
    let ratio = two / one;
    println!("one hub {one:.0}, two hubs on one database {two:.0} requests/s: {ratio:.2}  {}", reached(ratio >= 1.0));
}

fn reached(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

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
    /// Microseconds of both processors for each answer, those of the client included.
    pub cpu: f64,
}

/// All systems at one number of connections.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub connections: usize,
    pub hub: Figures,
    /// The hub with a writer that stores nothing.
    pub ceiling: Figures,
    pub naive: Figures,
    pub bare: Figures,
    /// Deliveries in one transaction of the hub, on average.
    pub batch: f64,
}

impl Figures {
    pub fn of(outcome: &Outcome, cpu: f64) -> Figures {
        let at = |share: f64| {
            let index = (outcome.micros.len().saturating_sub(1)) as f64 * share;
            outcome.micros.get(index.round() as usize).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
        };
        Figures { per_second: per_second(outcome), median: at(0.5), p99: at(0.99), longest: at(1.0), cpu }
    }
}

/// Answers per second.
pub fn per_second(outcome: &Outcome) -> f64 {
    outcome.within as f64 / outcome.window.as_secs_f64()
}

impl Row {
    pub fn over_naive(&self) -> f64 {
        self.hub.per_second / self.naive.per_second
    }

    pub fn over_bare(&self) -> f64 {
        self.hub.per_second / self.bare.per_second
    }

    pub fn over_ceiling(&self) -> f64 {
        self.hub.per_second / self.ceiling.per_second
    }
}

pub fn head() {
    println!(
        "connections  system   requests/s    p50 ms    p99 ms    max ms   CPU us   hub/naive  hub/bare  hub/ceiling  \
         deliveries/commit"
    );
}

pub fn row(row: &Row) {
    let line = |name: &str, figures: &Figures| {
        let Figures { per_second, median, p99, longest, cpu } = figures;
        let times = format!("{median:>9.2} {p99:>9.2} {longest:>9.2} {cpu:>8.1}");
        format!("{:>11}  {name:<7}  {per_second:>10.0} {times}", row.connections)
    };
    let (over_naive, over_bare, over_ceiling) = (row.over_naive(), row.over_bare(), row.over_ceiling());
    println!("{}   {over_naive:>9.1} {over_bare:>9.2} {over_ceiling:>12.2} {:>18.1}", line("hub", &row.hub), row.batch);
    println!("{}", line("ceiling", &row.ceiling));
    println!("{}", line("naive", &row.naive));
    println!("{}\n", line("bare", &row.bare));
}

/// The targets, and whether they were reached.
pub fn targets(row: &Row, on_server: bool) {
    let (times, share) = if on_server { (3.3, 0.25) } else { (9.0, 0.4) };
    let (over_naive, over_ceiling) = (row.over_naive(), row.over_ceiling());
    println!("targets at {} connections", row.connections);
    println!("  at least {times:.1} times naive      {over_naive:>8.1}     {}", reached(over_naive >= times));
    println!("  at least {share:.2} times ceiling   {over_ceiling:>8.2}     {}", reached(over_ceiling >= share));
}

/// Requests per second of one hub and of two on the same database.
pub fn replicas([one, two]: [f64; 2]) {
    let ratio = two / one;
    println!("one hub {one:.0}, two hubs on one database {two:.0} requests/s: {ratio:.2}  {}", reached(ratio >= 0.95));
}

fn reached(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

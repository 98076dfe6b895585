//! Realistic traffic of all vendors against a running hub, to see it live and to prove that it loses nothing. It knows
//! the hub from outside only: webhooks over HTTP, and the ledger from GraphQL.
//!
//! ```text
//! sample -> life -> lives -> traffic -> mischief -> sender -> ledger -> report
//! ```
//!
//! `lives` say what happens to a thing, `traffic` puts many of them side by side, `mischief` is what goes wrong on
//! the way, and `sender` brings it to the hub and counts the answers. All but the sending is decided by the seed.

mod forgery;
mod form;
mod garbage;
mod ledger;
mod life;
mod lives;
mod mischief;
mod people;
mod report;
mod sample;
mod sender;
#[cfg(test)]
mod tests;
mod traffic;
mod vehicles;

pub use life::MAX_SEED;
pub use mischief::Shares;
pub use report::Report;
pub use sample::BadSample;

use crate::progress::Progress;
use crate::settings::Source;
use crate::vendor::Secret;
use crate::vendor::verify::CannotSign;
use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Counts, Tally};
use life::Times;
use mischief::{Mischief, Sending};
use reqwest::{Client, Url};
use sender::Sender;
use std::collections::BTreeMap;
use std::error::Error;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use traffic::{Clock, Traffic};

/// Deliveries that wait for each connection.
const QUEUE: usize = 32;
/// How far behind its rate a run may fall before it takes it easy.
const ARREARS: Duration = Duration::from_secs(1);

/// Everything that is to be sent, in order.
type Sendings = Box<dyn Iterator<Item = Sending> + Send>;

/// What is to be sent where.
#[derive(Clone, Debug)]
pub struct Plan {
    pub hub: Url,
    /// What its ledger is asked with, if its API is not open.
    pub api_token: Option<Secret>,
    /// The sources that are sent to.
    pub sources: Vec<Source>,
    pub amount: Amount,
    /// At most [`MAX_SEED`].
    pub seed: u32,
    pub shares: Shares,
    /// Deliveries per second; none for as many as the hub takes.
    pub rate: Option<NonZeroU32>,
    pub connections: NonZeroUsize,
}

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// So many deliveries about what happened in this time up to a moment.
    Count { deliveries: u64, spread: TimeDelta, until: DateTime<Utc> },
    /// Until it is stopped, about what happens now.
    Forever,
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum CannotSimulate {
    #[error("no hub answers at {url}; `inspection-hub serve` starts one ({why})")]
    NoHub { url: Url, why: String },
    #[error("what answers at {url} does not tell its sources' ledgers as a hub does: {answer}")]
    NotAHub { url: Url, answer: String },
    #[error("the hub at {hub} has no source {name}: it runs with other settings")]
    NoSource { hub: Url, name: String },
    #[error("there is no source to send to")]
    NoSources,
    #[error("deliveries to {name} cannot be signed: {why}; leave its vendor out with --vendors")]
    Sign { name: String, why: CannotSign },
    #[error("the HTTP client cannot be set up: {0}")]
    Client(reqwest::Error),
    #[error(transparent)]
    Sample(#[from] BadSample),
    #[error("a task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Sends all of it, or until it is stopped; then asks the hub's ledger whether it agrees.
///
/// # Errors
/// If nothing can be sent at all.
pub async fn run(plan: Plan, stop: CancellationToken) -> Result<Report, CannotSimulate> {
    if plan.sources.is_empty() {
        return Err(CannotSimulate::NoSources);
    }
    let client = sender::client().map_err(CannotSimulate::Client)?;
    let sender = Arc::new(Sender::new(client.clone(), &plan.hub, &plan.sources, stop.clone())?);
    let before = ledgers(&client, &plan).await?;
    for source in &plan.sources {
        if !before.contains_key(&source.name) {
            return Err(CannotSimulate::NoSource { hub: plan.hub, name: source.name.clone() });
        }
    }
    let sendings = plan.sendings();
    let started = Instant::now();
    let tallies = send(&plan, sendings, sender, &stop).await?;
    let took = started.elapsed();
    let after = ledgers(&client, &plan).await.ok();
    let names = plan.sources.iter().map(|source| source.name.clone());
    let tallies: Vec<_> = names.zip(tallies).collect();
    let compare = |(source, tally): &(String, Tally), after: &BTreeMap<String, Counts>| {
        let counts = |of: &BTreeMap<String, Counts>| of.get(source).copied().unwrap_or_default();
        tally.compare(source, &counts(&before), &counts(after))
    };
    let disagreements = after.map(|after| tallies.iter().flat_map(|row| compare(row, &after)).collect());
    Ok(Report { tallies, disagreements, took })
}

// One task per connection. All of a life goes over the same one, so that only mischief changes its order.
async fn send(
    plan: &Plan,
    sendings: Sendings,
    sender: Arc<Sender>,
    stop: &CancellationToken,
) -> Result<Vec<Tally>, CannotSimulate> {
    let progress = Arc::new(Progress::new("delivered", plan.deliveries()));
    let mut queues = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..plan.connections.get() {
        let (queue, waiting) = mpsc::channel(QUEUE);
        queues.push(queue);
        let (sender, progress, stop) = (sender.clone(), progress.clone(), stop.clone());
        workers.push(tokio::spawn(work(waiting, sender, plan.sources.len(), progress, stop)));
    }
    let all = async {
        tokio::select! {
            () = dispatch(sendings, plan.rate, queues) => {}
            () = stop.cancelled() => {}
        }
        let mut tallies = vec![Tally::default(); plan.sources.len()];
        for worker in workers {
            for (tally, part) in tallies.iter_mut().zip(worker.await??) {
                tally.add(&part);
            }
        }
        Ok(tallies)
    };
    progress.during(all).await
}

async fn dispatch(sendings: Sendings, rate: Option<NonZeroU32>, queues: Vec<mpsc::Sender<Sending>>) {
    let mut due = Instant::now();
    for sending in sendings {
        if let Some(rate) = rate {
            tokio::time::sleep_until(due.into()).await;
            due += Duration::from_secs(1) / rate.get();
            if due.elapsed() > ARREARS {
                due = Instant::now();
            }
        }
        let place = sending.post.life % queues.len().max(1) as u64;
        let Some(queue) = queues.get(place as usize) else { return };
        if queue.send(sending).await.is_err() {
            return;
        }
    }
}

// What is in flight when it is stopped is brought to its end, what only waits is not begun.
async fn work(
    mut waiting: mpsc::Receiver<Sending>,
    sender: Arc<Sender>,
    sources: usize,
    progress: Arc<Progress>,
    stop: CancellationToken,
) -> Result<Vec<Tally>, CannotSimulate> {
    let mut tallies = vec![Tally::default(); sources];
    while let Some(sending) = waiting.recv().await {
        if stop.is_cancelled() {
            break;
        }
        let Some(tally) = tallies.get_mut(sending.post.source) else { continue };
        // A hub that does not come back would keep everybody waiting.
        if !sender.deliver(&sending, tally).await? {
            stop.cancel();
        }
        progress.steps(1);
    }
    Ok(tallies)
}

async fn ledgers(client: &Client, plan: &Plan) -> Result<BTreeMap<String, Counts>, CannotSimulate> {
    let hub = &plan.hub;
    let url = sender::address(hub, &["graphql"]);
    let no_hub = |error: reqwest::Error| CannotSimulate::NoHub { url: hub.clone(), why: root(&error) };
    let question = serde_json::json!({ "query": ledger::question() });
    let request = client.post(url.clone()).json(&question);
    let request = match &plan.api_token {
        Some(token) => request.bearer_auth(&token.value),
        None => request,
    };
    let answer = request.send().await.map_err(no_hub)?.text().await.map_err(no_hub)?;
    let ledgers = serde_json::from_str(&answer).ok().as_ref().and_then(ledger::ledgers);
    ledgers.ok_or_else(|| CannotSimulate::NotAHub { url, answer: answer.chars().take(200).collect() })
}

// What it came from: the errors above it only say that a request was sent.
fn root(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => root(source),
        None => error.to_string(),
    }
}

impl Plan {
    fn deliveries(&self) -> Option<u64> {
        match self.amount {
            Amount::Count { deliveries, .. } => Some(deliveries),
            Amount::Forever => None,
        }
    }

    /// Everything that is to be sent, in order.
    fn sendings(&self) -> Sendings {
        match self.amount {
            Amount::Forever => Box::new(self.with_clock(Clock::Live(Utc::now), None)),
            Amount::Count { deliveries, spread, until } => {
                let count = usize::try_from(deliveries).unwrap_or(usize::MAX);
                let span = Some((deliveries, spread));
                // Where the run's last moment will be is known only once it has been gone through.
                let rehearsal = Times { anchor: TimeDelta::zero(), at: until, scale: 1.0 };
                let rehearsal = self.with_clock(Clock::Fixed(rehearsal), span).take(count);
                let end = rehearsal.map(|sending| sending.post.at()).max().unwrap_or_default();
                let scale = spread.num_milliseconds() as f64 / (end.num_milliseconds().max(1)) as f64;
                let times = Times { anchor: end, at: until, scale };
                Box::new(self.with_clock(Clock::Fixed(times), span).take(count))
            }
        }
    }

    fn with_clock(&self, clock: Clock, span: Option<(u64, TimeDelta)>) -> Mischief {
        let vendors: Vec<&str> = self.sources.iter().map(|source| source.vendor.name).collect();
        let traffic = Traffic::new(self.seed, &vendors, clock, span);
        let verifies = self.sources.iter().map(|source| !source.verifier.is_open()).collect();
        Mischief::new(self.seed, traffic, self.shares, verifies)
    }
}

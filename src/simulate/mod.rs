//! Sends realistic traffic of all vendors to a running hub, to watch it and to prove that it loses nothing. It uses only the
//! hub's public interfaces: webhooks over HTTP, and the ledger from GraphQL.
//!
//! ```text
//! sample -> patch -> script -> scenario -> scenarios -> traffic -> chaos -> vendor_client -> ledger -> report
//! ```
//!
//! `scenarios` are the vendors' scripts, as data that `scenario` interprets. `traffic` merges many scenarios, `chaos` adds what
//! goes wrong on the way, and `vendor_client` sends the deliveries and counts the answers. The seed determines everything
//! but the sending.

mod chaos;
mod fake_people;
mod fake_vehicles;
mod forgery;
mod garbage;
mod ledger;
mod multipart_template;
mod patch;
mod report;
mod sample;
mod scenario;
mod scenarios;
mod script;
#[cfg(test)]
mod tests;
mod traffic;
mod vendor_client;

pub use chaos::ChaosRates;
pub use forgery::Forgery;
pub use report::SimulationReport;
pub use sample::SampleError;
pub use scenario::MAX_SEED;

use crate::progress_reporter::ProgressReporter;
use crate::settings::SourceSettings;
use crate::vendor::Secret;
use crate::vendor::verify::SignError;
use chaos::{Chaos, SimulatedRequest};
use chrono::{DateTime, TimeDelta, Utc};
use ledger::{LedgerCounts, SourceTally};
use patch::TimeMapping;
use reqwest::{Client, Url};
use std::collections::BTreeMap;
use std::error::Error;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use traffic::{Traffic, TrafficClock};
use vendor_client::VendorClient;

/// The number of deliveries that wait for each connection.
const QUEUE_CAPACITY: usize = 32;
/// If a run falls further behind its rate, it does not catch up.
const MAX_LAG: Duration = Duration::from_secs(1);

type RequestIterator = Box<dyn Iterator<Item = SimulatedRequest> + Send>;

#[derive(Clone, Debug)]
pub struct SimulationPlan {
    pub hub: Url,
    /// For the query of the ledger, if the API is not open.
    pub api_key: Option<Secret>,
    pub sources: Vec<SourceSettings>,
    pub amount: Amount,
    /// At most [`MAX_SEED`].
    pub seed: u32,
    pub chaos: ChaosRates,
    /// Deliveries per second; `None` for as many as the hub accepts.
    pub rate: Option<NonZeroU32>,
    pub connections: NonZeroUsize,
}

#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// This many, with timestamps spread over this time up to a moment.
    Count { deliveries: u64, spread: TimeDelta, until: DateTime<Utc> },
    /// Until stopped, with current timestamps.
    Forever,
}

/// Why a run has no report.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    #[error("no hub answers at {url}; `inspection-hub serve` starts one ({why})")]
    HubUnreachable { url: Url, why: String },
    #[error("the server at {url} is not a hub: its answer contains no ledgers: {answer}")]
    NotAHub { url: Url, answer: String },
    #[error("the hub at {hub} has no source {name}: it runs with different settings")]
    NoSource { hub: Url, name: String },
    #[error("there is no source to send to")]
    NoSources,
    #[error("deliveries to {name} cannot be signed: {why}; leave its vendor out with --vendors")]
    Sign { name: String, why: SignError },
    #[error("the HTTP client cannot be set up: {0}")]
    Client(reqwest::Error),
    #[error(transparent)]
    Sample(#[from] SampleError),
    #[error("a task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Sends all deliveries, or until stopped; then compares the hub's ledger with its answers.
///
/// # Errors
/// If nothing can be sent.
pub async fn run(plan: SimulationPlan, stop: CancellationToken) -> Result<SimulationReport, SimulationError> {
    if plan.sources.is_empty() {
        return Err(SimulationError::NoSources);
    }
    let client = vendor_client::http_client().map_err(SimulationError::Client)?;
    let sender = Arc::new(VendorClient::new(client.clone(), &plan.hub, &plan.sources, stop.clone())?);
    let before = fetch_ledgers(&client, &plan).await?;
    for source in &plan.sources {
        if !before.contains_key(&source.name) {
            return Err(SimulationError::NoSource { hub: plan.hub, name: source.name.clone() });
        }
    }
    let requests = plan.requests();
    let started = Instant::now();
    let tallies = send_all(&plan, requests, sender, &stop).await?;
    let elapsed = started.elapsed();
    let after = fetch_ledgers(&client, &plan).await.ok();
    let names = plan.sources.iter().map(|source| source.name.clone());
    let tallies: Vec<_> = names.zip(tallies).collect();
    let compare = |(source, tally): &(String, SourceTally), after: &BTreeMap<String, LedgerCounts>| {
        let counts = |of: &BTreeMap<String, LedgerCounts>| of.get(source).copied().unwrap_or_default();
        tally.compare(source, &counts(&before), &counts(after))
    };
    let mismatches = after.map(|after| tallies.iter().flat_map(|row| compare(row, &after)).collect());
    Ok(SimulationReport { tallies, mismatches, elapsed })
}

// One task per connection. A scenario uses one connection, so that only chaos changes its order.
async fn send_all(
    plan: &SimulationPlan,
    requests: RequestIterator,
    sender: Arc<VendorClient>,
    stop: &CancellationToken,
) -> Result<Vec<SourceTally>, SimulationError> {
    let total = match plan.amount {
        Amount::Count { deliveries, .. } => Some(deliveries),
        Amount::Forever => None,
    };
    let progress = Arc::new(ProgressReporter::new("delivered", total));
    let mut queues = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..plan.connections.get() {
        let (queue, waiting) = mpsc::channel(QUEUE_CAPACITY);
        queues.push(queue);
        let (sender, progress, stop) = (sender.clone(), progress.clone(), stop.clone());
        workers.push(tokio::spawn(run_worker(waiting, sender, plan.sources.len(), progress, stop)));
    }
    let all = async {
        stop.run_until_cancelled(dispatch(requests, plan.rate, queues)).await;
        let mut tallies = vec![SourceTally::default(); plan.sources.len()];
        for worker in workers {
            for (tally, part) in tallies.iter_mut().zip(worker.await??) {
                tally.add(&part);
            }
        }
        Ok(tallies)
    };
    progress.report_while(all).await
}

async fn dispatch(requests: RequestIterator, rate: Option<NonZeroU32>, queues: Vec<mpsc::Sender<SimulatedRequest>>) {
    let mut due = Instant::now();
    for request in requests {
        if let Some(rate) = rate {
            tokio::time::sleep_until(due.into()).await;
            due += Duration::from_secs(1) / rate.get();
            if due.elapsed() > MAX_LAG {
                due = Instant::now();
            }
        }
        let index = request.delivery.scenario % queues.len().max(1) as u64;
        let Some(queue) = queues.get(index as usize) else { return };
        if queue.send(request).await.is_err() {
            return;
        }
    }
}

// When stopped, finishes the current request and drops those that wait.
async fn run_worker(
    mut waiting: mpsc::Receiver<SimulatedRequest>,
    sender: Arc<VendorClient>,
    sources: usize,
    progress: Arc<ProgressReporter>,
    stop: CancellationToken,
) -> Result<Vec<SourceTally>, SimulationError> {
    let mut tallies = vec![SourceTally::default(); sources];
    while let Some(request) = waiting.recv().await {
        if stop.is_cancelled() {
            break;
        }
        let Some(tally) = tallies.get_mut(request.delivery.source) else { continue };
        // The hub did not answer within the deadline: the other connections would wait in vain.
        if !sender.deliver(&request, tally).await? {
            stop.cancel();
        }
        progress.advance(1);
    }
    Ok(tallies)
}

async fn fetch_ledgers(
    client: &Client,
    plan: &SimulationPlan,
) -> Result<BTreeMap<String, LedgerCounts>, SimulationError> {
    let hub = &plan.hub;
    let url = vendor_client::endpoint_url(hub, &["graphql"]);
    let no_hub = |error: reqwest::Error| SimulationError::HubUnreachable { url: hub.clone(), why: root_cause(&error) };
    let query = serde_json::json!({ "query": ledger::ledger_query() });
    let request = client.post(url.clone()).json(&query);
    let request = match &plan.api_key {
        Some(token) => request.bearer_auth(&token.value),
        None => request,
    };
    let answer = request.send().await.map_err(no_hub)?.text().await.map_err(no_hub)?;
    let ledgers = serde_json::from_str(&answer).ok().as_ref().and_then(ledger::parse_ledgers);
    ledgers.ok_or_else(|| SimulationError::NotAHub { url, answer: answer.chars().take(200).collect() })
}

// The innermost error: the outer ones only say that a request failed.
fn root_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => root_cause(source),
        None => error.to_string(),
    }
}

impl SimulationPlan {
    fn requests(&self) -> RequestIterator {
        match self.amount {
            Amount::Forever => Box::new(self.requests_with_clock(TrafficClock::Live(crate::clock::now), None)),
            Amount::Count { deliveries, spread, until } => {
                let count = usize::try_from(deliveries).unwrap_or(usize::MAX);
                let span = Some((deliveries, spread));
                // The time of the last delivery is only known after planning all of them.
                let rehearsal = TimeMapping { anchor: TimeDelta::zero(), at: until, scale: 1.0 };
                let rehearsal = self.requests_with_clock(TrafficClock::Fixed(rehearsal), span).take(count);
                let end = rehearsal.map(|request| request.delivery.step.at).max().unwrap_or_default();
                let scale = spread.num_milliseconds() as f64 / (end.num_milliseconds().max(1)) as f64;
                let times = TimeMapping { anchor: end, at: until, scale };
                Box::new(self.requests_with_clock(TrafficClock::Fixed(times), span).take(count))
            }
        }
    }

    fn requests_with_clock(&self, clock: TrafficClock, span: Option<(u64, TimeDelta)>) -> Chaos {
        let vendors: Vec<&str> = self.sources.iter().map(|source| source.vendor.name).collect();
        let traffic = Traffic::new(self.seed, &vendors, clock, span);
        let verifies = self.sources.iter().map(|source| !source.verifier.is_open()).collect();
        Chaos::new(self.seed, traffic, self.chaos, verifies)
    }
}

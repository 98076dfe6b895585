//! Complete, signed HTTP requests in memory: scenarios of many inspections of all vendors, interleaved. Made before the
//! measurement starts.

use super::template::Template;
use anyhow::Context;
use axum::http::{HeaderMap, HeaderValue, header};
use chrono::Utc;
use inspection_hub::settings::Settings;
use inspection_hub::vendor::verify::{Verifier, WebhookRequest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io::Write;
use std::ops::Range;

/// Scenarios in progress at the same time.
const CONCURRENT_SCENARIOS: usize = 1000;
/// The share of duplicates.
const DUPLICATES: f64 = 0.02;
/// A duplicate repeats one of the newest requests, of this many.
const RECENT: usize = 5000;

/// Requests in one buffer. Those of one inspection are in order, and far apart.
#[derive(Debug, Default)]
pub struct RequestStock {
    bytes: Vec<u8>,
    requests: Vec<Range<usize>>,
}

/// Builds stocks. No inspection occurs in two stocks.
pub struct StockBuilder {
    scenarios: Vec<StockScenario>,
    under_way: Vec<RunningScenario>,
    begun: u32,
    chance: StdRng,
}

/// The scenario of a vendor.
struct StockScenario {
    source: String,
    verifier: Verifier,
    events: Vec<Template>,
}

struct RunningScenario {
    scenario: usize,
    number: u32,
    next: usize,
}

impl RequestStock {
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.bytes.get(self.requests.get(index)?.clone())
    }

    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// The mean size of a request, its head included.
    pub fn bytes_each(&self) -> usize {
        self.bytes.len() / self.len().max(1)
    }
}

impl StockBuilder {
    /// With the verification of the sources in these settings.
    pub fn new(settings: &Settings) -> anyhow::Result<StockBuilder> {
        let scenarios = settings.sources.iter().map(|source| {
            let (source, verifier) = (source.name.clone(), source.verifier.clone());
            Ok(StockScenario { events: events(&source)?, source, verifier })
        });
        let mut maker = StockBuilder {
            scenarios: scenarios.collect::<anyhow::Result<_>>()?,
            under_way: Vec::new(),
            begun: 0,
            chance: StdRng::seed_from_u64(5),
        };
        // The first scenarios begin at any point, as if the hub replaced another one.
        maker.under_way = (0..CONCURRENT_SCENARIOS).map(|_| maker.at_any_point()).collect();
        Ok(maker)
    }

    /// The next requests, this many. They are signed now, and Truepic's signatures hold for five minutes.
    pub fn make(&mut self, requests: usize) -> anyhow::Result<RequestStock> {
        let mut stock = RequestStock::default();
        while stock.len() < requests {
            let start = stock.bytes.len();
            if stock.len() > 0 && self.chance.random_bool(DUPLICATES) {
                let recent = self.chance.random_range(stock.len().saturating_sub(RECENT)..stock.len());
                stock.bytes.extend_from_within(stock.requests[recent].clone());
            } else {
                self.next(&mut stock.bytes)?;
            }
            stock.requests.push(start..stock.bytes.len());
        }
        Ok(stock)
    }

    /// Equally many of each vendor.
    fn begin(&mut self) -> RunningScenario {
        self.begun += 1;
        RunningScenario { scenario: self.begun as usize % self.scenarios.len(), number: self.begun, next: 0 }
    }

    /// Any event of any scenario: the longer a vendor's scenarios, the more of them are in progress.
    fn at_any_point(&mut self) -> RunningScenario {
        self.begun += 1;
        let mut next = self.chance.random_range(0..self.scenarios.iter().map(|scenario| scenario.events.len()).sum());
        let mut scenario = 0;
        while next >= self.scenarios[scenario].events.len() {
            next -= self.scenarios[scenario].events.len();
            scenario += 1;
        }
        RunningScenario { scenario, number: self.begun, next }
    }

    fn next(&mut self, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let chosen = self.chance.random_range(0..self.under_way.len());
        let now = &mut self.under_way[chosen];
        let scenario = &self.scenarios[now.scenario];
        scenario.request(&scenario.events[now.next].render(now.number), out)?;
        now.next += 1;
        if now.next == scenario.events.len() {
            self.under_way[chosen] = self.begin();
        }
        Ok(())
    }
}

impl StockScenario {
    fn request(&self, body: &[u8], out: &mut Vec<u8>) -> anyhow::Result<()> {
        let path = format!("/webhooks/{}", self.source);
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let request = WebhookRequest { headers: &headers, path: &path, query: None, body, now: Utc::now() };
        let signed = self.verifier.sign(&request)?;
        write!(out, "POST {path} HTTP/1.1\r\nhost: hub.example\r\nuser-agent: {}/1.0\r\naccept: */*\r\n", self.source)?;
        write!(out, "content-type: application/json\r\ncontent-length: {}\r\n", body.len())?;
        for (name, value) in &signed.headers {
            write!(out, "{name}: {}\r\n", value.to_str()?)?;
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        Ok(())
    }
}

/// The samples of a vendor in a plausible order. Without the multipart form, which not every measured server accepts, and
/// without the handshake, which belongs to no inspection.
fn events(vendor: &str) -> anyhow::Result<Vec<Template>> {
    let folder = format!("{}/tests/samples/{vendor}", env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| {
        let path = format!("{folder}/{name}");
        std::fs::read_to_string(&path).with_context(|| path)
    };
    let order = read("ORDER")?;
    let files = order.lines().map(str::trim).filter(|line| line.ends_with(".json"));
    files
        .filter(|file| !file.starts_with('#') && *file != "webhook-verification-code.json")
        .map(|file| Ok(Template::of(&read(file)?)))
        .collect()
}

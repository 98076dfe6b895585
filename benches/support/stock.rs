//! Complete HTTP requests in memory: the lives of many inspections of all five vendors at the same time, signed. Made
//! before the clock runs.

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

/// ScenarioDeliveries that are under way at the same time.
const CONCURRENT_SCENARIOS: usize = 1000;
/// One request in this many is one that was sent before.
const DUPLICATES: f64 = 0.02;
/// A repetition is one of the newest so many.
const RECENT: usize = 5000;

/// Requests one after the other. Those of one life are in order, and far apart.
#[derive(Debug, Default)]
pub struct RequestStock {
    bytes: Vec<u8>,
    requests: Vec<Range<usize>>,
}

/// Makes stocks. No life comes twice, in however many stocks.
pub struct StockBuilder {
    lives: Vec<Life>,
    under_way: Vec<RunningScenario>,
    begun: u32,
    chance: StdRng,
}

/// What a vendor tells of one inspection.
struct Life {
    source: String,
    verifier: Verifier,
    events: Vec<Template>,
}

struct RunningScenario {
    life: usize,
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
    /// With what the sources of these settings ask for.
    pub fn new(settings: &Settings) -> anyhow::Result<StockBuilder> {
        let lives = settings.sources.iter().map(|source| {
            let (source, verifier) = (source.name.clone(), source.verifier.clone());
            Ok(Life { events: events(&source)?, source, verifier })
        });
        let mut maker = StockBuilder {
            lives: lives.collect::<anyhow::Result<_>>()?,
            under_way: Vec::new(),
            begun: 0,
            chance: StdRng::seed_from_u64(5),
        };
        // As if the hub were put before vendors that have long been at work: these lives are at any point.
        maker.under_way = (0..CONCURRENT_SCENARIOS).map(|_| maker.at_any_point()).collect();
        Ok(maker)
    }

    /// The next so many requests. They are signed now, and Truepic's signatures hold for five minutes.
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

    /// As many lives of each vendor as of any other.
    fn begin(&mut self) -> RunningScenario {
        self.begun += 1;
        RunningScenario { life: self.begun as usize % self.lives.len(), number: self.begun, next: 0 }
    }

    /// Any event of any life: the longer a vendor's lives, the more of them are under way.
    fn at_any_point(&mut self) -> RunningScenario {
        self.begun += 1;
        let mut next = self.chance.random_range(0..self.lives.iter().map(|life| life.events.len()).sum());
        let mut life = 0;
        while next >= self.lives[life].events.len() {
            next -= self.lives[life].events.len();
            life += 1;
        }
        RunningScenario { life, number: self.begun, next }
    }

    fn next(&mut self, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let place = self.chance.random_range(0..self.under_way.len());
        let now = &mut self.under_way[place];
        let life = &self.lives[now.life];
        life.request(&life.events[now.next].render(now.number), out)?;
        now.next += 1;
        if now.next == life.events.len() {
            self.under_way[place] = self.begin();
        }
        Ok(())
    }
}

impl Life {
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

/// The samples of a vendor in the order of a life. The one form (multipart) is left out: not all that is measured
/// takes it. So is the request to confirm a URL, which is of no inspection.
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

//! The records of this process. Equal requests share one: those of the same source, cause, scheme, method, path and client network.

use super::sample::{Sample, SampleQueue};
use crate::clock::TimeSource;
use crate::store::MAX_REJECTIONS;
use crate::sync::lock;
use crate::vendor::verify::WouldFit;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use entity::RejectionCause;
use entity::rejection::Model;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

/// Characters of a part of a path, and of a whole path. A made-up name can be long.
const MAX_SEGMENT_CHARS: usize = 64;
const MAX_PATH_CHARS: usize = 256;
const MAX_METHOD_CHARS: usize = 16;
/// Names of headers of one request, and their characters.
const MAX_HEADERS: usize = 50;
const MAX_HEADER_CHARS: usize = 64;
/// Records that wait for a slow subscriber. What it misses is in the list.
const EVENT_CAPACITY: usize = 256;

/// A refused request. Not printable, because it contains credentials.
pub struct RefusedRequest<'a> {
    /// None if no such source is configured.
    pub source: Option<&'a str>,
    pub cause: RejectionCause,
    /// The verification scheme that did not pass.
    pub scheme: Option<&'static str>,
    pub http_status: u16,
    pub method: &'a Method,
    /// As it was sent.
    pub uri: &'a Uri,
    pub path: &'a str,
    pub headers: &'a HeaderMap,
    /// The size of the body, as far as it is known.
    pub bytes: usize,
    pub address: Option<IpAddr>,
    /// In words for an operator. It must not quote the request.
    pub reason: &'a dyn Display,
    /// The body, if the request did not pass verification.
    pub unverified_body: Option<Bytes>,
}

/// The refused requests of this process.
#[derive(Debug)]
pub struct RejectionLog {
    state: Mutex<LogState>,
    events: broadcast::Sender<Arc<Model>>,
    /// There is something to examine or to publish.
    pub(super) changed: Notify,
    /// There is something to save.
    pub(super) unsaved: Notify,
    clock: TimeSource,
}

#[derive(Debug, Default)]
struct LogState {
    /// By source, empty for no known one, and by the cause that the request was refused for.
    buckets: HashMap<BucketKey, HashMap<RefusalKey, Record>>,
    samples: SampleQueue,
}

type BucketKey = (String, RejectionCause);

/// What equal requests have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RefusalKey {
    scheme: Option<&'static str>,
    method: String,
    path: String,
    address: Option<IpAddr>,
}

#[derive(Debug)]
struct Record {
    row: Model,
    /// Neither published nor saved before it has been examined.
    waits_for_examination: bool,
    is_published: bool,
    is_saved: bool,
}

/// The place of a record.
#[derive(Clone, Debug)]
pub struct RecordPlace {
    bucket: BucketKey,
    key: RefusalKey,
    id: Uuid,
}

impl Default for RejectionLog {
    fn default() -> Self {
        RejectionLog::new(crate::clock::now)
    }
}

impl RejectionLog {
    pub fn new(clock: TimeSource) -> RejectionLog {
        RejectionLog {
            state: Mutex::default(),
            events: broadcast::Sender::new(EVENT_CAPACITY),
            changed: Notify::new(),
            unsaved: Notify::new(),
            clock,
        }
    }

    /// Counts a refused request. Its time and memory are bounded, and it does not wait for the database.
    pub fn record(&self, request: RefusedRequest<'_>) {
        let now = (self.clock)().timestamp_micros();
        let key = RefusalKey {
            scheme: request.scheme,
            method: cut(request.method.as_str(), MAX_METHOD_CHARS),
            path: cut_path(request.path),
            address: request.address,
        };
        let bucket_key = (request.source.unwrap_or_default().to_owned(), request.cause);
        let bytes = i64::try_from(request.bytes).unwrap_or(i64::MAX);
        let mut state = lock(&self.state);
        let state = &mut *state;
        let bucket = state.buckets.entry(bucket_key.clone()).or_default();
        if !bucket.contains_key(&key) && bucket.len() >= MAX_REJECTIONS {
            remove_oldest(bucket);
        }
        match bucket.entry(key) {
            Entry::Occupied(mut known) => {
                let record = known.get_mut();
                record.row.count = record.row.count.saturating_add(1);
                record.row.at = now.max(record.row.at);
                record.row.bytes = bytes;
                record.row.reason = request.reason.to_string();
                (record.is_published, record.is_saved) = (false, false);
            }
            Entry::Vacant(place) => {
                let id = Uuid::new_v4();
                let key = place.key().clone();
                let row = Model {
                    id,
                    source: bucket_key.0.clone(),
                    cause: request.cause,
                    scheme: request.scheme.map(str::to_owned),
                    http_status: request.http_status.into(),
                    method: key.method.clone(),
                    path: key.path.clone(),
                    header_names: header_names(request.headers),
                    bytes,
                    address: request.address.map(shown_address),
                    reason: request.reason.to_string(),
                    would_fit: "[]".to_owned(),
                    count: 1,
                    first_at: now,
                    at: now,
                };
                let sample = |body: &Bytes| Sample {
                    place: RecordPlace { bucket: bucket_key.clone(), key, id },
                    source: bucket_key.0.clone(),
                    headers: request.headers.clone(),
                    path: request.path.to_owned(),
                    query: request.uri.query().map(str::to_owned),
                    body: body.clone(),
                    received_at: now,
                };
                let is_examined = request.unverified_body.as_ref().is_some_and(|body| state.samples.push(body, sample));
                let (is_published, is_saved) = (false, false);
                place.insert(Record { row, waits_for_examination: is_examined, is_published, is_saved });
            }
        }
        self.changed.notify_one();
        self.unsaved.notify_one();
    }

    /// New records, and those whose count has grown. A receiver that is too slow misses some.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Model>> {
        self.events.subscribe()
    }

    pub(super) fn publish(&self, row: Model) {
        // Fails if there is no subscriber.
        let _ = self.events.send(Arc::new(row));
    }

    pub(super) fn next_sample(&self) -> Option<Sample> {
        lock(&self.state).samples.pop()
    }

    pub(super) fn has_samples(&self) -> bool {
        !lock(&self.state).samples.is_empty()
    }

    /// Adds what a sample would have passed with.
    pub(super) fn examined(&self, place: &RecordPlace, fits: &[WouldFit]) {
        let mut state = lock(&self.state);
        let record = state.buckets.get_mut(&place.bucket).and_then(|bucket| bucket.get_mut(&place.key));
        // It may have been removed, and another be in its place.
        let Some(record) = record.filter(|record| record.row.id == place.id) else { return };
        record.waits_for_examination = false;
        record.row.would_fit = serde_json::to_string(fits).unwrap_or_else(|_| "[]".to_owned());
        if fits.iter().any(|fit| fit.is_url) {
            record.row.cause = RejectionCause::WrongUrl;
        }
        drop(state);
        self.changed.notify_one();
        self.unsaved.notify_one();
    }

    /// The records that were not published since they have changed, oldest first.
    pub(super) fn take_unpublished(&self) -> Vec<Model> {
        self.take(|record| !std::mem::replace(&mut record.is_published, true))
    }

    /// The records that were not saved since they have changed, oldest first.
    pub(super) fn take_unsaved(&self) -> Vec<Model> {
        self.take(|record| !std::mem::replace(&mut record.is_saved, true))
    }

    fn take(&self, mut is_taken: impl FnMut(&mut Record) -> bool) -> Vec<Model> {
        let mut state = lock(&self.state);
        let records = state.buckets.values_mut().flat_map(HashMap::values_mut);
        let ready = records.filter(|record| !record.waits_for_examination);
        let mut rows: Vec<Model> = ready.filter_map(|record| is_taken(record).then(|| record.row.clone())).collect();
        drop(state);
        rows.sort_by_key(|row| (row.at, row.id));
        rows
    }

    /// These could not be saved.
    pub(super) fn not_saved(&self, rows: &[Model]) {
        let ids: HashSet<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut state = lock(&self.state);
        let records = state.buckets.values_mut().flat_map(HashMap::values_mut);
        records.filter(|record| ids.contains(&record.row.id)).for_each(|record| record.is_saved = false);
    }

    /// The ids of all records.
    pub(super) fn ids(&self) -> HashSet<Uuid> {
        lock(&self.state).buckets.values().flat_map(HashMap::values).map(|record| record.row.id).collect()
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.buckets.values().map(HashMap::len).sum(), state.samples.bytes())
    }
}

fn remove_oldest(bucket: &mut HashMap<RefusalKey, Record>) {
    let oldest = bucket.iter().min_by_key(|(_, record)| (record.row.at, record.row.id)).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        bucket.remove(&oldest);
    }
}

fn cut(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}

fn cut_path(path: &str) -> String {
    let mut cut_path = String::with_capacity(path.len().min(MAX_PATH_CHARS));
    for (index, segment) in path.split('/').take(MAX_PATH_CHARS).enumerate() {
        if index > 0 {
            cut_path.push('/');
        }
        cut_path.extend(segment.chars().take(MAX_SEGMENT_CHARS));
    }
    cut(&cut_path, MAX_PATH_CHARS)
}

// A JSON list in alphabetical order.
fn header_names(headers: &HeaderMap) -> String {
    let names: BTreeSet<&str> = headers.keys().map(axum::http::HeaderName::as_str).collect();
    let names: Vec<String> = names.into_iter().take(MAX_HEADERS).map(|name| cut(name, MAX_HEADER_CHARS)).collect();
    serde_json::Value::from(names).to_string()
}

// An IPv6 client is known by its network.
fn shown_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{address}/64"),
    }
}

//! Keeps the keys of the issuers current. The hub starts without an issuer that does not answer, and keeps its old keys.

use super::key_set::KeySet;
use super::{ActiveIssuer, TokenIssuers};
use crate::access::KeySetSource;
use crate::sync::lock;
use axum::http::header::CACHE_CONTROL;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long the keys are used without reading them again, if the issuer does not say it.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);
const MIN_MAX_AGE: Duration = Duration::from_secs(60);
const MAX_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// After a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(15);
/// Keys are read again for a key that is unknown at most once in this time: made-up names of keys cost nothing.
const COOL_DOWN: Duration = Duration::from_secs(30);
/// How long a request waits for that.
const WAIT_FOR_KEYS: Duration = Duration::from_secs(2);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest key set.
const MAX_SET_BYTES: usize = 1 << 20;
/// How often expired tokens are ended.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(250);

/// The newest keys of an issuer.
#[derive(Debug, Default)]
pub struct KeySetState {
    current: Mutex<Arc<KeySet>>,
    version: AtomicU64,
    /// The set as it was read last.
    source: Mutex<Vec<u8>>,
    /// Whether the last attempt to read the keys failed.
    is_failing: AtomicBool,
    /// When the keys were last read again for a key that was unknown, and the version before.
    refetched: Mutex<Option<(Instant, u64)>>,
    /// Wakes the task that reads them.
    wanted: Notify,
    /// Wakes those who wait for them.
    was_read: Notify,
}

/// Whether the keys are read again for an unknown key.
enum Refetch {
    Begin,
    Running,
    TooSoon,
}

impl KeySetState {
    /// The keys, and the number of their version.
    pub fn current(&self) -> (Arc<KeySet>, u64) {
        let keys = lock(&self.current);
        (keys.clone(), self.version())
    }

    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn begin_refetch(&self) -> Refetch {
        let version = self.version();
        if version == 0 {
            // They are being read for the first time.
            return if self.is_failing.load(Ordering::Relaxed) { Refetch::TooSoon } else { Refetch::Running };
        }
        let mut refetched = lock(&self.refetched);
        match *refetched {
            Some((at, before)) if before == version && at.elapsed() < WAIT_FOR_KEYS => Refetch::Running,
            Some((at, _)) if at.elapsed() < COOL_DOWN => Refetch::TooSoon,
            _ => {
                *refetched = Some((Instant::now(), version));
                Refetch::Begin
            }
        }
    }

    /// Uses a set from now on. An equal one makes no new version, so that verified tokens are still known.
    ///
    /// # Errors
    /// If it is not a set with keys.
    fn read(&self, json: Vec<u8>) -> Result<(), &'static str> {
        let keys = KeySet::parse(&json)?;
        if std::mem::replace(&mut *lock(&self.source), json.clone()) != json {
            self.replace(keys);
        }
        Ok(())
    }

    pub fn replace(&self, keys: KeySet) {
        *lock(&self.current) = Arc::new(keys);
        self.version.fetch_add(1, Ordering::AcqRel);
    }
}

impl TokenIssuers {
    /// Reads the keys of all issuers when they are due, and ends expired tokens, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let keys = async {
            match http_client() {
                Ok(client) => _ = join_all(self.issuers.iter().map(|issuer| issuer.keep_current(&client))).await,
                Err(error) => tracing::error!(%error, "the keys of token issuers cannot be read: no HTTP client"),
            }
            std::future::pending::<()>().await;
        };
        let expiry = async {
            let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
            loop {
                ticks.tick().await;
                self.end_expired();
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = keys => {}
            () = expiry => {}
        }
    }

    /// Has the keys of an issuer read again, because a token names another one, and waits for that. Returns at once if they were
    /// read for that reason a short time ago.
    pub async fn refetch(&self, issuer: usize) {
        if let Some(issuer) = self.issuers.get(issuer) {
            issuer.keys.refetch().await;
        }
    }
}

impl ActiveIssuer {
    async fn keep_current(&self, client: &reqwest::Client) {
        let source = IssuerKeySet { source: &self.settings.key_set, client };
        self.keys.keep_current(&self.settings.issuer, &source).await;
    }
}

/// Reads the keys of an issuer.
pub trait ReadKeySet {
    /// The set as JSON, and how long it may be used.
    fn read(&self) -> impl Future<Output = Result<(Vec<u8>, Duration), String>> + Send;
}

/// Where the keys of an issuer of the settings are.
struct IssuerKeySet<'a> {
    source: &'a KeySetSource,
    client: &'a reqwest::Client,
}

impl ReadKeySet for IssuerKeySet<'_> {
    fn read(&self) -> impl Future<Output = Result<(Vec<u8>, Duration), String>> + Send {
        read_key_set(self.source, self.client)
    }
}

impl KeySetState {
    /// Has the keys read again, and waits for that. Returns at once if they were read for that reason a short time ago.
    pub async fn refetch(&self) {
        let read = self.was_read.notified();
        match self.begin_refetch() {
            Refetch::Begin => self.wanted.notify_one(),
            Refetch::Running => {}
            Refetch::TooSoon => return,
        }
        // Without the keys the token is refused.
        let _ = tokio::time::timeout(WAIT_FOR_KEYS, read).await;
    }

    /// Reads the keys of this issuer when they are due. Never returns.
    pub async fn keep_current(&self, issuer: &str, source: &impl ReadKeySet) {
        let mut is_failing = false;
        loop {
            let read = source.read().await;
            let pause = match read.and_then(|(json, max_age)| Ok(self.read(json).map(|()| max_age)?)) {
                Ok(max_age) => {
                    if is_failing {
                        tracing::info!(issuer, "the keys of a token issuer could be read again");
                    }
                    is_failing = false;
                    max_age
                }
                Err(why) => {
                    if !is_failing {
                        tracing::warn!(
                            issuer,
                            why,
                            "the keys of a token issuer could not be read; the old ones stay valid"
                        );
                    }
                    is_failing = true;
                    RETRY_INTERVAL
                }
            };
            self.is_failing.store(is_failing, Ordering::Relaxed);
            self.was_read.notify_waiters();
            // Either way the keys are due.
            let _ = tokio::time::timeout(pause, self.wanted.notified()).await;
        }
    }
}

/// The client that reads keys.
///
/// # Errors
/// If it cannot be made.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().timeout(FETCH_TIMEOUT).build()
}

/// A key set as JSON, and how long it may be used.
async fn read_key_set(source: &KeySetSource, client: &reqwest::Client) -> Result<(Vec<u8>, Duration), String> {
    match source {
        KeySetSource::File(path) => {
            let json = tokio::fs::read(path).await.map_err(|error| error.to_string())?;
            Ok((json, MIN_MAX_AGE))
        }
        KeySetSource::Url(url) => download(url, client).await,
    }
}

/// Something small as bytes, and how long it may be used.
///
/// # Errors
/// If it cannot be read, or is not small.
pub async fn download(url: &str, client: &reqwest::Client) -> Result<(Vec<u8>, Duration), String> {
    let failed = |error: reqwest::Error| error.without_url().to_string();
    let response = client.get(url).send().await.map_err(failed)?.error_for_status().map_err(failed)?;
    let cache_control = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let max_age = cache_control.and_then(max_age_of).unwrap_or(DEFAULT_MAX_AGE).clamp(MIN_MAX_AGE, MAX_MAX_AGE);
    Ok((read_body(response).await?, max_age))
}

/// The body of a response, if it is small.
///
/// # Errors
/// If it cannot be read, or is not small.
pub async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.without_url().to_string())? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_SET_BYTES {
            return Err("it is larger than 1 MiB".to_owned());
        }
    }
    Ok(body)
}

/// `max-age` of a header `Cache-Control` (RFC 9111, section 5.2.2.1).
fn max_age_of(cache_control: &str) -> Option<Duration> {
    let mut directives = cache_control.split(',').filter_map(|directive| directive.trim().split_once('='));
    let (_, seconds) = directives.find(|(name, _)| name.eq_ignore_ascii_case("max-age"))?;
    seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
}

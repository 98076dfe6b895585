//! Turns HTTP requests into verified and parsed deliveries, as the hub's own tasks do.

use super::request_stock::RequestStock;
use anyhow::{Context, ensure};
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use chrono::Utc;
use inspection_hub::ingest::LogRecord;
use inspection_hub::settings::{Settings, SourceSettings};
use inspection_hub::vendor::verify::UnverifiedDelivery;
use std::collections::HashMap;
use std::sync::Arc;

/// Path, headers and body of each.
pub struct Requests(pub Vec<(String, HeaderMap, Bytes)>);

impl Requests {
    pub fn of(stock: &RequestStock) -> anyhow::Result<Requests> {
        let requests = (0..stock.len()).map(|index| parts(stock.get(index).unwrap_or_default()));
        Ok(Requests(requests.collect::<anyhow::Result<_>>()?))
    }

    /// Verifies and parses all of them.
    pub fn read(&self, settings: &Settings) -> anyhow::Result<Vec<LogRecord>> {
        let named = |source| -> (&str, (&SourceSettings, Arc<str>)) {
            let source: &SourceSettings = source;
            (source.name.as_str(), (source, Arc::from(source.name.as_str())))
        };
        let sources: HashMap<&str, (&SourceSettings, Arc<str>)> = settings.sources.iter().map(named).collect();
        let read = self.0.iter().map(|(path, headers, body)| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let (source, name) = sources.get(name).context("a request to a source that is not there")?;
            let delivery = UnverifiedDelivery {
                source: name.clone(),
                vendor: source.vendor,
                received_at: Utc::now(),
                method: "POST",
                path,
                query: None,
                headers,
                body: body.clone(),
            };
            Ok(LogRecord::prepare(source.verifier.check(delivery)?))
        });
        read.collect()
    }
}

fn parts(request: &[u8]) -> anyhow::Result<(String, HeaderMap, Bytes)> {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").context("a request without an end")?;
    let mut lines = std::str::from_utf8(&request[..end])?.split("\r\n");
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).context("a request without a path")?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").context("a header without a value")?;
        headers.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    ensure!(headers.contains_key("content-length"), "a request without a length");
    Ok((path.to_owned(), headers, Bytes::copy_from_slice(&request[end + 4..])))
}

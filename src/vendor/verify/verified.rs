//! A webhook before and after verification. The bytes that are parsed, hashed and stored are the verified ones, because
//! [`Verified`] owns them and nothing else can make one.

use super::{VerificationError, Verifier, WebhookRequest};
use crate::vendor::Vendor;
use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A webhook as it was received. Nothing of it is trusted yet, and it cannot be printed, for it holds credentials.
pub struct UnverifiedDelivery<'a> {
    pub source: Arc<str>,
    pub vendor: &'static Vendor,
    pub received_at: DateTime<Utc>,
    /// `POST` or `PUT`.
    pub method: &'static str,
    /// The path, percent-encoded as it was sent.
    pub path: &'a str,
    /// The query as it was sent, without the question mark.
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub body: Bytes,
}

/// What is stored of a webhook.
#[derive(Debug)]
pub struct RawDelivery {
    pub source: Arc<str>,
    pub vendor: &'static Vendor,
    pub received_at: DateTime<Utc>,
    pub method: &'static str,
    pub content_type: Option<String>,
    /// The request's headers as a JSON object, without credentials.
    pub headers: String,
    pub body: Bytes,
}

/// A delivery that has passed all checks of its source.
#[derive(Debug)]
pub struct Verified(RawDelivery);

impl Verified {
    /// A delivery that was verified before it was stored.
    pub(crate) fn from_storage(stored: RawDelivery) -> Verified {
        Verified(stored)
    }

    pub fn into_raw(self) -> RawDelivery {
        self.0
    }
}

impl Verifier {
    /// Verifies a webhook by all schemes of its source.
    ///
    /// # Errors
    /// The first scheme that does not pass.
    pub fn check(&self, delivery: UnverifiedDelivery<'_>) -> Result<Verified, VerificationError> {
        let UnverifiedDelivery { source, vendor, received_at, method, path, query, headers, body } = delivery;
        self.verify(&WebhookRequest { headers, path, query, body: &body, now: received_at })?;
        Ok(Verified(RawDelivery {
            source,
            vendor,
            received_at,
            method,
            content_type: headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned),
            headers: headers_to_json(headers, |name| !self.is_credential(name)),
            body,
        }))
    }
}

// A header that occurs several times becomes a list.
fn headers_to_json(headers: &HeaderMap, is_stored: impl Fn(&HeaderName) -> bool) -> String {
    let mut object = Map::new();
    for name in headers.keys().filter(|name| is_stored(name)) {
        let mut values: Vec<Value> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into()).collect();
        let value = if values.len() == 1 { values.pop().unwrap_or_default() } else { Value::Array(values) };
        object.insert(name.as_str().to_owned(), value);
    }
    Value::Object(object).to_string()
}

//! A webhook before and after verification. The bytes that are parsed, hashed and stored are the verified ones, because
//! [`Verified`] owns them and nothing else can make one.

use super::{VerificationError, Verifier, WebhookRequest};
use crate::vendor::Vendor;
use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::sync::Arc;

/// Room for the headers of a usual webhook, in bytes.
const JSON_CAPACITY: usize = 512;

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
    /// The request's headers as a JSON object, without credentials, in alphabetical order.
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

/// A webhook that did not pass, with its body, which may be examined. It cannot be printed as a whole.
#[derive(thiserror::Error)]
#[error("{error}")]
pub struct RefusedDelivery {
    pub error: VerificationError,
    pub body: Bytes,
}

impl std::fmt::Debug for RefusedDelivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl Verifier {
    /// Verifies a webhook by all schemes of its source.
    ///
    /// # Errors
    /// The first scheme that does not pass.
    pub fn check(&self, delivery: UnverifiedDelivery<'_>) -> Result<Verified, RefusedDelivery> {
        let UnverifiedDelivery { source, vendor, received_at, method, path, query, headers, body } = delivery;
        if let Err(error) = self.verify(&WebhookRequest { headers, path, query, body: &body, now: received_at }) {
            return Err(RefusedDelivery { error, body });
        }
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

// The names are in alphabetical order, because the order in a `HeaderMap` is unspecified. A header that occurs several times
// becomes a list, in the order in which it was sent.
fn headers_to_json(headers: &HeaderMap, is_stored: impl Fn(&HeaderName) -> bool) -> String {
    let mut stored: Vec<(&HeaderName, &HeaderValue)> = headers.iter().filter(|(name, _)| is_stored(name)).collect();
    stored.sort_by_key(|(name, _)| name.as_str());
    let mut json = String::with_capacity(JSON_CAPACITY);
    json.push('{');
    for same_name in stored.chunk_by(|(one, _), (other, _)| one == other) {
        let [(name, value), repeated @ ..] = same_name else { continue };
        if json.len() > 1 {
            json.push(',');
        }
        push_json_string(&mut json, name.as_str());
        json.push_str(if repeated.is_empty() { ":" } else { ":[" });
        push_json_string(&mut json, &String::from_utf8_lossy(value.as_bytes()));
        for (_, value) in repeated {
            json.push(',');
            push_json_string(&mut json, &String::from_utf8_lossy(value.as_bytes()));
        }
        if !repeated.is_empty() {
            json.push(']');
        }
    }
    json.push('}');
    json
}

// Few names and values need escapes.
fn push_json_string(json: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        json.push_str(&Value::from(text).to_string());
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Map;

    /// Every byte that a header may contain; half of the values are plain text.
    fn header_value() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'\t'), Just(b'"'), Just(b'\\'), b' '..=b'~', 0x80..=0xffu8];
        prop_oneof!["[ -~]{0,20}".prop_map(String::into_bytes), proptest::collection::vec(byte, 0..20)]
    }

    proptest! {
        #[test]
        fn headers_are_one_json_object_in_the_order_of_their_names(
            sent in proptest::collection::vec(("[a-e!'|~]{1,2}", header_value()), 0..12),
        ) {
            let (mut headers, mut expected) = (HeaderMap::new(), Map::new());
            for (name, value) in &sent {
                let name: HeaderName = name.parse().expect("a name");
                headers.append(&name, HeaderValue::from_bytes(value).expect("a value"));
                if name == "e" {
                    continue;
                }
                let value = Value::from(String::from_utf8_lossy(value));
                match expected.get_mut(name.as_str()) {
                    None => _ = expected.insert(name.to_string(), value),
                    Some(Value::Array(values)) => values.push(value),
                    Some(one) => *one = Value::Array(vec![one.take(), value]),
                }
            }
            prop_assert_eq!(headers_to_json(&headers, |name| name != "e"), Value::Object(expected).to_string());
        }
    }
}

//! Who may use the API: anybody, or whoever shows one of the tokens that the hub was configured with.

use crate::vendor::Secret;
use crate::vendor::verify::{bearer_token, matches_any_secret, strip_auth_scheme};
use axum::http::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What is said to a socket whose client shows nothing that could be a token: it has to fit into a close frame.
pub const MISSING_TOKEN: &str = "no token: send {\"Authorization\": \"Bearer …\"} as the payload of connection_init";
/// Close reason for an unknown token.
pub const UNKNOWN_TOKEN: &str =
    "the token is unknown: send {\"Authorization\": \"Bearer …\"} with one of this hub's tokens";

const AUTHORIZATION: &str = "authorization";
const BEARER: &str = "Bearer";
/// Other names under which clients show a token, without a scheme or with it: Apollo's and graphql-ws' own examples.
const TOKEN_FIELDS: [&str; 2] = ["authToken", "token"];

/// The tokens, any of which fits; none where the API is open.
#[derive(Clone, Debug)]
pub struct ApiAuth(Arc<[Secret]>);

impl ApiAuth {
    pub fn new(tokens: Vec<Secret>) -> ApiAuth {
        ApiAuth(tokens.into())
    }

    /// Whether a request may come in, by its header `Authorization`.
    pub fn authorizes_request(&self, headers: &HeaderMap) -> bool {
        self.0.is_empty() || bearer_token(headers).is_ok_and(|token| self.is_known_token(token))
    }

    /// Whether a socket may, by the payload of its `connection_init`.
    ///
    /// # Errors
    /// Why it may not, without what it has shown.
    pub fn authorizes_connection_init(&self, payload: Option<&RawValue>) -> Result<(), &'static str> {
        if self.0.is_empty() {
            return Ok(());
        }
        let payload = payload.and_then(|payload| serde_json::from_str::<Map<String, Value>>(payload.get()).ok());
        match payload.as_ref().and_then(token_in_payload) {
            None => Err(MISSING_TOKEN),
            Some(token) if self.is_known_token(token) => Ok(()),
            Some(_) => Err(UNKNOWN_TOKEN),
        }
    }

    fn is_known_token(&self, token: &str) -> bool {
        matches_any_secret(token.as_bytes(), self.0.iter().map(|secret| &secret.value))
    }
}

/// The token that a payload shows: `Authorization` as in headers, which browsers cannot set for a socket, itself or within
/// `headers`; else under another name. What stands first in this order counts, and nothing after it.
fn token_in_payload(payload: &Map<String, Value>) -> Option<&str> {
    let of_headers = || field_ignore_case(field_ignore_case(payload, "headers")?.as_object()?, AUTHORIZATION);
    if let Some(authorization) = field_ignore_case(payload, AUTHORIZATION).or_else(of_headers) {
        return strip_auth_scheme(authorization.as_str()?, BEARER);
    }
    let token = TOKEN_FIELDS.into_iter().find_map(|name| field_ignore_case(payload, name))?.as_str()?;
    Some(strip_auth_scheme(token, BEARER).unwrap_or(token)).filter(|token| !token.is_empty())
}

fn field_ignore_case<'a>(fields: &'a Map<String, Value>, wanted: &str) -> Option<&'a Value> {
    fields.iter().find(|(name, value)| name.eq_ignore_ascii_case(wanted) && !value.is_null()).map(|(_, value)| value)
}

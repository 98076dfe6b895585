//! Authentication of the API: open, or one of the configured tokens.

use crate::access::Principal;
use crate::vendor::Secret;
use crate::vendor::verify::{bearer_token, matches_any_secret, strip_auth_scheme};
use axum::http::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Close reason for a missing token. At most 123 bytes, the size of a close frame.
pub const MISSING_TOKEN: &str = "no token: send {\"Authorization\": \"Bearer …\"} as the payload of connection_init";
/// Close reason for an unknown token.
pub const UNKNOWN_TOKEN: &str =
    "the token is unknown: send {\"Authorization\": \"Bearer …\"} with one of this hub's tokens";

const AUTHORIZATION: &str = "authorization";
const BEARER: &str = "Bearer";
/// Other fields in which clients send a token, with or without a scheme: those of the examples of Apollo and graphql-ws.
const TOKEN_FIELDS: [&str; 2] = ["authToken", "token"];

/// The valid tokens; empty if the API is open.
#[derive(Clone, Debug)]
pub struct ApiAuth {
    tokens: Arc<[Secret]>,
    /// Who has one of the tokens, or anyone if the API is open.
    principal: Arc<Principal>,
}

impl ApiAuth {
    pub fn new(tokens: Vec<Secret>) -> ApiAuth {
        ApiAuth { tokens: tokens.into(), principal: Principal::unlimited() }
    }

    /// Who sends a request, by its header `Authorization`; none if that is missing or wrong.
    pub fn authenticate(&self, headers: &HeaderMap) -> Option<Arc<Principal>> {
        let is_valid = self.tokens.is_empty() || bearer_token(headers).is_ok_and(|token| self.is_known_token(token));
        is_valid.then(|| self.principal.clone())
    }

    /// Who opens a socket, by the payload of its `connection_init`.
    ///
    /// # Errors
    /// The close reason, which does not quote the token.
    pub fn authenticate_connection_init(&self, payload: Option<&RawValue>) -> Result<Arc<Principal>, &'static str> {
        if self.tokens.is_empty() {
            return Ok(self.principal.clone());
        }
        let payload = payload.and_then(|payload| serde_json::from_str::<Map<String, Value>>(payload.get()).ok());
        match payload.as_ref().and_then(token_in_payload) {
            None => Err(MISSING_TOKEN),
            Some(token) if self.is_known_token(token) => Ok(self.principal.clone()),
            Some(_) => Err(UNKNOWN_TOKEN),
        }
    }

    fn is_known_token(&self, token: &str) -> bool {
        matches_any_secret(token.as_bytes(), self.tokens.iter().map(|secret| &secret.value))
    }
}

/// The token in a payload. Browsers cannot set headers for a socket, so clients send `Authorization` as a field, at the top or
/// in `headers`, or another field. The first one in this order counts, even if it is invalid; null counts as missing.
fn token_in_payload(payload: &Map<String, Value>) -> Option<&str> {
    let in_headers = || field_ignore_case(field_ignore_case(payload, "headers")?.as_object()?, AUTHORIZATION);
    if let Some(authorization) = field_ignore_case(payload, AUTHORIZATION).or_else(in_headers) {
        return strip_auth_scheme(authorization.as_str()?, BEARER);
    }
    let token = TOKEN_FIELDS.into_iter().find_map(|name| field_ignore_case(payload, name))?.as_str()?;
    Some(strip_auth_scheme(token, BEARER).unwrap_or(token)).filter(|token| !token.is_empty())
}

fn field_ignore_case<'a>(fields: &'a Map<String, Value>, wanted: &str) -> Option<&'a Value> {
    fields.iter().find(|(name, value)| name.eq_ignore_ascii_case(wanted) && !value.is_null()).map(|(_, value)| value)
}

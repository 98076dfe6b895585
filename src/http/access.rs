//! Who may use the API: anybody, or whoever shows one of the tokens that the hub was configured with.

use crate::vendor::Secret;
use crate::vendor::verify::{bearer, fits, without_scheme};
use axum::http::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The tokens, any of which fits; none where the API is open.
#[derive(Clone, Debug)]
pub struct Access(Arc<[Secret]>);

impl Access {
    pub fn new(tokens: Vec<Secret>) -> Access {
        Access(tokens.into())
    }

    /// Whether a request may come in, by its header `Authorization`.
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        self.0.is_empty() || bearer(headers).is_ok_and(|token| self.knows(token))
    }

    /// Whether a socket may, by the payload of its `connection_init`: there, `Authorization` stands as it does in headers,
    /// which browsers cannot set.
    pub fn allows_payload(&self, payload: Option<&RawValue>) -> bool {
        let payload = payload.and_then(|payload| serde_json::from_str::<Map<String, Value>>(payload.get()).ok());
        let shown = payload.as_ref().and_then(|payload| {
            payload.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"))?.1.as_str()
        });
        self.0.is_empty() || shown.and_then(|shown| without_scheme(shown, "Bearer")).is_some_and(|it| self.knows(it))
    }

    fn knows(&self, token: &str) -> bool {
        fits(token.as_bytes(), self.0.iter().map(|secret| &secret.value))
    }
}

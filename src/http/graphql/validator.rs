//! When a client may keep the answer that it has (RFC 9110, section 8.8.3). What only the history decides is the same as
//! long as the history is: then a request costs one look at where it ends. All else is compared by what was answered.

use super::negotiate::ResponseMediaType;
use super::response;
use super::serialized_response::SerializedResponse;
use crate::graphql::ApiError;
use crate::http::AppState;
use crate::request::{PreparedOperation, RateLimitStatus};
use crate::store::read::head;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What an answer's tag is made of.
pub enum Validator {
    /// Where the history ends, and what was asked.
    Position(String),
    /// What was answered.
    Content,
}

impl Validator {
    /// The position is read before the answer is: what comes in between makes the answer newer than its tag, never older.
    pub async fn of(
        app: &AppState,
        prepared: &PreparedOperation,
        media: ResponseMediaType,
    ) -> Result<Validator, ApiError> {
        if !prepared.is_cacheable_by_position() {
            return Ok(Validator::Content);
        }
        let head = head(&app.db.read_pool).await?;
        let variables = serde_json::to_string(&prepared.variables).unwrap_or_default();
        let name = prepared.operation_name.as_deref().unwrap_or_default();
        let parts = [env!("CARGO_PKG_VERSION"), media.name(), &prepared.document.text, name, &variables];
        let asked = parts.iter().fold(Sha256::new(), |hash, part| {
            hash.chain_update((part.len() as u64).to_be_bytes()).chain_update(part.as_bytes())
        });
        // Repetitions are counted and old lives forgotten without a new position, but never without this time.
        let (moved, asked) = (head.updated_at, short(asked.finalize()));
        Ok(Validator::Position(format!("W/\"{}.{}.{moved}.{asked}\"", head.generation, head.position)))
    }
}

/// Whether the client has what this tag stands for. Weak tags compare like strong ones here (section 13.1.2).
pub fn etag_matches(headers: &HeaderMap, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let values = headers.get_all(header::IF_NONE_MATCH);
    let mut tags = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    tags.any(|known| known.trim() == "*" || bare(known) == bare(tag))
}

/// An answer with its tag, or word that it is the one the client has.
pub fn with_etag(
    reply: SerializedResponse,
    media: ResponseMediaType,
    headers: &HeaderMap,
    of: Validator,
    allowance: Option<RateLimitStatus>,
) -> Response {
    let tag = match of {
        Validator::Position(tag) => tag,
        Validator::Content => format!("\"{}\"", short(Sha256::digest(&reply.json))),
    };
    if etag_matches(headers, &tag) {
        return response::not_modified(&tag, allowance);
    }
    let mut response = response::operation_response(reply, media, allowance);
    response::set_etag(&mut response, &tag);
    response
}

fn short(hash: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])
}

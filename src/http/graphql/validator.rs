//! Entity tags: when a client may keep the response that it has (RFC 9110, section 8.8.3). If a response depends on the history
//! alone, its tag follows from the newest position, and a revalidation costs one read of it. The tag of any other response is
//! a digest of its bytes.

use super::negotiate::ResponseMediaType;
use super::response::{self, SerializedResponse};
use crate::graphql::ApiError;
use crate::http::AppState;
use crate::request::{PreparedOperation, RateLimitStatus};
use crate::store::read::head;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The tag of a response that depends on the history alone: of the newest position, the request, the view of its caller, and the
/// settings of the hub. The position is read
/// before the execution: a change in between makes the response newer than its tag, never older.
pub async fn position_tag(
    app: &AppState,
    prepared: &PreparedOperation,
    media: ResponseMediaType,
) -> Result<Option<String>, ApiError> {
    if !prepared.is_cacheable_by_position() {
        return Ok(None);
    }
    let head = head(&app.db.read_pool).await?;
    let variables = serde_json::to_string(&prepared.variables).unwrap_or_default();
    let name = prepared.operation_name.as_deref().unwrap_or_default();
    let view = format!("{:?}", prepared.principal.view);
    let hub = [env!("CARGO_PKG_VERSION"), app.settings_digest.as_str()].join(" ");
    let parts = [hub.as_str(), media.name(), &prepared.document.text, name, &variables, &view];
    let request = parts.iter().fold(Sha256::new(), |hash, part| {
        hash.chain_update((part.len() as u64).to_be_bytes()).chain_update(part.as_bytes())
    });
    // Duplicates are counted and old inspections purged without a new position, but never without a new time.
    let (updated_at, request) = (head.updated_at, short(request.finalize()));
    Ok(Some(format!("W/\"{}.{}.{updated_at}.{request}\"", head.generation, head.position)))
}

/// Whether the client has the response with this tag. Weak tags compare like strong ones here (section 13.1.2).
pub fn etag_matches(headers: &HeaderMap, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let values = headers.get_all(header::IF_NONE_MATCH);
    let mut tags = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    tags.any(|known| known.trim() == "*" || bare(known) == bare(tag))
}

/// The response with its tag, by default a digest of its bytes, or 304 if the client has it.
pub fn with_etag(
    body: SerializedResponse,
    media: ResponseMediaType,
    headers: &HeaderMap,
    tag: Option<String>,
    rate_limit: Option<RateLimitStatus>,
) -> Response {
    let tag = tag.unwrap_or_else(|| format!("\"{}\"", short(Sha256::digest(&body.json))));
    if etag_matches(headers, &tag) {
        return response::not_modified(&tag, rate_limit);
    }
    let mut response = response::operation_response(body, media, rate_limit);
    response::set_etag(&mut response, &tag);
    response
}

fn short(hash: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])
}

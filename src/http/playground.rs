//! Serves the playground (GraphiQL) from assets in the binary. `make web` builds them from `web/`.

use super::auth::AccessDenied;
use super::normalize::original_path;
use super::{AppState, Problem, login};
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::sync::Arc;

/// The page may load its own files, and connect to the API over HTTP and WebSocket.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; worker-src 'self'; img-src 'self' data:; \
                      connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Served by a binary that was built without the playground.
const NOT_BUILT_PAGE: &str = "<!doctype html><meta charset=utf-8><title>Inspection Hub</title>\
    <body style=\"font:16px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem\">\
    <h1>The playground is not in this binary</h1>\
    <p>Its assets are built by <code>make web</code> (or <code>make run</code>, which builds everything). \
    The API itself is at <code>/graphql</code>, its schema at <a href=\"schema.graphql\">/schema.graphql</a>.</p>";

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Assets;

/// `GET /`: redirects to the page.
pub async fn redirect() -> Response {
    // Relative, because a proxy may prefix the hub's paths.
    (StatusCode::SEE_OTHER, [(header::LOCATION, "graphiql")]).into_response()
}

/// `GET /graphiql`: the page. Its links are relative to `/graphiql/`, so they are rewritten for a browser at `/graphiql`. Where people
/// can log in, a person without a credential does that first.
pub async fn page(State(app): State<Arc<AppState>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Some(login) = login_first(&app, &parts).await {
        return login;
    }
    let headers = &parts.headers;
    let mut accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let found = match original_path(&parts.uri, &parts.extensions).ends_with('/') {
        true => find_asset("index.html", headers),
        false => Assets::get("index.html").map(|page| (with_asset_links_below_graphiql(page), false)),
    };
    match found {
        Some(found) => asset_response(found, "text/html; charset=utf-8", headers, "no-cache"),
        // Only browsers accept HTML.
        None if accept.any(|types| types.contains("text/html")) => {
            (StatusCode::SERVICE_UNAVAILABLE, Html(NOT_BUILT_PAGE)).into_response()
        }
        None => Problem::PlaygroundNotBuilt.into_response(),
    }
}

async fn login_first(app: &AppState, request: &Parts) -> Option<Response> {
    app.auth.login()?;
    match app.auth.authenticate_with_new_keys(&request.headers, &request.extensions).await {
        Err(AccessDenied::Unauthenticated | AccessDenied::SessionEnded) => {
            let page = request.uri.path_and_query().map_or("/graphiql", |page| page.as_str());
            login::login_address(app, page)
        }
        _ => None,
    }
}

/// `GET /graphiql/{path}`: the page's files. Names under `assets/` contain a digest of their content.
pub async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    match find_asset(&path, &headers).filter(|_| !path.ends_with(".br")) {
        Some(found) => asset_response(found, content_type(&path), &headers, cache),
        None => Problem::RouteNotFound.into_response(),
    }
}

fn with_asset_links_below_graphiql(mut page: EmbeddedFile) -> EmbeddedFile {
    page.data = String::from_utf8_lossy(&page.data).replace("=\"./", "=\"graphiql/").into_bytes().into();
    page
}

/// A file, and whether it is compressed by Brotli.
fn find_asset(path: &str, headers: &HeaderMap) -> Option<(EmbeddedFile, bool)> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes_brotli = accepted.split(',').any(|encoding| encoding.trim().split(';').next() == Some("br"));
    let brotli = takes_brotli.then(|| Assets::get(&format!("{path}.br"))).flatten();
    brotli.map(|file| (file, true)).or_else(|| Some((Assets::get(path)?, false)))
}

fn asset_response(
    (file, is_brotli): (EmbeddedFile, bool),
    content_type: &'static str,
    headers: &HeaderMap,
    cache: &'static str,
) -> Response {
    let etag = format!("\"{}\"", hex::encode(file.metadata.sha256_hash().get(..16).unwrap_or_default()));
    let is_fresh = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let all = [
        // The policy of a worker is that of its own response.
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::VARY, "accept-encoding"),
        (header::CACHE_CONTROL, cache),
        (header::ETAG, &etag),
    ];
    match (is_fresh, is_brotli) {
        (true, _) => (StatusCode::NOT_MODIFIED, all).into_response(),
        (_, true) => {
            (all, [(header::CONTENT_TYPE, content_type), (header::CONTENT_ENCODING, "br")], file.data).into_response()
        }
        (_, false) => (all, [(header::CONTENT_TYPE, content_type)], file.data).into_response(),
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("html") => "text/html; charset=utf-8",
        Some("md") => "text/markdown; charset=utf-8",
        Some("ttf") => "font/ttf",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

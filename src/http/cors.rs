//! CORS (<https://fetch.spec.whatwg.org/#http-cors-protocol>): web pages of the configured origins may use the API. Credentials are
//! never allowed (`Access-Control-Allow-Credentials`), so a page of another origin sends a key or a token, and no cookie.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::MethodRouter;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// Allows any origin.
const ANY_ORIGIN: &str = "*";
/// How long a browser may cache a preflight. Chromium's maximum.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(7200);
/// PUT and DELETE are for event streams.
const ALLOWED_METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
/// The response headers that a page may read, in addition to the safelisted ones.
const EXPOSED_HEADERS: [HeaderName; 5] = [
    header::ETAG,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

/// The allowed origins, in addition to the hub's own.
#[derive(Clone, Debug, Default)]
pub struct AllowedOrigins(Arc<[HeaderValue]>);

impl AllowedOrigins {
    /// Origins as browsers write them, or `*` for any.
    pub fn new(origins: &[String]) -> AllowedOrigins {
        AllowedOrigins(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect())
    }

    /// Adds CORS to these routes, unless no origin is allowed.
    pub fn with_cors<S: Clone + Send + Sync + 'static>(
        &self,
        routes: MethodRouter<S, Infallible>,
    ) -> MethodRouter<S, Infallible> {
        if self.0.is_empty() {
            return routes;
        }
        let allowed = match self.is_any() {
            true => AllowOrigin::any(),
            false => AllowOrigin::list(self.0.iter().cloned()),
        };
        let cors = CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(ALLOWED_METHODS)
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(EXPOSED_HEADERS)
            .max_age(PREFLIGHT_MAX_AGE);
        routes.layer(cors).layer(from_fn(preflight))
    }

    /// Whether a page may open a socket, to which browsers do not apply CORS. Clients other than browsers send no origin. Without
    /// allowed origins any page may: it has to send an API key, or the API is open and checks the origin itself.
    pub fn allows_websocket(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        self.0.is_empty() || self.contains(origin) || is_same_host(origin, headers)
    }

    /// Whether pages of this origin were allowed by the operator.
    pub fn contains(&self, origin: &HeaderValue) -> bool {
        self.is_any() || self.0.contains(origin)
    }

    /// Whether the operator named this origin.
    pub fn names(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }

    fn is_any(&self) -> bool {
        self.0.iter().any(|origin| origin == ANY_ORIGIN)
    }
}

/// Whether a page comes from the host that it asks.
// Behind a proxy that terminates TLS the hub does not know its own scheme, so only host and port are compared.
pub fn is_same_host(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let page = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    page.zip(host).is_some_and(|((_, page), host)| page.eq_ignore_ascii_case(host))
}

/// The response to a preflight has no content, so its status is 204.
async fn preflight(request: Request, next: Next) -> Response {
    let is_preflight = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if is_preflight && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_for_allowed_origins_and_the_hubs_own() {
        let allowed = ["https://app.example".to_owned(), "http://localhost:3000".to_owned()];
        for (origins, origin, host, expected) in [
            (&allowed[..], Some("https://app.example"), "hub.example", true),
            (&allowed, Some("http://localhost:3000"), "hub.example", true),
            (&allowed, Some("https://hub.example"), "hub.example", true),
            (&allowed, Some("http://127.0.0.1:8080"), "127.0.0.1:8080", true),
            (&allowed, None, "hub.example", true),
            (&allowed, Some("https://evil.example"), "hub.example", false),
            (&allowed, Some("https://app.example.evil.example"), "hub.example", false),
            (&allowed, Some("http://app.example"), "hub.example", false),
            (&allowed, Some("http://localhost:3001"), "hub.example", false),
            (&allowed, Some("https://hub.example:8443"), "hub.example", false),
            (&allowed, Some("null"), "hub.example", false),
            (&allowed, Some("null"), "null", false),
            (&[ANY_ORIGIN.to_owned()], Some("https://evil.example"), "hub.example", true),
            (&[], Some("https://evil.example"), "hub.example", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().expect("a header"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().expect("a header"));
            }
            assert_eq!(
                AllowedOrigins::new(origins).allows_websocket(&headers),
                expected,
                "{origins:?} {origin:?} {host}"
            );
        }
    }
}

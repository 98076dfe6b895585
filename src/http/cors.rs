//! Which pages of other origins may use the API from a browser: those that the operator has named
//! (<https://fetch.spec.whatwg.org/#http-cors-protocol>). Credentials that browsers send by themselves are never asked for, so
//! a page can do nothing with those of its visitors.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::MethodRouter;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// What stands for any origin.
const ANY_ORIGIN: &str = "*";
/// How long a browser need not ask again. Chromium takes no longer time.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(7200);
/// What a page may do; the last two are for event streams.
const ALLOWED_METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
/// What a page may read of an answer besides what all may be.
const EXPOSED_HEADERS: [HeaderName; 5] = [
    header::ETAG,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

/// The origins that are allowed, besides the hub's own.
#[derive(Clone, Debug, Default)]
pub struct AllowedOrigins(Arc<[HeaderValue]>);

impl AllowedOrigins {
    /// As browsers write them, or `*` for any. What no header can hold is left out.
    pub fn new(origins: &[String]) -> AllowedOrigins {
        AllowedOrigins(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect())
    }

    /// Adds CORS to these routes; does nothing if no origin is allowed.
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

    /// Whether a page may open a socket, which browsers let any page do: if origins are named, one of those or of the hub's own.
    /// Programs that are no browsers say no origin.
    pub fn allows_websocket(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        self.0.is_empty() || self.is_any() || self.0.contains(origin) || is_same_host(origin, headers)
    }

    fn is_any(&self) -> bool {
        self.0.iter().any(|origin| origin == ANY_ORIGIN)
    }
}

// Behind a proxy that ends TLS the hub does not know its own scheme, so only hosts and ports are compared.
fn is_same_host(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let of_page = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    of_page.zip(host).is_some_and(|((_, page), host)| page.eq_ignore_ascii_case(host))
}

/// What a browser asks before it sends a request has no content.
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
    fn sockets_are_for_named_origins_and_the_hubs_own() {
        let named = ["https://app.example".to_owned(), "http://localhost:3000".to_owned()];
        for (origins, origin, host, expected) in [
            (&named[..], Some("https://app.example"), "hub.example", true),
            (&named, Some("http://localhost:3000"), "hub.example", true),
            (&named, Some("https://hub.example"), "hub.example", true),
            (&named, Some("http://127.0.0.1:8080"), "127.0.0.1:8080", true),
            (&named, None, "hub.example", true),
            (&named, Some("https://evil.example"), "hub.example", false),
            (&named, Some("https://app.example.evil.example"), "hub.example", false),
            (&named, Some("http://app.example"), "hub.example", false),
            (&named, Some("http://localhost:3001"), "hub.example", false),
            (&named, Some("https://hub.example:8443"), "hub.example", false),
            (&named, Some("null"), "hub.example", false),
            (&named, Some("null"), "null", false),
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

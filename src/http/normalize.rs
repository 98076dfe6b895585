//! Middleware around all routes. Before routing, it normalizes the path: a trailing or double slash makes no difference. After
//! routing, it turns error responses of libraries into problem details.

use super::{Problem, refused_webhook};
use crate::rejection::RejectionLog;
use crate::vendor::verify::normalize_path;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{Extensions, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::borrow::Cow;
use std::sync::Arc;

/// The URI of a request as it was sent, if normalizing changed it.
#[derive(Clone, Debug)]
struct OriginalUri(Uri);

/// The path of a request as it was sent.
pub fn original_path<'r>(uri: &'r Uri, extensions: &'r Extensions) -> &'r str {
    extensions.get::<OriginalUri>().map_or(uri, |OriginalUri(uri)| uri).path()
}

pub fn with_middleware(routes: Router, rejections: Arc<RejectionLog>) -> Router {
    // A layer on the router itself would run after routing.
    Router::new().fallback_service(routes).layer(from_fn_with_state(rejections, normalize))
}

async fn normalize(State(rejections): State<Arc<RejectionLog>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Path extractors would reject it with plain text.
    if percent_encoding::percent_decode_str(path).decode_utf8().is_err() {
        let (head, _) = request.into_parts();
        refused_webhook::record_unknown_source(&rejections, &head, &Problem::PathNotUtf8);
        return Problem::PathNotUtf8.into_response();
    }
    if let Cow::Owned(plain) = normalize_path(path)
        && let Some(uri) = replace_path(request.uri(), &plain)
    {
        let original = std::mem::replace(request.uri_mut(), uri);
        request.extensions_mut().insert(OriginalUri(original));
    }
    ensure_problem(next.run(request).await)
}

fn replace_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

// axum's errors are plain text, or have no body. Other headers, such as `Allow`, are kept.
fn ensure_problem(response: Response) -> Response {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_ours = content_type.is_some_and(|kind| !kind.starts_with(b"text/plain"));
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, _) = response.into_parts();
    let mut problem = Problem::Other(status).into_response();
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            problem.headers_mut().append(name, value.clone());
        }
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::{Path, Query};
    use axum::routing::get;
    use http_body_util::BodyExt;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use std::collections::HashMap;

    async fn fetch(uri: &'static str) -> (u16, Option<String>, String) {
        let numbers = async |Path(number): Path<u8>, Query(_): Query<HashMap<String, u8>>| number.to_string();
        let shown = async |request: Request| {
            let original = request.extensions().get::<OriginalUri>().map(|uri| uri.0.path().to_owned());
            format!("{} {original:?}", request.uri())
        };
        let routes = Router::new().route("/number/{number}", get(numbers)).route("/shown", get(shown));
        let request = Request::builder().uri(uri).body(Body::empty()).expect("a request");
        let response =
            TowerToHyperService::new(with_middleware(routes, Arc::default())).call(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let content_type =
            parts.headers.get(header::CONTENT_TYPE).and_then(|kind| Some(kind.to_str().ok()?.to_owned()));
        let body = body.collect().await.expect("a body").to_bytes();
        (parts.status.as_u16(), content_type, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn routes_see_the_normalized_path_and_the_original_is_kept() {
        for (uri, expected) in [
            ("/shown", "/shown None"),
            ("/shown?a=b//c/", "/shown?a=b//c/ None"),
            ("/shown/", "/shown Some(\"/shown/\")"),
            ("//shown//?a", "/shown?a Some(\"//shown//\")"),
        ] {
            let (status, _, body) = fetch(uri).await;
            assert_eq!((status, body.as_str()), (200, expected), "{uri}");
        }
    }

    #[tokio::test]
    async fn rejections_of_extractors_are_problems() {
        assert_eq!(fetch("/number/7").await.2, "7");
        for (uri, status) in [("/number/x", 400), ("/number/7?a=x", 400), ("/nowhere", 404), ("/number/%ff", 400)] {
            let (code, content_type, body) = fetch(uri).await;
            assert_eq!((code, content_type.as_deref()), (status, Some("application/problem+json")), "{uri}: {body}");
        }
    }
}

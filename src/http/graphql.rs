//! `POST /graphql`. Only JSON bodies are taken: a browser asks before it sends those to another site, so no page can make
//! its visitors query.

use super::{App, Problem};
use async_graphql::{Request, Response as Answer, ServerError};
use async_graphql_axum::GraphQLResponse;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::sync::Arc;

/// The media type of answers (GraphQL over HTTP, section 6.1), and the older one.
const RESPONSE: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

/// Answers one request.
pub async fn execute(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let request = match read(&app, &headers, body).await {
        Ok(request) => request,
        Err(problem) => return problem,
    };
    let answer = app.graph.execute(request).await;
    respond(&headers, StatusCode::OK, answer)
}

async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Request, Response> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JSON) {
        return Err(Problem::NotJson.into_response());
    }
    let limit = app.limits.graphql_body;
    let body = match tokio::time::timeout(app.limits.body_timeout, Limited::new(body, limit).collect()).await {
        Err(_) => return Err(Problem::SlowBody.into_response()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Problem::TooLarge(limit).into_response()),
        Ok(Err(_)) => return Err(Problem::BrokenBody.into_response()),
        Ok(Ok(body)) => body.to_bytes(),
    };
    serde_json::from_slice(&body).map_err(|error| {
        let text =
            format!("The body is not a GraphQL request: {error}. Send {{\"query\": \"…\", \"variables\": {{…}}}}.");
        let mut error = ServerError::new(text, None);
        error.extensions.get_or_insert_default().set("code", "BAD_USER_INPUT");
        respond(headers, StatusCode::BAD_REQUEST, Answer::from_errors(vec![error]))
    })
}

fn respond(headers: &HeaderMap, status: StatusCode, answer: Answer) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = if accepted.contains(RESPONSE) { RESPONSE } else { JSON };
    let headers = [(header::CONTENT_TYPE, content_type), (header::VARY, "accept"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, GraphQLResponse::from(answer)).into_response()
}

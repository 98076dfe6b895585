//! GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): `GET` for queries, `POST` with JSON. Only JSON
//! bodies are accepted: a browser sends a preflight request before one to another site, so no page can make its visitors query.
//!
//! `negotiate` chooses the media type, `body` parses requests, `coalesce` shares executions of equal queries, `response` makes
//! the HTTP response, `validator` its entity tag.

mod body;
mod coalesce;
mod negotiate;
mod response;
mod validator;

pub use coalesce::Coalescer;

use super::auth::AccessDenied;
use super::cookie::REMOVE_SESSION;
use super::stream::{self, StreamFormat};
use super::{AppState, socket};
use crate::access::Principal;
use crate::graphql::{ApiError, ApiErrorCode};
use crate::request::{Caller, Params, PreparedOperation};
use async_graphql::parser::types::OperationType;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use body::GraphqlBody;
use futures_util::future::join_all;
use negotiate::ResponseMediaType;
use response::{RequestRejection, SerializedResponse};
use std::sync::Arc;

/// Authenticates before anything else is read. A WebSocket may still send its key in `connection_init`, and is closed with the reason
/// if its page may not open it.
pub async fn authenticate(State(app): State<Arc<AppState>>, mut request: Request, next: Next) -> Response {
    let denied = match app.auth.authenticate_with_new_keys(request.headers(), request.extensions()).await {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            return next.run(request).await;
        }
        Err(denied) => denied,
    };
    if is_websocket_upgrade(&request) {
        request.extensions_mut().insert(denied);
        return next.run(request).await;
    }
    RequestRejection::from(denied)
        .respond(negotiate::response_media_type(request.headers()).unwrap_or(ResponseMediaType::Json))
}

fn is_websocket_upgrade(request: &Request) -> bool {
    request.method() == Method::GET && request.headers().contains_key(header::UPGRADE)
}

/// `GET /graphql`: a WebSocket upgrade, or a query in the URL.
pub async fn get(State(app): State<Arc<AppState>>, request: Request) -> Result<Response, RequestRejection> {
    if is_websocket_upgrade(&request) {
        return Ok(socket::open(app, request));
    }
    let (parts, _) = request.into_parts();
    let accepted = AcceptedFormats::of(&parts.headers)?;
    if accepted.stream_format == Some(StreamFormat::EventStream)
        && let Some(token) = stream::token(&parts)
    {
        let principal = caller(&parts.extensions)?.principal;
        return Ok(stream::open(&app, token, &principal).into_response());
    }
    let params = Params::from_query_string(parts.uri.query().unwrap_or_default());
    let allows = |ty| check_operation_type(ty, true, accepted.stream_format.is_some());
    let prepared = params
        .map_err(RequestRejection::from)
        .and_then(|params| app.pipeline.prepare_if(params, &caller(&parts.extensions)?, allows));
    Ok(respond(&app, &parts.headers, accepted, prepared, true).await)
}

/// `POST /graphql`: one request, or a batch where they are allowed.
pub async fn post(State(app): State<Arc<AppState>>, request: Request) -> Result<Response, RequestRejection> {
    let (parts, body) = request.into_parts();
    let (caller, token) = (caller(&parts.extensions)?, stream::token(&parts));
    let accepted = AcceptedFormats::of(&parts.headers)?;
    let params = match body::read(&app, &parts.headers, body).await {
        Ok(GraphqlBody::Single(params)) => params,
        Ok(GraphqlBody::Batch(batch)) => {
            let responses = batch.into_iter().map(async |params| {
                match app.pipeline.prepare_if(params, &caller, |ty| check_operation_type(ty, false, false)) {
                    Ok(prepared) => app.pipeline.execute(&prepared).await,
                    Err(RequestRejection { error, .. }) => error.into_graphql_response(),
                }
            });
            return Ok(response::batch_response(&join_all(responses).await, accepted.media_type));
        }
        Err(rejection) => return Ok(rejection.respond(accepted.media_type)),
    };
    let id = params.extension("operationId").and_then(|id| Some(id.as_str()?.to_owned()));
    let allows = |ty| check_operation_type(ty, false, token.is_some() || accepted.stream_format.is_some());
    Ok(match (app.pipeline.prepare_if(params, &caller, allows), token) {
        (Ok(prepared), Some(token)) => stream::start_operation(&app, token, id.as_deref(), prepared).into_response(),
        (Err(rejection), Some(_)) => rejection.respond(ResponseMediaType::GraphqlResponse),
        (prepared, None) => respond(&app, &parts.headers, accepted, prepared, false).await,
    })
}

/// How responses may be sent, by what the client accepts.
#[derive(Clone, Copy)]
struct AcceptedFormats {
    media_type: ResponseMediaType,
    /// For a stream of responses.
    stream_format: Option<StreamFormat>,
    /// Whether the client accepts nothing but a stream.
    stream_only: bool,
}

impl AcceptedFormats {
    fn of(headers: &HeaderMap) -> Result<AcceptedFormats, RequestRejection> {
        let stream_format = negotiate::stream_format(headers);
        let (media_type, stream_only) = match negotiate::response_media_type(headers) {
            Ok(media_type) => (media_type, false),
            Err(_) if stream_format.is_some() => (ResponseMediaType::GraphqlResponse, true),
            Err(rejection) => return Err(rejection),
        };
        Ok(AcceptedFormats { media_type, stream_format, stream_only })
    }

    // Only a subscription has several responses; others are sent in one piece if the client accepts that.
    fn format_for(&self, prepared: &PreparedOperation) -> Option<StreamFormat> {
        let has_one_response = prepared.operation_type != OperationType::Subscription;
        self.stream_format
            .filter(|format| !has_one_response || self.stream_only && *format == StreamFormat::EventStream)
    }

    // Errors of the document itself are reported where its responses would be.
    fn reject(&self, rejection: RequestRejection) -> Response {
        match self.stream_format {
            Some(StreamFormat::EventStream) if self.stream_only && rejection.legacy_status_ok => {
                stream::error_response(rejection.error, StreamFormat::EventStream)
            }
            _ => rejection.respond(self.media_type),
        }
    }
}

/// Any other method.
pub async fn method_not_allowed(headers: HeaderMap) -> Response {
    RequestRejection::method_not_allowed(
        "`/graphql` takes GET and POST, and PUT and DELETE for event streams",
        &("allow", "GET, POST, PUT, DELETE"),
    )
    .respond(negotiate::response_media_type(&headers).unwrap_or(ResponseMediaType::Json))
}

/// Executes an operation, and responds in one of the accepted formats. A query of a `GET` is not executed if the client has the
/// current response.
async fn respond(
    app: &AppState,
    headers: &HeaderMap,
    accepted: AcceptedFormats,
    prepared: Result<PreparedOperation, RequestRejection>,
    is_get: bool,
) -> Response {
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(rejection) => return accepted.reject(rejection),
    };
    let (media, rate_limit) = (accepted.media_type, prepared.rate_limit);
    if let Some(format) = accepted.format_for(&prepared) {
        return stream::operation_response(app, prepared, format, headers);
    }
    if !is_get {
        return response::operation_response(execute_coalesced(app, &prepared).await, media, rate_limit);
    }
    let tag = match validator::position_tag(app, &prepared, media).await {
        Ok(tag) => tag,
        Err(error) => return RequestRejection::from(error).respond(media),
    };
    if let Some(tag) = tag.as_ref().filter(|tag| validator::etag_matches(headers, tag)) {
        return response::not_modified(tag, rate_limit);
    }
    let response = execute_coalesced(app, &prepared).await;
    match response.has_errors {
        true => response::operation_response(response, media, rate_limit),
        false => validator::with_etag(response, media, headers, tag, rate_limit),
    }
}

/// Executes an operation. Equal queries may share the execution.
async fn execute_coalesced(app: &AppState, prepared: &PreparedOperation) -> SerializedResponse {
    let Some(key) = prepared.coalesce_key() else {
        return SerializedResponse::of(app.pipeline.execute(prepared).await).await;
    };
    let execute = || {
        let (pipeline, prepared) = (app.pipeline.clone(), prepared.clone());
        async move { SerializedResponse::of(pipeline.execute(&prepared).await).await }
    };
    // The timeout includes the time until the execution starts.
    match app.pipeline.with_timeout(app.coalescer.coalesce(key, execute)).await {
        Ok(response) => response,
        Err(error) => SerializedResponse::of(error.into_graphql_response()).await,
    }
}

/// Mutations are not executed over GET, and subscriptions only where several responses can follow each other.
fn check_operation_type(ty: OperationType, is_get: bool, can_stream: bool) -> Result<(), RequestRejection> {
    match ty {
        OperationType::Query => Ok(()),
        OperationType::Subscription if can_stream => Ok(()),
        OperationType::Mutation if !is_get => Ok(()),
        OperationType::Subscription if !is_get => Err(RequestRejection::from(ApiError::bad_request(
            "a subscription has more than one answer",
            "Subscribe over a WebSocket to this address, with the protocol graphql-transport-ws; or accept text/event-stream.",
        ))),
        _ => Err(RequestRejection::method_not_allowed("over GET only queries are executed", &("allow", "POST"))),
    }
}

/// The caller of a request.
///
/// # Errors
/// If it was not authenticated.
fn caller(extensions: &Extensions) -> Result<Caller, ApiError> {
    let principal = extensions.get::<Arc<Principal>>().cloned().ok_or_else(ApiError::unauthenticated)?;
    Ok(Caller { principal, network: extensions.get().copied() })
}

impl From<AccessDenied> for RequestRejection {
    fn from(denied: AccessDenied) -> Self {
        let hint = match denied {
            AccessDenied::Unauthenticated | AccessDenied::UnknownSigningKey(_) => {
                return ApiError::unauthenticated().into();
            }
            AccessDenied::SessionEnded => {
                let header = Some(&("set-cookie", REMOVE_SESSION));
                return RequestRejection { header, ..ApiError::session_ended().into() };
            }
            AccessDenied::TooManyFailures(seconds) => return ApiError::too_many_failures(seconds).into(),
            AccessDenied::HostNotAllowed => {
                "Ask for it under one of these names; or create an API key (`inspection-hub keys create`), which opens it to every host."
            }
            AccessDenied::OriginNotAllowed => "Ask the operator to add the origin of the page to `allowed_origins`.",
        };
        let error = ApiError::new(ApiErrorCode::Forbidden, denied.to_string(), hint);
        RequestRejection { legacy_status_ok: false, ..error.into() }
    }
}

impl From<ApiError> for RequestRejection {
    fn from(error: ApiError) -> Self {
        let status = match error.code {
            ApiErrorCode::Unauthenticated | ApiErrorCode::SessionEnded => StatusCode::UNAUTHORIZED,
            ApiErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ApiErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ApiErrorCode::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            ApiErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        // With `application/json`, errors of a well-formed request have the status 200 (section 6.4.1).
        let legacy_status_ok = !matches!(
            error.code,
            ApiErrorCode::BadRequest
                | ApiErrorCode::Unauthenticated
                | ApiErrorCode::RateLimited
                | ApiErrorCode::SessionEnded
                | ApiErrorCode::Internal
        );
        let header = (error.code == ApiErrorCode::Unauthenticated).then_some(&("www-authenticate", "Bearer"));
        RequestRejection { status, legacy_status_ok, header, error }
    }
}

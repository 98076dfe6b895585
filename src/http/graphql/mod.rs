//! GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): `GET` for queries, `POST` with JSON. Only JSON
//! bodies are accepted: a browser sends a preflight request before one to another site, so no page can make its visitors query.
//!
//! `negotiate` chooses the media type, `body` parses requests, `coalesce` shares executions of equal queries,
//! `serialized_response` and `response` make the HTTP response, `validator` its entity tag.

mod body;
mod coalesce;
mod negotiate;
mod response;
mod serialized_response;
mod validator;

pub use coalesce::Coalescer;

use super::AppState;
use super::serve::Peer;
use super::socket;
use super::stream::{self, StreamFormat, StreamQuery};
use crate::graphql::{ApiError, ApiErrorCode};
use crate::request::{ClientNetwork, Params, PreparedOperation};
use async_graphql::parser::types::OperationType;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use body::GraphqlBody;
use futures_util::future::join_all;
use negotiate::ResponseMediaType;
use response::RequestRejection;
use serialized_response::{ResponseOutcome, SerializedResponse};
use std::sync::Arc;
use validator::Validator;

/// Authenticates before anything else is read. A WebSocket may still send its token in `connection_init`.
pub async fn authenticate(State(app): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    if app.auth.authorizes_request(request.headers()) || is_websocket_upgrade(&request) {
        return next.run(request).await;
    }
    RequestRejection::from(ApiError::unauthenticated())
        .respond(negotiate::response_media_type(request.headers()).unwrap_or(ResponseMediaType::Json))
}

fn is_websocket_upgrade(request: &Request) -> bool {
    request.method() == Method::GET && request.headers().contains_key(header::UPGRADE)
}

/// `GET /graphql`: a WebSocket upgrade, or a query in the URL.
pub async fn get(State(app): State<Arc<AppState>>, request: Request) -> Response {
    if is_websocket_upgrade(&request) {
        return socket::open(State(app), request).await;
    }
    let (client, headers) = (client(&request), request.headers().clone());
    let query = Query::<StreamQuery>::try_from_uri(request.uri()).map(|Query(query)| query).unwrap_or_default();
    let accepted = match AcceptedFormats::of(&headers) {
        Ok(accepted) => accepted,
        Err(rejection) => return rejection.respond(ResponseMediaType::Json),
    };
    if accepted.stream_format == Some(StreamFormat::EventStream)
        && let Some(token) = stream::token(&headers, &query)
    {
        return stream::open(&app, token);
    }
    let params = Params::from_query_string(request.uri().query().unwrap_or_default());
    let allows = |ty| if accepted.stream_format.is_some() { allow_in_get_stream(ty) } else { allow_in_get(ty) };
    let prepared =
        params.map_err(RequestRejection::from).and_then(|params| app.pipeline.prepare_if(params, client, allows));
    match prepared {
        Ok(prepared) => match accepted.format_for(&prepared) {
            Some(format) => stream::operation_response(&app.subscriptions, prepared, format, &headers, &app.shutdown),
            None => execute_get(&app, &headers, &prepared, accepted.media_type).await,
        },
        Err(rejection) => accepted.reject(rejection),
    }
}

/// `POST /graphql`: one request, or a batch where they are allowed.
pub async fn post(State(app): State<Arc<AppState>>, request: Request) -> Response {
    let client = client(&request);
    let (parts, body) = request.into_parts();
    let query = Query::<StreamQuery>::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default();
    let token = stream::token(&parts.headers, &query);
    let accepted = match AcceptedFormats::of(&parts.headers) {
        Ok(accepted) => accepted,
        Err(rejection) => return rejection.respond(ResponseMediaType::Json),
    };
    match body::read(&app, &parts.headers, body).await {
        Ok(GraphqlBody::Single(params)) => {
            let id = params.extension("operationId").and_then(|id| Some(id.as_str()?.to_owned()));
            let allows =
                |ty| if token.is_some() || accepted.stream_format.is_some() { Ok(()) } else { allow_in_post(ty) };
            match (app.pipeline.prepare_if(params, client, allows), token) {
                (Ok(prepared), Some(token)) => stream::start_operation(&app, token, id.as_deref(), prepared),
                (Err(rejection), Some(_)) => rejection.respond(ResponseMediaType::GraphqlResponse),
                (Ok(prepared), None) => match accepted.format_for(&prepared) {
                    Some(format) => {
                        stream::operation_response(&app.subscriptions, prepared, format, &parts.headers, &app.shutdown)
                    }
                    None => response::operation_response(
                        execute_coalesced(&app, &prepared).await,
                        accepted.media_type,
                        prepared.rate_limit,
                    ),
                },
                (Err(rejection), None) => accepted.reject(rejection),
            }
        }
        Ok(GraphqlBody::Batch(batch)) => {
            let responses = batch.into_iter().map(|params| execute_batch_item(&app, params, client));
            response::batch_response(&join_all(responses).await, accepted.media_type)
        }
        Err(rejection) => rejection.respond(accepted.media_type),
    }
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
        let format = negotiate::stream_format(headers);
        match negotiate::response_media_type(headers) {
            Ok(media) => Ok(AcceptedFormats { media_type: media, stream_format: format, stream_only: false }),
            Err(_) if format.is_some() => Ok(AcceptedFormats {
                media_type: ResponseMediaType::GraphqlResponse,
                stream_format: format,
                stream_only: true,
            }),
            Err(rejection) => Err(rejection),
        }
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
        "GET, POST, PUT, DELETE",
    )
    .respond(negotiate::response_media_type(&headers).unwrap_or(ResponseMediaType::Json))
}

async fn execute_batch_item(app: &AppState, params: Params, client: Option<ClientNetwork>) -> async_graphql::Response {
    match app.pipeline.prepare_if(params, client, allow_in_post) {
        Ok(prepared) => app.pipeline.execute(&prepared).await,
        Err(RequestRejection { error, .. }) => error.into_graphql_response(),
    }
}

/// Executes a query of a `GET`, unless the client has the current response.
async fn execute_get(
    app: &AppState,
    headers: &HeaderMap,
    prepared: &PreparedOperation,
    media: ResponseMediaType,
) -> Response {
    let validator = match Validator::of(app, prepared, media).await {
        Ok(validator) => validator,
        Err(error) => return RequestRejection::from(error).respond(media),
    };
    if let Validator::Position(tag) = &validator
        && validator::etag_matches(headers, tag)
    {
        return response::not_modified(tag, prepared.rate_limit);
    }
    let response = execute_coalesced(app, prepared).await;
    match response.outcome {
        ResponseOutcome::Success => validator::with_etag(response, media, headers, validator, prepared.rate_limit),
        _ => response::operation_response(response, media, prepared.rate_limit),
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

fn allow_in_get(ty: OperationType) -> Result<(), RequestRejection> {
    match ty {
        OperationType::Query => Ok(()),
        _ => Err(RequestRejection::method_not_allowed("over GET only queries are executed", "POST")),
    }
}

fn allow_in_get_stream(ty: OperationType) -> Result<(), RequestRejection> {
    match ty {
        OperationType::Mutation => allow_in_get(ty),
        _ => Ok(()),
    }
}

fn allow_in_post(ty: OperationType) -> Result<(), RequestRejection> {
    match ty {
        OperationType::Subscription => Err(RequestRejection::from(ApiError::bad_request(
            "a subscription has more than one answer",
            "Subscribe over a WebSocket to this address, with the protocol graphql-transport-ws; or accept text/event-stream.",
        ))),
        _ => Ok(()),
    }
}

fn client(request: &Request) -> Option<ClientNetwork> {
    request.extensions().get::<Peer>().map(|peer| ClientNetwork::new(peer.0))
}

impl From<ApiError> for RequestRejection {
    fn from(error: ApiError) -> Self {
        let status = match error.code {
            ApiErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
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
                | ApiErrorCode::Internal
        );
        RequestRejection { status, legacy_status_ok, allow: None, close_connection: false, error }
    }
}

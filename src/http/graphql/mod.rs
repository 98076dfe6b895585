//! GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): `GET` for queries, `POST` with JSON. Only
//! JSON bodies are taken: a browser asks before it sends those to another site, so no page can make its visitors query.
//!
//! `negotiate` chooses the media type, `body` reads what comes, `together` executes it once for all who ask the same,
//! `reply` is its answer, `respond` says it, `validator` knows when nothing moved.

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
use crate::graphql::ApiError;
use crate::request::{ClientNetwork, Params, PreparedOperation, limits};
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

/// Lets in who may come in, before anything else is looked at. A socket may still show its token when it is open.
pub async fn authenticate(State(app): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    if app.auth.authorizes_request(request.headers()) || is_websocket_upgrade(&request) {
        return next.run(request).await;
    }
    RequestRejection::from(ApiError::Unauthenticated)
        .respond(negotiate::response_media_type(request.headers()).unwrap_or(ResponseMediaType::Json))
}

fn is_websocket_upgrade(request: &Request) -> bool {
    request.method() == Method::GET && request.headers().contains_key(header::UPGRADE)
}

/// `GET /graphql`: a WebSocket if it asks for one, else a query in the URL.
pub async fn get(State(app): State<Arc<AppState>>, request: Request) -> Response {
    if is_websocket_upgrade(&request) {
        return socket::open(State(app), request).await;
    }
    let (client, headers) = (client(&request), request.headers().clone());
    let asked = Query::<StreamQuery>::try_from_uri(request.uri()).map(|Query(asked)| asked).unwrap_or_default();
    let wanted = match AcceptedFormats::of(&headers) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.respond(ResponseMediaType::Json),
    };
    if wanted.stream_format == Some(StreamFormat::EventStream)
        && let Some(token) = stream::token(&headers, &asked)
    {
        return stream::open(&app, token);
    }
    let params = Params::from_query_string(request.uri().query().unwrap_or_default());
    let allows = |kind| if wanted.stream_format.is_some() { allow_in_get_stream(kind) } else { allow_in_get(kind) };
    let prepared =
        params.map_err(RequestRejection::from).and_then(|params| app.pipeline.prepare_if(params, client, allows));
    match prepared {
        Ok(prepared) => match wanted.format_for(&prepared) {
            Some(format) => stream::operation_response(&app.subscriptions, prepared, format, &headers, &app.shutdown),
            None => execute_get(&app, &headers, &prepared, wanted.media_type).await,
        },
        Err(refusal) => wanted.reject(refusal),
    }
}

/// `POST /graphql`: one request, or several where batches are taken.
pub async fn post(State(app): State<Arc<AppState>>, request: Request) -> Response {
    let client = client(&request);
    let (parts, body) = request.into_parts();
    let asked = Query::<StreamQuery>::try_from_uri(&parts.uri).map(|Query(asked)| asked).unwrap_or_default();
    let token = stream::token(&parts.headers, &asked);
    let wanted = match AcceptedFormats::of(&parts.headers) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.respond(ResponseMediaType::Json),
    };
    match body::read(&app, &parts.headers, body).await {
        Ok(GraphqlBody::Single(params)) => {
            let id = params.extension("operationId").and_then(|id| Some(id.as_str()?.to_owned()));
            let allows =
                |kind| if token.is_some() || wanted.stream_format.is_some() { Ok(()) } else { allow_in_post(kind) };
            match (app.pipeline.prepare_if(params, client, allows), token) {
                (Ok(prepared), Some(token)) => stream::start_operation(&app, token, id.as_deref(), prepared),
                (Err(refusal), Some(_)) => refusal.respond(ResponseMediaType::GraphqlResponse),
                (Ok(prepared), None) => match wanted.format_for(&prepared) {
                    Some(format) => {
                        stream::operation_response(&app.subscriptions, prepared, format, &parts.headers, &app.shutdown)
                    }
                    None => response::operation_response(
                        execute_coalesced(&app, &prepared).await,
                        wanted.media_type,
                        prepared.rate_limit,
                    ),
                },
                (Err(refusal), None) => wanted.reject(refusal),
            }
        }
        Ok(GraphqlBody::Batch(batch)) => {
            let answers = batch.into_iter().map(|params| execute_batch_item(&app, params, client));
            response::batch_response(&join_all(answers).await, wanted.media_type)
        }
        Err(refusal) => refusal.respond(wanted.media_type),
    }
}

/// How answers may come, by what the client accepts.
#[derive(Clone, Copy)]
struct AcceptedFormats {
    media_type: ResponseMediaType,
    /// One after the other.
    stream_format: Option<StreamFormat>,
    /// Only so: in one piece none would be taken.
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
            Err(refusal) => Err(refusal),
        }
    }

    // Only a subscription has more than one answer; others come in one piece if they may.
    fn format_for(&self, prepared: &PreparedOperation) -> Option<StreamFormat> {
        let one = prepared.operation_type != OperationType::Subscription;
        self.stream_format.filter(|format| !one || self.stream_only && *format == StreamFormat::EventStream)
    }

    // What is wrong with the document itself is told where its answers would be.
    fn reject(&self, refusal: RequestRejection) -> Response {
        match self.stream_format {
            Some(StreamFormat::EventStream) if self.stream_only && refusal.legacy_status_ok => {
                stream::error_response(refusal.error, StreamFormat::EventStream)
            }
            _ => refusal.respond(self.media_type),
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
        Err(RequestRejection { error: fault, .. }) => fault.into_graphql_response(),
    }
}

/// Answers a query of a `GET`, unless its client has the answer already.
async fn execute_get(
    app: &AppState,
    headers: &HeaderMap,
    prepared: &PreparedOperation,
    media: ResponseMediaType,
) -> Response {
    let validator = match Validator::of(app, prepared, media).await {
        Ok(validator) => validator,
        Err(fault) => return RequestRejection::from(fault).respond(media),
    };
    if let Validator::Position(tag) = &validator
        && validator::etag_matches(headers, tag)
    {
        return response::not_modified(tag, prepared.rate_limit);
    }
    let reply = execute_coalesced(app, prepared).await;
    match reply.outcome {
        ResponseOutcome::Success => validator::with_etag(reply, media, headers, validator, prepared.rate_limit),
        _ => response::operation_response(reply, media, prepared.rate_limit),
    }
}

/// Answers an operation, by an execution that others may have in common.
async fn execute_coalesced(app: &AppState, prepared: &PreparedOperation) -> SerializedResponse {
    let Some(same) = prepared.coalesce_key() else {
        return SerializedResponse::of(app.pipeline.execute(prepared).await).await;
    };
    let execute = || {
        let (pipeline, prepared) = (app.pipeline.clone(), prepared.clone());
        async move { SerializedResponse::of(pipeline.execute(&prepared).await).await }
    };
    // Waiting for its turn counts, too.
    match app.pipeline.with_timeout(app.coalescer.coalesce(same, execute)).await {
        Ok(reply) => reply,
        Err(fault) => SerializedResponse::of(fault.into_graphql_response()).await,
    }
}

fn allow_in_get(kind: OperationType) -> Result<(), RequestRejection> {
    match kind {
        OperationType::Query => Ok(()),
        _ => Err(RequestRejection::method_not_allowed("over GET only queries are executed", "POST")),
    }
}

fn allow_in_get_stream(kind: OperationType) -> Result<(), RequestRejection> {
    match kind {
        OperationType::Mutation => allow_in_get(kind),
        _ => Ok(()),
    }
}

fn allow_in_post(kind: OperationType) -> Result<(), RequestRejection> {
    match kind {
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
    fn from(fault: ApiError) -> Self {
        let status = match &fault {
            ApiError::Unauthenticated => StatusCode::UNAUTHORIZED,
            ApiError::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            ApiError::Forbidden => StatusCode::FORBIDDEN,
            ApiError::Timeout { .. } => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        // Where the request is one, the older media type says what is wrong in the body alone (section 6.4.1).
        let in_body = !matches!(
            fault,
            ApiError::BadRequest { .. }
                | ApiError::Unauthenticated
                | ApiError::RateLimited { .. }
                | ApiError::Internal { .. }
        );
        RequestRejection { status, legacy_status_ok: in_body, allow: None, close_connection: false, error: fault }
    }
}

/// Says how many requests a batch may have.
fn batch_size_error(count: usize) -> ApiError {
    let most = limits::MAX_BATCH_REQUESTS;
    ApiError::bad_request(
        format!("a batch has 1 to {most} requests, and this one has {count}"),
        "Send them in several batches, or one by one.",
    )
}

//! GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): `GET` for queries, `POST` with JSON. Only
//! JSON bodies are taken: a browser asks before it sends those to another site, so no page can make its visitors query.
//!
//! `negotiate` chooses the media type, `body` reads what comes, `respond` says it, `validator` knows when nothing moved.

mod body;
mod negotiate;
mod respond;
mod validator;

use super::serve::Peer;
use super::socket;
use super::stream::{self, Asked, Format};
use super::{App, Problem};
use crate::graphql::Fault;
use crate::request::{Client, Params, Prepared, limits};
use async_graphql::parser::types::OperationType;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use body::Came;
use futures_util::future::join_all;
use negotiate::Media;
use respond::Refusal;
use std::sync::Arc;
use validator::Validator;

/// `GET /graphql`: a WebSocket if it asks for one, else a query in the URL.
pub async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    if request.headers().contains_key(header::UPGRADE) {
        return socket::open(State(app), request).await;
    }
    let (client, headers) = (client(&request), request.headers().clone());
    let asked = Query::<Asked>::try_from_uri(request.uri()).map(|Query(asked)| asked).unwrap_or_default();
    let format = negotiate::stream(&headers);
    if format == Some(Format::Events)
        && let Some(token) = stream::token(&headers, &asked)
    {
        return stream::open(&app, token);
    }
    let media = match negotiate::media(&headers) {
        Ok(media) => media,
        Err(_) if format.is_some() => Media::Response,
        Err(refusal) => return refusal.respond(Media::Json),
    };
    let params = Params::from_query(request.uri().query().unwrap_or_default());
    let allows = |kind| if format.is_some() { not_mutation(kind) } else { of_get(kind) };
    let prepared = params.map_err(Refusal::from).and_then(|params| app.pipeline.prepare_if(params, client, allows));
    match (prepared, format) {
        (Ok(prepared), Some(format)) if goes_on(&prepared, format) => {
            stream::answer(&app.live, prepared, format, &headers, &app.stop)
        }
        (Ok(prepared), _) => query(&app, &headers, &prepared, media).await,
        (Err(refusal), format) => refuse(refusal, media, format),
    }
}

/// `POST /graphql`: one request, or several where batches are taken.
pub async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    let client = client(&request);
    let (parts, body) = request.into_parts();
    let asked = Query::<Asked>::try_from_uri(&parts.uri).map(|Query(asked)| asked).unwrap_or_default();
    let (token, format) = (stream::token(&parts.headers, &asked), negotiate::stream(&parts.headers));
    let media = match negotiate::media(&parts.headers) {
        Ok(media) => media,
        Err(_) if format.is_some() => Media::Response,
        Err(refusal) => return refusal.respond(Media::Json),
    };
    match body::read(&app, &parts.headers, body).await {
        Ok(Came::One(params)) => {
            let id = params.extension("operationId").and_then(|id| Some(id.as_str()?.to_owned()));
            let allows = |kind| if token.is_some() || format.is_some() { Ok(()) } else { of_post(kind) };
            match (app.pipeline.prepare_if(params, client, allows), format) {
                (Ok(prepared), _) if token.is_some() => {
                    stream::start(&app, token.unwrap_or(Err(Problem::NoSuchStream)), id.as_deref(), prepared)
                }
                (Ok(prepared), Some(format)) if goes_on(&prepared, format) => {
                    stream::answer(&app.live, prepared, format, &parts.headers, &app.stop)
                }
                (Ok(prepared), _) => respond::answer(app.pipeline.answer(&prepared).await, media, prepared.allowance),
                (Err(refusal), _) if token.is_some() => refusal.respond(Media::Response),
                (Err(refusal), format) => refuse(refusal, media, format),
            }
        }
        Ok(Came::Batch(batch)) => {
            let answers = batch.into_iter().map(|params| answer_of_batch(&app, params, client));
            respond::batch(&join_all(answers).await, media)
        }
        Err(refusal) => refusal.respond(media),
    }
}

// Whether the answers come one after the other. An event stream takes those of anything.
fn goes_on(prepared: &Prepared, format: Format) -> bool {
    format == Format::Events || prepared.kind == OperationType::Subscription
}

// What is wrong with the document itself is told where its answers would be.
fn refuse(refusal: Refusal, media: Media, format: Option<Format>) -> Response {
    match format {
        Some(Format::Events) if refusal.in_body => stream::refuse(refusal.fault, Format::Events),
        _ => refusal.respond(media),
    }
}

/// Any other method.
pub async fn other(headers: HeaderMap) -> Response {
    Refusal::method("`/graphql` takes GET and POST, and PUT and DELETE for event streams", "GET, POST, PUT, DELETE")
        .respond(negotiate::media(&headers).unwrap_or(Media::Json))
}

async fn answer_of_batch(app: &App, params: Params, client: Option<Client>) -> async_graphql::Response {
    match app.pipeline.prepare_if(params, client, of_post) {
        Ok(prepared) => app.pipeline.answer(&prepared).await,
        Err(Refusal { fault, .. }) => fault.answer(),
    }
}

/// Answers a query of a `GET`, unless its client has the answer already.
async fn query(app: &App, headers: &HeaderMap, prepared: &Prepared, media: Media) -> Response {
    let validator = match Validator::of(app, prepared, media).await {
        Ok(validator) => validator,
        Err(fault) => return Refusal::from(fault).respond(media),
    };
    if let Validator::Position(tag) = &validator
        && validator::has(headers, tag)
    {
        return respond::not_modified(tag, prepared.allowance);
    }
    let answer = app.pipeline.answer(prepared).await;
    let is_good = answer.errors.is_empty();
    let response = respond::answer(answer, media, prepared.allowance);
    if is_good { validator::tagged(response, headers, validator, prepared.allowance).await } else { response }
}

fn of_get(kind: OperationType) -> Result<(), Refusal> {
    match kind {
        OperationType::Query => Ok(()),
        _ => Err(Refusal::method("over GET only queries are executed", "POST")),
    }
}

fn not_mutation(kind: OperationType) -> Result<(), Refusal> {
    match kind {
        OperationType::Mutation => of_get(kind),
        _ => Ok(()),
    }
}

fn of_post(kind: OperationType) -> Result<(), Refusal> {
    match kind {
        OperationType::Subscription => Err(Refusal::from(Fault::request(
            "a subscription has more than one answer",
            "Subscribe over a WebSocket to this address, with the protocol graphql-transport-ws; or accept text/event-stream.",
        ))),
        _ => Ok(()),
    }
}

fn client(request: &Request) -> Option<Client> {
    request.extensions().get::<Peer>().map(|peer| Client::new(peer.0))
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let status = match &fault {
            Fault::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Fault::Untrusted => StatusCode::FORBIDDEN,
            Fault::Timeout { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        // Where the request is one, the older media type says what is wrong in the body alone (section 6.4.1).
        let in_body = !matches!(fault, Fault::Request { .. } | Fault::RateLimited { .. } | Fault::Internal { .. });
        Refusal { status, in_body, allow: None, close: false, fault }
    }
}

/// Says how many requests a batch may have.
fn too_many(count: usize) -> Fault {
    let most = limits::BATCH;
    Fault::request(
        format!("a batch has 1 to {most} requests, and this one has {count}"),
        "Send them in several batches, or one by one.",
    )
}

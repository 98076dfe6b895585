//! GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): `GET` for queries, `POST` with JSON. Only
//! JSON bodies are taken: a browser asks before it sends those to another site, so no page can make its visitors query.
//!
//! `negotiate` chooses the media type, `body` reads what comes, `together` executes it once for all who ask the same,
//! `reply` is its answer, `respond` says it, `validator` knows when nothing moved.

mod body;
mod negotiate;
mod reply;
mod respond;
mod together;
mod validator;

pub use together::Together;

use super::App;
use super::serve::Peer;
use super::socket;
use super::stream::{self, Asked, Format};
use crate::graphql::Fault;
use crate::request::{Client, Params, Prepared, limits};
use async_graphql::parser::types::OperationType;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use body::Came;
use futures_util::future::join_all;
use negotiate::Media;
use reply::{Reply, Standing};
use respond::Refusal;
use std::sync::Arc;
use validator::Validator;

/// Lets in who may come in, before anything else is looked at. A socket may still show its token when it is open.
pub async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.access.allows(request.headers()) || is_socket(&request) {
        return next.run(request).await;
    }
    Refusal::from(Fault::Unauthenticated).respond(negotiate::media(request.headers()).unwrap_or(Media::Json))
}

fn is_socket(request: &Request) -> bool {
    request.method() == Method::GET && request.headers().contains_key(header::UPGRADE)
}

/// `GET /graphql`: a WebSocket if it asks for one, else a query in the URL.
pub async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    if is_socket(&request) {
        return socket::open(State(app), request).await;
    }
    let (client, headers) = (client(&request), request.headers().clone());
    let asked = Query::<Asked>::try_from_uri(request.uri()).map(|Query(asked)| asked).unwrap_or_default();
    let wanted = match Wanted::of(&headers) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.respond(Media::Json),
    };
    if wanted.format == Some(Format::Events)
        && let Some(token) = stream::token(&headers, &asked)
    {
        return stream::open(&app, token);
    }
    let params = Params::from_query(request.uri().query().unwrap_or_default());
    let allows = |kind| if wanted.format.is_some() { not_mutation(kind) } else { of_get(kind) };
    let prepared = params.map_err(Refusal::from).and_then(|params| app.pipeline.prepare_if(params, client, allows));
    match prepared {
        Ok(prepared) => match wanted.format(&prepared) {
            Some(format) => stream::answer(&app.live, prepared, format, &headers, &app.stop),
            None => query(&app, &headers, &prepared, wanted.media).await,
        },
        Err(refusal) => wanted.refuse(refusal),
    }
}

/// `POST /graphql`: one request, or several where batches are taken.
pub async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    let client = client(&request);
    let (parts, body) = request.into_parts();
    let asked = Query::<Asked>::try_from_uri(&parts.uri).map(|Query(asked)| asked).unwrap_or_default();
    let token = stream::token(&parts.headers, &asked);
    let wanted = match Wanted::of(&parts.headers) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.respond(Media::Json),
    };
    match body::read(&app, &parts.headers, body).await {
        Ok(Came::One(params)) => {
            let id = params.extension("operationId").and_then(|id| Some(id.as_str()?.to_owned()));
            let allows = |kind| if token.is_some() || wanted.format.is_some() { Ok(()) } else { of_post(kind) };
            match (app.pipeline.prepare_if(params, client, allows), token) {
                (Ok(prepared), Some(token)) => stream::start(&app, token, id.as_deref(), prepared),
                (Err(refusal), Some(_)) => refusal.respond(Media::Response),
                (Ok(prepared), None) => match wanted.format(&prepared) {
                    Some(format) => stream::answer(&app.live, prepared, format, &parts.headers, &app.stop),
                    None => respond::answer(reply(&app, &prepared).await, wanted.media, prepared.allowance),
                },
                (Err(refusal), None) => wanted.refuse(refusal),
            }
        }
        Ok(Came::Batch(batch)) => {
            let answers = batch.into_iter().map(|params| answer_of_batch(&app, params, client));
            respond::batch(&join_all(answers).await, wanted.media)
        }
        Err(refusal) => refusal.respond(wanted.media),
    }
}

/// How answers may come, by what the client accepts.
#[derive(Clone, Copy)]
struct Wanted {
    media: Media,
    /// One after the other.
    format: Option<Format>,
    /// Only so: in one piece none would be taken.
    only: bool,
}

impl Wanted {
    fn of(headers: &HeaderMap) -> Result<Wanted, Refusal> {
        let format = negotiate::stream(headers);
        match negotiate::media(headers) {
            Ok(media) => Ok(Wanted { media, format, only: false }),
            Err(_) if format.is_some() => Ok(Wanted { media: Media::Response, format, only: true }),
            Err(refusal) => Err(refusal),
        }
    }

    // Only a subscription has more than one answer; others come in one piece if they may.
    fn format(&self, prepared: &Prepared) -> Option<Format> {
        let one = prepared.kind != OperationType::Subscription;
        self.format.filter(|format| !one || self.only && *format == Format::Events)
    }

    // What is wrong with the document itself is told where its answers would be.
    fn refuse(&self, refusal: Refusal) -> Response {
        match self.format {
            Some(Format::Events) if self.only && refusal.in_body => stream::refuse(refusal.fault, Format::Events),
            _ => refusal.respond(self.media),
        }
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
    let reply = reply(app, prepared).await;
    match reply.standing {
        Standing::Good => validator::tagged(reply, media, headers, validator, prepared.allowance),
        _ => respond::answer(reply, media, prepared.allowance),
    }
}

/// Answers an operation, by an execution that others may have in common.
async fn reply(app: &App, prepared: &Prepared) -> Reply {
    let Some(same) = prepared.same() else { return Reply::of(app.pipeline.answer(prepared).await).await };
    let execute = || {
        let (pipeline, prepared) = (app.pipeline.clone(), prepared.clone());
        async move { Reply::of(pipeline.answer(&prepared).await).await }
    };
    // Waiting for its turn counts, too.
    match app.pipeline.in_time(app.together.ask(same, execute)).await {
        Ok(reply) => reply,
        Err(fault) => Reply::of(fault.answer()).await,
    }
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
            Fault::Unauthenticated => StatusCode::UNAUTHORIZED,
            Fault::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Fault::Untrusted => StatusCode::FORBIDDEN,
            Fault::Timeout { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        // Where the request is one, the older media type says what is wrong in the body alone (section 6.4.1).
        let in_body = !matches!(
            fault,
            Fault::Request { .. } | Fault::Unauthenticated | Fault::RateLimited { .. } | Fault::Internal { .. }
        );
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

//! Many operations over one event stream
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>, "single connection mode"): for HTTP/1.1, where a
//! browser opens at most six connections to a host.
//!
//! `PUT` reserves a stream and returns its token, `GET` opens it, `POST` starts an operation whose responses come over it, and
//! `DELETE` stops one.

use super::super::{AppState, Problem};
use super::format::{StreamFormat, joined};
use super::{stream_body, streaming_response};
use crate::access::Principal;
use crate::live::{Payloads, RoundRobin, StreamMessage};
use crate::request::PreparedOperation;
use crate::sync::lock;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFutureOwned;
use uuid::Uuid;

const TOKEN: HeaderName = HeaderName::from_static("x-graphql-event-stream-token");
/// How long a reserved stream waits to be opened.
const RESERVATION_TTL: Duration = Duration::from_secs(30);
/// Streams that are reserved or open.
const MAX_STREAMS: usize = 10_000;
/// Concurrent operations of one stream.
const MAX_OPERATIONS: usize = 100;
/// Bytes of an operation's id.
const MAX_ID_LENGTH: usize = 128;

/// The streams of a process.
#[derive(Debug, Default)]
pub struct StreamReservations(Mutex<HashMap<Uuid, ReservedStream>>);

#[derive(Debug)]
struct ReservedStream {
    /// The subject that reserved it. It does not exist for others.
    subject: Arc<str>,
    expires_at: Instant,
    /// Null until it is opened.
    handle: Option<StreamHandle>,
}

/// Controls an open stream.
#[derive(Clone, Debug)]
struct StreamHandle {
    commands: mpsc::Sender<StreamCommand>,
    operation_ids: OperationIds,
}

/// Of the operations that run on a stream, and of those that are being started.
type OperationIds = Arc<Mutex<Vec<Box<str>>>>;

#[derive(Debug)]
enum StreamCommand {
    Start(Box<str>, Box<PreparedOperation>),
    Stop(Box<str>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamQuery {
    token: Option<String>,
    operation_id: Option<String>,
}

impl StreamReservations {
    /// A token for a new stream; null if there are too many.
    fn reserve(&self, subject: &Arc<str>) -> Option<Uuid> {
        let now = Instant::now();
        let mut streams = lock(&self.0);
        streams.retain(|_, reserved| reserved.handle.is_some() || reserved.expires_at > now);
        if streams.len() >= MAX_STREAMS {
            return None;
        }
        let token = Uuid::new_v4();
        let (subject, expires_at) = (subject.clone(), now + RESERVATION_TTL);
        streams.insert(token, ReservedStream { subject, expires_at, handle: None });
        Some(token)
    }

    fn open(&self, token: Uuid, subject: &str, handle: StreamHandle) -> Result<(), Problem> {
        let mut streams = lock(&self.0);
        match streams.get_mut(&token).filter(|reserved| *reserved.subject == *subject) {
            Some(ReservedStream { handle: Some(_), .. }) => Err(Problem::StreamAlreadyOpen),
            Some(reserved) if reserved.expires_at > Instant::now() => {
                reserved.handle = Some(handle);
                Ok(())
            }
            _ => Err(Problem::StreamNotFound),
        }
    }

    fn handle(&self, token: Uuid, subject: &str) -> Result<StreamHandle, Problem> {
        let streams = lock(&self.0);
        let reserved = streams.get(&token).filter(|reserved| *reserved.subject == *subject);
        reserved.and_then(|reserved| reserved.handle.clone()).ok_or(Problem::StreamNotFound)
    }
}

/// The token of a request, in its header or its URL. Null if it has none.
pub fn token(parts: &Parts) -> Option<Result<Uuid, Problem>> {
    let query = Query::<StreamQuery>::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default();
    token_of(&parts.headers, &query)
}

fn token_of(headers: &HeaderMap, query: &StreamQuery) -> Option<Result<Uuid, Problem>> {
    let header = headers.get(TOKEN).map(|value| value.to_str().unwrap_or_default());
    let token = header.or(query.token.as_deref())?;
    Some(Uuid::try_parse(token).map_err(|_| Problem::StreamNotFound))
}

/// `PUT`: reserves a stream. A browser sends a preflight request before a `PUT` to another site.
pub async fn reserve(
    State(app): State<Arc<AppState>>,
    Extension(principal): Extension<Arc<Principal>>,
) -> Result<impl IntoResponse, Problem> {
    let token = app.stream_reservations.reserve(&principal.subject).ok_or(Problem::TooManyStreams)?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, headers, token.simple().to_string()))
}

/// `GET` with a token: opens the stream.
pub fn open(app: &Arc<AppState>, token: Result<Uuid, Problem>, principal: &Principal) -> Result<Response, Problem> {
    let (token, operation_ids) = (token?, OperationIds::default());
    let (sender, commands) = mpsc::channel(MAX_OPERATIONS);
    let handle = StreamHandle { commands: sender, operation_ids: operation_ids.clone() };
    app.stream_reservations.open(token, &principal.subject, handle)?;
    let (app, operations) = (app.clone(), RoundRobin::default());
    let credential_end = Box::pin(principal.ended.clone().cancelled_owned());
    let shutdown = app.shutdown.clone();
    let mut stream = MultiplexedStream { app, token, credential_end, commands, operation_ids, operations };
    let frames = move |context: &mut Context<'_>| {
        stream.poll_commands(context);
        match stream.poll_operations(context) {
            // All of them have reported it.
            Poll::Pending if stream.has_ended(context) => Poll::Ready(None),
            frame => frame.map(Some),
        }
    };
    let format = StreamFormat::EventStream;
    Ok(streaming_response(format, stream_body(format, &shutdown, frames)))
}

/// `POST` with a token: starts an operation. Its responses come over the stream.
pub fn start_operation(
    app: &AppState,
    token: Result<Uuid, Problem>,
    id: Option<&str>,
    operation: PreparedOperation,
) -> Result<StatusCode, Problem> {
    let token = token?;
    let id = id.filter(|id| !id.is_empty() && id.len() <= MAX_ID_LENGTH).ok_or(Problem::InvalidOperationId)?;
    let StreamHandle { commands, operation_ids } =
        app.stream_reservations.handle(token, &operation.principal.subject)?;
    let mut operation_ids = lock(&operation_ids);
    if operation_ids.iter().any(|known| **known == *id) {
        return Err(Problem::DuplicateOperationId);
    }
    if operation_ids.len() >= MAX_OPERATIONS {
        return Err(Problem::TooManyOperations);
    }
    let command = StreamCommand::Start(id.into(), Box::new(operation));
    commands.try_send(command).map_err(|_| Problem::TooManyOperations)?;
    operation_ids.push(id.into());
    Ok(StatusCode::ACCEPTED)
}

/// `DELETE`: stops an operation.
pub async fn stop_operation(
    State(app): State<Arc<AppState>>,
    Extension(principal): Extension<Arc<Principal>>,
    headers: HeaderMap,
    Query(query): Query<StreamQuery>,
) -> Result<StatusCode, Problem> {
    let token = token_of(&headers, &query).unwrap_or(Err(Problem::StreamNotFound))?;
    let StreamHandle { commands, operation_ids } = app.stream_reservations.handle(token, &principal.subject)?;
    let id = query.operation_id.as_deref().ok_or(Problem::InvalidOperationId)?;
    if !lock(&operation_ids).iter().any(|known| **known == *id) {
        return Err(Problem::OperationNotFound);
    }
    commands.try_send(StreamCommand::Stop(id.into())).map_err(|_| Problem::TooManyOperations)?;
    Ok(StatusCode::OK)
}

/// The operations of an open stream.
struct MultiplexedStream {
    app: Arc<AppState>,
    token: Uuid,
    /// Ready when the credential that opened it has ended.
    credential_end: Pin<Box<WaitForCancellationFutureOwned>>,
    commands: mpsc::Receiver<StreamCommand>,
    operation_ids: OperationIds,
    operations: RoundRobin<Box<str>>,
}

/// Its token ends with the stream, however it ends.
impl Drop for MultiplexedStream {
    fn drop(&mut self) {
        lock(&self.app.stream_reservations.0).remove(&self.token);
    }
}

impl MultiplexedStream {
    fn poll_commands(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(command)) = self.commands.poll_recv(context) {
            match command {
                StreamCommand::Start(id, operation) => {
                    self.operations.push(id, self.app.subscriptions.execute_prepared(*operation));
                }
                StreamCommand::Stop(id) => {
                    self.operations.retain(|running| *running != id);
                    lock(&self.operation_ids).retain(|running| *running != id);
                }
            }
        }
    }

    /// Whether the credential has ended, and no operation is left.
    fn has_ended(&mut self, context: &mut Context<'_>) -> bool {
        self.credential_end.as_mut().poll(context).is_ready() && self.operations.count() == 0
    }

    fn poll_operations(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        let operation_ids = &self.operation_ids;
        self.operations.poll_next(context, |id, message| {
            if !matches!(message, Some(StreamMessage::Next(_))) {
                lock(operation_ids).retain(|running| running != id);
            }
            let id = serde_json::to_string(id).unwrap_or_default();
            match message {
                Some(StreamMessage::Next(payloads)) => next_events(&id, &payloads),
                Some(StreamMessage::Error(errors)) => {
                    let error = [NEXT, id.as_bytes(), PAYLOAD, b"{\"errors\":", &errors, b"}", END];
                    joined(&[&error.concat(), COMPLETE, id.as_bytes(), END])
                }
                None => joined(&[COMPLETE, id.as_bytes(), END]),
            }
        })
    }
}

const NEXT: &[u8] = b"event: next\ndata: {\"id\":";
const PAYLOAD: &[u8] = b",\"payload\":";
const COMPLETE: &[u8] = b"event: complete\ndata: {\"id\":";
const END: &[u8] = b"}\n\n";

fn next_events(id: &str, payloads: &Payloads) -> Bytes {
    let (count, bytes) = payloads.count_and_bytes();
    let around = NEXT.len() + id.len() + PAYLOAD.len() + END.len();
    let mut events = BytesMut::with_capacity(bytes + count * around);
    for entry in payloads.entries() {
        for piece in [NEXT, id.as_bytes(), PAYLOAD, &entry.payload, END] {
            events.put_slice(piece);
        }
    }
    events.freeze()
}

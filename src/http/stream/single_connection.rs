//! Many operations over one event stream
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>, "single connection mode"): for HTTP/1.1, where a
//! browser opens six connections to a host at most.
//!
//! `PUT` reserves a stream and gives its token, `GET` opens it, `POST` starts an operation whose answers come over it, and
//! `DELETE` stops one.

use super::super::{AppState, Problem};
use super::format::{COMMENT, StreamFormat, joined};
use super::{keep_alive_interval, streaming_response};
use crate::live::{StreamMessage, SubscriptionManager, SubscriptionStream};
use crate::request::PreparedOperation;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval};
use tokio_util::sync::WaitForCancellationFutureOwned;
use uuid::Uuid;

/// Where the token of a reserved stream stands.
const TOKEN: HeaderName = HeaderName::from_static("x-graphql-event-stream-token");
/// How long a reserved stream is waited for.
const RESERVATION_TTL: Duration = Duration::from_secs(30);
/// Streams that are reserved or open, at most.
const MAX_STREAMS: usize = 10_000;
/// Operations of one stream at the same time.
const MAX_OPERATIONS: usize = 100;
/// Letters of an operation's id.
const MAX_ID_LENGTH: usize = 128;

/// The streams of a process.
#[derive(Debug, Default)]
pub struct StreamReservations(Mutex<HashMap<Uuid, ReservedStream>>);

#[derive(Debug)]
struct ReservedStream {
    expires_at: Instant,
    /// None until it is opened.
    handle: Option<StreamHandle>,
}

/// How to tell an open stream what it has to do.
#[derive(Clone, Debug)]
struct StreamHandle {
    commands: mpsc::Sender<StreamCommand>,
    operation_ids: Arc<Mutex<Vec<Box<str>>>>,
}

#[derive(Debug)]
enum StreamCommand {
    Start(Box<str>, Box<PreparedOperation>),
    Stop(Box<str>),
}

/// What a URL may say.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamQuery {
    token: Option<String>,
    operation_id: Option<String>,
}

impl StreamReservations {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, ReservedStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token for a new stream; none if there are too many.
    fn reserve(&self) -> Option<Uuid> {
        let now = Instant::now();
        let mut streams = self.lock();
        streams.retain(|_, reserved| reserved.handle.is_some() || reserved.expires_at > now);
        if streams.len() >= MAX_STREAMS {
            return None;
        }
        let token = Uuid::new_v4();
        streams.insert(token, ReservedStream { expires_at: now + RESERVATION_TTL, handle: None });
        Some(token)
    }

    fn open(&self, token: Uuid, opened: StreamHandle) -> Result<(), Problem> {
        let mut streams = self.lock();
        let reserved = streams.get_mut(&token).filter(|reserved| reserved.handle.is_some() || !reserved.is_expired());
        let reserved = reserved.ok_or(Problem::StreamNotFound)?;
        if reserved.handle.is_some() {
            return Err(Problem::StreamAlreadyOpen);
        }
        reserved.handle = Some(opened);
        Ok(())
    }

    fn handle(&self, token: Uuid) -> Result<StreamHandle, Problem> {
        let streams = self.lock();
        streams.get(&token).and_then(|reserved| reserved.handle.clone()).ok_or(Problem::StreamNotFound)
    }

    fn remove(&self, token: Uuid) {
        self.lock().remove(&token);
    }
}

impl ReservedStream {
    fn is_expired(&self) -> bool {
        self.expires_at <= Instant::now()
    }
}

/// The token that a request names, by its header or its URL. None if it names none.
pub fn token(headers: &HeaderMap, asked: &StreamQuery) -> Option<Result<Uuid, Problem>> {
    let header = headers.get(TOKEN).map(|value| value.to_str().unwrap_or_default());
    let token = header.or(asked.token.as_deref())?;
    Some(Uuid::try_parse(token).map_err(|_| Problem::StreamNotFound))
}

/// `PUT`: reserves a stream. A browser asks before it sends that to another site.
pub async fn reserve(State(app): State<Arc<AppState>>) -> Response {
    match app.stream_reservations.reserve() {
        Some(token) => {
            let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            (StatusCode::CREATED, headers, token.simple().to_string()).into_response()
        }
        None => Problem::TooManyStreams.into_response(),
    }
}

/// `GET` with a token: opens the stream.
pub fn open(app: &Arc<AppState>, token: Result<Uuid, Problem>) -> Response {
    let (asks, asked) = mpsc::channel(MAX_OPERATIONS);
    let running = Arc::default();
    let opening = token.and_then(|token| {
        app.stream_reservations.open(token, StreamHandle { commands: asks, operation_ids: Arc::clone(&running) })?;
        Ok(token)
    });
    match opening {
        Err(problem) => problem.into_response(),
        Ok(token) => {
            let multiplex = MultiplexedBody {
                _guard: StreamGuard { app: app.clone(), token },
                subscriptions: app.subscriptions.clone(),
                commands: asked,
                operation_ids: running,
                operations: Vec::new(),
                next_turn: 0,
                started: false,
                ended: false,
                keep_alive: keep_alive_interval(),
                stop: Box::pin(app.shutdown.clone().cancelled_owned()),
            };
            streaming_response(StreamFormat::EventStream, Body::from_stream(multiplex))
        }
    }
}

/// `POST` with a token: starts an operation. Its answers come over the stream.
pub fn start_operation(
    app: &AppState,
    token: Result<Uuid, Problem>,
    id: Option<&str>,
    operation: PreparedOperation,
) -> Response {
    let started = token.and_then(|token| {
        let id = id.filter(|id| !id.is_empty() && id.len() <= MAX_ID_LENGTH).ok_or(Problem::InvalidOperationId)?;
        let StreamHandle { commands: asks, operation_ids: running } = app.stream_reservations.handle(token)?;
        let mut running = lock(&running);
        if running.iter().any(|known| **known == *id) {
            return Err(Problem::DuplicateOperationId);
        }
        if running.len() >= MAX_OPERATIONS {
            return Err(Problem::TooManyOperations);
        }
        asks.try_send(StreamCommand::Start(id.into(), Box::new(operation))).map_err(|_| Problem::TooManyOperations)?;
        running.push(id.into());
        Ok(())
    });
    match started {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// `DELETE`: stops an operation.
pub async fn stop_operation(
    State(app): State<Arc<AppState>>,
    headers: HeaderMap,
    Query(asked): Query<StreamQuery>,
) -> Response {
    let stopped = token(&headers, &asked).unwrap_or(Err(Problem::StreamNotFound)).and_then(|token| {
        let StreamHandle { commands: asks, operation_ids: running } = app.stream_reservations.handle(token)?;
        let id = asked.operation_id.as_deref().ok_or(Problem::InvalidOperationId)?;
        if !lock(&running).iter().any(|known| **known == *id) {
            return Err(Problem::OperationNotFound);
        }
        asks.try_send(StreamCommand::Stop(id.into())).map_err(|_| Problem::TooManyOperations)
    });
    match stopped {
        Ok(()) => StatusCode::OK.into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// However a stream ends, its token is forgotten.
struct StreamGuard {
    app: Arc<AppState>,
    token: Uuid,
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.app.stream_reservations.remove(self.token);
    }
}

/// The body of an open stream.
struct MultiplexedBody {
    _guard: StreamGuard,
    subscriptions: Arc<SubscriptionManager>,
    commands: mpsc::Receiver<StreamCommand>,
    /// The ids of `operations`, and of those that are on their way here.
    operation_ids: Arc<Mutex<Vec<Box<str>>>>,
    operations: Vec<(Box<str>, SubscriptionStream)>,
    /// The operation that comes first next time.
    next_turn: usize,
    started: bool,
    ended: bool,
    keep_alive: Interval,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl MultiplexedBody {
    fn poll_commands(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(ask)) = self.commands.poll_recv(context) {
            match ask {
                StreamCommand::Start(id, operation) => {
                    let answers = self.subscriptions.execute_prepared(*operation);
                    self.operations.push((id, answers));
                }
                StreamCommand::Stop(id) => self.remove_operation(&id),
            }
        }
    }

    fn remove_operation(&mut self, id: &str) {
        self.operations.retain(|(known, _)| **known != *id);
        lock(&self.operation_ids).retain(|known| **known != *id);
    }

    /// What the next operation that has something says.
    fn poll_operations(&mut self, context: &mut Context<'_>) -> Option<Bytes> {
        let count = self.operations.len();
        for turn in 0..count {
            let index = (self.next_turn + turn) % count;
            let (id, answers) = self.operations.get_mut(index)?;
            let Poll::Ready(news) = answers.poll_next_unpin(context) else { continue };
            self.next_turn = index + 1;
            let name = serde_json::to_string(&*id).unwrap_or_default();
            let (told, over) = match news {
                Some(StreamMessage::Next(payloads)) => {
                    let mut frames =
                        BytesMut::with_capacity(payloads.count_and_bytes().1 + payloads.count_and_bytes().0 * 96);
                    for entry in payloads.entries() {
                        for piece in [NEXT, name.as_bytes(), PAYLOAD, &entry.payload, END] {
                            frames.put_slice(piece);
                        }
                    }
                    (frames.freeze(), false)
                }
                Some(StreamMessage::Error(errors)) => {
                    let failed = [NEXT, name.as_bytes(), PAYLOAD, b"{\"errors\":", &errors, b"}", END];
                    (joined(&[&failed.concat(), COMPLETE, name.as_bytes(), END]), true)
                }
                None => (joined(&[COMPLETE, name.as_bytes(), END]), true),
            };
            if over {
                let id = id.clone();
                self.remove_operation(&id);
            }
            return Some(told);
        }
        None
    }
}

const NEXT: &[u8] = b"event: next\ndata: {\"id\":";
const PAYLOAD: &[u8] = b",\"payload\":";
const COMPLETE: &[u8] = b"event: complete\ndata: {\"id\":";
const END: &[u8] = b"}\n\n";

impl Stream for MultiplexedBody {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        if !std::mem::replace(&mut this.started, true) {
            return Poll::Ready(Some(Ok(Bytes::from_static(COMMENT))));
        }
        if this.stop.as_mut().poll(context).is_ready() {
            this.ended = true;
            this.operations.clear();
            return Poll::Ready(None);
        }
        this.poll_commands(context);
        if let Some(told) = this.poll_operations(context) {
            this.keep_alive.reset();
            return Poll::Ready(Some(Ok(told)));
        }
        this.keep_alive.poll_tick(context).map(|_| Some(Ok(Bytes::from_static(COMMENT))))
    }
}

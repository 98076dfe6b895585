//! Many operations over one event stream
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>, "single connection mode"): for HTTP/1.1, where a
//! browser opens six connections to a host at most.
//!
//! `PUT` reserves a stream and gives its token, `GET` opens it, `POST` starts an operation whose answers come over it, and
//! `DELETE` stops one.

use super::super::{App, Problem};
use super::format::{COMMENT, Format, joined};
use super::{beat, respond};
use crate::live::{Answers, Live, News};
use crate::request::Prepared;
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
const RESERVED: Duration = Duration::from_secs(30);
/// Streams that are reserved or open, at most.
const STREAMS: usize = 10_000;
/// Operations of one stream at the same time.
const OPERATIONS: usize = 100;
/// Letters of an operation's id.
const LONGEST_ID: usize = 128;

/// The streams of a process.
#[derive(Debug, Default)]
pub struct Reservations(Mutex<HashMap<Uuid, Reserved>>);

#[derive(Debug)]
struct Reserved {
    until: Instant,
    /// None until it is opened.
    open: Option<Opened>,
}

/// How to tell an open stream what it has to do.
#[derive(Clone, Debug)]
struct Opened {
    asks: mpsc::Sender<Ask>,
    running: Arc<Mutex<Vec<Box<str>>>>,
}

#[derive(Debug)]
enum Ask {
    Start(Box<str>, Box<Prepared>),
    Stop(Box<str>),
}

/// What a URL may say.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Asked {
    token: Option<String>,
    operation_id: Option<String>,
}

impl Reservations {
    fn map(&self) -> MutexGuard<'_, HashMap<Uuid, Reserved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token for a new stream; none if there are too many.
    fn reserve(&self) -> Option<Uuid> {
        let now = Instant::now();
        let mut streams = self.map();
        streams.retain(|_, reserved| reserved.open.is_some() || reserved.until > now);
        if streams.len() >= STREAMS {
            return None;
        }
        let token = Uuid::new_v4();
        streams.insert(token, Reserved { until: now + RESERVED, open: None });
        Some(token)
    }

    fn open(&self, token: Uuid, opened: Opened) -> Result<(), Problem> {
        let mut streams = self.map();
        let reserved = streams.get_mut(&token).filter(|reserved| reserved.open.is_some() || !reserved.is_over());
        let reserved = reserved.ok_or(Problem::NoSuchStream)?;
        if reserved.open.is_some() {
            return Err(Problem::StreamTaken);
        }
        reserved.open = Some(opened);
        Ok(())
    }

    fn opened(&self, token: Uuid) -> Result<Opened, Problem> {
        let streams = self.map();
        streams.get(&token).and_then(|reserved| reserved.open.clone()).ok_or(Problem::NoSuchStream)
    }

    fn end(&self, token: Uuid) {
        self.map().remove(&token);
    }
}

impl Reserved {
    fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }
}

/// The token that a request names, by its header or its URL. None if it names none.
pub fn token(headers: &HeaderMap, asked: &Asked) -> Option<Result<Uuid, Problem>> {
    let header = headers.get(TOKEN).map(|value| value.to_str().unwrap_or_default());
    let token = header.or(asked.token.as_deref())?;
    Some(Uuid::try_parse(token).map_err(|_| Problem::NoSuchStream))
}

/// `PUT`: reserves a stream. A browser asks before it sends that to another site.
pub async fn reserve(State(app): State<Arc<App>>) -> Response {
    match app.streams.reserve() {
        Some(token) => {
            let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            (StatusCode::CREATED, headers, token.simple().to_string()).into_response()
        }
        None => Problem::TooManyStreams.into_response(),
    }
}

/// `GET` with a token: opens the stream.
pub fn open(app: &Arc<App>, token: Result<Uuid, Problem>) -> Response {
    let (asks, asked) = mpsc::channel(OPERATIONS);
    let running = Arc::default();
    let opening = token.and_then(|token| {
        app.streams.open(token, Opened { asks, running: Arc::clone(&running) })?;
        Ok(token)
    });
    match opening {
        Err(problem) => problem.into_response(),
        Ok(token) => {
            let multiplex = Multiplex {
                _place: Leaving { app: app.clone(), token },
                live: app.live.clone(),
                asked,
                running,
                operations: Vec::new(),
                first: 0,
                begun: false,
                ended: false,
                beat: beat(),
                stop: Box::pin(app.stop.clone().cancelled_owned()),
            };
            respond(Format::Events, Body::from_stream(multiplex))
        }
    }
}

/// `POST` with a token: starts an operation. Its answers come over the stream.
pub fn start(app: &App, token: Result<Uuid, Problem>, id: Option<&str>, operation: Prepared) -> Response {
    let started = token.and_then(|token| {
        let id = id.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID).ok_or(Problem::NoOperationId)?;
        let Opened { asks, running } = app.streams.opened(token)?;
        let mut running = lock(&running);
        if running.iter().any(|known| **known == *id) {
            return Err(Problem::OperationTaken);
        }
        if running.len() >= OPERATIONS {
            return Err(Problem::TooManyOperations);
        }
        asks.try_send(Ask::Start(id.into(), Box::new(operation))).map_err(|_| Problem::TooManyOperations)?;
        running.push(id.into());
        Ok(())
    });
    match started {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// `DELETE`: stops an operation.
pub async fn close(State(app): State<Arc<App>>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let stopped = token(&headers, &asked).unwrap_or(Err(Problem::NoSuchStream)).and_then(|token| {
        let Opened { asks, running } = app.streams.opened(token)?;
        let id = asked.operation_id.as_deref().ok_or(Problem::NoOperationId)?;
        if !lock(&running).iter().any(|known| **known == *id) {
            return Err(Problem::NoSuchOperation);
        }
        asks.try_send(Ask::Stop(id.into())).map_err(|_| Problem::TooManyOperations)
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
struct Leaving {
    app: Arc<App>,
    token: Uuid,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.app.streams.end(self.token);
    }
}

/// The body of an open stream.
struct Multiplex {
    _place: Leaving,
    live: Arc<Live>,
    asked: mpsc::Receiver<Ask>,
    /// The ids of `operations`, and of those that are on their way here.
    running: Arc<Mutex<Vec<Box<str>>>>,
    operations: Vec<(Box<str>, Answers)>,
    /// The operation that comes first next time.
    first: usize,
    begun: bool,
    ended: bool,
    beat: Interval,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Multiplex {
    fn hear(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(ask)) = self.asked.poll_recv(context) {
            match ask {
                Ask::Start(id, operation) => {
                    let answers = self.live.answer_prepared(*operation);
                    self.operations.push((id, answers));
                }
                Ask::Stop(id) => self.end(&id),
            }
        }
    }

    fn end(&mut self, id: &str) {
        self.operations.retain(|(known, _)| **known != *id);
        lock(&self.running).retain(|known| **known != *id);
    }

    /// What the next operation that has something says.
    fn tell(&mut self, context: &mut Context<'_>) -> Option<Bytes> {
        let count = self.operations.len();
        for turn in 0..count {
            let index = (self.first + turn) % count;
            let (id, answers) = self.operations.get_mut(index)?;
            let Poll::Ready(news) = answers.poll_next_unpin(context) else { continue };
            self.first = index + 1;
            let name = serde_json::to_string(&*id).unwrap_or_default();
            let (told, over) = match news {
                Some(News::Told(payloads)) => {
                    let mut frames = BytesMut::with_capacity(payloads.size().1 + payloads.size().0 * 96);
                    for entry in payloads.entries() {
                        for piece in [NEXT, name.as_bytes(), PAYLOAD, &entry.payload, END] {
                            frames.put_slice(piece);
                        }
                    }
                    (frames.freeze(), false)
                }
                Some(News::Failed(errors)) => {
                    let failed = [NEXT, name.as_bytes(), PAYLOAD, b"{\"errors\":", &errors, b"}", END];
                    (joined(&[&failed.concat(), COMPLETE, name.as_bytes(), END]), true)
                }
                None => (joined(&[COMPLETE, name.as_bytes(), END]), true),
            };
            if over {
                let id = id.clone();
                self.end(&id);
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

impl Stream for Multiplex {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        if !std::mem::replace(&mut this.begun, true) {
            return Poll::Ready(Some(Ok(Bytes::from_static(COMMENT))));
        }
        if this.stop.as_mut().poll(context).is_ready() {
            this.ended = true;
            this.operations.clear();
            return Poll::Ready(None);
        }
        this.hear(context);
        if let Some(told) = this.tell(context) {
            this.beat.reset();
            return Poll::Ready(Some(Ok(told)));
        }
        this.beat.poll_tick(context).map(|_| Some(Ok(Bytes::from_static(COMMENT))))
    }
}

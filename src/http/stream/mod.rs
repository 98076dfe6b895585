//! Answers one after the other as the body of one HTTP response: server-sent events, and the parts of a multipart body.
//!
//! `format` has what stands around each answer, `single` the many operations that share one event stream.

mod format;
mod single_connection;

pub use format::StreamFormat;
pub use single_connection::{StreamQuery, StreamReservations, open, reserve, start_operation, stop_operation, token};

use crate::graphql::ApiError;
use crate::live::{StreamMessage, SubscriptionManager, SubscriptionStream};
use crate::request::PreparedOperation;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// After so long without news a sign of life is sent, so that nobody on the way takes the connection for dead.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(12);
/// Where a client that was cut off says what it got last (HTML Standard, section 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Answers an operation with all that comes of it. A client that comes back goes on after what it got last.
pub fn operation_response(
    live: &Arc<SubscriptionManager>,
    mut operation: PreparedOperation,
    format: StreamFormat,
    headers: &HeaderMap,
    stop: &CancellationToken,
) -> Response {
    if format == StreamFormat::EventStream {
        let last = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
        operation.resume_cursor = last.filter(|last| !last.is_empty()).map(Arc::from);
    }
    let answers = live.execute_prepared(operation);
    streaming_response(format, Body::from_stream(StreamBody::new(live.clone(), answers, format, stop)))
}

/// Tells why there are no answers, in the stream: a browser's `EventSource` does not show what else an error says.
pub fn error_response(fault: ApiError, format: StreamFormat) -> Response {
    let errors = serde_json::to_vec(&fault.into_graphql_response().errors).unwrap_or_else(|_| b"[]".to_vec());
    streaming_response(format, Body::from([format.preamble(), format.error(&errors)].concat()))
}

fn streaming_response(format: StreamFormat, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(format.content_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("accept")),
        // Asks nginx and what behaves like it not to gather answers.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

/// The answers to one operation as they are sent.
struct StreamBody {
    subscriptions: Arc<SubscriptionManager>,
    /// None once all is said.
    responses: Option<SubscriptionStream>,
    format: StreamFormat,
    started: bool,
    keep_alive: Interval,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl StreamBody {
    fn new(
        subscriptions: Arc<SubscriptionManager>,
        answers: SubscriptionStream,
        format: StreamFormat,
        stop: &CancellationToken,
    ) -> Self {
        let stop = Box::pin(stop.clone().cancelled_owned());
        StreamBody {
            subscriptions,
            responses: Some(answers),
            format,
            started: false,
            keep_alive: keep_alive_interval(),
            stop,
        }
    }
}

impl Stream for StreamBody {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(answers) = &mut this.responses else { return Poll::Ready(None) };
        if !std::mem::replace(&mut this.started, true) {
            return Poll::Ready(Some(Ok(this.format.preamble())));
        }
        // Cut off and not completed: the client comes back, to another process.
        if this.stop.as_mut().poll(context).is_ready() {
            this.responses = None;
            return Poll::Ready(None);
        }
        if let Poll::Ready(news) = answers.poll_next_unpin(context) {
            this.keep_alive.reset();
            let told = match news {
                Some(StreamMessage::Next(payloads)) => this.format.next(&payloads, this.subscriptions.generation()),
                Some(StreamMessage::Error(errors)) => {
                    this.responses = None;
                    this.format.error(&errors)
                }
                None => {
                    this.responses = None;
                    this.format.complete()
                }
            };
            return Poll::Ready(Some(Ok(told)));
        }
        match this.keep_alive.poll_tick(context) {
            Poll::Ready(_) => Poll::Ready(Some(Ok(this.format.keep_alive()))),
            Poll::Pending => Poll::Pending,
        }
    }
}

use std::future::Future as _;

fn keep_alive_interval() -> Interval {
    let mut beat = interval_at(Instant::now() + KEEP_ALIVE_INTERVAL, KEEP_ALIVE_INTERVAL);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}

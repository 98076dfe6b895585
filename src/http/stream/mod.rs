//! Responses one after the other in the body of one HTTP response: server-sent events, or the parts of a multipart body.
//!
//! `format` has the framing of each response; `single_connection` is many operations over one event stream.

mod format;
mod single_connection;

pub use format::StreamFormat;
pub use single_connection::{StreamReservations, open, reserve, start_operation, stop_operation, token};

use super::AppState;
use crate::graphql::{ApiError, StartPosition};
use crate::live::StreamMessage;
use crate::request::PreparedOperation;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{once, poll_fn};
use std::convert::Infallible;
use std::future::ready;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

/// Idle time after which a keep-alive is sent, so that proxies do not close the connection.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(12);
/// The cursor that a reconnecting client received last (HTML Standard, section 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Streams the responses of an operation. A client that reconnects resumes after the last event that it received.
pub fn operation_response(
    app: &AppState,
    mut operation: PreparedOperation,
    format: StreamFormat,
    headers: &HeaderMap,
) -> Response {
    if format == StreamFormat::EventStream
        && let Some(cursor) = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok())
        && !cursor.is_empty()
    {
        operation.start = StartPosition::Cursor(cursor.into());
    }
    let subscriptions = app.subscriptions.clone();
    let mut messages = Some(subscriptions.execute_prepared(operation));
    let frames = move |context: &mut Context<'_>| {
        let Some(running) = &mut messages else { return Poll::Ready(None) };
        running.poll_next_unpin(context).map(|message| {
            if !matches!(message, Some(StreamMessage::Next(_))) {
                messages = None;
            }
            Some(match message {
                Some(StreamMessage::Next(payloads)) => format.next(&payloads, subscriptions.generation()),
                Some(StreamMessage::Error(errors)) => format.error(&errors),
                None => format.complete(),
            })
        })
    };
    streaming_response(format, stream_body(format, &app.shutdown, frames))
}

/// Reports in the stream why there are no responses: a browser's `EventSource` shows no other error.
pub fn error_response(error: ApiError, format: StreamFormat) -> Response {
    let errors = serde_json::to_vec(&error.into_graphql_response().errors).unwrap_or_else(|_| b"[]".to_vec());
    streaming_response(format, Body::from([format.preamble(), format.error(&errors)].concat()))
}

fn streaming_response(format: StreamFormat, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
        // Asks nginx and proxies that support it not to buffer.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

/// The frames that `poll_frame` returns, with keep-alives while there are none. At a shutdown the body is cut off and not
/// completed, so that the client reconnects to another process.
fn stream_body(
    format: StreamFormat,
    shutdown: &CancellationToken,
    mut poll_frame: impl FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send + 'static,
) -> Body {
    let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE_INTERVAL, KEEP_ALIVE_INTERVAL);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let frames = poll_fn(move |context| match poll_frame(context) {
        Poll::Ready(frame) => {
            keep_alive.reset();
            Poll::Ready(frame)
        }
        Poll::Pending => keep_alive.poll_tick(context).map(|_| Some(format.keep_alive())),
    });
    let frames = frames.take_until(shutdown.clone().cancelled_owned());
    Body::from_stream(once(ready(format.preamble())).chain(frames).map(Ok::<_, Infallible>))
}

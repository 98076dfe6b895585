//! Answers one after the other as the body of one HTTP response: server-sent events, and the parts of a multipart body.
//!
//! `format` has what stands around each answer, `single` the many operations that share one event stream.

mod format;
mod single;

pub use format::Format;
pub use single::{Asked, Reservations, close, open, reserve, start, token};

use crate::graphql::Fault;
use crate::live::{Answers, Live, News};
use crate::request::Prepared;
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
const BEAT: Duration = Duration::from_secs(12);
/// Where a client that was cut off says what it got last (HTML Standard, section 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Answers an operation with all that comes of it. A client that comes back goes on after what it got last.
pub fn answer(
    live: &Arc<Live>,
    mut operation: Prepared,
    format: Format,
    headers: &HeaderMap,
    stop: &CancellationToken,
) -> Response {
    if format == Format::Events {
        let last = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
        operation.resume = last.filter(|last| !last.is_empty()).map(Arc::from);
    }
    let answers = live.answer_prepared(operation);
    respond(format, Body::from_stream(Frames::new(live.clone(), answers, format, stop)))
}

/// Tells why there are no answers, in the stream: a browser's `EventSource` does not show what else an error says.
pub fn refuse(fault: Fault, format: Format) -> Response {
    let errors = serde_json::to_vec(&fault.answer().errors).unwrap_or_else(|_| b"[]".to_vec());
    respond(format, Body::from([format.begin(), format.failed(&errors)].concat()))
}

fn respond(format: Format, body: Body) -> Response {
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
struct Frames {
    live: Arc<Live>,
    /// None once all is said.
    answers: Option<Answers>,
    format: Format,
    begun: bool,
    beat: Interval,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Frames {
    fn new(live: Arc<Live>, answers: Answers, format: Format, stop: &CancellationToken) -> Self {
        let stop = Box::pin(stop.clone().cancelled_owned());
        Frames { live, answers: Some(answers), format, begun: false, beat: beat(), stop }
    }
}

impl Stream for Frames {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(answers) = &mut this.answers else { return Poll::Ready(None) };
        if !std::mem::replace(&mut this.begun, true) {
            return Poll::Ready(Some(Ok(this.format.begin())));
        }
        // Cut off and not completed: the client comes back, to another process.
        if this.stop.as_mut().poll(context).is_ready() {
            this.answers = None;
            return Poll::Ready(None);
        }
        if let Poll::Ready(news) = answers.poll_next_unpin(context) {
            this.beat.reset();
            let told = match news {
                Some(News::Told(payloads)) => this.format.told(&payloads, this.live.generation()),
                Some(News::Failed(errors)) => {
                    this.answers = None;
                    this.format.failed(&errors)
                }
                None => {
                    this.answers = None;
                    this.format.complete()
                }
            };
            return Poll::Ready(Some(Ok(told)));
        }
        match this.beat.poll_tick(context) {
            Poll::Ready(_) => Poll::Ready(Some(Ok(this.format.beat()))),
            Poll::Pending => Poll::Pending,
        }
    }
}

use std::future::Future as _;

fn beat() -> Interval {
    let mut beat = interval_at(Instant::now() + BEAT, BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}

//! One socket: the states of the protocol, and its timeouts. It is one task that wakes only when there is something to do; its one
//! timer is usually set to the next ping.

use super::limits::SocketLimits;
use super::message::{self, ClientMessage, CloseReason, MessageEnvelope};
use super::wire::{Frame, Wire};
use crate::http::ApiAuth;
use crate::live::{RoundRobin, StreamMessage, SubscriptionManager};
use crate::request::{ClientNetwork, Params};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// With this many bytes waiting to be written, nothing more is read from the client or from operations.
const HIGH_WATER_MARK: usize = 64 << 10;
/// Turns before the task yields to others.
const MAX_TURNS_PER_POLL: usize = 8;

/// A socket of one client.
pub struct SocketConnection<S> {
    wire: Wire<S>,
    subscriptions: Arc<SubscriptionManager>,
    /// For the rate limit.
    client: Option<ClientNetwork>,
    /// Set until the client has authenticated by `connection_init`.
    pending_auth: Option<ApiAuth>,
    limits: SocketLimits,
    phase: ConnectionPhase,
    operations: RoundRobin<ActiveOperation>,
    last_received: Instant,
    last_written: Instant,
    /// Set until anything is received after a ping.
    ping_sent_at: Option<Instant>,
    /// Since when the client has taken no bytes.
    write_blocked_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionPhase {
    /// `connection_init` must come first, by this time.
    AwaitingInit(Instant),
    Open,
    /// The server has closed; the client must close by this time.
    Closing(Instant),
    /// What is left is written, then the connection ends.
    Flushing,
}

struct ActiveOperation {
    id: Box<str>,
    envelope: MessageEnvelope,
}

/// The connection has ended.
struct Closed;

impl<S: AsyncRead + AsyncWrite + Unpin> SocketConnection<S> {
    pub fn new(
        stream: S,
        subscriptions: Arc<SubscriptionManager>,
        limits: SocketLimits,
        stop: CancellationToken,
    ) -> Self {
        let (now, limits) = (Instant::now(), limits.with_jitter());
        SocketConnection {
            wire: Wire::new(stream, limits.max_message_bytes),
            subscriptions,
            client: None,
            pending_auth: None,
            limits,
            phase: ConnectionPhase::AwaitingInit(now + limits.init_timeout),
            operations: RoundRobin::default(),
            last_received: now,
            last_written: now,
            ping_sent_at: None,
            write_blocked_since: None,
            timer: Box::pin(sleep_until(now + limits.init_timeout)),
            stop: Box::pin(stop.cancelled_owned()),
        }
    }

    pub fn with_client(self, client: Option<ClientNetwork>) -> Self {
        SocketConnection { client, ..self }
    }

    /// The client must authenticate by `connection_init`.
    pub fn requiring_auth(self, auth: ApiAuth) -> Self {
        SocketConnection { pending_auth: Some(auth), ..self }
    }

    /// Closes the socket with a reason before anything is read: a browser shows no other kind of refusal.
    pub async fn reject(mut self, why: &CloseReason) {
        self.close(why);
        self.run().await;
    }

    /// Serves until the socket is closed.
    pub async fn run(mut self) {
        // An error only says that the connection has ended.
        let _ = poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        for _ in 0..MAX_TURNS_PER_POLL {
            if self.accepts_messages() && self.stop.as_mut().poll(context).is_ready() {
                self.close(&CloseReason::GoingAway);
            }
            while self.timer.as_mut().poll(context).is_ready() {
                self.on_timer()?;
            }
            let received = self.receive(context)?;
            let sent = self.send_responses(context);
            // While the buffer was full, nothing was polled for more, so nothing will wake this task.
            let was_full = self.wire.pending_bytes() >= HIGH_WATER_MARK;
            self.write(context)?;
            let has_room = was_full && self.wire.pending_bytes() < HIGH_WATER_MARK;
            if self.phase == ConnectionPhase::Flushing && self.wire.pending_bytes() == 0 {
                return self.wire.poll_shutdown(context).map(|_| Ok(()));
            }
            if !received && !sent && !has_room {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn accepts_messages(&self) -> bool {
        matches!(self.phase, ConnectionPhase::AwaitingInit(_) | ConnectionPhase::Open)
    }

    /// Reads what has arrived. Returns whether there was anything.
    fn receive(&mut self, context: &mut Context<'_>) -> Result<bool, Closed> {
        let mut received = false;
        while self.wire.pending_bytes() < HIGH_WATER_MARK && self.phase != ConnectionPhase::Flushing {
            let Poll::Ready(frame) = self.wire.poll_frame(context) else { break };
            received = true;
            match frame {
                Frame::Disconnected => return Err(Closed),
                Frame::Close => {
                    self.operations.clear();
                    self.phase = ConnectionPhase::Flushing;
                }
                Frame::Invalid(why) => self.close(&why),
                Frame::Text(text) if self.accepts_messages() => match ClientMessage::parse(&text) {
                    Ok(message) => self.handle_message(message),
                    Err(why) => self.close(&why),
                },
                Frame::Text(_) | Frame::Control => {}
            }
        }
        if received {
            (self.last_received, self.ping_sent_at) = (Instant::now(), None);
        }
        Ok(received)
    }

    fn handle_message(&mut self, message: ClientMessage) {
        match (message, self.phase) {
            (ClientMessage::ConnectionInit(payload), ConnectionPhase::AwaitingInit(_)) => {
                let auth = self.pending_auth.take();
                if let Some(Err(why)) = auth.map(|auth| auth.authorizes_connection_init(payload.as_deref())) {
                    return self.close(&CloseReason::Forbidden(why));
                }
                self.phase = ConnectionPhase::Open;
                self.wire.send(&[message::ACK]);
                self.set_timer();
            }
            (ClientMessage::ConnectionInit(_), _) => self.close(&CloseReason::TooManyInitRequests),
            (ClientMessage::Ping(payload), _) => self.wire.send(&[&message::pong(payload.as_deref())]),
            (ClientMessage::Pong, _) => {}
            (ClientMessage::Subscribe(id, operation), ConnectionPhase::Open) => self.subscribe(id, *operation),
            (ClientMessage::Subscribe(..), _) => self.close(&CloseReason::Unauthorized),
            // It may cross the server's own `complete` on the way: an unknown operation is no error.
            (ClientMessage::Complete(id), _) => self.operations.retain(|running| *running.id != *id),
        }
    }

    fn subscribe(&mut self, id: String, operation: Params) {
        if self.operations.contains(|running| *running.id == *id) {
            return self.close(&CloseReason::SubscriberAlreadyExists(id));
        }
        let envelope = MessageEnvelope::new(&id);
        if self.operations.count() >= self.limits.max_operations {
            let errors = crate::live::too_many_operations(self.limits.max_operations);
            return self.wire.send(&[&envelope.error(), &errors, message::END]);
        }
        let responses = self.subscriptions.execute(operation, self.client);
        self.operations.push(ActiveOperation { id: id.into(), envelope }, responses);
    }

    /// Sends one message of each operation that has one, as long as there is room. Returns whether there was any.
    fn send_responses(&mut self, context: &mut Context<'_>) -> bool {
        let mut sent = false;
        for _ in 0..self.operations.count() {
            if self.wire.pending_bytes() >= HIGH_WATER_MARK {
                break;
            }
            let wire = &mut self.wire;
            let polled =
                self.operations.poll_next(context, |ActiveOperation { envelope, .. }, message| match message {
                    Some(StreamMessage::Next(payloads)) => {
                        let (count, bytes) = payloads.count_and_bytes();
                        let around = envelope.next().len() + message::END.len();
                        wire.reserve(count, bytes + count * around);
                        payloads
                            .entries()
                            .for_each(|entry| wire.send(&[envelope.next(), &entry.payload, message::END]));
                    }
                    Some(StreamMessage::Error(errors)) => wire.send(&[&envelope.error(), &errors, message::END]),
                    None => wire.send(&[&envelope.complete(), message::END]),
                });
            if polled.is_pending() {
                break;
            }
            sent = true;
        }
        sent
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<(), Closed> {
        while self.wire.pending_bytes() > 0 {
            match self.wire.poll_write(context) {
                Poll::Ready(Ok(_)) => (self.write_blocked_since, self.last_written) = (None, Instant::now()),
                Poll::Ready(Err(_)) => return Err(Closed),
                Poll::Pending => {
                    let since = *self.write_blocked_since.get_or_insert_with(Instant::now);
                    if self.timer.deadline() > since + self.limits.write_timeout {
                        self.timer.as_mut().reset(since + self.limits.write_timeout);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, why: &CloseReason) {
        if self.accepts_messages() {
            tracing::debug!(code = why.code(), reason = why.reason(), "a socket is closed");
            self.operations.clear();
            self.wire.close(why);
            self.phase = ConnectionPhase::Closing(Instant::now() + self.limits.close_timeout);
            self.set_timer();
        }
    }

    /// Handles the timeouts that have passed.
    fn on_timer(&mut self) -> Result<(), Closed> {
        let now = Instant::now();
        let passed = |since: Option<Instant>, limit| since.is_some_and(|since| now >= since + limit);
        if passed(self.write_blocked_since, self.limits.write_timeout)
            || passed(self.ping_sent_at, self.limits.pong_timeout)
        {
            return Err(Closed);
        }
        match self.phase {
            ConnectionPhase::Closing(until) if now >= until => return Err(Closed),
            ConnectionPhase::AwaitingInit(until) if now >= until => self.close(&CloseReason::ConnectionInitTimeout),
            ConnectionPhase::Open
                if self.ping_sent_at.is_none() && now >= self.idle_since() + self.limits.ping_after =>
            {
                self.wire.ping();
                self.ping_sent_at = Some(now);
            }
            _ => {}
        }
        self.set_timer();
        Ok(())
    }

    /// Since when one direction has been idle: proxies watch both.
    fn idle_since(&self) -> Instant {
        self.last_received.min(self.last_written)
    }

    fn set_timer(&mut self) {
        let next = match (self.phase, self.ping_sent_at) {
            (ConnectionPhase::AwaitingInit(until) | ConnectionPhase::Closing(until), _) => until,
            (_, Some(sent_at)) => sent_at + self.limits.pong_timeout,
            (_, None) => self.idle_since() + self.limits.ping_after,
        };
        let write_deadline = self.write_blocked_since.map_or(next, |since| since + self.limits.write_timeout);
        self.timer.as_mut().reset(next.min(write_deadline));
    }
}

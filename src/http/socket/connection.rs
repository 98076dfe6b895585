//! One socket: the states of the protocol, and its timeouts. It is one task that wakes only when there is something to do; its one
//! timer is usually set to the next ping.

use super::message::{self, ClientMessage, CloseReason};
use super::wire::{Frame, Wire};
use crate::access::ClientNetwork;
use crate::http::ApiAuth;
use crate::live::{RoundRobin, StreamMessage, SubscriptionManager};
use crate::request::{Caller, Params};
use rand::Rng;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// With this many bytes waiting to be written, nothing more is read from the client or from operations.
const HIGH_WATER_MARK: usize = 64 << 10;
/// Turns before the task yields to others.
const MAX_TURNS_PER_POLL: usize = 8;

/// Limits of size, number and time.
#[derive(Clone, Copy, Debug)]
pub struct SocketLimits {
    /// Bytes of a message.
    pub max_message_bytes: usize,
    /// Concurrent operations.
    pub max_operations: usize,
    /// Until `connection_init`.
    pub init_timeout: Duration,
    /// From the last byte received or sent to a ping: with the jitter, less than the 30 seconds after which some proxies close
    /// a connection.
    pub ping_after: Duration,
    /// So that sockets opened together are not pinged together.
    pub ping_jitter: Duration,
    /// From a ping to anything received.
    pub pong_timeout: Duration,
    /// How long a client may take no bytes while there are some for it.
    pub write_timeout: Duration,
    /// How long the client may take to close after the server did.
    pub close_timeout: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        SocketLimits {
            max_message_bytes: 1 << 20,
            max_operations: 100,
            init_timeout: Duration::from_secs(10),
            ping_after: Duration::from_secs(20),
            ping_jitter: Duration::from_secs(5),
            pong_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(2),
        }
    }
}

impl SocketLimits {
    pub fn with_jitter(self) -> Self {
        let fraction = rand::rng().random_range(0.0..1.0);
        SocketLimits { ping_after: self.ping_after + self.ping_jitter.mul_f64(fraction), ..self }
    }
}

/// Whether the client of a socket is authenticated.
#[derive(Debug)]
pub enum Authentication {
    /// By the request.
    Done(Caller),
    /// It must be, by `connection_init`.
    Pending { auth: ApiAuth, network: Option<ClientNetwork> },
}

/// A socket of one client.
pub struct SocketConnection<S> {
    wire: Wire<S>,
    subscriptions: Arc<SubscriptionManager>,
    authentication: Authentication,
    limits: SocketLimits,
    phase: ConnectionPhase,
    /// By the starts of their messages.
    operations: RoundRobin<Box<[u8]>>,
    last_received: Instant,
    last_written: Instant,
    /// Set until anything is received after a ping.
    ping_sent_at: Option<Instant>,
    /// Since when the client has taken no bytes.
    write_blocked_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Ready when the credential has ended; null until there is one.
    credential_end: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Whether it has. The operations report it, then the socket is closed.
    credential_has_ended: bool,
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

/// The connection has ended.
struct Closed;

fn credential_end(authentication: &Authentication) -> Option<Pin<Box<WaitForCancellationFutureOwned>>> {
    let Authentication::Done(caller) = authentication else { return None };
    Some(Box::pin(caller.principal.ended.clone().cancelled_owned()))
}

impl<S: AsyncRead + AsyncWrite + Unpin> SocketConnection<S> {
    pub fn new(
        stream: S,
        subscriptions: Arc<SubscriptionManager>,
        authentication: Authentication,
        limits: SocketLimits,
        stop: CancellationToken,
    ) -> Self {
        let (now, limits) = (Instant::now(), limits.with_jitter());
        SocketConnection {
            wire: Wire::new(stream, limits.max_message_bytes),
            subscriptions,
            credential_end: credential_end(&authentication),
            credential_has_ended: false,
            authentication,
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

    /// Serves until the socket is closed.
    pub async fn run(mut self) {
        // An error only says that the connection has ended.
        let _ = poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        for _ in 0..MAX_TURNS_PER_POLL {
            if self.is_open() && self.stop.as_mut().poll(context).is_ready() {
                self.close(&CloseReason::GOING_AWAY);
            }
            while self.timer.as_mut().poll(context).is_ready() {
                self.on_timer()?;
            }
            if let Some(end) = &mut self.credential_end {
                self.credential_has_ended |= end.as_mut().poll(context).is_ready();
            }
            let received = self.receive(context)?;
            let sent = self.send_responses(context);
            if self.credential_has_ended && self.operations.count() == 0 {
                self.close(&CloseReason::CREDENTIAL_ENDED);
            }
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

    // Until the connection closes.
    fn accepts_messages(&self) -> bool {
        !self.credential_has_ended && self.is_open()
    }

    fn is_open(&self) -> bool {
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
                if let Authentication::Pending { auth, network } = &self.authentication {
                    match auth.authenticate_connection_init(payload.as_deref(), *network) {
                        Ok(principal) => {
                            self.authentication = Authentication::Done(Caller { principal, network: *network });
                            self.credential_end = credential_end(&self.authentication);
                        }
                        Err(why) => return self.close(&CloseReason::forbidden(why)),
                    }
                }
                self.phase = ConnectionPhase::Open;
                self.wire.send(&[message::ACK]);
                self.set_timer();
            }
            (ClientMessage::ConnectionInit(_), _) => self.close(&CloseReason::TOO_MANY_INIT_REQUESTS),
            (ClientMessage::Ping(Some(payload)), _) => {
                self.wire.send(&[message::PONG, message::PAYLOAD, payload.get().as_bytes(), message::END]);
            }
            (ClientMessage::Ping(None), _) => self.wire.send(&[message::PONG, message::END]),
            (ClientMessage::Pong, _) => {}
            (ClientMessage::Subscribe(id, operation), ConnectionPhase::Open) => self.subscribe(id, *operation),
            (ClientMessage::Subscribe(..), _) => self.close(&CloseReason::UNAUTHORIZED),
            // It may cross the server's own `complete` on the way: an unknown operation is no error.
            (ClientMessage::Complete(id), _) => {
                let start = message::start(&id);
                self.operations.retain(|running| *running != start);
            }
        }
    }

    fn subscribe(&mut self, id: String, operation: Params) {
        let Authentication::Done(caller) = &self.authentication else {
            return self.close(&CloseReason::UNAUTHORIZED);
        };
        let start = message::start(&id);
        if self.operations.contains(|running| *running == start) {
            return self.close(&CloseReason::subscriber_already_exists(&id));
        }
        if self.operations.count() >= self.limits.max_operations {
            let errors = crate::live::too_many_operations(self.limits.max_operations);
            return self.wire.send(&[&start, message::ERROR, &errors, message::END]);
        }
        self.operations.push(start, self.subscriptions.execute(operation, caller));
    }

    /// Sends one message of each operation that has one, as long as there is room. Returns whether there was any.
    fn send_responses(&mut self, context: &mut Context<'_>) -> bool {
        let mut sent = false;
        for _ in 0..self.operations.count() {
            if self.wire.pending_bytes() >= HIGH_WATER_MARK {
                break;
            }
            let wire = &mut self.wire;
            let polled = self.operations.poll_next(context, |start, message| match message {
                Some(StreamMessage::Next(payloads)) => {
                    let (count, bytes) = payloads.count_and_bytes();
                    wire.reserve(count, bytes + count * (start.len() + message::NEXT.len() + message::END.len()));
                    payloads
                        .entries()
                        .for_each(|entry| wire.send(&[start, message::NEXT, &entry.payload, message::END]));
                }
                Some(StreamMessage::Error(errors)) => wire.send(&[start, message::ERROR, &errors, message::END]),
                None => wire.send(&[start, message::COMPLETE]),
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

    /// Closes the socket, or refuses it if it has not run: a browser shows no other kind of refusal.
    pub fn close(&mut self, why: &CloseReason) {
        if self.is_open() {
            tracing::debug!(code = why.code, reason = &*why.reason, "a socket is closed");
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
            ConnectionPhase::AwaitingInit(until) if now >= until => self.close(&CloseReason::CONNECTION_INIT_TIMEOUT),
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

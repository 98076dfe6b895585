//! One socket: who may say what and when. All of it is one task that is woken only when there is something to do; its one
//! timer mostly stands at the time of the next ping.

use super::limits::SocketLimits;
use super::message::{self, ClientMessage, CloseReason, MessageEnvelope};
use super::wire::{Frame, Wire};
use crate::http::ApiAuth;
use crate::live::{StreamMessage, SubscriptionManager, SubscriptionStream};
use crate::request::{ClientNetwork, Params};
use futures_util::StreamExt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// With so many bytes waiting to be written nothing more is read, nor taken from operations.
const HIGH_WATER_MARK: usize = 64 << 10;
/// What is done at once before other tasks get their turn.
const MAX_TURNS_PER_POLL: usize = 8;

/// A socket of one client.
pub struct SocketConnection<S> {
    wire: Wire<S>,
    subscriptions: Arc<SubscriptionManager>,
    /// Whose budget pays.
    client: Option<ClientNetwork>,
    /// Whom it lets in, if its client has not shown that yet.
    pending_auth: Option<ApiAuth>,
    limits: SocketLimits,
    phase: ConnectionPhase,
    operations: Vec<ActiveOperation>,
    /// The operation that comes first next time.
    next_turn: usize,
    /// When anything was heard.
    last_received: Instant,
    /// When anything was written.
    last_written: Instant,
    /// When a sign of life was asked for, if none has come since.
    ping_sent_at: Option<Instant>,
    /// Since when no bytes are taken.
    write_blocked_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionPhase {
    /// `connection_init` has to come first, by then.
    AwaitingInit(Instant),
    Open,
    /// We have closed, and the other side has to, by then.
    Closing(Instant),
    /// All is said; what waits is written.
    Flushing,
}

struct ActiveOperation {
    id: Box<str>,
    envelope: MessageEnvelope,
    responses: SubscriptionStream,
}

/// The connection is at its end.
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
            operations: Vec::new(),
            next_turn: 0,
            last_received: now,
            last_written: now,
            ping_sent_at: None,
            write_blocked_since: None,
            timer: Box::pin(sleep_until(now + limits.init_timeout)),
            stop: Box::pin(stop.cancelled_owned()),
        }
    }

    /// With this client at its other end.
    pub fn with_client(self, client: Option<ClientNetwork>) -> Self {
        SocketConnection { client, ..self }
    }

    /// Whose client has to show that it may come in.
    pub fn requiring_auth(self, access: ApiAuth) -> Self {
        SocketConnection { pending_auth: Some(access), ..self }
    }

    /// Says why the socket is closed before anything is heard: a browser shows nothing else of a refusal.
    pub async fn reject(mut self, why: &CloseReason) {
        self.close(why);
        self.run().await;
    }

    /// Serves until the socket is closed.
    pub async fn run(mut self) {
        // An error says that the connection is over.
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
            let heard = self.receive(context)?;
            let told = self.send_responses(context);
            // As long as it was full, nobody was asked for more, and nobody will call.
            let was_full = self.wire.pending_bytes() >= HIGH_WATER_MARK;
            self.write(context)?;
            let has_room = was_full && self.wire.pending_bytes() < HIGH_WATER_MARK;
            if self.phase == ConnectionPhase::Flushing && self.wire.pending_bytes() == 0 {
                return self.wire.poll_shutdown(context).map(|_| Ok(()));
            }
            if !heard && !told && !has_room {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn accepts_messages(&self) -> bool {
        matches!(self.phase, ConnectionPhase::AwaitingInit(_) | ConnectionPhase::Open)
    }

    /// Reads what has come. Whether there was anything.
    fn receive(&mut self, context: &mut Context<'_>) -> Result<bool, Closed> {
        let mut heard = false;
        while self.wire.pending_bytes() < HIGH_WATER_MARK && self.phase != ConnectionPhase::Flushing {
            let Poll::Ready(came) = self.wire.poll_frame(context) else { break };
            heard = true;
            match came {
                Frame::Disconnected => return Err(Closed),
                Frame::Close => {
                    self.operations.clear();
                    self.phase = ConnectionPhase::Flushing;
                }
                Frame::Invalid(why) => self.close(&why),
                Frame::Text(text) if self.accepts_messages() => match ClientMessage::parse(&text) {
                    Ok(said) => self.handle_message(said),
                    Err(why) => self.close(&why),
                },
                Frame::Text(_) | Frame::Control => {}
            }
        }
        if heard {
            (self.last_received, self.ping_sent_at) = (Instant::now(), None);
        }
        Ok(heard)
    }

    fn handle_message(&mut self, said: ClientMessage) {
        match (said, self.phase) {
            (ClientMessage::ConnectionInit(payload), ConnectionPhase::AwaitingInit(_)) => {
                let access =
                    self.pending_auth.take().map(|access| access.authorizes_connection_init(payload.as_deref()));
                if let Some(Err(why)) = access {
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
            // It may cross our own `complete` on the way: an operation that is not there is no fault.
            (ClientMessage::Complete(id), _) => self.operations.retain(|running| *running.id != *id),
        }
    }

    fn subscribe(&mut self, id: String, operation: Params) {
        if self.operations.iter().any(|running| *running.id == *id) {
            return self.close(&CloseReason::SubscriberAlreadyExists(id));
        }
        let envelope = MessageEnvelope::new(&id);
        if self.operations.len() >= self.limits.max_operations {
            let errors = crate::live::too_many_operations(self.limits.max_operations);
            return self.wire.send(&[&envelope.error(), &errors, message::END]);
        }
        let answers = self.subscriptions.execute(operation, self.client);
        self.operations.push(ActiveOperation { id: id.into(), envelope, responses: answers });
    }

    /// Takes what operations have, in turn. Whether there was anything.
    fn send_responses(&mut self, context: &mut Context<'_>) -> bool {
        let count = self.operations.len();
        let mut told = false;
        let mut ended = false;
        for index in (0..count).map(|index| (self.next_turn + index) % count) {
            if self.wire.pending_bytes() >= HIGH_WATER_MARK {
                self.next_turn = index;
                break;
            }
            let ActiveOperation { envelope, responses: answers, id } = &mut self.operations[index];
            let Poll::Ready(news) = answers.poll_next_unpin(context) else { continue };
            told = true;
            match news {
                Some(StreamMessage::Next(payloads)) => {
                    let (texts, bytes) = payloads.count_and_bytes();
                    let around = envelope.next().len() + message::END.len();
                    self.wire.reserve(texts, bytes + texts * around);
                    for payload in payloads.iter() {
                        self.wire.send(&[envelope.next(), payload, message::END]);
                    }
                    continue;
                }
                Some(StreamMessage::Error(errors)) => self.wire.send(&[&envelope.error(), &errors, message::END]),
                None => self.wire.send(&[&envelope.complete(), message::END]),
            }
            // No id is empty otherwise.
            *id = Box::default();
            ended = true;
        }
        if ended {
            self.operations.retain(|running| !running.id.is_empty());
        }
        told
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

    /// Looks which time has come.
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

    /// Since when nothing has gone one of the two ways: proxies look at either.
    fn idle_since(&self) -> Instant {
        self.last_received.min(self.last_written)
    }

    fn set_timer(&mut self) {
        let next = match (self.phase, self.ping_sent_at) {
            (ConnectionPhase::AwaitingInit(until) | ConnectionPhase::Closing(until), _) => until,
            (_, Some(pinged)) => pinged + self.limits.pong_timeout,
            (_, None) => self.idle_since() + self.limits.ping_after,
        };
        let stuck = self.write_blocked_since.map_or(next, |since| since + self.limits.write_timeout);
        self.timer.as_mut().reset(next.min(stuck));
    }
}

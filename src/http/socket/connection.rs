//! One socket: who may say what and when. All of it is one task that is woken only when there is something to do; its one
//! timer mostly stands at the time of the next ping.

use super::limits::Limits;
use super::message::{self, Closing, Envelope, Heard};
use super::wire::{Came, Wire};
use crate::http::Access;
use crate::live::{Answers, Live, News};
use crate::request::{Client, Params};
use futures_util::StreamExt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// With so many bytes waiting to be written nothing more is read, nor taken from operations.
const FULL: usize = 64 << 10;
/// What is done at once before other tasks get their turn.
const TURNS: usize = 8;

/// A socket of one client.
pub struct Connection<S> {
    wire: Wire<S>,
    live: Arc<Live>,
    /// Whose budget pays.
    client: Option<Client>,
    /// Whom it lets in, if its client has not shown that yet.
    access: Option<Access>,
    limits: Limits,
    phase: Phase,
    operations: Vec<Running>,
    /// The operation that comes first next time.
    first: usize,
    /// When anything was heard.
    heard: Instant,
    /// When anything was written.
    written: Instant,
    /// When a sign of life was asked for, if none has come since.
    pinged: Option<Instant>,
    /// Since when no bytes are taken.
    stuck: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// `connection_init` has to come first, by then.
    New(Instant),
    Open,
    /// We have closed, and the other side has to, by then.
    Closing(Instant),
    /// All is said; what waits is written.
    Leaving,
}

struct Running {
    id: Box<str>,
    envelope: Envelope,
    answers: Answers,
}

/// The connection is at its end.
struct Over;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub fn new(stream: S, live: Arc<Live>, limits: Limits, stop: CancellationToken) -> Self {
        let (now, limits) = (Instant::now(), limits.jittered());
        Connection {
            wire: Wire::new(stream, limits.message),
            live,
            client: None,
            access: None,
            limits,
            phase: Phase::New(now + limits.init),
            operations: Vec::new(),
            first: 0,
            heard: now,
            written: now,
            pinged: None,
            stuck: None,
            timer: Box::pin(sleep_until(now + limits.init)),
            stop: Box::pin(stop.cancelled_owned()),
        }
    }

    /// With this client at its other end.
    pub fn with(self, client: Option<Client>) -> Self {
        Connection { client, ..self }
    }

    /// Whose client has to show that it may come in.
    pub fn behind(self, access: Access) -> Self {
        Connection { access: Some(access), ..self }
    }

    /// Says why the socket is closed before anything is heard: a browser shows nothing else of a refusal.
    pub async fn refuse(mut self, why: &Closing) {
        self.close(why);
        self.run().await;
    }

    /// Serves until the socket is closed.
    pub async fn run(mut self) {
        // An error says that the connection is over.
        let _ = poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Over>> {
        for _ in 0..TURNS {
            if self.is_served() && self.stop.as_mut().poll(context).is_ready() {
                self.close(&Closing::Away);
            }
            while self.timer.as_mut().poll(context).is_ready() {
                self.tick()?;
            }
            let heard = self.hear(context)?;
            let told = self.tell(context);
            // As long as it was full, nobody was asked for more, and nobody will call.
            let was_full = self.wire.waiting() >= FULL;
            self.write(context)?;
            let has_room = was_full && self.wire.waiting() < FULL;
            if self.phase == Phase::Leaving && self.wire.waiting() == 0 {
                return self.wire.poll_shutdown(context).map(|_| Ok(()));
            }
            if !heard && !told && !has_room {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_served(&self) -> bool {
        matches!(self.phase, Phase::New(_) | Phase::Open)
    }

    /// Reads what has come. Whether there was anything.
    fn hear(&mut self, context: &mut Context<'_>) -> Result<bool, Over> {
        let mut heard = false;
        while self.wire.waiting() < FULL && self.phase != Phase::Leaving {
            let Poll::Ready(came) = self.wire.poll_come(context) else { break };
            heard = true;
            match came {
                Came::Gone => return Err(Over),
                Came::Close => {
                    self.operations.clear();
                    self.phase = Phase::Leaving;
                }
                Came::Bad(why) => self.close(&why),
                Came::Text(text) if self.is_served() => match Heard::read(&text) {
                    Ok(said) => self.answer(said),
                    Err(why) => self.close(&why),
                },
                Came::Text(_) | Came::Sign => {}
            }
        }
        if heard {
            (self.heard, self.pinged) = (Instant::now(), None);
        }
        Ok(heard)
    }

    fn answer(&mut self, said: Heard) {
        match (said, self.phase) {
            (Heard::Init(payload), Phase::New(_)) => {
                let access = self.access.take().map(|access| access.allows_payload(payload.as_deref()));
                if let Some(Err(why)) = access {
                    return self.close(&Closing::Forbidden(why));
                }
                self.phase = Phase::Open;
                self.wire.send(&[message::ACK]);
                self.set_timer();
            }
            (Heard::Init(_), _) => self.close(&Closing::TooManyInits),
            (Heard::Ping(payload), _) => self.wire.send(&[&message::pong(payload.as_deref())]),
            (Heard::Pong, _) => {}
            (Heard::Subscribe(id, operation), Phase::Open) => self.subscribe(id, *operation),
            (Heard::Subscribe(..), _) => self.close(&Closing::Unauthorized),
            // It may cross our own `complete` on the way: an operation that is not there is no fault.
            (Heard::Complete(id), _) => self.operations.retain(|running| *running.id != *id),
        }
    }

    fn subscribe(&mut self, id: String, operation: Params) {
        if self.operations.iter().any(|running| *running.id == *id) {
            return self.close(&Closing::Duplicate(id));
        }
        let envelope = Envelope::new(&id);
        if self.operations.len() >= self.limits.operations {
            let errors = crate::live::too_many(self.limits.operations);
            return self.wire.send(&[&envelope.error(), &errors, message::END]);
        }
        let answers = self.live.answer(operation, self.client);
        self.operations.push(Running { id: id.into(), envelope, answers });
    }

    /// Takes what operations have, in turn. Whether there was anything.
    fn tell(&mut self, context: &mut Context<'_>) -> bool {
        let count = self.operations.len();
        let mut told = false;
        let mut ended = false;
        for index in (0..count).map(|index| (self.first + index) % count) {
            if self.wire.waiting() >= FULL {
                self.first = index;
                break;
            }
            let Running { envelope, answers, id } = &mut self.operations[index];
            let Poll::Ready(news) = answers.poll_next_unpin(context) else { continue };
            told = true;
            match news {
                Some(News::Told(payloads)) => {
                    let (texts, bytes) = payloads.size();
                    let around = envelope.next().len() + message::END.len();
                    self.wire.expect(texts, bytes + texts * around);
                    for payload in payloads.iter() {
                        self.wire.send(&[envelope.next(), payload, message::END]);
                    }
                    continue;
                }
                Some(News::Failed(errors)) => self.wire.send(&[&envelope.error(), &errors, message::END]),
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

    fn write(&mut self, context: &mut Context<'_>) -> Result<(), Over> {
        while self.wire.waiting() > 0 {
            match self.wire.poll_write(context) {
                Poll::Ready(Ok(_)) => (self.stuck, self.written) = (None, Instant::now()),
                Poll::Ready(Err(_)) => return Err(Over),
                Poll::Pending => {
                    let since = *self.stuck.get_or_insert_with(Instant::now);
                    if self.timer.deadline() > since + self.limits.stuck {
                        self.timer.as_mut().reset(since + self.limits.stuck);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, why: &Closing) {
        if self.is_served() {
            tracing::debug!(code = why.code(), reason = why.reason(), "a socket is closed");
            self.operations.clear();
            self.wire.close(why);
            self.phase = Phase::Closing(Instant::now() + self.limits.close);
            self.set_timer();
        }
    }

    /// Looks which time has come.
    fn tick(&mut self) -> Result<(), Over> {
        let now = Instant::now();
        let passed = |since: Option<Instant>, limit| since.is_some_and(|since| now >= since + limit);
        if passed(self.stuck, self.limits.stuck) || passed(self.pinged, self.limits.pong) {
            return Err(Over);
        }
        match self.phase {
            Phase::Closing(until) if now >= until => return Err(Over),
            Phase::New(until) if now >= until => self.close(&Closing::InitTimeout),
            Phase::Open if self.pinged.is_none() && now >= self.quiet_since() + self.limits.idle => {
                self.wire.ping();
                self.pinged = Some(now);
            }
            _ => {}
        }
        self.set_timer();
        Ok(())
    }

    /// Since when nothing has gone one of the two ways: proxies look at either.
    fn quiet_since(&self) -> Instant {
        self.heard.min(self.written)
    }

    fn set_timer(&mut self) {
        let next = match (self.phase, self.pinged) {
            (Phase::New(until) | Phase::Closing(until), _) => until,
            (_, Some(pinged)) => pinged + self.limits.pong,
            (_, None) => self.quiet_since() + self.limits.idle,
        };
        let stuck = self.stuck.map_or(next, |since| since + self.limits.stuck);
        self.timer.as_mut().reset(next.min(stuck));
    }
}

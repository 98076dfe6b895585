//! The messages of `graphql-transport-ws`, and the codes with which a socket is closed.

use crate::request::Params;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a client says.
#[derive(Debug)]
pub enum Heard {
    /// With its payload as JSON.
    Init(Option<Box<RawValue>>),
    /// With its payload as JSON.
    Ping(Option<Box<RawValue>>),
    Pong,
    Subscribe(String, Box<Params>),
    Complete(String),
}

/// Why we close a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The server ends.
    Away,
    /// No JSON text.
    Data,
    NoText,
    TooBig(usize),
    /// WebSocket itself is not spoken well.
    Protocol,
    Invalid(String),
    Unauthorized,
    /// Says what is expected.
    Forbidden(&'static str),
    /// Another protocol was offered, or none.
    Subprotocol,
    InitTimeout,
    Duplicate(String),
    TooManyInits,
}

/// Bytes of a reason: a control frame has 125, two of them for the code (RFC 6455, section 5.5).
const REASON: usize = 123;
/// Bytes of an id: it stands in front of every answer.
const ID: usize = 256;

#[derive(Deserialize)]
struct Message {
    r#type: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    payload: Option<Box<RawValue>>,
}

impl Heard {
    /// Reads a message.
    pub fn read(text: &str) -> Result<Heard, Closing> {
        let message: Message = serde_json::from_str(text).map_err(invalid)?;
        let Message { r#type, id, payload } = message;
        match r#type.as_str() {
            "connection_init" => object(payload).map(Heard::Init),
            "ping" => object(payload).map(Heard::Ping),
            "pong" => object(payload).map(|_| Heard::Pong),
            "subscribe" => {
                let payload = payload.ok_or_else(|| invalid("subscribe without a payload"))?;
                let operation = Params::from_json(payload.get().as_bytes());
                let operation = operation.and_then(|operation| operation.names().map(|_| ()).map(|()| operation));
                let operation = operation.map_err(|fault| invalid(fault.server_error().message))?;
                Ok(Heard::Subscribe(named(id)?, Box::new(operation)))
            }
            "complete" => Ok(Heard::Complete(named(id)?)),
            other => Err(invalid(format!("no client says {other}"))),
        }
    }
}

fn named(id: Option<String>) -> Result<String, Closing> {
    match id {
        Some(id) if !id.is_empty() && id.len() <= ID => Ok(id),
        Some(_) => Err(invalid(format!("an id has 1 to {ID} bytes"))),
        None => Err(invalid("the id is missing")),
    }
}

fn object(payload: Option<Box<RawValue>>) -> Result<Option<Box<RawValue>>, Closing> {
    match payload {
        Some(payload) if !payload.get().starts_with('{') => Err(invalid("a payload is an object")),
        payload => Ok(payload),
    }
}

fn invalid(why: impl std::fmt::Display) -> Closing {
    Closing::Invalid(format!("Invalid message: {why}"))
}

impl Closing {
    pub fn code(&self) -> u16 {
        match self {
            Closing::Away => 1001,
            Closing::Protocol => 1002,
            Closing::Data => 1007,
            Closing::TooBig(_) => 1009,
            Closing::NoText | Closing::Invalid(_) => 4400,
            Closing::Unauthorized => 4401,
            Closing::Forbidden(_) => 4403,
            Closing::Subprotocol => 4406,
            Closing::InitTimeout => 4408,
            Closing::Duplicate(_) => 4409,
            Closing::TooManyInits => 4429,
        }
    }

    /// In the words of the protocol where it has some, never longer than a frame can be.
    pub fn reason(&self) -> String {
        let mut reason: Cow<'_, str> = match self {
            Closing::Away => "The hub ends; connect again".into(),
            Closing::Protocol => "Protocol error".into(),
            Closing::Data => "Text that is not UTF-8".into(),
            Closing::TooBig(limit) => format!("A message has at most {limit} bytes").into(),
            Closing::NoText => "Invalid message: it is no text".into(),
            Closing::Invalid(why) => why.into(),
            Closing::Unauthorized => "Unauthorized".into(),
            Closing::Forbidden(why) => format!("Forbidden: {why}").into(),
            Closing::Subprotocol => {
                "Subprotocol not acceptable: this address speaks graphql-transport-ws and no other".into()
            }
            Closing::InitTimeout => "Connection initialisation timeout".into(),
            Closing::Duplicate(id) => format!("Subscriber for {id} already exists").into(),
            Closing::TooManyInits => "Too many initialisation requests".into(),
        };
        if reason.len() > REASON {
            let end = reason.floor_char_boundary(REASON);
            reason.to_mut().truncate(end);
        }
        reason.into_owned()
    }
}

/// What stands before and after each payload of an operation.
#[derive(Debug)]
pub struct Envelope {
    /// `{"id":"…","type":"next","payload":`
    next: Box<[u8]>,
    /// Where its type begins.
    id: usize,
}

/// The end of every message.
pub const END: &[u8] = b"}";
pub const ACK: &[u8] = br#"{"type":"connection_ack"}"#;
pub const PONG: &[u8] = br#"{"type":"pong"}"#;

impl Envelope {
    pub fn new(id: &str) -> Envelope {
        let start = format!("{{\"id\":{}", serde_json::Value::from(id));
        let next = format!("{start},\"type\":\"next\",\"payload\":");
        Envelope { id: start.len(), next: next.into_bytes().into() }
    }

    /// Before an answer.
    pub fn next(&self) -> &[u8] {
        &self.next
    }

    /// Before a list of errors.
    pub fn error(&self) -> Vec<u8> {
        self.with(br#","type":"error","payload":"#)
    }

    /// The whole message but its end.
    pub fn complete(&self) -> Vec<u8> {
        self.with(br#","type":"complete""#)
    }

    fn with(&self, rest: &[u8]) -> Vec<u8> {
        [self.next.get(..self.id).unwrap_or_default(), rest].concat()
    }
}

/// The answer to a ping.
pub fn pong(payload: Option<&RawValue>) -> Cow<'static, [u8]> {
    match payload {
        None => PONG.into(),
        Some(payload) => format!("{{\"type\":\"pong\",\"payload\":{payload}}}").into_bytes().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::FOREIGN;
    use super::*;
    use crate::http::access::{NO_TOKEN, UNKNOWN_TOKEN};

    #[test]
    fn reasons_fit_into_a_frame() {
        for closing in [Closing::Duplicate("ä".repeat(100)), Closing::Invalid("x".repeat(500)), Closing::Away] {
            assert!(closing.reason().len() <= 123, "{closing:?}");
        }
        // These are not cut.
        for (closing, end) in [
            (Closing::Forbidden(NO_TOKEN), NO_TOKEN),
            (Closing::Forbidden(UNKNOWN_TOKEN), UNKNOWN_TOKEN),
            (Closing::Forbidden(FOREIGN), FOREIGN),
            (Closing::Subprotocol, "and no other"),
        ] {
            let reason = closing.reason();
            assert!(reason.len() <= 123 && reason.ends_with(end), "{reason}");
        }
    }

    #[test]
    fn an_envelope_has_the_id_as_json() {
        let envelope = Envelope::new("a\"b");
        assert_eq!(envelope.next(), br#"{"id":"a\"b","type":"next","payload":"#);
        assert_eq!(envelope.complete(), br#"{"id":"a\"b","type":"complete""#);
        assert_eq!(envelope.error(), br#"{"id":"a\"b","type":"error","payload":"#);
    }
}

//! The messages and close codes of `graphql-transport-ws`.

use crate::request::Params;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A message from a client.
#[derive(Debug)]
pub enum ClientMessage {
    /// With its payload as JSON.
    ConnectionInit(Option<Box<RawValue>>),
    /// With its payload as JSON.
    Ping(Option<Box<RawValue>>),
    Pong,
    Subscribe(String, Box<Params>),
    Complete(String),
}

/// Why the server closes a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The server shuts down.
    GoingAway,
    InvalidUtf8,
    NotText,
    MessageTooBig(usize),
    /// Of WebSocket itself.
    ProtocolError,
    InvalidMessage(String),
    Unauthorized,
    /// With what is expected.
    Forbidden(&'static str),
    /// The client offers another protocol, or none.
    SubprotocolNotAcceptable,
    ConnectionInitTimeout,
    SubscriberAlreadyExists(String),
    TooManyInitRequests,
}

/// Bytes of a reason: a control frame has 125, two of them for the code (RFC 6455, section 5.5).
const MAX_REASON_BYTES: usize = 123;
/// Bytes of an id: it is repeated in every response.
const MAX_ID_BYTES: usize = 256;

#[derive(Deserialize)]
struct ProtocolMessage {
    r#type: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    payload: Option<Box<RawValue>>,
}

impl ClientMessage {
    pub fn parse(text: &str) -> Result<ClientMessage, CloseReason> {
        let message: ProtocolMessage = serde_json::from_str(text).map_err(invalid)?;
        let ProtocolMessage { r#type, id, payload } = message;
        match r#type.as_str() {
            "connection_init" => object(payload).map(ClientMessage::ConnectionInit),
            "ping" => object(payload).map(ClientMessage::Ping),
            "pong" => object(payload).map(|_| ClientMessage::Pong),
            "subscribe" => {
                let payload = payload.ok_or_else(|| invalid("subscribe without a payload"))?;
                let params = Params::from_json(payload.get().as_bytes());
                let params = params.and_then(|params| params.document_ref().map(|_| ()).map(|()| params));
                let params = params.map_err(|error| invalid(error.into_server_error().message))?;
                Ok(ClientMessage::Subscribe(valid_id(id)?, Box::new(params)))
            }
            "complete" => Ok(ClientMessage::Complete(valid_id(id)?)),
            other => Err(invalid(format!("{other} is no message of a client"))),
        }
    }
}

fn valid_id(id: Option<String>) -> Result<String, CloseReason> {
    match id {
        Some(id) if !id.is_empty() && id.len() <= MAX_ID_BYTES => Ok(id),
        Some(_) => Err(invalid(format!("an id has 1 to {MAX_ID_BYTES} bytes"))),
        None => Err(invalid("the id is missing")),
    }
}

fn object(payload: Option<Box<RawValue>>) -> Result<Option<Box<RawValue>>, CloseReason> {
    match payload {
        Some(payload) if !payload.get().starts_with('{') => Err(invalid("a payload is an object")),
        payload => Ok(payload),
    }
}

fn invalid(why: impl std::fmt::Display) -> CloseReason {
    CloseReason::InvalidMessage(format!("Invalid message: {why}"))
}

impl CloseReason {
    pub fn code(&self) -> u16 {
        match self {
            CloseReason::GoingAway => 1001,
            CloseReason::ProtocolError => 1002,
            CloseReason::InvalidUtf8 => 1007,
            CloseReason::MessageTooBig(_) => 1009,
            CloseReason::NotText | CloseReason::InvalidMessage(_) => 4400,
            CloseReason::Unauthorized => 4401,
            CloseReason::Forbidden(_) => 4403,
            CloseReason::SubprotocolNotAcceptable => 4406,
            CloseReason::ConnectionInitTimeout => 4408,
            CloseReason::SubscriberAlreadyExists(_) => 4409,
            CloseReason::TooManyInitRequests => 4429,
        }
    }

    /// In the words of the protocol if it has some, and never longer than a frame allows.
    pub fn reason(&self) -> String {
        let mut reason: Cow<'_, str> = match self {
            CloseReason::GoingAway => "The hub shuts down; connect again".into(),
            CloseReason::ProtocolError => "Protocol error".into(),
            CloseReason::InvalidUtf8 => "Text that is not UTF-8".into(),
            CloseReason::MessageTooBig(limit) => format!("A message has at most {limit} bytes").into(),
            CloseReason::NotText => "Invalid message: it is not text".into(),
            CloseReason::InvalidMessage(why) => why.into(),
            CloseReason::Unauthorized => "Unauthorized".into(),
            CloseReason::Forbidden(why) => format!("Forbidden: {why}").into(),
            CloseReason::SubprotocolNotAcceptable => {
                "Subprotocol not acceptable: this address supports graphql-transport-ws and no other".into()
            }
            CloseReason::ConnectionInitTimeout => "Connection initialisation timeout".into(),
            CloseReason::SubscriberAlreadyExists(id) => format!("Subscriber for {id} already exists").into(),
            CloseReason::TooManyInitRequests => "Too many initialisation requests".into(),
        };
        if reason.len() > MAX_REASON_BYTES {
            let end = reason.floor_char_boundary(MAX_REASON_BYTES);
            reason.to_mut().truncate(end);
        }
        reason.into_owned()
    }
}

/// What comes before the payloads of an operation.
#[derive(Debug)]
pub struct MessageEnvelope {
    /// `{"id":"…","type":"next","payload":`
    next: Box<[u8]>,
    /// The index of `,"type"`.
    id_length: usize,
}

/// The end of every message.
pub const END: &[u8] = b"}";
pub const ACK: &[u8] = br#"{"type":"connection_ack"}"#;
pub const PONG: &[u8] = br#"{"type":"pong"}"#;

impl MessageEnvelope {
    pub fn new(id: &str) -> MessageEnvelope {
        let start = format!("{{\"id\":{}", serde_json::Value::from(id));
        let next = format!("{start},\"type\":\"next\",\"payload\":");
        MessageEnvelope { id_length: start.len(), next: next.into_bytes().into() }
    }

    /// Before a response.
    pub fn next(&self) -> &[u8] {
        &self.next
    }

    /// Before a list of errors.
    pub fn error(&self) -> Vec<u8> {
        self.with(br#","type":"error","payload":"#)
    }

    /// The whole message but [`END`].
    pub fn complete(&self) -> Vec<u8> {
        self.with(br#","type":"complete""#)
    }

    fn with(&self, rest: &[u8]) -> Vec<u8> {
        [self.next.get(..self.id_length).unwrap_or_default(), rest].concat()
    }
}

/// The reply to a ping.
pub fn pong(payload: Option<&RawValue>) -> Cow<'static, [u8]> {
    match payload {
        None => PONG.into(),
        Some(payload) => format!("{{\"type\":\"pong\",\"payload\":{payload}}}").into_bytes().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ORIGIN_NOT_ALLOWED;
    use super::*;
    use crate::http::auth::{MISSING_TOKEN, UNKNOWN_TOKEN};

    #[test]
    fn reasons_fit_into_a_frame() {
        for closing in [
            CloseReason::SubscriberAlreadyExists("ä".repeat(100)),
            CloseReason::InvalidMessage("x".repeat(500)),
            CloseReason::GoingAway,
        ] {
            assert!(closing.reason().len() <= 123, "{closing:?}");
        }
        // These fit in full.
        for (closing, end) in [
            (CloseReason::Forbidden(MISSING_TOKEN), MISSING_TOKEN),
            (CloseReason::Forbidden(UNKNOWN_TOKEN), UNKNOWN_TOKEN),
            (CloseReason::Forbidden(ORIGIN_NOT_ALLOWED), ORIGIN_NOT_ALLOWED),
            (CloseReason::SubprotocolNotAcceptable, "and no other"),
        ] {
            let reason = closing.reason();
            assert!(reason.len() <= 123 && reason.ends_with(end), "{reason}");
        }
    }

    #[test]
    fn an_envelope_has_the_id_as_json() {
        let envelope = MessageEnvelope::new("a\"b");
        assert_eq!(envelope.next(), br#"{"id":"a\"b","type":"next","payload":"#);
        assert_eq!(envelope.complete(), br#"{"id":"a\"b","type":"complete""#);
        assert_eq!(envelope.error(), br#"{"id":"a\"b","type":"error","payload":"#);
    }
}

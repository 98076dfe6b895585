//! The messages and close codes of `graphql-transport-ws`.

use crate::request::Params;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

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
    /// The reason is in the words of the protocol if it has some, and never longer than a frame allows.
    pub fn code_and_reason(&self) -> (u16, String) {
        let (code, mut reason): (u16, Cow<'_, str>) = match self {
            CloseReason::GoingAway => (1001, "The hub shuts down; connect again".into()),
            CloseReason::ProtocolError => (1002, "Protocol error".into()),
            CloseReason::InvalidUtf8 => (1007, "Text that is not UTF-8".into()),
            CloseReason::MessageTooBig(limit) => (1009, format!("A message has at most {limit} bytes").into()),
            CloseReason::NotText => (4400, "Invalid message: it is not text".into()),
            CloseReason::InvalidMessage(why) => (4400, why.into()),
            CloseReason::Unauthorized => (4401, "Unauthorized".into()),
            CloseReason::Forbidden(why) => (4403, format!("Forbidden: {why}").into()),
            CloseReason::SubprotocolNotAcceptable => {
                (4406, "Subprotocol not acceptable: this address supports graphql-transport-ws and no other".into())
            }
            CloseReason::ConnectionInitTimeout => (4408, "Connection initialisation timeout".into()),
            CloseReason::SubscriberAlreadyExists(id) => (4409, format!("Subscriber for {id} already exists").into()),
            CloseReason::TooManyInitRequests => (4429, "Too many initialisation requests".into()),
        };
        if reason.len() > MAX_REASON_BYTES {
            let end = reason.floor_char_boundary(MAX_REASON_BYTES);
            reason.to_mut().truncate(end);
        }
        (code, reason.into_owned())
    }
}

pub const ACK: &[u8] = br#"{"type":"connection_ack"}"#;
pub const PONG: &[u8] = br#"{"type":"pong""#;
pub const PAYLOAD: &[u8] = br#","payload":"#;
pub const END: &[u8] = b"}";
/// These follow the start of an operation's messages.
pub const NEXT: &[u8] = br#","type":"next","payload":"#;
pub const ERROR: &[u8] = br#","type":"error","payload":"#;
pub const COMPLETE: &[u8] = br#","type":"complete"}"#;

/// The start of an operation's messages: `{"id":"…"`.
pub fn start(id: &str) -> Box<[u8]> {
    format!("{{\"id\":{}", serde_json::Value::from(id)).into_bytes().into()
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
            assert!(closing.code_and_reason().1.len() <= 123, "{closing:?}");
        }
        // These fit in full.
        for (closing, end) in [
            (CloseReason::Forbidden(MISSING_TOKEN), MISSING_TOKEN),
            (CloseReason::Forbidden(UNKNOWN_TOKEN), UNKNOWN_TOKEN),
            (CloseReason::Forbidden(ORIGIN_NOT_ALLOWED), ORIGIN_NOT_ALLOWED),
            (CloseReason::SubprotocolNotAcceptable, "and no other"),
        ] {
            let (_, reason) = closing.code_and_reason();
            assert!(reason.len() <= 123 && reason.ends_with(end), "{reason}");
        }
    }

    #[test]
    fn an_operations_messages_have_its_id_as_json() {
        let start = start("a\"b");
        assert_eq!([&start, NEXT].concat(), br#"{"id":"a\"b","type":"next","payload":"#);
        assert_eq!([&start, COMPLETE].concat(), br#"{"id":"a\"b","type":"complete"}"#);
        assert_eq!([&start, ERROR].concat(), br#"{"id":"a\"b","type":"error","payload":"#);
    }
}

//! The messages and close codes of `graphql-transport-ws`.

use crate::request::Params;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Display;

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

/// Why the server closes a socket. The reason is in the words of the protocol if it has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    pub code: u16,
    pub reason: Cow<'static, str>,
}

/// Bytes of a reason: a control frame has 125, two of them for the code (RFC 6455, section 5.5).
const MAX_REASON_BYTES: usize = 123;
/// Bytes of an id: it is repeated in every response.
const MAX_ID_BYTES: usize = 256;

#[derive(Deserialize)]
struct ProtocolMessage {
    r#type: String,
    id: Option<String>,
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

fn invalid(why: impl Display) -> CloseReason {
    CloseReason::new(4400, format!("Invalid message: {why}"))
}

impl CloseReason {
    pub const GOING_AWAY: CloseReason = CloseReason::constant(1001, "The hub shuts down; connect again");
    pub const PROTOCOL_ERROR: CloseReason = CloseReason::constant(1002, "Protocol error");
    pub const INVALID_UTF8: CloseReason = CloseReason::constant(1007, "Text that is not UTF-8");
    pub const NOT_TEXT: CloseReason = CloseReason::constant(4400, "Invalid message: it is not text");
    pub const UNAUTHORIZED: CloseReason = CloseReason::constant(4401, "Unauthorized");
    pub const CREDENTIAL_ENDED: CloseReason =
        CloseReason::constant(4403, "Forbidden: the credential has ended: it was revoked, replaced, or has expired");
    pub const SUBPROTOCOL_NOT_ACCEPTABLE: CloseReason = CloseReason::constant(
        4406,
        "Subprotocol not acceptable: this address supports graphql-transport-ws and no other",
    );
    pub const CONNECTION_INIT_TIMEOUT: CloseReason = CloseReason::constant(4408, "Connection initialisation timeout");
    pub const TOO_MANY_INIT_REQUESTS: CloseReason = CloseReason::constant(4429, "Too many initialisation requests");

    pub fn message_too_big(limit: usize) -> CloseReason {
        CloseReason::new(1009, format!("A message has at most {limit} bytes"))
    }

    /// `expected` is shown to the client.
    pub fn forbidden(expected: &str) -> CloseReason {
        CloseReason::new(4403, format!("Forbidden: {expected}"))
    }

    pub fn subscriber_already_exists(id: &str) -> CloseReason {
        CloseReason::new(4409, format!("Subscriber for {id} already exists"))
    }

    const fn constant(code: u16, reason: &'static str) -> CloseReason {
        CloseReason { code, reason: Cow::Borrowed(reason) }
    }

    // Never longer than a frame allows.
    fn new(code: u16, mut reason: String) -> CloseReason {
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        CloseReason { code, reason: reason.into() }
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
    use super::*;
    use crate::http::auth::{AccessDenied, INVALID_KEY, MISSING_KEY};

    #[test]
    fn reasons_fit_into_a_frame() {
        for closing in [
            CloseReason::subscriber_already_exists(&"ä".repeat(100)),
            invalid("x".repeat(500)),
            CloseReason::GOING_AWAY,
        ] {
            assert!(closing.reason.len() <= 123, "{closing:?}");
        }
        // These fit in full.
        for (closing, end) in [
            (CloseReason::forbidden(MISSING_KEY), MISSING_KEY),
            (CloseReason::forbidden(INVALID_KEY), INVALID_KEY),
            (CloseReason::forbidden(&AccessDenied::OriginNotAllowed.to_string()), "allowed_origins"),
            (CloseReason::forbidden(&AccessDenied::HostNotAllowed.to_string()), "[::1]"),
            (CloseReason::CREDENTIAL_ENDED, "expired"),
            (CloseReason::SUBPROTOCOL_NOT_ACCEPTABLE, "and no other"),
        ] {
            let CloseReason { reason, .. } = closing;
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

//! `GET /graphql` as a WebSocket: GraphQL by the protocol `graphql-transport-ws`
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>).
//!
//! `message` has the messages, `wire` the frames, `connection` the states of the protocol and the limits.

mod connection;
mod message;
#[cfg(test)]
mod tests;
mod wire;

use super::auth::AccessDenied;
use super::cookie::REMOVE_SESSION;
use super::serve::ConnectionSlot;
use super::{AppState, Problem};
use crate::access::{ClientNetwork, Principal};
use crate::request::Caller;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connection::{Authentication, SocketConnection, SocketLimits};
use hyper_util::rt::TokioIo;
use message::CloseReason;
use sha1::{Digest, Sha1};
use std::sync::Arc;

/// The only supported subprotocol.
const SUBPROTOCOL: &str = "graphql-transport-ws";
/// Hashed with the key for `Sec-WebSocket-Accept` (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Opens a socket for queries and subscriptions.
pub fn open(app: Arc<AppState>, mut request: Request) -> Response {
    let headers = request.headers();
    let Some(key) = key(&request) else { return Problem::MethodNotAllowed.into_response() };
    let (protocol, rejection) = match negotiate_subprotocol(headers) {
        Ok(()) => {
            let is_allowed = app.allowed_origins.allows_websocket(headers) || app.auth.is_own_page(headers);
            let origin_denied = (!is_allowed).then_some(AccessDenied::OriginNotAllowed);
            let denied = request.extensions().get().copied().filter(|denied| *denied != AccessDenied::Unauthenticated);
            let reason = denied.or(origin_denied).map(|denied| CloseReason::forbidden(&denied.to_string()));
            (Some(HeaderValue::from_static(SUBPROTOCOL)), reason)
        }
        Err(other) => (other, Some(CloseReason::SUBPROTOCOL_NOT_ACCEPTABLE)),
    };
    let accept = STANDARD.encode(Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize());
    let slot = request.extensions().get::<ConnectionSlot>().cloned();
    let network = request.extensions().get::<ClientNetwork>().copied();
    let principal = request.extensions().get::<Arc<Principal>>().cloned();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // Held while the socket is open: it counts as a connection, and the shutdown waits for it.
        let _slot = slot;
        match upgrade.await {
            Ok(upgraded) => {
                let limits = SocketLimits { max_message_bytes: app.settings.graphql_body_limit, ..Default::default() };
                let stop = app.shutdown.clone();
                let stream = TokioIo::new(upgraded);
                let authentication = match principal {
                    Some(principal) => Authentication::Done(Caller { principal, network }),
                    None => Authentication::Pending { auth: app.auth.clone(), network },
                };
                let subscriptions = app.subscriptions.clone();
                let mut connection = SocketConnection::new(stream, subscriptions, authentication, limits, stop);
                if let Some(why) = rejection {
                    connection.close(&why);
                }
                connection.run().await;
            }
            Err(error) => tracing::debug!(%error, "a socket could not be opened"),
        }
    });
    let headers =
        [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_ACCEPT, &accept)];
    let session_ended = matches!(request.extensions().get(), Some(AccessDenied::SessionEnded));
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response();
    if let Some(protocol) = protocol {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    if session_ended {
        response.headers_mut().insert(header::SET_COOKIE, HeaderValue::from_static(REMOVE_SESSION));
    }
    response
}

/// Whether the client offers the supported protocol.
///
/// # Errors
/// The first one that it offers instead. The response names it, because a browser refuses the connection otherwise and shows
/// nothing; the socket is then closed with a code and a reason, which a browser does show.
fn negotiate_subprotocol(headers: &HeaderMap) -> Result<(), Option<HeaderValue>> {
    let mut offered = words(headers, header::SEC_WEBSOCKET_PROTOCOL).filter(|word| !word.is_empty()).peekable();
    let first = offered.peek().and_then(|first| HeaderValue::from_str(first).ok());
    if offered.any(|word| word == SUBPROTOCOL) { Ok(()) } else { Err(first) }
}

/// The key of a WebSocket request; null for any other request.
fn key(request: &Request) -> Option<HeaderValue> {
    let headers = request.headers();
    let is_upgrade = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && words(headers, header::CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade"))
        && words(headers, header::UPGRADE).any(|word| word.eq_ignore_ascii_case("websocket"))
        && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_upgrade).cloned()
}

fn words(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

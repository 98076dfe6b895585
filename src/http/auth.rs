//! Which credential of a request counts, and its principal. While there is no key, the API is open: on loopback, so no page of another
//! site may use it through the browser of a person at this machine. Such a page is recognized by its origin or, if a name server
//! makes the name of its site that of this machine (DNS rebinding), by the name of the host.

use super::cookie::{self, cookie};
use super::cors::{AllowedOrigins, is_same_host};
use super::trusted_proxies::ProxyUser;
use crate::access::{ApiKeyToken, ClientNetwork, Principal};
use crate::auth::{BrowserLogin, KeyRing, TokenIssuers, TokenRefused};
use crate::vendor::verify::{bearer_token, strip_auth_scheme};
use axum::http::{Extensions, HeaderMap, header};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Close reason for a missing key. At most 123 bytes, the size of a close frame.
pub const MISSING_KEY: &str = "no credential: send {\"Authorization\": \"Bearer …\"} as the payload of connection_init";
/// Close reason for an invalid key.
pub const INVALID_KEY: &str = "the credential is unknown, expired or revoked: send {\"Authorization\": \"Bearer …\"}";

const AUTHORIZATION: &str = "authorization";
const BEARER: &str = "Bearer";
/// Other fields in which clients send a token, with or without a scheme: those of the examples of Apollo and graphql-ws.
const TOKEN_FIELDS: [&str; 2] = ["authToken", "token"];

/// Finds the principal of a request.
#[derive(Clone, Debug)]
pub struct ApiAuth {
    ring: Arc<KeyRing>,
    issuers: Arc<TokenIssuers>,
    /// Null if nobody can log in.
    login: Option<Arc<BrowserLogin>>,
    /// Whether the open API is for this machine alone.
    is_local: bool,
    allowed_origins: AllowedOrigins,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessDenied {
    #[error("the credential is missing, unknown, expired or revoked")]
    Unauthenticated,
    /// The session of the cookie is unknown: it has ended, or another process has just begun it.
    #[error("the session has ended: log in again, at /login")]
    SessionEnded,
    /// The token names a key that its issuer, by its index, had not when its keys were read last.
    #[error("the token is signed with an unknown key")]
    UnknownSigningKey(usize),
    /// The client may try again after these seconds.
    #[error("too many invalid tokens were sent from this address")]
    TooManyFailures(u64),
    /// The open API was asked for under another name than one of this machine.
    #[error("without an API key this hub answers only on this machine: as localhost, 127.0.0.1 or [::1]")]
    HostNotAllowed,
    /// The open API was asked by a page of another site.
    #[error("pages of this origin may not use the API; its operator can add it to allowed_origins")]
    OriginNotAllowed,
}

impl ApiAuth {
    /// `is_local`: whether an open API is for this machine alone.
    pub fn new(
        ring: Arc<KeyRing>,
        issuers: Arc<TokenIssuers>,
        is_local: bool,
        allowed_origins: AllowedOrigins,
    ) -> ApiAuth {
        ApiAuth { ring, issuers, login: None, is_local, allowed_origins }
    }

    /// With people that log in.
    pub fn with_login(self, login: Option<Arc<BrowserLogin>>) -> ApiAuth {
        ApiAuth { login, ..self }
    }

    /// The logins of people, if there are any.
    pub fn login(&self) -> Option<&Arc<BrowserLogin>> {
        self.login.as_ref()
    }

    /// Whether no page of another site, except those that the operator named, has sent the request. Browsers send what they know of
    /// the hub, a cookie or a proxy's login, whatever page asks them to.
    pub fn is_own_page(&self, headers: &HeaderMap) -> bool {
        let public_origin = self.login.as_ref().map(|login| login.settings().public_origin());
        let mut origins = headers.get_all(header::ORIGIN).iter();
        origins.all(|origin| {
            self.allowed_origins.names(origin)
                || is_same_host(origin, headers)
                || public_origin.is_some_and(|own| origin.as_bytes() == own.as_bytes())
        })
    }

    /// The principal of a request: by its header `Authorization`; without that, the session of its cookie; without that, the user whom a
    /// trusted proxy names; anyone while the API is open. If a credential is wrong, no other is tried.
    ///
    /// # Errors
    /// If the credential is missing or wrong, or another site asks for what the browser authorizes by itself.
    pub fn authenticate(&self, headers: &HeaderMap, from: &Extensions) -> Result<Arc<Principal>, AccessDenied> {
        if let Some(anyone) = self.ring.anyone() {
            return self.check_site(headers, from.get().copied()).map(|()| anyone);
        }
        if headers.contains_key(header::AUTHORIZATION) {
            let token = bearer_token(headers).map_err(|_| AccessDenied::Unauthenticated)?;
            return self.authenticate_token(token, from.get().copied());
        }
        let session = self.login.as_ref().and_then(|login| Some((login, cookie(headers, cookie::SESSION)?)));
        let proxy_user = from.get::<ProxyUser>();
        if (session.is_some() || proxy_user.is_some()) && !self.is_own_page(headers) {
            return Err(AccessDenied::OriginNotAllowed);
        }
        match (session, proxy_user) {
            (Some((login, session)), _) => {
                let session = session.parse().ok().and_then(|token| login.sessions.authenticate(&token));
                session.ok_or(AccessDenied::SessionEnded)
            }
            (None, Some(ProxyUser(user))) => Ok(user.clone()),
            (None, None) => Err(AccessDenied::Unauthenticated),
        }
    }

    /// As [`authenticate`](Self::authenticate). If a token names an unknown key of its issuer, the keys are read again first. If a session
    /// is unknown, the sessions are: another process may have begun it.
    ///
    /// # Errors
    /// The same.
    pub async fn authenticate_with_new_keys(
        &self,
        headers: &HeaderMap,
        from: &Extensions,
    ) -> Result<Arc<Principal>, AccessDenied> {
        match self.authenticate(headers, from) {
            Err(AccessDenied::UnknownSigningKey(issuer)) => {
                self.issuers.refetch(issuer).await;
                self.authenticate(headers, from)
            }
            Err(AccessDenied::SessionEnded) => {
                if let Some(login) = &self.login {
                    login.sessions.next_refresh().await;
                }
                self.authenticate(headers, from)
            }
            result => result,
        }
    }

    fn authenticate_token(&self, token: &str, client: Option<ClientNetwork>) -> Result<Arc<Principal>, AccessDenied> {
        if token.starts_with(ApiKeyToken::PREFIX) || self.issuers.is_empty() {
            return self.ring.authenticate(token).ok_or(AccessDenied::Unauthenticated);
        }
        self.issuers.authenticate(token, client).map_err(|refused| match refused {
            TokenRefused::Invalid => AccessDenied::Unauthenticated,
            TokenRefused::UnknownKey(issuer) => AccessDenied::UnknownSigningKey(issuer),
            TokenRefused::TooManyFailures(seconds) => AccessDenied::TooManyFailures(seconds),
        })
    }

    /// The principal of a socket, by the payload of its `connection_init`.
    ///
    /// # Errors
    /// The close reason, which does not quote the key.
    pub fn authenticate_connection_init(
        &self,
        payload: Option<&RawValue>,
        client: Option<ClientNetwork>,
    ) -> Result<Arc<Principal>, &'static str> {
        let payload = payload.and_then(|payload| serde_json::from_str::<Map<String, Value>>(payload.get()).ok());
        let token = payload.as_ref().and_then(token_in_payload).ok_or(MISSING_KEY)?;
        self.authenticate_token(token, client).map_err(|denied| {
            // The client reconnects; by then the keys are there.
            if let AccessDenied::UnknownSigningKey(issuer) = denied {
                let issuers = self.issuers.clone();
                tokio::spawn(async move { issuers.refetch(issuer).await });
            }
            INVALID_KEY
        })
    }

    fn check_site(&self, headers: &HeaderMap, client: Option<ClientNetwork>) -> Result<(), AccessDenied> {
        let has_local_name = headers.get(header::HOST).is_some_and(|host| is_loopback_host(host.as_bytes()));
        // A proxy on this machine may replace the name of the host.
        let is_forwarded = headers.contains_key(header::FORWARDED) || headers.contains_key("x-forwarded-for");
        let is_from_here = client.is_none_or(ClientNetwork::is_loopback) && !is_forwarded;
        if self.is_local && !(has_local_name && is_from_here) {
            return Err(AccessDenied::HostNotAllowed);
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match origins.all(|origin| self.allowed_origins.contains(origin) || is_same_host(origin, headers)) {
            true => Ok(()),
            false => Err(AccessDenied::OriginNotAllowed),
        }
    }
}

/// Whether a header `Host` names this machine: `localhost`, an address of 127.0.0.0/8, or `[::1]`, with a port or without.
fn is_loopback_host(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.strip_prefix("[::1]") {
        Some(port) => return port.is_empty() || is_port(port),
        None => host.split_once(':').map_or(Some(host), |(name, port)| port_is_valid(port).then_some(name)),
    };
    name.is_some_and(|name| {
        name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    })
}

// With its colon.
fn is_port(port: &str) -> bool {
    port.strip_prefix(':').is_some_and(port_is_valid)
}

fn port_is_valid(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// The token in a payload. Browsers cannot set headers for a socket, so clients send `Authorization` as a field, at the top or
/// in `headers`, or another field. The first one in this order counts, even if it is invalid; null counts as missing.
fn token_in_payload(payload: &Map<String, Value>) -> Option<&str> {
    let in_headers = || field_ignore_case(field_ignore_case(payload, "headers")?.as_object()?, AUTHORIZATION);
    if let Some(authorization) = field_ignore_case(payload, AUTHORIZATION).or_else(in_headers) {
        return strip_auth_scheme(authorization.as_str()?, BEARER);
    }
    let token = TOKEN_FIELDS.into_iter().find_map(|name| field_ignore_case(payload, name))?.as_str()?;
    Some(strip_auth_scheme(token, BEARER).unwrap_or(token)).filter(|token| !token.is_empty())
}

fn field_ignore_case<'a>(fields: &'a Map<String, Value>, wanted: &str) -> Option<&'a Value> {
    fields.iter().find(|(name, value)| name.eq_ignore_ascii_case(wanted) && !value.is_null()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_this_machine() {
        for host in
            ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:1", "127.9.9.9:65535", "[::1]", "[::1]:8080"]
        {
            assert!(is_loopback_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":8080",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8080",
            "128.0.0.1",
            "0.0.0.0:8080",
            "127.1",
            "localhost:",
            "localhost:x",
            "localhost:80:80",
            "localhost:99999",
            "[::2]",
            "[::1]evil",
            "[::1]:",
            "::1",
            "localhost@evil.example",
            "\u{fffd}",
        ] {
            assert!(!is_loopback_host(host.as_bytes()), "{host}");
        }
        assert!(!is_loopback_host(b"localhost\xff"));
    }
}

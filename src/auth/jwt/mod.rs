//! JSON Web Tokens (RFC 7519) of identity providers as credentials of the API. A token counts if an issuer of the settings has signed
//! it for this hub's audience, with one of the algorithms that are set for it, and it has not expired.
//!
//! `claims` is what is read of a token, `key_set` the keys of an issuer, `fetch` keeps them current, `failures` limits what a client
//! may try. A token that was verified is remembered, so that only its first request pays for the signature.

mod claims;
mod failures;
mod fetch;
mod key_set;
#[cfg(test)]
mod tests;

use crate::access::{ClientNetwork, DEFAULT_SUBJECT_CLAIM, Principal, TokenIssuer};
use crate::clock::TimeSource;
use crate::sync::lock;
use chrono::{DateTime, Utc};
pub use claims::VerifiedClaims;
pub use failures::FailureLimit;
pub use fetch::{KeySetState, ReadKeySet, download, read_body};
use hashlink::LruCache;
pub use key_set::{ExpectedToken, NotVerified};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// Tokens that are remembered.
const MAX_REMEMBERED_TOKENS: usize = 4_096;
/// Longer ones are refused: no header of a usual proxy is longer.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefused {
    Invalid,
    /// It names a key that the issuer with this index did not have when its keys were read last.
    UnknownKey(usize),
    /// Too many tokens of this client were invalid; it may try again after some seconds.
    TooManyFailures(u64),
}

/// The issuers, and the tokens that were verified.
#[derive(Debug)]
pub struct TokenIssuers {
    issuers: Vec<ActiveIssuer>,
    clock: TimeSource,
    failures: FailureLimit,
    /// By the digests of the tokens, so that none is kept in memory.
    verified: Mutex<LruCache<[u8; 32], VerifiedToken>>,
    /// What ends next comes first.
    expiring: Mutex<BinaryHeap<Reverse<Expiring>>>,
}

#[derive(Debug)]
struct ActiveIssuer {
    settings: TokenIssuer,
    keys: KeySetState,
}

#[derive(Clone, Debug)]
struct VerifiedToken {
    principal: Arc<Principal>,
    expires_at: DateTime<Utc>,
    /// The issuer's keys that it was verified with: of other keys, it is verified again.
    issuer: usize,
    keys_version: u64,
}

/// A token that was verified before.
struct Remembered {
    token: VerifiedToken,
    /// Whether that was with the issuer's present keys.
    is_current: bool,
}

#[derive(Debug)]
struct Expiring {
    at: DateTime<Utc>,
    ended: CancellationToken,
}

impl TokenIssuers {
    pub fn new(issuers: Vec<TokenIssuer>, clock: TimeSource) -> Arc<TokenIssuers> {
        let active = |settings: TokenIssuer| ActiveIssuer { settings, keys: KeySetState::default() };
        Arc::new(TokenIssuers {
            issuers: issuers.into_iter().map(active).collect(),
            clock,
            failures: FailureLimit::default(),
            verified: Mutex::new(LruCache::new(MAX_REMEMBERED_TOKENS)),
            expiring: Mutex::default(),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// The owner of this token.
    ///
    /// # Errors
    /// If the token is refused.
    pub fn authenticate(&self, token: &str, client: Option<ClientNetwork>) -> Result<Arc<Principal>, TokenRefused> {
        let now = (self.clock)();
        let digest = Sha256::digest(token).into();
        let known = self.remembered(&digest, now);
        if let Some(Remembered { token, is_current: true }) = &known {
            return Ok(token.principal.clone());
        }
        if known.is_none() {
            self.failures.check(client)?;
        }
        let verified = self.verify(token, now).inspect_err(|refused| {
            lock(&self.verified).remove(&digest);
            // No signature was verified for an unknown key.
            if *refused == TokenRefused::Invalid {
                self.failures.count(client);
            }
        })?;
        // Verified again with other keys, it is the same principal.
        if let Some(Remembered { token: before, .. }) = known
            && before.principal.view == verified.principal.view
            && before.expires_at == verified.expires_at
        {
            let principal = before.principal.clone();
            lock(&self.verified).insert(digest, VerifiedToken { principal: principal.clone(), ..verified });
            return Ok(principal);
        }
        let principal = verified.principal.clone();
        let ends = Expiring { at: verified.expires_at, ended: principal.ended.clone() };
        lock(&self.verified).insert(digest, verified);
        lock(&self.expiring).push(Reverse(ends));
        Ok(principal)
    }

    /// Ends what uses an expired token.
    pub fn end_expired(&self) {
        let now = (self.clock)();
        let mut expiring = lock(&self.expiring);
        while expiring.peek().is_some_and(|Reverse(next)| next.at <= now) {
            if let Some(Reverse(next)) = expiring.pop() {
                next.ended.cancel();
            }
        }
    }

    fn remembered(&self, digest: &[u8; 32], now: DateTime<Utc>) -> Option<Remembered> {
        let mut verified = lock(&self.verified);
        let token = verified.get(digest)?.clone();
        if now >= token.expires_at {
            verified.remove(digest);
            return None;
        }
        let is_current = self.issuers.get(token.issuer)?.keys.version() == token.keys_version;
        Some(Remembered { token, is_current })
    }

    fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<VerifiedToken, TokenRefused> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRefused::Invalid);
        }
        let claimed = claims::unverified_issuer(token).ok_or(TokenRefused::Invalid)?;
        let found = self.issuers.iter().enumerate().find(|(_, issuer)| issuer.settings.issuer == claimed);
        let (index, issuer) = found.ok_or(TokenRefused::Invalid)?;
        let (keys, keys_version) = issuer.keys.current();
        let TokenIssuer { issuer: name, audience, algorithms, grants, .. } = &issuer.settings;
        let expected = ExpectedToken { issuer: name, audience, algorithms };
        let claims: VerifiedClaims = keys.verify(token, &expected).map_err(|refused| match refused {
            NotVerified::UnknownKey => TokenRefused::UnknownKey(index),
            NotVerified::Invalid => TokenRefused::Invalid,
        })?;
        let expires_at = claims.check_times(now).ok_or(TokenRefused::Invalid)?;
        let principal = Principal {
            subject: claims.subject(name, DEFAULT_SUBJECT_CLAIM).ok_or(TokenRefused::Invalid)?.into(),
            view: claims.view(grants),
            expires_at: Some(expires_at),
            ended: CancellationToken::new(),
        };
        Ok(VerifiedToken { principal: Arc::new(principal), expires_at, issuer: index, keys_version })
    }
}

impl PartialEq for Expiring {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Expiring {}

impl PartialOrd for Expiring {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Expiring {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

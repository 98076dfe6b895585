//! The session of a person that has logged in with a browser. Its secret is a cookie; only a digest is kept.

use super::View;
use chrono::{DateTime, TimeDelta, Utc};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

const SECRET_BYTES: usize = 32;

/// How long a session lasts without a request.
pub const SESSION_IDLE_LIMIT: TimeDelta = TimeDelta::hours(8);
/// How long a session lasts at most.
pub const SESSION_LIMIT: TimeDelta = TimeDelta::hours(24);

/// The secret of a session. Not printable, because it is a credential: [`SessionToken::reveal`] shows it.
#[derive(Clone)]
pub struct SessionToken([u8; SECRET_BYTES]);

/// The SHA-256 of a session's secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionDigest([u8; SECRET_BYTES]);

/// The text is no secret or digest of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not 64 hexadecimal digits")]
pub struct InvalidSessionToken;

/// A session as it is kept: everything but its secret.
#[derive(Clone, Debug)]
pub struct BrowserSession {
    pub digest: SessionDigest,
    /// The person. Personal: it is in no log.
    pub subject: String,
    pub view: View,
    pub created_at: DateTime<Utc>,
    /// To the minute.
    pub last_used_at: DateTime<Utc>,
    /// When it ends, however often it is used.
    pub expires_at: DateTime<Utc>,
}

impl SessionToken {
    /// A new secret.
    ///
    /// # Errors
    /// If the operating system has no random numbers.
    pub fn generate() -> Result<SessionToken, rand::rand_core::OsError> {
        let mut secret = [0; SECRET_BYTES];
        OsRng.try_fill_bytes(&mut secret)?;
        Ok(SessionToken(secret))
    }

    /// What is kept of it.
    pub fn digest(&self) -> SessionDigest {
        SessionDigest(Sha256::digest(self.0).into())
    }

    /// The secret as text, for the cookie.
    pub fn reveal(&self) -> String {
        hex::encode(self.0)
    }
}

impl BrowserSession {
    /// A session that begins now.
    pub fn begin(digest: SessionDigest, subject: String, view: View, now: DateTime<Utc>) -> BrowserSession {
        BrowserSession { digest, subject, view, created_at: now, last_used_at: now, expires_at: now + SESSION_LIMIT }
    }

    /// When it ends if it is not used.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.expires_at.min(self.last_used_at + SESSION_IDLE_LIMIT)
    }
}

impl FromStr for SessionToken {
    type Err = InvalidSessionToken;

    fn from_str(text: &str) -> Result<SessionToken, InvalidSessionToken> {
        from_hex(text).map(SessionToken)
    }
}

impl FromStr for SessionDigest {
    type Err = InvalidSessionToken;

    fn from_str(text: &str) -> Result<SessionDigest, InvalidSessionToken> {
        from_hex(text).map(SessionDigest)
    }
}

fn from_hex(text: &str) -> Result<[u8; SECRET_BYTES], InvalidSessionToken> {
    let mut bytes = [0; SECRET_BYTES];
    hex::decode_to_slice(text, &mut bytes).map(|()| bytes).map_err(|_| InvalidSessionToken)
}

impl fmt::Display for SessionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SessionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_becomes_text_and_back() {
        let token = SessionToken::generate().expect("random numbers");
        let again: SessionToken = token.reveal().parse().expect("a secret");
        assert_eq!((again.digest(), token.reveal().len()), (token.digest(), 64));
        assert_eq!(token.digest().to_string().parse(), Ok(token.digest()));
        assert!(!format!("{token:?}").contains(&token.reveal()), "it is not printed by accident");
        for text in ["", "x", &token.reveal()[1..], &format!("{}0", token.reveal()), &"g".repeat(64)] {
            assert_eq!(text.parse::<SessionDigest>(), Err(InvalidSessionToken), "{text}");
        }
    }
}

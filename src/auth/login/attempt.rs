//! An unfinished login. All that the hub must know when the browser comes back is in a cookie, and nothing is in the database: a page
//! that anybody can ask for must not cost a row. The cookie has a random number, the end, and the page to return to. State, nonce and
//! PKCE verifier are derived from the whole cookie with a key that only hubs on this database have. So a changed cookie has another
//! state, and a reader of cookie and state cannot compute the verifier.

use crate::store::LoginDigest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How long a person may take to log in at the provider.
pub const LOGIN_LIMIT: TimeDelta = TimeDelta::minutes(10);
const RANDOM_BYTES: usize = 32;
const TIME_BYTES: usize = 8;
/// Bytes of the page to return to: a cookie has room for 4,096.
const MAX_RETURN_BYTES: usize = 2_000;

/// The secrets of unfinished logins are derived from it.
#[derive(Clone)]
pub struct LoginKey([u8; 32]);

/// An unfinished login.
#[derive(Debug)]
pub struct LoginAttempt {
    payload: Vec<u8>,
    expires_at: DateTime<Utc>,
    pub return_to: ReturnPath,
}

/// A page of this hub: the path, and perhaps the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnPath(String);

impl LoginKey {
    pub fn new(key: [u8; 32]) -> LoginKey {
        LoginKey(key)
    }

    fn derive(&self, purpose: &str, payload: &[u8]) -> [u8; 32] {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return [0; 32] };
        mac.chain_update(purpose).chain_update([0]).chain_update(payload).finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for LoginKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginKey")
    }
}

impl ReturnPath {
    /// The page that a person comes back to if it asked for no other.
    pub fn home() -> ReturnPath {
        ReturnPath("/".to_owned())
    }

    /// None if the text is no path of this hub: a browser must not be sent to another host.
    pub fn parse(text: &str) -> Option<ReturnPath> {
        // Browsers read `\` as `/`, and remove tabs and line breaks. `//host` and `/\host` are addresses of other hosts.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let is_path = text.starts_with('/') && !text.starts_with("//");
        (is_plain && is_path && text.len() <= MAX_RETURN_BYTES).then(|| ReturnPath(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LoginAttempt {
    /// A login that begins now.
    ///
    /// # Errors
    /// If the operating system has no random numbers.
    pub fn begin(return_to: ReturnPath, now: DateTime<Utc>) -> Result<LoginAttempt, rand::rand_core::OsError> {
        let mut random = [0; RANDOM_BYTES];
        OsRng.try_fill_bytes(&mut random)?;
        let expires_at = now + LOGIN_LIMIT;
        let payload = [&random[..], &expires_at.timestamp().to_be_bytes(), return_to.0.as_bytes()].concat();
        Ok(LoginAttempt { payload, expires_at, return_to })
    }

    /// The login of a cookie, which may be made up until its state is compared.
    pub fn from_cookie(cookie: &str) -> Option<LoginAttempt> {
        let payload = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (_, rest) = payload.split_at_checked(RANDOM_BYTES)?;
        let (expires_at, return_to) = rest.split_at_checked(TIME_BYTES)?;
        let expires_at = DateTime::from_timestamp(i64::from_be_bytes(expires_at.try_into().ok()?), 0)?;
        let return_to = ReturnPath::parse(std::str::from_utf8(return_to).ok()?)?;
        Some(LoginAttempt { payload, expires_at, return_to })
    }

    pub fn cookie(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.payload)
    }

    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at <= now
    }

    /// What the provider sends back: that the answer belongs to this browser (OAuth 2.0, RFC 6749, section 10.12).
    pub fn state(&self, key: &LoginKey) -> String {
        URL_SAFE_NO_PAD.encode(key.derive("state", &self.payload))
    }

    /// Whether this is its state. Compares in constant time.
    pub fn has_state(&self, key: &LoginKey, state: &str) -> bool {
        self.state(key).as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// What the ID token must contain: that it is from this login (OpenID Connect Core, section 15.5.2).
    pub fn nonce(&self, key: &LoginKey) -> String {
        URL_SAFE_NO_PAD.encode(key.derive("nonce", &self.payload))
    }

    /// The secret that redeems the code (PKCE, RFC 7636).
    pub fn code_verifier(&self, key: &LoginKey) -> String {
        URL_SAFE_NO_PAD.encode(key.derive("verifier", &self.payload))
    }

    /// What is sent of it before.
    pub fn code_challenge(&self, key: &LoginKey) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.code_verifier(key)))
    }

    /// Recognizes the login: it makes one session.
    pub fn digest(&self) -> LoginDigest {
        LoginDigest(Sha256::digest(&self.payload).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");

    #[test]
    fn a_login_continues_from_its_cookie_alone() {
        let (key, other_key) = (LoginKey::new([1; 32]), LoginKey::new([2; 32]));
        let page = ReturnPath::parse("/graphiql?a=b").expect("a page");
        let begun = LoginAttempt::begin(page.clone(), NOW).expect("random numbers");
        let again = LoginAttempt::from_cookie(&begun.cookie()).expect("a login");
        assert!(again.has_state(&key, &begun.state(&key)) && !again.has_state(&other_key, &begun.state(&key)));
        assert_eq!((again.nonce(&key), again.code_challenge(&key)), (begun.nonce(&key), begun.code_challenge(&key)));
        assert_eq!((&again.return_to, again.code_verifier(&key).len()), (&page, 43));
        let derived = [begun.state(&key), begun.nonce(&key), begun.code_verifier(&key), begun.cookie()];
        assert!((1..4).all(|one| derived[..one].iter().all(|other| *other != derived[one])), "{derived:?}");
        for (later, expired) in [(TimeDelta::seconds(599), false), (LOGIN_LIMIT, true)] {
            assert_eq!(again.is_expired(NOW + later), expired);
        }
        // Whatever is changed in a cookie, its state is another.
        for position in 0..begun.payload.len() {
            let mut payload = begun.payload.clone();
            payload[position] ^= 1;
            if let Some(changed) = LoginAttempt::from_cookie(&URL_SAFE_NO_PAD.encode(&payload)) {
                assert!(!changed.has_state(&key, &begun.state(&key)), "{position}");
                assert_ne!(changed.digest(), begun.digest());
            }
        }
        for cookie in ["", "x", "====", &begun.cookie()[..40], &format!("{}é", begun.cookie())] {
            assert!(LoginAttempt::from_cookie(cookie).is_none(), "{cookie}");
        }
    }

    #[test]
    fn a_login_returns_to_a_page_of_the_hub() {
        for text in ["/", "/graphiql", "/graphiql/?query=%7B%7D#share=x", "/a//b", "/@evil.example", "/:80"] {
            assert_eq!(ReturnPath::parse(text).expect(text).as_str(), text);
        }
        let long = format!("/{}", "x".repeat(MAX_RETURN_BYTES));
        for text in [
            "",
            "graphiql",
            "https://evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " /",
            "/ x",
            "/é",
            "javascript:alert(1)",
            "/\u{0}",
            &long,
        ] {
            assert!(ReturnPath::parse(text).is_none(), "{text}");
        }
    }
}

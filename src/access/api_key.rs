//! The form of an API key: `ihub_<id>_<secret>`. The prefix is fixed, so that scanners for leaked secrets find it; the id is
//! public and finds the key without a search; of the secret, which is 32 random bytes, only a digest is kept.

use super::View;
use chrono::{DateTime, Utc};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// Bytes of an id.
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;
const MAX_NAME_LENGTH: usize = 100;

/// The public part of a key: 12 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKeyId([u8; ID_BYTES]);

/// The SHA-256 of a key's secret.
#[derive(Clone, Copy)]
pub struct ApiKeyDigest([u8; SECRET_BYTES]);

/// A whole key. Not printable, because it is a credential: [`ApiKeyToken::reveal`] shows it.
#[derive(Clone)]
pub struct ApiKeyToken {
    pub id: ApiKeyId,
    secret: [u8; SECRET_BYTES],
}

/// A key as it is kept: everything but its secret.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub id: ApiKeyId,
    /// For people.
    pub name: String,
    pub digest: ApiKeyDigest,
    pub view: View,
    /// From this time on it is not valid; `None` if it does not expire.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Not a key, an id or a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not {expected}")]
pub struct InvalidApiKey {
    expected: &'static str,
}

impl ApiKey {
    /// A new key, and the only moment at which its secret is known.
    ///
    /// # Errors
    /// If the operating system has no random numbers.
    pub fn generate(
        name: String,
        view: View,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(ApiKey, ApiKeyToken), rand::rand_core::OsError> {
        let token = ApiKeyToken::generate()?;
        Ok((ApiKey { id: token.id, name, digest: token.digest(), view, expires_at }, token))
    }

    /// The name of its principal, e.g. `key:3f9a51c07be2`.
    pub fn subject(&self) -> String {
        format!("key:{}", self.id)
    }

    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// # Errors
    /// If the name cannot be shown in one line.
    pub fn check_name(name: &str) -> Result<(), &'static str> {
        let has_text = !name.trim().is_empty() && name.trim() == name;
        let is_valid = has_text && name.chars().count() <= MAX_NAME_LENGTH && !name.chars().any(char::is_control);
        if is_valid {
            Ok(())
        } else {
            Err("a name has 1 to 100 characters, no control characters, and no spaces at its ends")
        }
    }
}

impl ApiKeyToken {
    /// How every key begins.
    pub const PREFIX: &str = "ihub_";

    /// A new key.
    ///
    /// # Errors
    /// If the operating system has no random numbers.
    pub fn generate() -> Result<ApiKeyToken, rand::rand_core::OsError> {
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        OsRng.try_fill_bytes(&mut id)?;
        OsRng.try_fill_bytes(&mut secret)?;
        Ok(ApiKeyToken { id: ApiKeyId(id), secret })
    }

    /// What is kept of the secret.
    pub fn digest(&self) -> ApiKeyDigest {
        ApiKeyDigest(Sha256::digest(self.secret).into())
    }

    /// The key as text, to show it once.
    pub fn reveal(&self) -> String {
        format!("{}{}_{}", ApiKeyToken::PREFIX, self.id, hex::encode(self.secret))
    }
}

impl ApiKeyDigest {
    /// Whether it is the same digest.
    pub fn is(&self, other: &ApiKeyDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Whether it is the digest of this key's secret. Compares in constant time.
    pub fn matches(&self, token: &ApiKeyToken) -> bool {
        self.0.ct_eq(&token.digest().0).into()
    }
}

impl ApiKeyId {
    /// As a number of 48 bits.
    pub fn number(self) -> u64 {
        self.0.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// None if it has more than 48 bits.
    pub fn from_number(number: u64) -> Option<ApiKeyId> {
        let bytes = number.to_be_bytes();
        bytes.strip_prefix(&[0; 8 - ID_BYTES]).and_then(|bytes| bytes.try_into().ok()).map(ApiKeyId)
    }
}

impl FromStr for ApiKeyToken {
    type Err = InvalidApiKey;

    fn from_str(text: &str) -> Result<ApiKeyToken, InvalidApiKey> {
        let parts = text.strip_prefix(ApiKeyToken::PREFIX).and_then(|rest| rest.split_once('_'));
        let read = |(id, secret): (&str, &str)| Some(ApiKeyToken { id: id.parse().ok()?, secret: from_hex(secret)? });
        parts.and_then(read).ok_or(InvalidApiKey { expected: "an API key: ihub_<id>_<secret>" })
    }
}

impl FromStr for ApiKeyId {
    type Err = InvalidApiKey;

    fn from_str(text: &str) -> Result<ApiKeyId, InvalidApiKey> {
        from_hex(text).map(ApiKeyId).ok_or(InvalidApiKey { expected: "the id of an API key: 12 hexadecimal digits" })
    }
}

impl FromStr for ApiKeyDigest {
    type Err = InvalidApiKey;

    fn from_str(text: &str) -> Result<ApiKeyDigest, InvalidApiKey> {
        let expected = "the SHA-256 of an API key's secret: 64 hexadecimal digits";
        from_hex(text).map(ApiKeyDigest).ok_or(InvalidApiKey { expected })
    }
}

// Lower case only, so that each has one spelling.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    hex::decode_to_slice(text, &mut bytes).ok().filter(|()| is_lower).map(|()| bytes)
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for ApiKeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ApiKeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for ApiKeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}_…", ApiKeyToken::PREFIX, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_text_and_back() {
        let key = ApiKeyToken::generate().expect("random numbers");
        let text = key.reveal();
        assert_eq!(text.len(), "ihub_".len() + 12 + 1 + 64);
        let again: ApiKeyToken = text.parse().expect("a key");
        assert_eq!(again.id, key.id);
        assert!(key.digest().matches(&again));
        assert_eq!(key.id.to_string().parse(), Ok(key.id));
        let stored: ApiKeyDigest = key.digest().to_string().parse().expect("a digest");
        assert!(stored.matches(&again));
        assert!(!format!("{key:?}").contains(&hex::encode(key.secret)), "it is not printed by accident");
    }

    #[test]
    fn another_secret_does_not_match() {
        let (one, other) = (ApiKeyToken::generate(), ApiKeyToken::generate());
        let (one, other) = (one.expect("random numbers"), other.expect("random numbers"));
        assert!(!one.digest().matches(&other));
        assert!(!one.digest().matches(&ApiKeyToken { secret: [0; SECRET_BYTES], ..one.clone() }));
    }

    #[test]
    fn other_text_is_no_key() {
        let key = ApiKeyToken::generate().expect("random numbers").reveal();
        let upper = key.to_uppercase();
        let (short, spaced) = (&key[..key.len() - 2], format!("{key} "));
        let two = format!("{key}_{key}");
        for text in ["", "ihub_", "ihub__", "token", &upper, short, &spaced, &two, &key["ihub_".len()..]] {
            assert!(text.parse::<ApiKeyToken>().is_err(), "{text}");
        }
    }
}

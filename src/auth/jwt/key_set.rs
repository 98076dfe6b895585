//! The keys of an issuer: a JSON Web Key Set (RFC 7517, section 5).

use super::claims::VerifiedClaims;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;
use std::str::FromStr;

/// Keys that are read of a set.
const MAX_KEYS: usize = 64;

/// The keys that an issuer signs with. Keys for encryption, symmetric keys and keys of kinds that are not supported are left out.
#[derive(Debug, Default)]
pub struct KeySet(Vec<SigningKey>);

struct SigningKey {
    id: Option<String>,
    /// If the set says with which algorithm alone it is used.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

/// What a token must be to count.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedToken<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    pub algorithms: &'a [Algorithm],
}

/// Why a token is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotVerified {
    Invalid,
    UnknownKey,
}

impl KeySet {
    /// Reads a set.
    ///
    /// # Errors
    /// If the text is not a set, or has no key to verify with.
    pub fn parse(json: &[u8]) -> Result<KeySet, &'static str> {
        #[derive(Deserialize)]
        struct Stored {
            keys: Vec<Value>,
        }
        let stored: Stored = serde_json::from_slice(json).map_err(|_| "it is not a JSON Web Key Set")?;
        let keys = stored.keys.into_iter().take(MAX_KEYS).filter_map(SigningKey::read).collect::<Vec<_>>();
        if keys.is_empty() { Err("it has no key to verify signatures with") } else { Ok(KeySet(keys)) }
    }

    /// The claims of a token, if one of the keys has signed it as expected.
    ///
    /// # Errors
    /// If it is not verified.
    pub fn verify(&self, token: &str, expected: &ExpectedToken<'_>) -> Result<VerifiedClaims, NotVerified> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| NotVerified::Invalid)?;
        // An extension that must be understood, and we understand none (RFC 7515, section 4.1.11).
        if !expected.algorithms.contains(&header.alg) || header.crit.is_some() {
            return Err(NotVerified::Invalid);
        }
        let is_named = |key: &&SigningKey| header.kid.is_none() || key.id == header.kid;
        let mut named = self.0.iter().filter(is_named).peekable();
        if named.peek().is_none() {
            return Err(NotVerified::UnknownKey);
        }
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[expected.issuer]);
        validation.set_audience(&[expected.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // By the hub's clock instead.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        let fitting = named.filter(|key| key.algorithm.is_none_or(|of| of == header.alg));
        let mut claims =
            fitting.filter_map(|key| jsonwebtoken::decode::<VerifiedClaims>(token, &key.key, &validation).ok());
        claims.next().map(|token| token.claims).ok_or(NotVerified::Invalid)
    }
}

impl SigningKey {
    fn read(key: Value) -> Option<SigningKey> {
        let key: Jwk = serde_json::from_value(key).ok()?;
        let is_for_signatures = !matches!(&key.common.public_key_use, Some(of) if *of != PublicKeyUse::Signature);
        let is_symmetric = matches!(key.algorithm, AlgorithmParameters::OctetKey(_));
        if !is_for_signatures || is_symmetric {
            return None;
        }
        let algorithm = match key.common.key_algorithm {
            Some(algorithm) => Some(signing_algorithm(algorithm)?),
            None => None,
        };
        Some(SigningKey { id: key.common.key_id.clone(), algorithm, key: DecodingKey::from_jwk(&key).ok()? })
    }
}

// None for an algorithm that encrypts.
fn signing_algorithm(algorithm: KeyAlgorithm) -> Option<Algorithm> {
    Algorithm::from_str(&algorithm.to_string()).ok()
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

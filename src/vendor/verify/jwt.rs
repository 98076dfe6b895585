//! JSON Web Tokens (RFC 7519). The library checks the signature. Times, issuer and audience are checked here, because the
//! library would read the clock itself.

use super::credential::{single_header, strip_auth_scheme};
use super::{CredentialLocation, SignError, VerificationFailure, WebhookRequest};
use crate::vendor::signature::{ClockSkew, Secret};
use axum::http::HeaderName;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation};
use serde::Deserialize;

const MINTED_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(5);

/// The requirements for a token.
#[derive(Clone, Debug)]
pub struct Jwt {
    pub keys: JwtKeys,
    /// The header that carries it, with or without `Bearer`.
    pub header: HeaderName,
    pub issuer: Option<String>,
    /// `None` refuses every token with an audience (RFC 7519, section 4.1.3).
    pub audience: Option<String>,
    pub leeway: TimeDelta,
}

/// An algorithm with its keys, so that no key can be used with another algorithm.
#[derive(Clone, Debug)]
pub enum JwtKeys {
    Hs256(Vec<Secret>),
    Rs256(Vec<RsaKey>),
}

impl Jwt {
    /// Those of `HS256`: public keys are no secrets.
    pub fn secrets(&self) -> &[Secret] {
        match &self.keys {
            JwtKeys::Hs256(secrets) => secrets,
            JwtKeys::Rs256(_) => &[],
        }
    }
}

impl JwtKeys {
    pub fn algorithm(&self) -> &'static str {
        match self {
            JwtKeys::Hs256(_) => "HS256",
            JwtKeys::Rs256(_) => "RS256",
        }
    }
}

#[derive(Clone, Debug)]
pub struct RsaKey(DecodingKey);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RsaKeyError {
    #[error("is a private key; give the public one")]
    Private,
    #[error("is not a public RSA key in PEM form (-----BEGIN PUBLIC KEY-----)")]
    NotPublicRsa,
}

/// The registered claims that are checked. A repeated claim makes the token unreadable.
#[derive(Deserialize)]
struct Claims {
    exp: Option<serde_json::Number>,
    nbf: Option<serde_json::Number>,
    iss: Option<String>,
    aud: Option<Audience>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl RsaKey {
    /// Parses a public key in PEM form.
    ///
    /// # Errors
    /// If it is something else, such as a private key or a certificate.
    pub fn from_pem(pem: &str) -> Result<RsaKey, RsaKeyError> {
        if pem.contains("PRIVATE KEY-----") {
            return Err(RsaKeyError::Private);
        }
        // The library takes the first bit string of any structure, so a certificate would become a key that never matches.
        if !pem.contains("-----BEGIN PUBLIC KEY-----") && !pem.contains("-----BEGIN RSA PUBLIC KEY-----") {
            return Err(RsaKeyError::NotPublicRsa);
        }
        DecodingKey::from_rsa_pem(pem.as_bytes()).map(RsaKey).map_err(|_| RsaKeyError::NotPublicRsa)
    }
}

impl Jwt {
    pub(super) fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), VerificationFailure> {
        let value = single_header(request.headers, &self.header)?;
        let token = strip_auth_scheme(value, "Bearer").unwrap_or(value);
        let claims = self.decode_claims(token)?;
        self.check_claims(&claims, request.now)
    }

    /// The claims, if one of the keys matches.
    fn decode_claims(&self, token: &str) -> Result<Claims, VerificationFailure> {
        let (algorithm, keys): (_, Vec<DecodingKey>) = match &self.keys {
            JwtKeys::Hs256(secrets) => (
                Algorithm::HS256,
                secrets.iter().map(|secret| DecodingKey::from_secret(secret.value.as_bytes())).collect(),
            ),
            JwtKeys::Rs256(keys) => (Algorithm::RS256, keys.iter().map(|key| key.0.clone()).collect()),
        };
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;

        let malformed = || VerificationFailure::Malformed(CredentialLocation::Header(self.header.clone()));
        let mut denied = VerificationFailure::Mismatch;
        for key in &keys {
            match jsonwebtoken::decode(token, key, &validation) {
                // An extension that must be understood, and we understand none (RFC 7515, section 4.1.11).
                Ok(TokenData { header, .. }) if header.crit.is_some() => return Err(malformed()),
                Ok(TokenData { claims, .. }) => return Ok(claims),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidSignature => {}
                    ErrorKind::InvalidAlgorithm => denied = VerificationFailure::WrongAlgorithm,
                    _ => denied = malformed(),
                },
            }
        }
        Err(denied)
    }

    fn check_claims(&self, claims: &Claims, now: DateTime<Utc>) -> Result<(), VerificationFailure> {
        let (now, leeway) = (now.timestamp(), self.leeway.num_seconds());
        let skew = |time: i64| {
            let milliseconds = |seconds: i64| seconds.saturating_mul(1000);
            ClockSkew::between(milliseconds(now), milliseconds(time), milliseconds(leeway))
        };
        let expires = claims.exp.as_ref().map(seconds).ok_or(VerificationFailure::MissingExpiry)?;
        if now >= expires.saturating_add(leeway) {
            return Err(VerificationFailure::Expired(skew(expires)));
        }
        let begins = claims.nbf.as_ref().map(seconds);
        if let Some(begins) = begins.filter(|begins| *begins > now.saturating_add(leeway)) {
            return Err(VerificationFailure::NotYetValid(skew(begins)));
        }
        if self.issuer.is_some() && claims.iss != self.issuer {
            return Err(VerificationFailure::WrongIssuer);
        }
        let for_us = match (&claims.aud, &self.audience) {
            (None, None) => true,
            (Some(Audience::One(one)), Some(us)) => one == us,
            (Some(Audience::Many(many)), Some(us)) => many.contains(us),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if for_us { Ok(()) } else { Err(VerificationFailure::WrongAudience) }
    }

    /// A token that passes [`Jwt::check`].
    pub(super) fn mint(&self, now: DateTime<Utc>) -> Result<String, SignError> {
        let JwtKeys::Hs256(secrets) = &self.keys else { return Err(SignError::PrivateKey) };
        let secret = secrets.first().ok_or(SignError::NoSecret)?;
        let mut claims = serde_json::json!({
            "iat": now.timestamp(),
            "nbf": now.timestamp(),
            "exp": (now + MINTED_TOKEN_LIFETIME).timestamp(),
        });
        if let Some(issuer) = &self.issuer {
            claims["iss"] = issuer.as_str().into();
        }
        if let Some(audience) = &self.audience {
            claims["aud"] = audience.as_str().into();
        }
        let key = EncodingKey::from_secret(secret.value.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(|_| SignError::NoSecret)
    }
}

/// A time of a token in whole seconds. It may have a fraction. The cast from float saturates, so that a time beyond the
/// calendar becomes the largest number.
fn seconds(date: &serde_json::Number) -> i64 {
    date.as_i64().or_else(|| date.as_f64().map(|seconds| seconds as i64)).unwrap_or_default()
}

//! Whether a delivery is from the vendor it claims to be from. Each source has a list of schemes that must all pass, or
//! is open on purpose. Pure: the request and the time go in, a [`Verified`] comes out, without which nothing is stored.

mod credential;
mod jwt;
mod sign;
#[cfg(test)]
mod tests;
mod url_candidates;
mod verified;

pub use credential::{bearer_token, matches_any_secret, strip_auth_scheme};
pub use jwt::{Jwt, JwtKeys, RsaKey, RsaKeyError};
pub use sign::{RequestCredentials, SignError};
pub use url_candidates::{normalize_path, url_candidates};
pub use verified::{RawDelivery, UnverifiedDelivery, Verified};

use super::signature::{ClockSkew, Secret, SignatureError, SignatureScheme, SignedMessage, UrlCandidates};
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use chrono::{DateTime, TimeDelta, Utc};

/// What came over HTTP, as far as it can prove where it is from. It cannot be printed, for it holds credentials.
#[derive(Clone, Copy)]
pub struct WebhookRequest<'a> {
    pub headers: &'a HeaderMap,
    /// The path, percent-encoded as it came.
    pub path: &'a str,
    /// The query as it came, without the question mark.
    pub query: Option<&'a str>,
    pub body: &'a [u8],
    pub now: DateTime<Utc>,
}

/// One way to prove where a delivery is from. Of its secrets, any one must fit: two are active while one is replaced.
#[derive(Clone, Debug)]
pub enum Scheme {
    /// The vendor's own signature over the message.
    Signature {
        signature: &'static SignatureScheme,
        /// The URL as it is registered with the vendor, without a query; empty where it was not configured.
        public_url: String,
        secrets: Vec<Secret>,
        /// How far the vendor's time may be from ours; none for what the vendor's scheme does by itself.
        leeway: Option<TimeDelta>,
    },
    /// A token in the query of the registered URL.
    UrlToken { parameter: String, tokens: Vec<Secret> },
    /// HTTP Basic (RFC 7617).
    Basic { username: String, passwords: Vec<Secret> },
    /// `Authorization: Bearer …` (RFC 6750) with a token that we only compare.
    Bearer { tokens: Vec<Secret> },
    /// A header of any name whose value is the key.
    ApiKey { header: HeaderName, keys: Vec<Secret> },
    /// A JSON Web Token (RFC 7519).
    Jwt(Jwt),
}

/// Where a request carries its credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CredentialLocation {
    #[error("the header {0}")]
    Header(HeaderName),
    #[error("the query parameter {0}")]
    Parameter(String),
    #[error("the vendor's signature")]
    Signature,
}

/// How the deliveries of one source are verified.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// Empty for an open source, which only [`Verifier::open`] makes.
    schemes: Vec<Scheme>,
}

/// Why a delivery is not believed: which scheme did not pass, and how. For our log; the sender learns nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{scheme}: {reason}")]
pub struct VerificationError {
    pub scheme: &'static str,
    pub reason: VerificationFailure,
}

/// How a check did not pass; never quotes what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerificationFailure {
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("{0} is missing")]
    Missing(CredentialLocation),
    #[error("{0} is there more than once")]
    Repeated(CredentialLocation),
    #[error("{0} is not of the scheme's form")]
    Malformed(CredentialLocation),
    #[error("no active secret fits")]
    Mismatch,
    #[error("the token is of another algorithm")]
    WrongAlgorithm,
    #[error("the token does not say when it expires")]
    MissingExpiry,
    #[error("the token has expired: its time is {0}")]
    Expired(ClockSkew),
    #[error("the token is not valid yet: its time is {0}")]
    NotYetValid(ClockSkew),
    #[error("the token is from another issuer")]
    WrongIssuer,
    #[error("the token is for another audience")]
    WrongAudience,
}

impl Verifier {
    /// A verifier that asks for all of these schemes.
    pub fn new(first: Scheme, others: impl IntoIterator<Item = Scheme>) -> Verifier {
        Verifier { schemes: std::iter::once(first).chain(others).collect() }
    }

    /// A verifier that believes everybody.
    pub fn open() -> Verifier {
        Verifier { schemes: Vec::new() }
    }

    pub fn is_open(&self) -> bool {
        self.schemes.is_empty()
    }

    /// The names of the schemes, as the settings spell them; none for an open source.
    pub fn schemes(&self) -> Vec<&'static str> {
        self.schemes.iter().map(Scheme::name).collect()
    }

    /// Whether all schemes pass. [`check`](Verifier::check) is this for a delivery that is to be stored.
    ///
    /// # Errors
    /// The first scheme that does not pass.
    pub fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), VerificationError> {
        self.schemes.iter().try_for_each(|scheme| {
            scheme.verify(request).map_err(|reason| VerificationError { scheme: scheme.name(), reason })
        })
    }

    /// Whether the header carries a credential, or looks as if it did, so that it must not be stored or logged.
    /// Signatures are not credentials: they are worth nothing for another message, and prove later where this one is from.
    pub fn is_credential(&self, header: &HeaderName) -> bool {
        let own = self.schemes.iter().any(|scheme| scheme.location() == CredentialLocation::Header(header.clone()));
        own || credential::is_sensitive_header_name(header.as_str())
    }

    /// The query parameters that carry credentials, so that they must not be stored or logged.
    pub fn credential_parameters(&self) -> impl Iterator<Item = &str> {
        self.schemes.iter().filter_map(|scheme| match scheme {
            Scheme::UrlToken { parameter, .. } => Some(parameter.as_str()),
            _ => None,
        })
    }
}

impl Scheme {
    /// The name in settings and in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Scheme::Signature { .. } => "signature",
            Scheme::UrlToken { .. } => "url_token",
            Scheme::Basic { .. } => "basic",
            Scheme::Bearer { .. } => "bearer",
            Scheme::ApiKey { .. } => "api_key",
            Scheme::Jwt(_) => "jwt",
        }
    }

    /// Where the credential stands; two schemes of one source cannot share a place.
    pub fn location(&self) -> CredentialLocation {
        match self {
            Scheme::Signature { .. } => CredentialLocation::Signature,
            Scheme::UrlToken { parameter, .. } => CredentialLocation::Parameter(parameter.clone()),
            Scheme::Basic { .. } | Scheme::Bearer { .. } => CredentialLocation::Header(AUTHORIZATION),
            Scheme::ApiKey { header, .. } => CredentialLocation::Header(header.clone()),
            Scheme::Jwt(jwt) => CredentialLocation::Header(jwt.header.clone()),
        }
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), VerificationFailure> {
        let fits = match self {
            Scheme::Signature { signature, public_url, secrets, leeway } => {
                let candidates = url_candidates(public_url, request);
                (signature.verify)(&signed_message(request, &candidates, secrets, *leeway))?;
                true
            }
            Scheme::UrlToken { parameter, tokens } => {
                let given = credential::single_query_parameter(request.query, parameter)?;
                credential::matches_any_secret(given.as_bytes(), tokens.iter().map(|token| token.value.as_bytes()))
            }
            Scheme::Basic { username, passwords } => {
                let given = credential::basic_credentials(request.headers)?;
                let expected = passwords.iter().map(|password| format!("{username}:{}", password.value));
                credential::matches_any_secret(&given, expected)
            }
            Scheme::Bearer { tokens } => {
                let given = credential::bearer_token(request.headers)?;
                credential::matches_any_secret(given.as_bytes(), tokens.iter().map(|token| token.value.as_bytes()))
            }
            Scheme::ApiKey { header, keys } => {
                let given = credential::single_header(request.headers, header)?;
                credential::matches_any_secret(given.as_bytes(), keys.iter().map(|key| key.value.as_bytes()))
            }
            Scheme::Jwt(jwt) => {
                jwt.verify(request)?;
                true
            }
        };
        if fits { Ok(()) } else { Err(VerificationFailure::Mismatch) }
    }
}

/// The message that a signature is made over.
fn signed_message<'a>(
    request: &WebhookRequest<'a>,
    candidates: &'a UrlCandidates,
    secrets: &'a [Secret],
    leeway: Option<TimeDelta>,
) -> SignedMessage<'a> {
    let WebhookRequest { headers, query, body, now, .. } = *request;
    SignedMessage { headers, candidates, query, body, secrets, leeway, now }
}

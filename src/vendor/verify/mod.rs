//! Verifies that a delivery is from its vendor. Each source has a list of schemes that must all pass, or is open on purpose.
//! Pure: from the request and the time it computes a [`Verified`], without which no delivery is accepted.

mod credential;
mod jwt;
mod sign;
#[cfg(test)]
mod tests;
mod url_candidates;
mod url_variants;
mod verified;
mod would_fit;

pub use credential::{bearer_token, matches_any_secret, strip_auth_scheme};
pub use jwt::{Jwt, JwtKeys, RsaKey, RsaKeyError};
pub use sign::{RequestCredentials, SignError};
pub use url_candidates::{normalize_path, url_candidates};
pub use verified::{RawDelivery, RefusedDelivery, UnverifiedDelivery, Verified};
pub use would_fit::WouldFit;

use super::signature::{ClockSkew, Secret, SignatureError, SignatureScheme, SignedMessage, UrlCandidates};
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use chrono::{DateTime, TimeDelta, Utc};
use entity::RejectionCause;

/// The parts of a request that can prove its origin. Not printable, because it contains credentials.
#[derive(Clone, Copy)]
pub struct WebhookRequest<'a> {
    pub headers: &'a HeaderMap,
    /// The path as received, percent-encoded.
    pub path: &'a str,
    /// The query as received, without the question mark.
    pub query: Option<&'a str>,
    pub body: &'a [u8],
    pub now: DateTime<Utc>,
}

/// One way to prove the origin of a delivery. Any one of its secrets must match: two are active during a rotation.
#[derive(Clone, Debug)]
pub enum Scheme {
    /// The vendor's own signature over the message.
    Signature {
        signature: &'static SignatureScheme,
        /// The URL as registered with the vendor, without a query; empty if not configured.
        public_url: String,
        secrets: Vec<Secret>,
        /// The allowed clock skew; `None` for the default of the vendor's scheme.
        leeway: Option<TimeDelta>,
    },
    /// A token in the query of the registered URL.
    UrlToken { parameter: String, tokens: Vec<Secret> },
    /// HTTP Basic (RFC 7617).
    Basic { username: String, passwords: Vec<Secret> },
    /// `Authorization: Bearer …` (RFC 6750) with a static token.
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

/// Which scheme failed, and why. For the log only; the sender does not learn it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{scheme}: {reason}")]
pub struct VerificationError {
    pub scheme: &'static str,
    pub reason: VerificationFailure,
}

/// Why a scheme failed. Never quotes the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerificationFailure {
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("{0} is missing")]
    Missing(CredentialLocation),
    #[error("{0} is repeated")]
    Repeated(CredentialLocation),
    #[error("{0} does not have the format of the scheme")]
    Malformed(CredentialLocation),
    #[error("no active secret matches")]
    Mismatch,
    #[error("the token uses another algorithm")]
    WrongAlgorithm,
    #[error("the token has no expiry time")]
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

impl VerificationFailure {
    /// The cause as a stable code.
    pub fn cause(&self) -> RejectionCause {
        match self {
            VerificationFailure::Missing(_) | VerificationFailure::Signature(SignatureError::Missing(_)) => {
                RejectionCause::MissingCredential
            }
            VerificationFailure::Signature(SignatureError::OutsideTolerance(_))
            | VerificationFailure::Expired(_)
            | VerificationFailure::NotYetValid(_) => RejectionCause::ClockSkew,
            VerificationFailure::Signature(SignatureError::Mismatch)
            | VerificationFailure::Mismatch
            | VerificationFailure::WrongIssuer
            | VerificationFailure::WrongAudience => RejectionCause::WrongSecret,
            VerificationFailure::Signature(SignatureError::Repeated(_) | SignatureError::Malformed(_))
            | VerificationFailure::Repeated(_)
            | VerificationFailure::Malformed(_)
            | VerificationFailure::WrongAlgorithm
            | VerificationFailure::MissingExpiry => RejectionCause::MalformedSignature,
        }
    }
}

impl Verifier {
    pub fn new(first: Scheme, others: impl IntoIterator<Item = Scheme>) -> Verifier {
        Verifier { schemes: std::iter::once(first).chain(others).collect() }
    }

    pub fn open() -> Verifier {
        Verifier { schemes: Vec::new() }
    }

    pub fn is_open(&self) -> bool {
        self.schemes.is_empty()
    }

    /// The names of the schemes in the settings; empty for an open source.
    pub fn schemes(&self) -> Vec<&'static str> {
        self.schemes.iter().map(Scheme::name).collect()
    }

    /// All that distinguishes it, except for its secrets: of these the number and ids.
    pub fn summary(&self) -> String {
        let summaries: Vec<String> = self.schemes.iter().map(Scheme::summary).collect();
        summaries.join("; ")
    }

    /// Its secrets in the order of the settings: the name of the scheme, the number within the scheme from 1, and since when it is used.
    pub fn secret_dates(&self) -> impl Iterator<Item = (&'static str, usize, Option<DateTime<Utc>>)> {
        self.schemes.iter().flat_map(|scheme| {
            (1..).zip(scheme.secrets()).map(|(number, secret)| (scheme.name(), number, secret.since))
        })
    }

    /// Checks all schemes. [`check`](Verifier::check) is this for a delivery that is to be stored.
    ///
    /// # Errors
    /// The first scheme that fails.
    pub fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), VerificationError> {
        self.schemes.iter().try_for_each(|scheme| {
            scheme.verify(request).map_err(|reason| VerificationError { scheme: scheme.name(), reason })
        })
    }

    /// Whether the header carries or may carry a credential, so that it must not be stored or logged. Signatures are not
    /// credentials: they are worthless for another message, and prove the origin of this one later.
    pub fn is_credential(&self, header: &HeaderName) -> bool {
        let own = self.schemes.iter().any(|scheme| scheme.location() == CredentialLocation::Header(header.clone()));
        own || credential::is_sensitive_header_name(header.as_str())
    }

    /// The query parameters that carry credentials and must not be stored or logged.
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

    fn secrets(&self) -> &[Secret] {
        match self {
            Scheme::Signature { secrets, .. } => secrets,
            Scheme::UrlToken { tokens: secrets, .. } | Scheme::Bearer { tokens: secrets } => secrets,
            Scheme::Basic { passwords: secrets, .. } | Scheme::ApiKey { keys: secrets, .. } => secrets,
            Scheme::Jwt(jwt) => jwt.secrets(),
        }
    }

    fn summary(&self) -> String {
        let details = match self {
            Scheme::Signature { public_url, leeway, .. } => format!("{public_url} {leeway:?}"),
            Scheme::UrlToken { parameter, .. } => parameter.clone(),
            Scheme::Basic { username, .. } => username.clone(),
            Scheme::Bearer { .. } => String::new(),
            Scheme::ApiKey { header, .. } => header.to_string(),
            Scheme::Jwt(Jwt { keys, header, issuer, audience, leeway }) => {
                format!("{} {header} {issuer:?} {audience:?} {leeway}", keys.algorithm())
            }
        };
        // The secrets print their ids only.
        format!("{} {details} {:?}", self.name(), self.secrets())
    }

    /// Where the credential is. Two schemes of one source cannot use the same place.
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
        let matches = |given: &str, secrets: &[Secret]| {
            credential::matches_any_secret(given.as_bytes(), secrets.iter().map(|secret| secret.value.as_bytes()))
        };
        let fits = match self {
            Scheme::Signature { signature, public_url, secrets, leeway } => {
                let candidates = url_candidates(public_url, request);
                return Ok((signature.verify)(&signed_message(request, &candidates, secrets, *leeway))?);
            }
            Scheme::UrlToken { parameter, tokens } => {
                matches(&credential::single_query_parameter(request.query, parameter)?, tokens)
            }
            Scheme::Basic { username, passwords } => {
                let given = credential::basic_credentials(request.headers)?;
                let expected = passwords.iter().map(|password| format!("{username}:{}", password.value));
                credential::matches_any_secret(&given, expected)
            }
            Scheme::Bearer { tokens } => matches(credential::bearer_token(request.headers)?, tokens),
            Scheme::ApiKey { header, keys } => matches(credential::single_header(request.headers, header)?, keys),
            Scheme::Jwt(jwt) => return jwt.verify(request),
        };
        if fits { Ok(()) } else { Err(VerificationFailure::Mismatch) }
    }
}

fn signed_message<'a>(
    request: &WebhookRequest<'a>,
    candidates: &'a UrlCandidates,
    secrets: &'a [Secret],
    leeway: Option<TimeDelta>,
) -> SignedMessage<'a> {
    let WebhookRequest { headers, query, body, now, .. } = *request;
    SignedMessage { headers, candidates, query, body, secrets, leeway, now }
}

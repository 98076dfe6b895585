//! Shared parts of the vendors' signature schemes. Each scheme is in its vendor's file.

use axum::http::HeaderMap;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The maximum number of signatures in a header: one for each of the vendor's keys during a rotation.
const MAX_SIGNATURES: usize = 8;

/// Base64 with optional padding. Truepic sends it without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug)]
pub struct SignatureScheme {
    /// What is signed and which header carries the signature, for the documentation.
    pub description: &'static str,
    /// Whether the signature covers the public URL, so that it must be configured.
    pub signs_url: bool,
    pub verify: fn(&SignedMessage<'_>) -> Result<(), SignatureError>,
    /// The headers that the vendor would send with this message. For the simulator and tests.
    pub sign: fn(&SignedMessage<'_>) -> Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug)]
pub struct SignedMessage<'a> {
    pub headers: &'a HeaderMap,
    /// The URLs that the vendor may have signed. The simulator signs with the first one.
    pub candidates: &'a UrlCandidates,
    /// The query of the request, without the question mark.
    pub query: Option<&'a str>,
    pub body: &'a [u8],
    /// The active secrets, one of which must match. The simulator signs with the first one.
    pub secrets: &'a [Secret],
    /// The allowed clock skew; `None` for the default of the scheme.
    pub leeway: Option<TimeDelta>,
    pub now: DateTime<Utc>,
}

/// A secret shared with a vendor.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The id by which the vendor names the secret it used (Hover's webhook id); `None` matches any.
    pub id: Option<String>,
    pub value: String,
    /// When it was issued, if the settings say so.
    pub since: Option<DateTime<Utc>>,
}

impl Secret {
    /// A secret without an id.
    pub fn new(value: impl Into<String>) -> Secret {
        Secret { id: None, value: value.into(), since: None }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("id", &self.id).field("since", &self.since).finish_non_exhaustive()
    }
}

/// The URLs that the vendor may have called and signed, the most likely first: see [`super::verify::url_candidates`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlCandidates {
    /// Percent-encoded, without the query.
    pub paths: Vec<String>,
    /// Complete, with the query; empty if no public URL is configured.
    pub urls: Vec<String>,
}

/// The distance between the time of a signature or token and now, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSkew {
    now: i64,
    sent: i64,
    allowed: i64,
}

/// Thirteen digits: seconds with that many digits are milliseconds (of the years 2001 to 2286).
const MILLISECOND_TIMESTAMPS: std::ops::Range<i64> = 1_000_000_000_000..10_000_000_000_000;

/// Why a signature is not valid. For the log only; the sender does not learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the header {0} is missing")]
    Missing(&'static str),
    #[error("the header {0} is repeated")]
    Repeated(&'static str),
    #[error("the header {0} does not have the vendor's format")]
    Malformed(&'static str),
    #[error("the signature's time is {0}")]
    OutsideTolerance(ClockSkew),
    #[error("no active secret matches")]
    Mismatch,
}

impl SignedMessage<'_> {
    /// The only header with this name.
    ///
    /// # Errors
    /// If there is none, more than one, or one that is not text.
    pub fn header(&self, name: &'static str) -> Result<&str, SignatureError> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().ok_or(SignatureError::Missing(name))?;
        if values.next().is_some() {
            return Err(SignatureError::Repeated(name));
        }
        value.to_str().map_err(|_| SignatureError::Malformed(name))
    }

    /// Checks a time in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// If it is too far from now.
    pub fn check_timestamp(&self, sent: i64, allowed: TimeDelta) -> Result<(), SignatureError> {
        let skew = ClockSkew::between(self.now.timestamp_millis(), sent, allowed.num_milliseconds());
        let is_allowed = skew.behind().saturating_abs() <= skew.allowed;
        if is_allowed { Ok(()) } else { Err(SignatureError::OutsideTolerance(skew)) }
    }

    /// An error unless one of the secrets matches.
    pub fn any_secret(&self, matches: impl Fn(&Secret) -> bool) -> Result<(), SignatureError> {
        self.secrets.iter().any(matches).then_some(()).ok_or(SignatureError::Mismatch)
    }

    /// The secret with which the simulator signs.
    pub fn signing_secret(&self) -> &[u8] {
        self.secrets.first().map(|secret| secret.value.as_bytes()).unwrap_or_default()
    }
}

impl ClockSkew {
    pub fn between(now: i64, sent: i64, allowed: i64) -> ClockSkew {
        ClockSkew { now, sent, allowed }
    }

    fn behind(self) -> i64 {
        self.now.saturating_sub(self.sent)
    }
}

impl std::fmt::Display for ClockSkew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.behind().unsigned_abs().div_ceil(1000);
        let side = if self.behind() < 0 { "ahead of" } else { "behind" };
        write!(f, "{seconds} s {side} ours; allowed: {} s", self.allowed / 1000)?;
        if MILLISECOND_TIMESTAMPS.contains(&(self.sent / 1000)) {
            f.write_str("; it has thirteen digits: send seconds, not milliseconds")?;
        }
        Ok(())
    }
}

/// The parameters of a header such as `t=1700000000,s=…`: names in any case, and trimmed values. A part without `=` has no
/// value.
pub fn header_parameters(header: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    header.split(',').map(|part| match part.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (part.trim(), None),
    })
}

/// Decodes a signature of `length` bytes: hexadecimal in either case, or base64 of either alphabet, padded or not. The length
/// distinguishes the two.
pub fn decode_signature(text: &str, length: usize) -> Option<Vec<u8>> {
    match text.len() == 2 * length {
        true => hex::decode(text).ok().or_else(|| base64_decode(text)),
        false => base64_decode(text),
    }
}

/// Whether the number of signatures is allowed: at least one, and few enough that checking them is cheap.
pub fn within_limit<T>(signatures: &[T]) -> bool {
    (1..=MAX_SIGNATURES).contains(&signatures.len())
}

/// Decodes base64 of either alphabet (RFC 4648, sections 4 and 5), with or without padding.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.replace('-', "+").replace('_', "/")).ok()
}

pub fn base64_encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// HMAC-SHA256 (RFC 2104) over several parts.
pub fn hmac_sha256(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    hmac::<Hmac<Sha256>>(secret, parts).finalize().into_bytes().to_vec()
}

/// Whether this is the HMAC-SHA256 over the parts, compared in constant time.
pub fn verify_hmac_sha256(secret: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    hmac::<Hmac<Sha256>>(secret, parts).verify_slice(signature).is_ok()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length, RFC 2104 section 3")]
pub fn hmac<M: Mac + KeyInit>(secret: &[u8], parts: &[&[u8]]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(secret).expect("a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

//! What the vendors' own signature schemes have in common; each scheme stands in its vendor's file.

use axum::http::HeaderMap;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Standard base64 whose padding may be missing, as Truepic sends it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a vendor signs, and how to check it.
#[derive(Debug)]
pub struct Signature {
    /// What is signed and where the signature stands, for the documentation.
    pub about: &'static str,
    /// Whether the public URL is part of what is signed, so that it must be configured.
    pub signs_url: bool,
    /// Checks a delivery over its raw bytes.
    pub check: fn(&Message<'_>) -> Result<(), Denied>,
    /// The headers that the vendor would send with this message, for the simulator and the tests.
    pub sign: fn(&Message<'_>) -> Vec<(&'static str, String)>,
}

/// What a signature is made of and checked against.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub headers: &'a HeaderMap,
    /// The path of the request, percent-encoded as it came.
    pub path: &'a str,
    /// The query of the request, without the question mark.
    pub query: Option<&'a str>,
    pub body: &'a [u8],
    /// The URL as it is registered with the vendor.
    pub public_url: &'a str,
    /// The active secrets, of which one must fit; the first one signs.
    pub secrets: &'a [Secret],
    /// How far the vendor's time may be from ours; none where it does not matter.
    pub leeway: Option<TimeDelta>,
    pub now: DateTime<Utc>,
}

/// A secret shared with a vendor.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The id by which the vendor says which secret it used (Hover's webhook id); none for any.
    pub id: Option<String>,
    pub value: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a delivery is not believed. For our log; the sender learns nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the header {0} is missing")]
    Missing(&'static str),
    #[error("the header {0} is there more than once")]
    Repeated(&'static str),
    #[error("the header {0} is not of the vendor's form")]
    Malformed(&'static str),
    #[error("the signature's time is too far from ours")]
    TooOld,
    #[error("no active secret fits")]
    Mismatch,
}

impl Message<'_> {
    /// The only header with this name.
    ///
    /// # Errors
    /// If there is none, more than one, or one that is not text.
    pub fn header(&self, name: &'static str) -> Result<&str, Denied> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().ok_or(Denied::Missing(name))?;
        if values.next().is_some() {
            return Err(Denied::Repeated(name));
        }
        value.to_str().map_err(|_| Denied::Malformed(name))
    }

    /// The first secret's value, with which the simulator signs.
    pub fn signing_secret(&self) -> &[u8] {
        self.secrets.first().map(|secret| secret.value.as_bytes()).unwrap_or_default()
    }
}

/// Decodes standard base64, with or without padding.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// Encodes standard base64 with padding.
pub fn base64_encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// HMAC-SHA256 (RFC 2104) over several parts.
pub fn hmac_sha256(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    keyed(secret, parts).finalize().into_bytes().to_vec()
}

/// Whether this is the HMAC-SHA256 over the parts; in constant time.
pub fn is_hmac_sha256(secret: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    keyed(secret, parts).verify_slice(signature).is_ok()
}

fn keyed(secret: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length, RFC 2104 section 3")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

//! Extracts credentials from requests, and compares them.

use super::{CredentialLocation, VerificationFailure};
use crate::vendor::signature::base64_decode;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use reqwest::Url;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Parts of header names that indicate a credential.
const SENSITIVE_HEADER_WORDS: &[&str] =
    &["auth", "cookie", "token", "secret", "password", "passwd", "credential", "apikey", "jwt"];

/// Whether the given text is one of the secrets. Compares digests of all secrets in constant time, so that timing reveals
/// neither the matching length, nor which secret matches, nor its length. An empty text never matches.
pub fn matches_any_secret<S: AsRef<[u8]>>(given: &[u8], expected: impl Iterator<Item = S>) -> bool {
    let given_digest = Sha256::digest(given);
    let found = expected.fold(Choice::from(0), |found, secret| {
        found | Sha256::digest(secret.as_ref()).as_slice().ct_eq(given_digest.as_slice())
    });
    bool::from(found) && !given.is_empty()
}

pub fn single_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, VerificationFailure> {
    let place = || CredentialLocation::Header(name.clone());
    only(headers.get_all(name).iter(), place)?.to_str().map_err(|_| VerificationFailure::Malformed(place()))
}

pub fn single_query_parameter(query: Option<&str>, name: &str) -> Result<String, VerificationFailure> {
    let url = url_with_query(query);
    let values = url.iter().flat_map(Url::query_pairs).filter(|(key, _)| key == name);
    Ok(only(values, || CredentialLocation::Parameter(name.to_owned()))?.1.into_owned())
}

fn only<T>(
    mut values: impl Iterator<Item = T>,
    place: impl Fn() -> CredentialLocation,
) -> Result<T, VerificationFailure> {
    let value = values.next().ok_or_else(|| VerificationFailure::Missing(place()))?;
    if values.next().is_some() { Err(VerificationFailure::Repeated(place())) } else { Ok(value) }
}

pub fn append_query_parameter(query: Option<&str>, name: &str, value: &str) -> Option<String> {
    let mut url = url_with_query(query)?;
    url.query_pairs_mut().append_pair(name, value);
    url.query().map(str::to_owned)
}

/// A URL with this query: the parser accepts only whole URLs.
fn url_with_query(query: Option<&str>) -> Option<Url> {
    let mut url = Url::parse("http://localhost/").ok()?;
    url.set_query(query);
    Some(url)
}

/// `user:password` of HTTP Basic.
pub fn basic_credentials(headers: &HeaderMap) -> Result<Vec<u8>, VerificationFailure> {
    authorization_value(headers, "Basic").and_then(|encoded| {
        base64_decode(encoded).ok_or(VerificationFailure::Malformed(CredentialLocation::Header(AUTHORIZATION)))
    })
}

pub fn bearer_token(headers: &HeaderMap) -> Result<&str, VerificationFailure> {
    authorization_value(headers, "Bearer")
}

fn authorization_value<'a>(headers: &'a HeaderMap, scheme: &str) -> Result<&'a str, VerificationFailure> {
    strip_auth_scheme(single_header(headers, &AUTHORIZATION)?, scheme)
        .ok_or(VerificationFailure::Malformed(CredentialLocation::Header(AUTHORIZATION)))
}

/// The text after the name of the authentication scheme, which is case-insensitive (RFC 9110, section 11.1).
pub fn strip_auth_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (name, rest) = value.split_once(' ')?;
    name.eq_ignore_ascii_case(scheme).then(|| rest.trim_start_matches(' '))
}

/// Whether a header of this name (in lower case) may carry a credential.
pub fn is_sensitive_header_name(name: &str) -> bool {
    let key = name.ends_with("-key") && !name.contains("idempotency");
    // One pass over the name, because this runs for each header of each webhook: a search for each word takes longer than all else
    // that is done with the headers.
    let is_at = |at, word: &str| name.get(at..).is_some_and(|rest| rest.starts_with(word));
    let mut characters = name.char_indices();
    key || characters
        .any(|(at, first)| SENSITIVE_HEADER_WORDS.iter().any(|word| word.starts_with(first) && is_at(at, word)))
}

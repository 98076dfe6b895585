//! Hover's signature: an HMAC over headers and path, as computed by the Ruby gem api_auth.
//!
//! `Hover-Signature-256: sha256=<webhook id>:<base64>`, or the older `Hover-Signature: sha1=<webhook id>:<base64>`,
//! over `<Content-Type>,<base64 MD5 of the body>,<path>,<Date>`. Only the MD5 covers the body, so it is always computed
//! here. Hover's page allows a blank MD5 if the header `Content-MD5` is missing: such a signature would match any body and is
//! refused. A `Content-MD5` that differs from the body's is refused too.
//!
//! Pages: <https://developers.hover.to/docs/webhook-signature-verification>; the headers from public receivers' code.

use crate::vendor::signature::{base64_decode, base64_encode, decode_signature, header_parameters, hmac, within_limit};
use crate::vendor::{Secret, SignatureError, SignatureScheme, SignedMessage};
use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

pub const SIGNATURE: SignatureScheme = SignatureScheme {
    description: "HMAC-SHA256 in `Hover-Signature-256`, or HMAC-SHA1 in `Hover-Signature`, over `Content-Type`, the body's \
            MD5, the path and `Date`, joined by commas; keyed with the webhook's `hmac_secret` without decoding",
    signs_url: false,
    verify,
    sign,
};

const SHA256_HEADER: &str = "hover-signature-256";
const SHA1_HEADER: &str = "hover-signature";

/// One of Hover's two signatures.
struct HoverAlgorithm {
    header: &'static str,
    /// The parameter's name in the header.
    name: &'static str,
    /// Bytes of a signature.
    length: usize,
    sign: fn(secret: &[u8], text: &str) -> Vec<u8>,
    verify: fn(secret: &[u8], text: &str, signature: &[u8]) -> bool,
}

const HMAC_SHA256: HoverAlgorithm = HoverAlgorithm::new::<Hmac<Sha256>>(SHA256_HEADER, "sha256", 32);
const HMAC_SHA1: HoverAlgorithm = HoverAlgorithm::new::<Hmac<Sha1>>(SHA1_HEADER, "sha1", 20);

impl HoverAlgorithm {
    const fn new<M: Mac + KeyInit>(header: &'static str, name: &'static str, length: usize) -> Self {
        HoverAlgorithm {
            header,
            name,
            length,
            sign: |secret, text| hmac::<M>(secret, &[text.as_bytes()]).finalize().into_bytes().to_vec(),
            verify: |secret, text, signature| hmac::<M>(secret, &[text.as_bytes()]).verify_slice(signature).is_ok(),
        }
    }

    // Webhook id and bytes of each signature, and nothing else; there are several while Hover rotates its secrets. A
    // signature that cannot be decoded matches nothing.
    fn signatures<'a>(&self, header: &'a str) -> Option<Vec<(&'a str, Vec<u8>)>> {
        let mut signatures = Vec::new();
        for (name, value) in header_parameters(header) {
            let (webhook, signature) = value.filter(|_| name.eq_ignore_ascii_case(self.name))?.split_once(':')?;
            signatures.extend(decode_signature(signature.trim(), self.length).map(|bytes| (webhook.trim(), bytes)));
        }
        within_limit(&signatures).then_some(signatures)
    }
}

const CONTENT_TYPE: &str = "content-type";
const CONTENT_MD5: &str = "content-md5";
const DATE: &str = "date";

fn verify(message: &SignedMessage<'_>) -> Result<(), SignatureError> {
    // If the newer signature is wrong, a valid older one does not help.
    let legacy = message.headers.contains_key(SHA1_HEADER) && !message.headers.contains_key(SHA256_HEADER);
    let algorithm = if legacy { &HMAC_SHA1 } else { &HMAC_SHA256 };
    let name = algorithm.header;
    let signatures = algorithm.signatures(message.header(name)?).ok_or(SignatureError::Malformed(name))?;
    let content_type = optional_header(message, CONTENT_TYPE)?.unwrap_or_default();
    let md5 = md5_of_body(message)?;
    let date = message.header(DATE)?;

    let texts: Vec<String> =
        candidate_paths(message).iter().map(|path| canonical_string(content_type, &md5, path, date)).collect();
    let fits = |secret: &Secret, (webhook, signature): &(&str, Vec<u8>)| {
        secret.id.as_deref().is_none_or(|id| id == *webhook)
            && texts.iter().any(|text| (algorithm.verify)(secret.value.as_bytes(), text, signature))
    };
    message.any_secret(|secret| signatures.iter().any(|signature| fits(secret, signature)))?;
    // Only if configured: whether Hover signs a retry, which may come weeks later, with a new date is unknown.
    if let Some(leeway) = message.leeway {
        let sent = DateTime::parse_from_rfc2822(date).map_err(|_| SignatureError::Malformed(DATE))?;
        message.check_timestamp(sent.timestamp_millis(), leeway)?;
    }
    Ok(())
}

fn sign(message: &SignedMessage<'_>) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    let content_type = message.header(CONTENT_TYPE).unwrap_or_else(|_| {
        headers.push((CONTENT_TYPE, "application/json".to_owned()));
        "application/json"
    });
    let md5 = base64_encode(&Md5::digest(message.body));
    let date = message.now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let path = message.candidates.paths.first().map_or("", String::as_str);
    let canonical = canonical_string(content_type, &md5, path, &date);
    let webhook = message.secrets.first().and_then(|secret| secret.id.as_deref()).unwrap_or("1");
    for HoverAlgorithm { header, name, sign, .. } in [HMAC_SHA256, HMAC_SHA1] {
        let signature = base64_encode(&sign(message.signing_secret(), &canonical));
        headers.push((header, format!("{name}={webhook}:{signature}")));
    }
    headers.push((CONTENT_MD5, md5));
    headers.push((DATE, date));
    headers
}

fn canonical_string(content_type: &str, md5: &str, path: &str, date: &str) -> String {
    [content_type, md5, path, date].join(",")
}

fn optional_header<'a>(message: &'a SignedMessage<'_>, name: &'static str) -> Result<Option<&'a str>, SignatureError> {
    match message.header(name) {
        Err(SignatureError::Missing(_)) => Ok(None),
        header => header.map(Some),
    }
}

fn md5_of_body(message: &SignedMessage<'_>) -> Result<String, SignatureError> {
    let md5 = Md5::digest(message.body);
    if let Some(header) = optional_header(message, CONTENT_MD5)?
        && base64_decode(header.trim()).as_deref() != Some(md5.as_slice())
    {
        return Err(SignatureError::Malformed(CONTENT_MD5));
    }
    Ok(base64_encode(&md5))
}

// Whether Hover signs the query is unknown: the gem does, public receivers do not expect it.
fn candidate_paths(message: &SignedMessage<'_>) -> Vec<String> {
    let with_query = |path: &String| message.query.map(|query| format!("{path}?{query}"));
    message.candidates.paths.iter().flat_map(|path| [Some(path.clone()), with_query(path)]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::signature::{ClockSkew, UrlCandidates};
    use axum::http::HeaderMap;
    use chrono::TimeDelta;

    const BODY: &[u8] = br#"{"event":"job-state-changed-v2","job_id":9001,"state":"completed"}"#;
    const DAY: &str = "Tue, 30 May 2017 03:51:43 GMT";
    // All computed with OpenSSL.
    const MD5: &str = "TifmUkDk1h/U9zD/50l/mQ==";
    const NEWER: &str = "sha256=230293:y2f6W8cd4utuHWyORi2AjXLQCYZXgOFBYSpkDwcBoLE=";
    const NEWER_WITH_QUERY: &str = "sha256=230293:VdFzfogQ7CFnEbhTWKDpjUq9AtF3trByzqRxXnCiFPk=";
    const NEWER_WITHOUT_MD5: &str = "sha256=230293:b8/g5gSB3Wo4WKgDUpz7tT4d8sBeJpW8ZqxAy0XqE8k=";
    const OLDER: &str = "sha1=230293:1HYr8QYcqdJcsYmtfjf4xWEEJjE=";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().chain(&[(CONTENT_TYPE, "application/json"), (DATE, DAY)]) {
            headers.append(*name, value.parse().expect("a header's value"));
        }
        headers
    }

    fn secret(id: Option<&str>, value: &str) -> Secret {
        Secret { id: id.map(str::to_owned), ..Secret::new(value) }
    }

    fn candidates(path: &str) -> UrlCandidates {
        UrlCandidates { paths: vec![path.to_owned()], ..UrlCandidates::default() }
    }

    fn message<'a>(headers: &'a HeaderMap, candidates: &'a UrlCandidates) -> SignedMessage<'a> {
        SignedMessage {
            headers,
            candidates,
            query: None,
            body: BODY,
            secrets: &[],
            leeway: None,
            now: DateTime::parse_from_rfc2822(DAY).expect("a date").to_utc(),
        }
    }

    // Checks a request with these headers, after `change` has changed it.
    fn checked(
        pairs: &[(&'static str, &str)],
        change: impl FnOnce(&mut SignedMessage<'_>),
    ) -> Result<(), SignatureError> {
        checked_at("/webhooks/hover", pairs, change)
    }

    fn checked_at(
        path: &str,
        pairs: &[(&'static str, &str)],
        change: impl FnOnce(&mut SignedMessage<'_>),
    ) -> Result<(), SignatureError> {
        let (headers, candidates) = (headers(pairs), candidates(path));
        let secrets = [secret(None, "secret")];
        let mut message = SignedMessage { secrets: &secrets, ..message(&headers, &candidates) };
        change(&mut message);
        verify(&message)
    }

    #[test]
    fn both_signatures_are_believed() {
        assert_eq!(checked(&[(SHA256_HEADER, NEWER)], |_| ()), Ok(()));
        assert_eq!(checked(&[(SHA256_HEADER, NEWER), (CONTENT_MD5, MD5)], |_| ()), Ok(()));
        assert_eq!(checked(&[(SHA1_HEADER, OLDER)], |_| ()), Ok(()));
        assert_eq!(checked(&[(SHA256_HEADER, OLDER)], |_| ()), Err(SignatureError::Malformed(SHA256_HEADER)));
        assert_eq!(checked(&[], |_| ()), Err(SignatureError::Missing(SHA256_HEADER)));
        assert_eq!(
            checked(&[(SHA256_HEADER, NEWER), (SHA256_HEADER, NEWER)], |_| ()),
            Err(SignatureError::Repeated(SHA256_HEADER))
        );
    }

    #[test]
    fn what_is_signed_here_is_what_hover_sends() {
        let none = HeaderMap::new();
        let secrets = [secret(Some("230293"), "secret")];
        let candidates = candidates("/webhooks/hover");
        let signed = sign(&SignedMessage { secrets: &secrets, ..message(&none, &candidates) });
        let expected = [
            (CONTENT_TYPE, "application/json"),
            (SHA256_HEADER, NEWER),
            (SHA1_HEADER, OLDER),
            (CONTENT_MD5, MD5),
            (DATE, DAY),
        ];
        assert_eq!(signed, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn a_wrong_newer_signature_is_not_made_good_by_an_older_one() {
        let wrong = "sha256=230293:AAAA";
        assert_eq!(checked(&[(SHA256_HEADER, wrong), (SHA1_HEADER, OLDER)], |_| ()), Err(SignatureError::Mismatch));
    }

    #[test]
    fn the_body_must_be_the_one_that_was_signed() {
        assert_eq!(checked(&[(SHA256_HEADER, NEWER)], |message| message.body = b"{}"), Err(SignatureError::Mismatch));
        let other = [(SHA256_HEADER, NEWER), (CONTENT_MD5, MD5)];
        assert_eq!(checked(&other, |message| message.body = b"{}"), Err(SignatureError::Malformed(CONTENT_MD5)));
        assert_eq!(checked(&[(SHA256_HEADER, NEWER_WITHOUT_MD5)], |_| ()), Err(SignatureError::Mismatch));
        assert_eq!(
            checked(&[(SHA256_HEADER, NEWER_WITHOUT_MD5), (CONTENT_MD5, "")], |_| ()),
            Err(SignatureError::Malformed(CONTENT_MD5))
        );
    }

    #[test]
    fn the_query_may_be_signed_or_not() {
        let query = |message: &mut SignedMessage<'_>| message.query = Some("token=7");
        assert_eq!(checked(&[(SHA256_HEADER, NEWER)], query), Ok(()));
        assert_eq!(checked(&[(SHA256_HEADER, NEWER_WITH_QUERY)], query), Ok(()));
        assert_eq!(checked(&[(SHA256_HEADER, NEWER_WITH_QUERY)], |_| ()), Err(SignatureError::Mismatch));
        assert_eq!(checked_at("/elsewhere", &[(SHA256_HEADER, NEWER)], |_| ()), Err(SignatureError::Mismatch));
    }

    #[test]
    fn the_webhook_id_chooses_the_secret() {
        let with = |secrets: &[Secret]| {
            let (headers, candidates) = (headers(&[(SHA256_HEADER, NEWER)]), candidates("/webhooks/hover"));
            verify(&SignedMessage { secrets, ..message(&headers, &candidates) })
        };
        assert_eq!(with(&[secret(Some("7"), "other"), secret(Some("230293"), "secret")]), Ok(()));
        assert_eq!(
            with(&[secret(Some("7"), "secret"), secret(Some("230293"), "other")]),
            Err(SignatureError::Mismatch)
        );
        assert_eq!(with(&[secret(None, "other"), secret(None, "secret")]), Ok(()));
        assert_eq!(with(&[]), Err(SignatureError::Mismatch));
    }

    #[test]
    fn the_date_counts_only_where_a_leeway_is_set() {
        let late = |leeway| {
            checked(&[(SHA256_HEADER, NEWER)], |message| {
                message.now += TimeDelta::minutes(16);
                message.leeway = leeway;
            })
        };
        assert_eq!(late(None), Ok(()));
        assert_eq!(late(Some(TimeDelta::minutes(17))), Ok(()));
        let sent = DateTime::parse_from_rfc2822(DAY).expect("a date").timestamp_millis();
        let skew = ClockSkew::between(sent + 16 * 60_000, sent, 15 * 60_000);
        assert_eq!(late(Some(TimeDelta::minutes(15))), Err(SignatureError::OutsideTolerance(skew)));
        assert_eq!(skew.to_string(), "960 s behind ours; allowed: 900 s");
    }
}

//! Truto's signature: HMAC-SHA256 over the raw body. Its pages show hexadecimal, code in production reads base64; both are
//! accepted.

use crate::vendor::signature::{
    SignatureError, SignatureScheme, SignedMessage, decode_signature, header_parameters, hmac_sha256,
    verify_hmac_sha256, within_limit,
};

pub const SIGNATURE: SignatureScheme = SignatureScheme {
    description: "`X-Truto-Signature: format=sha256,v=…`, HMAC-SHA256 of the raw body in hexadecimal or base64",
    signs_url: false,
    verify,
    sign,
};

const HEADER: &str = "x-truto-signature";
/// Bytes of an HMAC-SHA256.
const LENGTH: usize = 32;

fn verify(message: &SignedMessage<'_>) -> Result<(), SignatureError> {
    let signatures = parse_header(message.header(HEADER)?).ok_or(SignatureError::Malformed(HEADER))?;
    message.any_secret(|secret| {
        signatures.iter().any(|signature| verify_hmac_sha256(secret.value.as_bytes(), &[message.body], signature))
    })
}

fn sign(message: &SignedMessage<'_>) -> Vec<(&'static str, String)> {
    let signature = hex::encode(hmac_sha256(message.signing_secret(), &[message.body]));
    vec![(HEADER, format!("format=sha256,v={signature}"))]
}

// The bytes of each signature; there are several while Truto rotates its keys. `format` may be absent. Unknown parameters are
// ignored, and a signature that cannot be decoded matches nothing.
fn parse_header(header: &str) -> Option<Vec<Vec<u8>>> {
    let mut signatures = Vec::new();
    for (name, value) in header_parameters(header) {
        match value {
            Some(value) if name.eq_ignore_ascii_case("v") => signatures.extend(decode_signature(value, LENGTH)),
            Some(format) if name.eq_ignore_ascii_case("format") && !format.eq_ignore_ascii_case("sha256") => {
                return None;
            }
            _ => {}
        }
    }
    within_limit(&signatures).then_some(signatures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::Secret;
    use crate::vendor::signature::UrlCandidates;
    use axum::http::{HeaderMap, HeaderValue};
    use chrono::DateTime;

    static CANDIDATES: UrlCandidates = UrlCandidates { paths: Vec::new(), urls: Vec::new() };

    const BODY: &[u8] = br#"{"id":"evt","event":"test","payload":{"foo":"bar"}}"#;
    const HEX: &str = "9ffc3df41f00f39d9384cd961c6bf1722a0522acc435e2efbdace07c5afb5ce5";
    const BASE64: &str = "n/w99B8A852ThM2WHGvxcioFIqzENeLvvazgfFr7XOU=";

    fn checked(headers: &[&str], secrets: &[&str], body: &[u8]) -> Result<(), SignatureError> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(HEADER, HeaderValue::from_str(header).expect("a header"));
        }
        let secrets: Vec<_> = secrets.iter().map(|value| Secret::new(*value)).collect();
        verify(&message(&map, &secrets, body))
    }

    fn message<'a>(headers: &'a HeaderMap, secrets: &'a [Secret], body: &'a [u8]) -> SignedMessage<'a> {
        SignedMessage {
            headers,
            candidates: &CANDIDATES,
            query: None,
            body,
            secrets,
            leeway: None,
            now: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_vectors_fit_in_both_spellings_with_and_without_format() {
        for header in [
            format!("format=sha256,v={HEX}"),
            format!("format=sha256, v={BASE64}"),
            format!("v={HEX}"),
            format!("v={BASE64},format=sha256"),
            format!("v={}", BASE64.trim_end_matches('=')),
            format!("v={}", HEX.to_uppercase()),
            format!("v={HEX},v={BASE64}"),
            format!("format=sha256,v={},v={HEX}", "0".repeat(64)),
        ] {
            assert_eq!(checked(&[&header], &["secret"], BODY), Ok(()), "{header}");
        }
        assert_eq!(checked(&[&format!("v={HEX}")], &["new", "secret"], BODY), Ok(()), "while secrets are rotated");
    }

    #[test]
    fn what_does_not_fit_is_denied() {
        let good = format!("format=sha256,v={HEX}");
        assert_eq!(checked(&[&good], &["other"], BODY), Err(SignatureError::Mismatch));
        assert_eq!(checked(&[&good], &[], BODY), Err(SignatureError::Mismatch));
        assert_eq!(checked(&[&good], &["secret"], b"{}"), Err(SignatureError::Mismatch));
        assert_eq!(
            checked(&[&format!("v={}", HEX.replace('9', "8"))], &["secret"], BODY),
            Err(SignatureError::Mismatch)
        );
        assert_eq!(checked(&["v="], &["secret"], BODY), Err(SignatureError::Mismatch));
        assert_eq!(checked(&[], &["secret"], BODY), Err(SignatureError::Missing(HEADER)));
        assert_eq!(checked(&[&good, &good], &["secret"], BODY), Err(SignatureError::Repeated(HEADER)));
        for header in
            [&format!("format=sha1,v={HEX}"), HEX, "v=?", "", &format!("v={HEX},").repeat(9), &"v=g".repeat(64)]
        {
            assert_eq!(checked(&[header], &["secret"], BODY), Err(SignatureError::Malformed(HEADER)), "{header}");
        }
    }

    #[test]
    fn it_signs_as_the_vendor_prints_it() {
        let secrets = [Secret::new("secret")];
        let signed = sign(&message(&HeaderMap::new(), &secrets, BODY));
        assert_eq!(signed, [(HEADER, format!("format=sha256,v={HEX}"))]);
    }
}

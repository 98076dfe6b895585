//! Truto's signature: HMAC-SHA256 over the raw body. Its pages print it in hexadecimal, code in production reads
//! base64; both are understood.

use crate::vendor::signature::{Denied, Message, Signature, base64_decode, hmac_sha256, is_hmac_sha256};

pub const SIGNATURE: Signature = Signature {
    about: "`X-Truto-Signature: format=sha256,v=…`, HMAC-SHA256 of the raw body in hexadecimal or base64",
    signs_url: false,
    check,
    sign,
};

const HEADER: &str = "x-truto-signature";

fn check(message: &Message<'_>) -> Result<(), Denied> {
    let signature = read(message.header(HEADER)?).ok_or(Denied::Malformed(HEADER))?;
    let fits = |secret: &[u8]| is_hmac_sha256(secret, &[message.body], &signature);
    match message.secrets.iter().any(|secret| fits(secret.value.as_bytes())) {
        true => Ok(()),
        false => Err(Denied::Mismatch),
    }
}

fn sign(message: &Message<'_>) -> Vec<(&'static str, String)> {
    let signature = hex::encode(hmac_sha256(message.signing_secret(), &[message.body]));
    vec![(HEADER, format!("format=sha256,v={signature}"))]
}

// The signature's bytes. `format` may be absent; a part that we do not know says nothing of them.
fn read(header: &str) -> Option<Vec<u8>> {
    let mut values = Vec::new();
    for part in header.split(',').map(str::trim) {
        match part.split_once('=') {
            Some(("v", value)) => values.push(value.trim()),
            Some(("format", format)) if format.trim() != "sha256" => return None,
            _ => {}
        }
    }
    let [value] = values.as_slice() else { return None };
    // 64 characters of base64 would be 48 bytes, so the length tells the two apart.
    match value.len() {
        64 => hex::decode(value).ok(),
        _ => base64_decode(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::Secret;
    use axum::http::{HeaderMap, HeaderValue};
    use chrono::DateTime;

    const BODY: &[u8] = br#"{"id":"evt","event":"test","payload":{"foo":"bar"}}"#;
    const HEX: &str = "9ffc3df41f00f39d9384cd961c6bf1722a0522acc435e2efbdace07c5afb5ce5";
    const BASE64: &str = "n/w99B8A852ThM2WHGvxcioFIqzENeLvvazgfFr7XOU=";

    fn checked(headers: &[&str], secrets: &[&str], body: &[u8]) -> Result<(), Denied> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(HEADER, HeaderValue::from_str(header).expect("a header"));
        }
        let secrets: Vec<_> = secrets.iter().map(|value| Secret { id: None, value: (*value).to_owned() }).collect();
        check(&message(&map, &secrets, body))
    }

    fn message<'a>(headers: &'a HeaderMap, secrets: &'a [Secret], body: &'a [u8]) -> Message<'a> {
        Message {
            headers,
            path: "/webhooks/truto",
            query: None,
            body,
            public_url: "",
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
        ] {
            assert_eq!(checked(&[&header], &["secret"], BODY), Ok(()), "{header}");
        }
        assert_eq!(checked(&[&format!("v={HEX}")], &["new", "secret"], BODY), Ok(()), "while secrets are rotated");
    }

    #[test]
    fn what_does_not_fit_is_denied() {
        let good = format!("format=sha256,v={HEX}");
        assert_eq!(checked(&[&good], &["other"], BODY), Err(Denied::Mismatch));
        assert_eq!(checked(&[&good], &[], BODY), Err(Denied::Mismatch));
        assert_eq!(checked(&[&good], &["secret"], b"{}"), Err(Denied::Mismatch));
        assert_eq!(checked(&[&format!("v={}", HEX.replace('9', "8"))], &["secret"], BODY), Err(Denied::Mismatch));
        assert_eq!(checked(&["v="], &["secret"], BODY), Err(Denied::Mismatch));
        assert_eq!(checked(&[], &["secret"], BODY), Err(Denied::Missing(HEADER)));
        assert_eq!(checked(&[&good, &good], &["secret"], BODY), Err(Denied::Repeated(HEADER)));
        for header in [&format!("format=sha1,v={HEX}"), HEX, "v=?", "", &format!("v={HEX},v={HEX}"), &"v=g".repeat(64)]
        {
            assert_eq!(checked(&[header], &["secret"], BODY), Err(Denied::Malformed(HEADER)), "{header}");
        }
    }

    #[test]
    fn it_signs_as_the_vendor_prints_it() {
        let secrets = [Secret { id: None, value: "secret".to_owned() }];
        let signed = sign(&message(&HeaderMap::new(), &secrets, BODY));
        assert_eq!(signed, [(HEADER, format!("format=sha256,v={HEX}"))]);
    }
}

//! How Truepic signs: `truepic-signature: t=<unix seconds>,s=<base64>`, an HMAC-SHA256 over the URL as it is registered
//! with Truepic, the time `t` and the raw body, joined by commas. Truepic Lens signs the same way.
//!
//! Page: <https://vision.truepic.dev/docs/webhook-setup>; Truepic's own: <https://github.com/TRUEPIC/webhook-verifier-nodejs>.

use crate::vendor::signature::{
    SignatureError, SignatureScheme, SignedMessage, base64_encode, decode_signature, header_parameters, hmac_sha256,
    verify_hmac_sha256, within_limit,
};
use chrono::TimeDelta;

pub const SIGNATURE: SignatureScheme = SignatureScheme {
    description: "`truepic-signature: t=…,s=…`: base64 HMAC-SHA256 of the registered URL, `t` and the body, joined by commas",
    signs_url: true,
    verify,
    sign,
};

const HEADER: &str = "truepic-signature";
/// Bytes of an HMAC-SHA256.
const LENGTH: usize = 32;
/// The tolerance of Truepic's own verifier.
const LEEWAY: TimeDelta = TimeDelta::minutes(5);

fn verify(message: &SignedMessage<'_>) -> Result<(), SignatureError> {
    let (time, signatures) = parse_header(message.header(HEADER)?).ok_or(SignatureError::Malformed(HEADER))?;
    let sent = time.parse::<i64>().map_err(|_| SignatureError::Malformed(HEADER))?.saturating_mul(1000);
    message.check_timestamp(sent, message.leeway.unwrap_or(LEEWAY))?;
    let signed: Vec<_> = message.candidates.urls.iter().map(|url| signed_parts(message, url, time)).collect();
    message.any_secret(|secret| {
        let fits = |parts, signature| verify_hmac_sha256(secret.value.as_bytes(), parts, signature);
        signed.iter().any(|parts| signatures.iter().any(|signature| fits(parts, signature)))
    })
}

fn sign(message: &SignedMessage<'_>) -> Vec<(&'static str, String)> {
    let time = message.now.timestamp().to_string();
    let url = message.candidates.urls.first().map_or("", String::as_str);
    let signed = signed_parts(message, url, &time);
    let signature = base64_encode(&hmac_sha256(message.signing_secret(), &signed));
    vec![(HEADER, format!("t={time},s={signature}"))]
}

fn signed_parts<'a>(message: &SignedMessage<'a>, url: &'a str, time: &'a str) -> [&'a [u8]; 5] {
    [url.as_bytes(), b",", time.as_bytes(), b",", message.body]
}

// The time, then at least one signature, and nothing else. Truepic's own verifier takes the first part as the time and the
// second as the signature. With a second time it would be open which one was signed.
fn parse_header(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let mut parts = header_parameters(header);
    let time = parts.next().filter(|(name, _)| name.eq_ignore_ascii_case("t"))?.1?;
    let whole = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
    let mut signatures = Vec::new();
    for (name, value) in parts {
        let value = value.filter(|value| name.eq_ignore_ascii_case("s") && !value.is_empty())?;
        // A signature that cannot be decoded matches nothing.
        signatures.extend(decode_signature(value, LENGTH));
    }
    (whole && within_limit(&signatures)).then_some((time, signatures))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::Secret;
    use crate::vendor::signature::{ClockSkew, UrlCandidates};
    use axum::http::{HeaderMap, HeaderValue};
    use chrono::{DateTime, Utc};

    // Computed without this code; see also `tests/samples/truepic/untimed-status-ready-for-review.json`.
    const URL: &str = "https://example.test/webhooks/truepic";
    const BODY: &[u8] = br#"{"action":"ACTION_STATUS_READY_FOR_REVIEW","inspection_id":1843}"#;
    const SIGNED: &str = "t=1700000000,s=g4FRCJIJlKIoWZU0R2xVWT/M+DU3each0J0x24rKQ0M=";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    fn secrets(values: &[&str]) -> Vec<Secret> {
        values.iter().map(|value| Secret::new(*value)).collect()
    }

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (HEADER.parse().expect("a name"), HeaderValue::from_str(v).expect("text"))).collect()
    }

    fn candidates(url: &str) -> UrlCandidates {
        UrlCandidates { urls: vec![url.to_owned()], ..UrlCandidates::default() }
    }

    fn checked(values: &[&str], change: impl FnOnce(&mut SignedMessage<'_>)) -> Result<(), SignatureError> {
        checked_at(URL, values, change)
    }

    fn checked_at(
        url: &str,
        values: &[&str],
        change: impl FnOnce(&mut SignedMessage<'_>),
    ) -> Result<(), SignatureError> {
        let (headers, secrets, candidates) = (headers(values), secrets(&["secret"]), candidates(url));
        let mut message = SignedMessage {
            headers: &headers,
            candidates: &candidates,
            query: None,
            body: BODY,
            secrets: &secrets,
            leeway: None,
            now: at(1_700_000_000),
        };
        change(&mut message);
        verify(&message)
    }

    #[test]
    fn the_vector_fits_with_and_without_padding() {
        assert_eq!(checked(&[SIGNED], |_| {}), Ok(()));
        assert_eq!(checked(&[SIGNED.trim_end_matches('=')], |_| {}), Ok(()));
    }

    #[test]
    fn either_of_two_secrets_fits() {
        let both = secrets(&["new", "secret"]);
        let neither = secrets(&["new", "newer"]);
        let (two, none) = (headers(&[SIGNED]), headers(&[SIGNED]));
        let candidates = candidates(URL);
        let message = |headers, secrets| SignedMessage {
            headers,
            candidates: &candidates,
            query: None,
            body: BODY,
            secrets,
            leeway: None,
            now: at(1_700_000_000),
        };
        assert_eq!(verify(&message(&two, &both)), Ok(()));
        assert_eq!(verify(&message(&none, &neither)), Err(SignatureError::Mismatch));
        assert_eq!(verify(&message(&none, &[])), Err(SignatureError::Mismatch));
    }

    #[test]
    fn what_we_sign_fits() {
        let (none, secrets) = (HeaderMap::new(), secrets(&["first", "second"]));
        let candidates = candidates("https://hub.example/webhooks/t?x=1");
        let message = SignedMessage {
            headers: &none,
            candidates: &candidates,
            query: None,
            body: b"\xff any bytes",
            secrets: &secrets,
            leeway: None,
            now: at(1_800_000_000),
        };
        let signed = sign(&message);
        let signed: HeaderMap = signed
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_str(value).expect("text")))
            .collect();
        assert_eq!(verify(&SignedMessage { headers: &signed, ..message }), Ok(()));
    }

    #[test]
    fn any_change_of_what_is_signed_is_denied() {
        let elsewhere = "http://example.test/webhooks/truepic";
        assert_eq!(checked_at(elsewhere, &[SIGNED], |_| {}), Err(SignatureError::Mismatch));
        assert_eq!(checked(&[SIGNED], |m| m.body = b"{}"), Err(SignatureError::Mismatch));
        assert_eq!(checked(&[&SIGNED.replace("t=17", "t=017")], |_| {}), Err(SignatureError::Mismatch));
        assert_eq!(checked(&[&SIGNED.replace("00000,", "00001,")], |_| {}), Err(SignatureError::Mismatch));
        assert_eq!(checked(&[&SIGNED.replace("s=g4", "s=h4")], |_| {}), Err(SignatureError::Mismatch));
        assert_eq!(checked(&["t=1700000000,s=g4FR"], |_| {}), Err(SignatureError::Mismatch));
    }

    #[test]
    fn the_time_may_be_five_minutes_away_unless_set_otherwise() {
        let away = |now: i64| {
            Err(SignatureError::OutsideTolerance(ClockSkew::between(now * 1000, 1_700_000_000_000, 300_000)))
        };
        for (now, verdict) in [
            (1_700_000_300, Ok(())),
            (1_699_999_700, Ok(())),
            (1_700_000_301, away(1_700_000_301)),
            (1_699_999_699, away(1_699_999_699)),
        ] {
            assert_eq!(checked(&[SIGNED], |m| m.now = at(now)), verdict, "{now}");
        }
        let hour = Some(TimeDelta::hours(1));
        assert_eq!(checked(&[SIGNED], |m| (m.now, m.leeway) = (at(1_700_003_600), hour)), Ok(()));
        let away = |time: &str| checked(&[&format!("t={time},s=g4FR")], |_| {}).expect_err("too far away").to_string();
        assert_eq!(away("1699999600"), "the signature's time is 400 s behind ours; allowed: 300 s");
        assert_eq!(away("1700000301"), "the signature's time is 301 s ahead of ours; allowed: 300 s");
        assert!(
            away("1700000000000").ends_with("allowed: 300 s; it has thirteen digits: send seconds, not milliseconds")
        );
        assert!(away("9223372036854775807").contains("ahead of ours"));
    }

    #[test]
    fn other_forms_of_the_header_are_denied() {
        let malformed = Err(SignatureError::Malformed(HEADER));
        for header in [
            "",
            "bad",
            "t=1700000000",
            "t=,s=g4FR",
            "t=-1700000000,s=g4FR",
            "t=1e9,s=g4FR",
            "t=92233720368547758070,s=g4FR",
            "t=1700000000,s=",
            "t=1700000000,s=?",
            "s=g4FR,t=1700000000",
            &format!("{SIGNED},v=1"),
            &format!("{SIGNED},"),
            &format!("{SIGNED},{SIGNED}"),
            &format!("{SIGNED}{}", ",s=g4FR".repeat(8)),
        ] {
            assert_eq!(checked(&[header], |_| {}), malformed, "{header:?}");
        }
        assert_eq!(checked(&[], |_| {}), Err(SignatureError::Missing(HEADER)));
        assert_eq!(checked(&[SIGNED, SIGNED], |_| {}), Err(SignatureError::Repeated(HEADER)));
    }
}

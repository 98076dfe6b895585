//! How Truepic signs: `truepic-signature: t=<unix seconds>,s=<base64>`, an HMAC-SHA256 over the URL as it is registered
//! with Truepic, the time `t` and the raw body, joined by commas. Truepic Lens signs the same way.
//!
//! Page: <https://vision.truepic.dev/docs/webhook-setup>; Truepic's own: <https://github.com/TRUEPIC/webhook-verifier-nodejs>.

use crate::vendor::signature::{Denied, Message, Signature, base64_decode, base64_encode, hmac_sha256, is_hmac_sha256};
use chrono::TimeDelta;

pub const SIGNATURE: Signature = Signature {
    about: "`truepic-signature: t=…,s=…`: base64 HMAC-SHA256 of the registered URL, `t` and the body, joined by commas",
    signs_url: true,
    check,
    sign,
};

const HEADER: &str = "truepic-signature";
/// What Truepic's own verifier allows.
const LEEWAY: TimeDelta = TimeDelta::minutes(5);

fn check(message: &Message<'_>) -> Result<(), Denied> {
    let header = message.header(HEADER)?;
    let (time, signature) = parse(header).ok_or(Denied::Malformed(HEADER))?;
    let sent = time.parse::<i64>().map_err(|_| Denied::Malformed(HEADER))?.saturating_mul(1000);
    let away = message.now.timestamp_millis().saturating_sub(sent).saturating_abs();
    if away > message.leeway.unwrap_or(LEEWAY).num_milliseconds() {
        return Err(Denied::TooOld);
    }
    let signature = base64_decode(signature).ok_or(Denied::Malformed(HEADER))?;
    let parts = signed(message, time);
    let fits = message.secrets.iter().any(|secret| is_hmac_sha256(secret.value.as_bytes(), &parts, &signature));
    if fits { Ok(()) } else { Err(Denied::Mismatch) }
}

fn sign(message: &Message<'_>) -> Vec<(&'static str, String)> {
    let time = message.now.timestamp().to_string();
    let signature = base64_encode(&hmac_sha256(message.signing_secret(), &signed(message, &time)));
    vec![(HEADER, format!("t={time},s={signature}"))]
}

fn signed<'a>(message: &Message<'a>, time: &'a str) -> [&'a [u8]; 5] {
    [message.public_url.as_bytes(), b",", time.as_bytes(), b",", message.body]
}

// Exactly two parts; the signature may end with `=`, its padding.
fn parse(header: &str) -> Option<(&str, &str)> {
    let (time, signature) = header.split_once(',')?;
    let (time, signature) = (time.strip_prefix("t=")?, signature.strip_prefix("s=")?);
    let whole = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
    (whole && !signature.is_empty() && !signature.contains(',')).then_some((time, signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::Secret;
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
        values.iter().map(|value| Secret { id: None, value: (*value).to_owned() }).collect()
    }

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (HEADER.parse().expect("a name"), HeaderValue::from_str(v).expect("text"))).collect()
    }

    fn checked(values: &[&str], change: impl FnOnce(&mut Message<'_>)) -> Result<(), Denied> {
        let (headers, secrets) = (headers(values), secrets(&["secret"]));
        let mut message = Message {
            headers: &headers,
            path: "/webhooks/truepic",
            query: None,
            body: BODY,
            public_url: URL,
            secrets: &secrets,
            leeway: None,
            now: at(1_700_000_000),
        };
        change(&mut message);
        check(&message)
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
        let message = |headers, secrets| Message {
            headers,
            path: "",
            query: None,
            body: BODY,
            public_url: URL,
            secrets,
            leeway: None,
            now: at(1_700_000_000),
        };
        assert_eq!(check(&message(&two, &both)), Ok(()));
        assert_eq!(check(&message(&none, &neither)), Err(Denied::Mismatch));
        assert_eq!(check(&message(&none, &[])), Err(Denied::Mismatch));
    }

    #[test]
    fn what_we_sign_fits() {
        let (none, secrets) = (HeaderMap::new(), secrets(&["first", "second"]));
        let message = Message {
            headers: &none,
            path: "",
            query: None,
            body: b"\xff any bytes",
            public_url: "https://hub.example/webhooks/t?x=1",
            secrets: &secrets,
            leeway: None,
            now: at(1_800_000_000),
        };
        let signed = sign(&message);
        let signed: HeaderMap = signed
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_str(value).expect("text")))
            .collect();
        assert_eq!(check(&Message { headers: &signed, ..message }), Ok(()));
    }

    #[test]
    fn any_change_of_what_is_signed_is_denied() {
        assert_eq!(
            checked(&[SIGNED], |m| m.public_url = "http://example.test/webhooks/truepic"),
            Err(Denied::Mismatch)
        );
        assert_eq!(checked(&[SIGNED], |m| m.body = b"{}"), Err(Denied::Mismatch));
        assert_eq!(checked(&[&SIGNED.replace("t=17", "t=017")], |_| {}), Err(Denied::Mismatch));
        assert_eq!(checked(&[&SIGNED.replace("00000,", "00001,")], |_| {}), Err(Denied::Mismatch));
        assert_eq!(checked(&[&SIGNED.replace("s=g4", "s=h4")], |_| {}), Err(Denied::Mismatch));
        assert_eq!(checked(&["t=1700000000,s=g4FR"], |_| {}), Err(Denied::Mismatch));
    }

    #[test]
    fn the_time_may_be_five_minutes_away_unless_set_otherwise() {
        for (now, verdict) in [
            (1_700_000_300, Ok(())),
            (1_699_999_700, Ok(())),
            (1_700_000_301, Err(Denied::TooOld)),
            (1_699_999_699, Err(Denied::TooOld)),
        ] {
            assert_eq!(checked(&[SIGNED], |m| m.now = at(now)), verdict, "{now}");
        }
        let hour = Some(TimeDelta::hours(1));
        assert_eq!(checked(&[SIGNED], |m| (m.now, m.leeway) = (at(1_700_003_600), hour)), Ok(()));
        assert_eq!(checked(&["t=9223372036854775807,s=g4FR"], |_| {}), Err(Denied::TooOld));
    }

    #[test]
    fn other_forms_of_the_header_are_denied() {
        let malformed = Err(Denied::Malformed(HEADER));
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
        ] {
            assert_eq!(checked(&[header], |_| {}), malformed, "{header:?}");
        }
        assert_eq!(checked(&[], |_| {}), Err(Denied::Missing(HEADER)));
        assert_eq!(checked(&[SIGNED, SIGNED], |_| {}), Err(Denied::Repeated(HEADER)));
    }
}

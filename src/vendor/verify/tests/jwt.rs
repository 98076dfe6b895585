//! Tokens from RFC 7515 and from jwt.io, and tokens that are put together here without the library.

use super::super::{CredentialLocation, Jwt, JwtKeys, RsaKey, RsaKeyError, SignError, VerificationFailure};
use super::{headers, now, request, two};
use crate::vendor::signature::hmac_sha256;
use axum::http::HeaderName;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

/// The key of RFC 7515, appendix A.2, as PEM.
const RFC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj
NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz
P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo
9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB
EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX
FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp
oQIDAQAB
-----END PUBLIC KEY-----
";

/// The token there: from joe, until 2011-03-22T18:43:00Z.
const RFC_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9p\
    c19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbd\
    s9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d\
    O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlU\
    PQGe77Rw";

/// The token that jwt.io opened with for years: it never expires. Its secret is `your-256-bit-secret`.
const JWT_IO: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2M\
    jM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";

pub fn expecting(header: &'static str) -> Jwt {
    Jwt {
        keys: JwtKeys::Hs256(two()),
        header: HeaderName::from_static(header),
        issuer: Some("pave".into()),
        audience: Some("hub".into()),
        leeway: TimeDelta::seconds(60),
    }
}

fn rfc() -> Jwt {
    Jwt {
        keys: JwtKeys::Rs256(vec![RsaKey::from_pem(RFC_KEY).unwrap()]),
        issuer: Some("joe".into()),
        audience: None,
        ..expecting("authorization")
    }
}

/// A token made of these parts, signed by HMAC-SHA256 whatever it says.
fn token(header: &Value, claims: &str, secret: &str) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.as_bytes()));
    let signature = encode(&hmac_sha256(secret.as_bytes(), &[signed.as_bytes()]));
    format!("{signed}.{signature}")
}

fn hs256(claims: &Value) -> String {
    token(&json!({"alg": "HS256"}), &claims.to_string(), "old")
}

fn good() -> Value {
    json!({"iss": "pave", "aud": "hub", "exp": now().timestamp() + 10, "nbf": now().timestamp()})
}

/// The good claims with one of them changed, or left out if null.
fn but(key: &str, value: Value) -> String {
    let mut claims = good();
    claims[key] = value;
    hs256(&claims)
}

fn judge(jwt: &Jwt, value: &str) -> Result<(), VerificationFailure> {
    jwt.verify(&request(&headers(&[("authorization", value)]), None))
}

fn judged(value: &str) -> Result<(), VerificationFailure> {
    judge(&expecting("authorization"), value)
}

fn malformed() -> VerificationFailure {
    VerificationFailure::Malformed(CredentialLocation::Header(HeaderName::from_static("authorization")))
}

#[test]
fn a_good_token_passes_with_and_without_bearer() {
    assert_eq!(judged(&hs256(&good())), Ok(()));
    assert_eq!(judged(&format!("bearer {}", hs256(&good()))), Ok(()));
    assert_eq!(judged(&token(&json!({"alg": "HS256"}), &good().to_string(), "new")), Ok(()), "the other secret");
    assert_eq!(
        judged(&token(&json!({"alg": "HS256"}), &good().to_string(), "other")),
        Err(VerificationFailure::Mismatch)
    );
}

#[test]
fn times_have_their_leeway() {
    let at = |seconds: i64| json!(now().timestamp() + seconds);
    assert_eq!(judged(&but("exp", at(-59))), Ok(()));
    let why = |token: &String| judged(token).expect_err("out of time").to_string();
    assert_eq!(why(&but("exp", at(-60))), "the token has expired: its time is 60 s behind ours; allowed: 60 s");
    assert!(why(&but("exp", json!(-1e300))).starts_with("the token has expired"));
    assert_eq!(judged(&but("exp", json!(1e300))), Ok(()));
    assert_eq!(judged(&but("exp", json!(i64::MAX))), Ok(()));
    assert_eq!(judged(&but("exp", Value::Null)), Err(VerificationFailure::MissingExpiry));
    assert_eq!(judged(&but("exp", json!("tomorrow"))), Err(malformed()));
    assert_eq!(judged(&but("nbf", at(60))), Ok(()));
    assert_eq!(why(&but("nbf", at(61))), "the token is not valid yet: its time is 61 s ahead of ours; allowed: 60 s");
    let milliseconds = json!(now().timestamp_millis());
    assert!(why(&but("nbf", milliseconds)).ends_with("it has thirteen digits: send seconds, not milliseconds"));
    assert_eq!(judged(&but("nbf", Value::Null)), Ok(()));
}

#[test]
fn issuer_and_audience_must_be_ours() {
    assert_eq!(judged(&but("iss", json!("evap"))), Err(VerificationFailure::WrongIssuer));
    assert_eq!(judged(&but("iss", Value::Null)), Err(VerificationFailure::WrongIssuer));
    assert_eq!(judged(&but("aud", json!("other"))), Err(VerificationFailure::WrongAudience));
    assert_eq!(judged(&but("aud", json!(["other"]))), Err(VerificationFailure::WrongAudience));
    assert_eq!(judged(&but("aud", json!(["other", "hub"]))), Ok(()));
    assert_eq!(judged(&but("aud", Value::Null)), Err(VerificationFailure::WrongAudience));
    let for_anybody = Jwt { audience: None, issuer: None, ..expecting("authorization") };
    assert_eq!(judge(&for_anybody, &but("aud", Value::Null)), Ok(()));
    assert_eq!(judge(&for_anybody, &but("aud", json!("other"))), Err(VerificationFailure::WrongAudience));
}

#[test]
fn the_token_does_not_choose_the_algorithm() {
    let claims = json!({"iss": "joe", "exp": now().timestamp() + 10}).to_string();
    // The public key as the secret of an HMAC.
    let confused = token(&json!({"alg": "HS256"}), &claims, RFC_KEY);
    assert_eq!(judge(&rfc(), &confused), Err(VerificationFailure::WrongAlgorithm));
    assert_eq!(judge(&rfc(), &token(&json!({"alg": "RS256"}), &claims, RFC_KEY)), Err(VerificationFailure::Mismatch));
    assert_eq!(judged(RFC_TOKEN), Err(VerificationFailure::WrongAlgorithm));
    assert_eq!(
        judged(&token(&json!({"alg": "HS512"}), &good().to_string(), "new")),
        Err(VerificationFailure::WrongAlgorithm)
    );
    for none in ["none", "None", "nOnE"] {
        let signed = token(&json!({"alg": none}), &good().to_string(), "new");
        assert_eq!(judged(&signed), Err(malformed()));
        let unsigned = format!("{}.", signed.rsplit_once('.').unwrap().0);
        assert_eq!(judged(&unsigned), Err(malformed()));
    }
}

#[test]
fn what_cannot_be_understood_is_refused() {
    for value in ["", "Bearer", "Bearer ", "a.b", "a.b.c", "a.b.c.d", "Basic cGF2ZTpuZXc="] {
        assert_eq!(judged(value), Err(malformed()), "{value}");
    }
    let critical = json!({"alg": "HS256", "crit": ["b64"]});
    assert_eq!(judged(&token(&critical, &good().to_string(), "new")), Err(malformed()));
    let twice = format!(r#"{{"exp":1,"iss":"pave","aud":"hub","exp":{}}}"#, i64::MAX);
    assert_eq!(judged(&token(&json!({"alg": "HS256"}), &twice, "new")), Err(malformed()));
}

#[test]
fn tokens_of_others_are_read() {
    let then = DateTime::from_timestamp(1_300_819_000, 0).unwrap();
    let headers = headers(&[("authorization", RFC_TOKEN)]);
    let back_then = super::WebhookRequest { now: then, ..request(&headers, None) };
    assert_eq!(rfc().verify(&back_then), Ok(()));
    assert!(matches!(judge(&rfc(), RFC_TOKEN), Err(VerificationFailure::Expired(_))));
    let jwt_io = Jwt {
        keys: JwtKeys::Hs256(vec![super::secret("your-256-bit-secret")]),
        issuer: None,
        audience: None,
        ..expecting("authorization")
    };
    assert_eq!(judge(&jwt_io, JWT_IO), Err(VerificationFailure::MissingExpiry));
    assert_eq!(judge(&jwt_io, &JWT_IO.replace("SflK", "SflL")), Err(VerificationFailure::Mismatch));
}

#[test]
fn only_public_rsa_keys_are_keys() {
    assert_eq!(RsaKey::from_pem("-----BEGIN PRIVATE KEY-----\n").unwrap_err(), RsaKeyError::Private);
    assert_eq!(RsaKey::from_pem("a secret").unwrap_err(), RsaKeyError::NotPublicRsa);
    assert_eq!(RsaKey::from_pem(&RFC_KEY.replace("MIIB", "AAAA")).unwrap_err(), RsaKeyError::NotPublicRsa);
}

#[test]
fn rs256_cannot_be_signed_without_the_private_key() {
    assert_eq!(rfc().mint(now()), Err(SignError::PrivateKey));
}

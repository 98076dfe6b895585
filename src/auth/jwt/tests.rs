//! Tokens that are signed here, with keys that are made here.

use super::*;
use crate::access::{ClaimGrant, KeySetSource, Scopes, View};
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "hub";
const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
/// Two pairs of keys for Ed25519 (RFC 8410): the private key in DER, the public one in base64url.
const PAIRS: [(&str, &str); 2] = [
    (
        "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    ),
    (
        "302e020100300506032b6570042204204ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
    ),
];

fn now() -> DateTime<Utc> {
    NOW
}

fn public_key(pair: usize, id: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": id, "x": PAIRS[pair].1 })
}

fn sign(pair: usize, id: Option<&str>, claims: &Value) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
    let key = EncodingKey::from_ed_der(&hex::decode(PAIRS[pair].0).expect("a key"));
    jsonwebtoken::encode(&header, claims, &key).expect("a token")
}

/// Claims that are accepted, with some replaced.
fn claims(other: Value) -> Value {
    let mut claims =
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW.timestamp() + 600, "groups": ["readers"] });
    for (name, value) in other.as_object().expect("claims") {
        match value {
            Value::Null => _ = claims.as_object_mut().expect("claims").remove(name),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn grant(claim: &str, value: &str, scopes: &str, sources: Option<&[&str]>) -> ClaimGrant {
    let sources = sources.map(|sources| sources.iter().map(|source| (*source).to_owned()).collect());
    let view = View::new(scopes.parse().expect("scopes"), sources);
    ClaimGrant { claim: claim.to_owned(), value: value.to_owned(), view }
}

/// Issuers that have read their keys.
fn issuers() -> Arc<TokenIssuers> {
    let issuer = TokenIssuer {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        key_set: KeySetSource::File("unused".into()),
        algorithms: vec![Algorithm::EdDSA],
        grants: vec![
            grant("groups", "readers", "read", None),
            grant("groups", "lot", "read operate", Some(&["lot"])),
            grant("scope", "hub:admin", "admin", None),
            grant("realm_access.roles", "eraser", "erase", None),
        ],
    };
    let issuers = TokenIssuers::new(vec![issuer], now);
    issuers.replace_keys(json!({ "keys": [public_key(0, "one")] }));
    issuers
}

impl TokenIssuers {
    fn replace_keys(&self, set: Value) {
        self.issuers[0].keys.replace(key_set::KeySet::parse(set.to_string().as_bytes()).expect("a key set"));
    }

    fn scopes(&self, token: &str) -> Result<Scopes, TokenRefused> {
        self.authenticate(token, None).map(|principal| principal.view.scopes())
    }
}

fn scopes(names: &str) -> Scopes {
    names.parse().expect("scopes")
}

#[test]
fn claims_allow_what_the_settings_say() {
    let issuers = issuers();
    for (other, expected, sources) in [
        (json!({}), "read", None),
        (json!({ "aud": ["other", AUDIENCE] }), "read", None),
        (json!({ "groups": "readers" }), "read", None),
        (json!({ "groups": ["lot"] }), "read operate", Some(vec!["lot".to_owned()])),
        (json!({ "groups": ["lot", "readers"] }), "read", None),
        (json!({ "groups": [], "scope": "openid hub:admin" }), "admin", None),
        (json!({ "groups": null, "realm_access": { "roles": ["eraser", 7] } }), "erase", None),
        // Valid, but without any right.
        (json!({ "groups": ["reader", "READERS", 1, null] }), "", Some(vec![])),
        (json!({ "groups": { "readers": true } }), "", Some(vec![])),
        (json!({ "nbf": NOW.timestamp() + 30, "exp": NOW.timestamp() - 30 }), "read", None),
        (json!({ "exp": NOW.timestamp() as f64 + 0.5 }), "read", None),
    ] {
        let principal = issuers.authenticate(&sign(0, Some("one"), &claims(other.clone())), None).expect("accepted");
        assert_eq!(principal.view, View::new(scopes(expected), sources), "{other}");
        assert_eq!(&*principal.subject, "https://login.example#ada");
    }
    assert_eq!(issuers.scopes(&sign(0, None, &claims(json!({})))), Ok(scopes("read")), "without a key's name");
}

#[test]
fn other_tokens_are_refused() {
    let issuers = issuers();
    let of = |other: Value| sign(0, Some("one"), &claims(other));
    let valid = of(json!({}));
    let [header, payload, signature] = valid.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let none = {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#)
    };
    // Signed with the public key as a symmetric secret.
    let confused = {
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims(json!({})), &EncodingKey::from_secret(PAIRS[0].1.as_bytes()))
            .expect("a token")
    };
    let mut flipped = signature.to_owned();
    flipped.replace_range(0..1, if signature.starts_with('A') { "B" } else { "A" });
    for token in [
        of(json!({ "iss": "https://login.example/" })),
        of(json!({ "iss": null })),
        of(json!({ "aud": "other" })),
        of(json!({ "aud": null })),
        of(json!({ "aud": [] })),
        of(json!({ "sub": null })),
        of(json!({ "sub": "" })),
        of(json!({ "sub": 7 })),
        of(json!({ "sub": "a\nb" })),
        of(json!({ "sub": "x".repeat(300) })),
        of(json!({ "exp": null })),
        of(json!({ "exp": NOW.timestamp() - 61 })),
        of(json!({ "exp": "tomorrow" })),
        of(json!({ "exp": 1e300 })),
        of(json!({ "nbf": NOW.timestamp() + 61 })),
        of(json!({ "nbf": "yesterday" })),
        of(json!({ "long": "x".repeat(20_000) })),
        // Another key under the name of the first.
        sign(1, Some("one"), &claims(json!({}))),
        sign(1, None, &claims(json!({}))),
        confused,
        format!("{none}.{payload}."),
        format!("{header}.{payload}.{flipped}"),
        format!("{header}.{payload}"),
        format!("{header}.{payload}.{signature}.x"),
        format!("{valid} "),
        String::new(),
        "..".to_owned(),
        "ihub_0123456789ab_00".to_owned(),
    ] {
        assert_eq!(issuers.scopes(&token), Err(TokenRefused::Invalid), "{token}");
    }
    assert_eq!(issuers.scopes(&valid), Ok(scopes("read")));
}

#[test]
fn an_unknown_key_is_named_and_keys_are_replaced() {
    let issuers = issuers();
    let (old, new) = (sign(0, Some("one"), &claims(json!({}))), sign(1, Some("two"), &claims(json!({}))));
    assert_eq!(issuers.scopes(&new), Err(TokenRefused::UnknownKey(0)));
    issuers.replace_keys(json!({ "keys": [public_key(0, "one"), public_key(1, "two")] }));
    assert_eq!((issuers.scopes(&old), issuers.scopes(&new)), (Ok(scopes("read")), Ok(scopes("read"))));
    // A token that was verified with a key that is gone is not remembered.
    issuers.replace_keys(json!({ "keys": [public_key(1, "two")] }));
    assert_eq!(issuers.scopes(&old), Err(TokenRefused::UnknownKey(0)));
}

#[test]
fn a_set_may_have_keys_that_sign_nothing() {
    let rsa = json!({ "kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "enc", "n": "AQAB", "e": "AQAB" });
    let secret = json!({ "kty": "oct", "kid": "oct", "k": "c2VjcmV0" });
    let unknown = json!({ "kty": "LATTICE", "kid": "new" });
    let all = [rsa, secret, unknown, json!(7), public_key(0, "one")];
    let issuers = issuers();
    issuers.replace_keys(json!({ "keys": all }));
    assert_eq!(issuers.scopes(&sign(0, Some("one"), &claims(json!({})))), Ok(scopes("read")));
    for set in [json!({ "keys": all[..4] }), json!({ "keys": [] }), json!({ "keys": 1 }), json!([]), json!("keys")] {
        assert!(key_set::KeySet::parse(set.to_string().as_bytes()).is_err(), "{set}");
    }
    assert!(key_set::KeySet::parse(b"<html>").is_err());
}

#[test]
fn a_verified_token_is_the_same_principal_until_it_ends() {
    let issuers = issuers();
    let token = sign(0, Some("one"), &claims(json!({ "exp": NOW.timestamp() - 59 })));
    let (one, two) =
        (issuers.authenticate(&token, None).expect("valid"), issuers.authenticate(&token, None).expect("valid"));
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(one.expires_at, Some(NOW + TimeDelta::seconds(1)));
    issuers.end_expired();
    assert!(!one.ended.is_cancelled());
    let mut expiring = lock(&issuers.expiring);
    expiring.push(Reverse(Expiring { at: NOW, ended: one.ended.clone() }));
    drop(expiring);
    issuers.end_expired();
    assert!(one.ended.is_cancelled());
}

#[test]
fn a_client_with_many_invalid_tokens_waits_and_its_valid_ones_do_not() {
    let issuers = issuers();
    let client = Some(ClientNetwork::new([192, 0, 2, 1].into()));
    let token = |number: i32| sign(0, Some("one"), &claims(json!({ "jti": number })));
    let known = token(0);
    assert!(issuers.authenticate(&known, client).is_ok());
    let refused = (0..40).map(|number| issuers.authenticate(&format!("{}x", token(number)), client));
    let waits = refused.filter(|refused| matches!(refused, Err(TokenRefused::TooManyFailures(1..=3)))).count();
    assert!(waits > 5, "{waits}");
    assert!(issuers.authenticate(&known, client).is_ok());
    assert!(matches!(issuers.authenticate(&token(1), client), Err(TokenRefused::TooManyFailures(_))));
    let other = Some(ClientNetwork::new([192, 0, 2, 2].into()));
    assert!(issuers.authenticate(&token(1), other).is_ok());
}

mod jwt;
mod spelling;
mod would_fit;

use super::*;
use crate::vendor::signature::{base64_encode, hmac_sha256, verify_hmac_sha256};
use axum::http::HeaderValue;

/// A made-up vendor's scheme that covers everything a vendor may sign.
const SIGNATURE: SignatureScheme = SignatureScheme {
    description: "The public URL, path, query and body, in base64.",
    signs_url: true,
    verify: |message| {
        let given = crate::vendor::signature::base64_decode(message.header("x-made-up-signature")?)
            .ok_or(SignatureError::Malformed("x-made-up-signature"))?;
        let mut secrets = message.secrets.iter();
        let fits = secrets.any(|secret| verify_hmac_sha256(secret.value.as_bytes(), &[&signed(message)], &given));
        if fits { Ok(()) } else { Err(SignatureError::Mismatch) }
    },
    sign: |message| {
        let signature = hmac_sha256(message.signing_secret(), &[&signed(message)]);
        vec![("x-made-up-signature", base64_encode(&signature))]
    },
};

fn signed(message: &SignedMessage<'_>) -> Vec<u8> {
    let query = message.query.unwrap_or_default();
    let first = |candidates: &[String]| candidates.first().cloned().unwrap_or_default();
    let (url, path) = (first(&message.candidates.urls), first(&message.candidates.paths));
    [url.as_bytes(), path.as_bytes(), query.as_bytes(), message.body].join(&b'\n')
}

const BODY: &[u8] = br#"{"event":"SESSION:NOTE_INSERT"}"#;

pub fn secret(value: &str) -> Secret {
    Secret::new(value)
}

pub fn two() -> Vec<Secret> {
    vec![secret("new"), secret("old")]
}

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

pub fn request<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> WebhookRequest<'a> {
    WebhookRequest { headers, path: "/webhooks/pave", query, body: BODY, now: now() }
}

pub fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

/// How the only scheme judges these headers and this query.
fn judge(scheme: &Scheme, pairs: &[(&'static str, &str)], query: Option<&str>) -> Result<(), VerificationFailure> {
    let headers = appended(pairs);
    let verified = Verifier::new(scheme.clone(), []).verify(&request(&headers, query));
    verified.map_err(|unverified| unverified.reason)
}

/// Headers that may be there twice.
fn appended(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn signature(public_url: &str) -> Scheme {
    Scheme::Signature { signature: &SIGNATURE, public_url: public_url.to_owned(), secrets: two(), leeway: None }
}

fn one_of_each() -> Vec<Scheme> {
    vec![
        signature("https://hub.example/in/pave"),
        Scheme::UrlToken { parameter: "token".into(), tokens: two() },
        Scheme::Basic { username: "pave".into(), passwords: two() },
        Scheme::Bearer { tokens: two() },
        Scheme::ApiKey { header: HeaderName::from_static("x-hub-key"), keys: two() },
        Scheme::Jwt(jwt::expecting("x-jwt")),
    ]
}

#[test]
fn what_is_signed_passes_and_nothing_else_does() {
    for scheme in one_of_each() {
        let (name, verifier) = (scheme.name(), Verifier::new(scheme, []));
        let none = HeaderMap::new();
        let signed = verifier.sign(&request(&none, Some("a=b"))).unwrap();
        let headers: HeaderMap = signed.headers.into_iter().collect();
        assert!(verifier.verify(&request(&headers, signed.query.as_deref())).is_ok(), "{name}");
        assert_eq!(verifier.verify(&request(&none, Some("a=b"))).unwrap_err().scheme, name);
    }
}

#[test]
fn a_secret_of_another_vendor_does_not_fit() {
    for scheme in one_of_each() {
        let mut other = scheme.clone();
        match &mut other {
            Scheme::Signature { secrets, .. } => *secrets = vec![secret("theirs")],
            Scheme::UrlToken { tokens, .. } | Scheme::Bearer { tokens } => *tokens = vec![secret("theirs")],
            Scheme::Basic { passwords, .. } => *passwords = vec![secret("theirs")],
            Scheme::ApiKey { keys, .. } => *keys = vec![secret("theirs")],
            Scheme::Jwt(jwt) => jwt.keys = JwtKeys::Hs256(vec![secret("theirs")]),
        }
        let signed = Verifier::new(other, []).sign(&request(&HeaderMap::new(), None)).unwrap();
        let headers: HeaderMap = signed.headers.into_iter().collect();
        let unverified =
            Verifier::new(scheme, []).verify(&request(&headers, signed.query.as_deref())).unwrap_err().reason;
        assert!(
            matches!(
                unverified,
                VerificationFailure::Mismatch | VerificationFailure::Signature(SignatureError::Mismatch)
            ),
            "{unverified}"
        );
    }
}

#[test]
fn url_token() {
    let scheme = Scheme::UrlToken { parameter: "token".into(), tokens: vec![secret("n&w"), secret("old")] };
    let place = || CredentialLocation::Parameter("token".into());
    assert_eq!(judge(&scheme, &[], Some("token=n%26w")), Ok(()));
    assert_eq!(judge(&scheme, &[], Some("a=1&token=old")), Ok(()));
    assert_eq!(judge(&scheme, &[], Some("token=older")), Err(VerificationFailure::Mismatch));
    assert_eq!(judge(&scheme, &[], Some("token=")), Err(VerificationFailure::Mismatch));
    assert_eq!(judge(&scheme, &[], None), Err(VerificationFailure::Missing(place())));
    assert_eq!(judge(&scheme, &[], Some("TOKEN=old")), Err(VerificationFailure::Missing(place())));
    assert_eq!(judge(&scheme, &[], Some("token=old&token=old")), Err(VerificationFailure::Repeated(place())));
}

#[test]
fn basic() {
    let scheme = Scheme::Basic { username: "pave".into(), passwords: two() };
    let place = || CredentialLocation::Header(AUTHORIZATION);
    let header = |pair: &str| format!("Basic {}", base64_encode(pair.as_bytes()));
    let judge = |value: &str| judge(&scheme, &[("authorization", value)], None);
    assert_eq!(judge(&header("pave:new")), Ok(()));
    assert_eq!(judge(&header("pave:old")), Ok(()));
    assert_eq!(judge("bASIC cGF2ZTpuZXc="), Ok(()), "a vector of coreutils' base64");
    assert_eq!(judge(&header("pave:newer")), Err(VerificationFailure::Mismatch));
    assert_eq!(judge(&header("evap:new")), Err(VerificationFailure::Mismatch));
    assert_eq!(judge(&header("new")), Err(VerificationFailure::Mismatch));
    assert_eq!(judge("Bearer new"), Err(VerificationFailure::Malformed(place())));
    assert_eq!(judge("Basic ?"), Err(VerificationFailure::Malformed(place())));
}

#[test]
fn bearer_and_api_key() {
    let bearer = Scheme::Bearer { tokens: two() };
    assert_eq!(judge(&bearer, &[("authorization", "bearer old")], None), Ok(()));
    assert_eq!(judge(&bearer, &[("authorization", "Bearer ol")], None), Err(VerificationFailure::Mismatch));
    let place = || CredentialLocation::Header(AUTHORIZATION);
    assert_eq!(judge(&bearer, &[("authorization", "old")], None), Err(VerificationFailure::Malformed(place())));
    assert_eq!(judge(&bearer, &[("authorization", "Basic b2xk")], None), Err(VerificationFailure::Malformed(place())));

    let key = Scheme::ApiKey { header: HeaderName::from_static("x-hub-key"), keys: two() };
    assert_eq!(judge(&key, &[("x-hub-key", "new")], None), Ok(()));
    assert_eq!(judge(&key, &[("x-hub-key", "")], None), Err(VerificationFailure::Mismatch));
}

#[test]
fn repeated_credentials_are_refused_even_if_they_fit() {
    let repeated = Err(VerificationFailure::Repeated(CredentialLocation::Header(AUTHORIZATION)));
    let bearer = [("authorization", "Bearer new"), ("authorization", "Bearer new")];
    assert_eq!(judge(&Scheme::Bearer { tokens: two() }, &bearer, None), repeated);
    let basic = [("authorization", "Basic cGF2ZTpuZXc="), ("authorization", "Basic cGF2ZTpuZXc=")];
    assert_eq!(judge(&Scheme::Basic { username: "pave".into(), passwords: two() }, &basic, None), repeated);
    let key = HeaderName::from_static("x-hub-key");
    let scheme = Scheme::ApiKey { header: key.clone(), keys: two() };
    let twice = [("x-hub-key", "new"), ("x-hub-key", "new")];
    assert_eq!(judge(&scheme, &twice, None), Err(VerificationFailure::Repeated(CredentialLocation::Header(key))));
}

#[test]
fn an_empty_secret_fits_nothing() {
    let scheme = Scheme::ApiKey { header: HeaderName::from_static("x-hub-key"), keys: vec![secret("")] };
    assert_eq!(judge(&scheme, &[("x-hub-key", "")], None), Err(VerificationFailure::Mismatch));
    assert_eq!(
        judge(&Scheme::Bearer { tokens: vec![] }, &[("authorization", "Bearer ")], None),
        Err(VerificationFailure::Mismatch)
    );
}

#[test]
fn all_schemes_must_pass() {
    let verifier = Verifier::new(
        signature("https://hub.example/in/pave"),
        [Scheme::UrlToken { parameter: "token".into(), tokens: two() }],
    );
    assert_eq!(verifier.schemes(), ["signature", "url_token"]);
    let none = HeaderMap::new();
    let signed = verifier.sign(&request(&none, None)).unwrap();
    let headers: HeaderMap = signed.headers.into_iter().collect();
    assert_eq!(signed.query.as_deref(), Some("token=new"));
    assert!(verifier.verify(&request(&headers, Some("token=new"))).is_ok());
    // The token is right and the signature covers another query; the signature is missing; the token is.
    assert_eq!(verifier.verify(&request(&headers, Some("token=old"))).unwrap_err().scheme, "signature");
    assert_eq!(verifier.verify(&request(&none, Some("token=new"))).unwrap_err().scheme, "signature");
    let unverified = verifier.verify(&request(&headers, None)).unwrap_err();
    assert_eq!(unverified.to_string(), "signature: no active secret matches");
}

#[test]
fn the_public_url_replaces_one_that_a_proxy_rewrote() {
    let verifier = Verifier::new(signature("https://hub.example/in/pave"), []);
    let signed = verifier.sign(&request(&HeaderMap::new(), None)).unwrap();
    let headers: HeaderMap = signed.headers.into_iter().collect();
    let elsewhere = WebhookRequest { path: "/somewhere/else", ..request(&headers, None) };
    assert!(verifier.verify(&elsewhere).is_ok());
    let unconfigured = Verifier::new(signature(""), []);
    assert!(unconfigured.verify(&elsewhere).is_err());
}

#[test]
fn what_the_vendors_would_sign_passes_behind_a_proxy() {
    let vendors = crate::vendor::ALL.iter().filter_map(|vendor| Some((vendor.name, vendor.signature.as_ref()?)));
    for (name, signature) in vendors {
        let public_url = format!("https://hub.example/in/{name}");
        let scheme = |secret: &str| Scheme::Signature {
            signature,
            public_url: public_url.clone(),
            secrets: vec![Secret { id: Some("230293".to_owned()), ..Secret::new(secret) }],
            leeway: None,
        };
        let verifier = Verifier::new(scheme("new"), []);
        let none = HeaderMap::new();
        let signed = verifier.sign(&request(&none, Some("token=t"))).unwrap();
        let headers: HeaderMap = signed.headers.into_iter().collect();
        let arrived = request(&headers, Some("token=t"));
        assert_eq!(verifier.verify(&arrived), Ok(()), "{name}");
        assert!(verifier.verify(&WebhookRequest { body: b"{}", ..arrived }).is_err(), "{name}: another body");
        assert!(Verifier::new(scheme("theirs"), []).verify(&arrived).is_err(), "{name}: another secret");
    }
}

#[test]
fn an_open_source_accepts_every_delivery_and_is_marked_open() {
    let verifier = Verifier::open();
    assert!(verifier.is_open());
    assert!(verifier.schemes().is_empty());
    let checked = verifier.check(delivery(&HeaderMap::new())).unwrap().into_raw();
    assert_eq!(checked.body, BODY);
}

fn delivery(headers: &HeaderMap) -> UnverifiedDelivery<'_> {
    UnverifiedDelivery {
        source: "lot".into(),
        vendor: crate::vendor::by_name("pave").unwrap(),
        received_at: now(),
        method: "POST",
        path: "/webhooks/pave",
        query: None,
        headers,
        body: BODY.into(),
    }
}

#[test]
fn what_was_verified_is_stored_without_credentials() {
    let verifier = Verifier::new(Scheme::ApiKey { header: HeaderName::from_static("x-odd"), keys: two() }, []);
    let pairs =
        [("x-odd", "new"), ("content-type", "application/json"), ("x-twice", "1"), ("x-twice", "2"), ("cookie", "c")];
    let headers = appended(&pairs);
    let stored = verifier.check(delivery(&headers)).unwrap().into_raw();
    assert_eq!(stored.headers, r#"{"content-type":"application/json","x-twice":["1","2"]}"#);
    assert_eq!((stored.content_type.as_deref(), stored.body.as_ref()), (Some("application/json"), BODY));
    assert!(verifier.check(delivery(&HeaderMap::new())).is_err());
}

#[test]
fn credentials_are_known_by_name() {
    let verifier = Verifier::new(Scheme::ApiKey { header: HeaderName::from_static("x-odd"), keys: two() }, []);
    let own = ["x-odd", "authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth", "x-shared-secret"];
    // Each word at the beginning, within and at the end.
    let words = ["auth", "cookie", "token", "secret", "password", "passwd", "credential", "apikey", "jwt"];
    let named = words.iter().flat_map(|word| [word.to_string(), format!("x-{word}"), format!("x{word}s-2")]);
    for name in own.map(str::to_owned).into_iter().chain(named) {
        let name = HeaderName::try_from(name).unwrap();
        assert!(verifier.is_credential(&name), "{name}");
    }
    for name in ["content-type", "hover-signature-256", "x-truto-signature", "date", "idempotency-key", "user-agent"] {
        assert!(!verifier.is_credential(&HeaderName::from_static(name)), "{name}");
    }
    let token = Verifier::new(Scheme::UrlToken { parameter: "t".into(), tokens: two() }, []);
    assert_eq!(token.credential_parameters().collect::<Vec<_>>(), ["t"]);
}

#[test]
fn secrets_are_never_printed() {
    for scheme in one_of_each() {
        let printed = format!("{scheme:?}");
        assert!(!printed.contains("new") && !printed.contains("old"), "{printed}");
    }
}

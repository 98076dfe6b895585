//! What a refused request would have passed with, and which cause it has.

use crate::vendor::signature::Secret;
use crate::vendor::verify::{Jwt, JwtKeys, Scheme, Verifier, WebhookRequest};
use crate::vendor::{self, Vendor};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use chrono::{DateTime, TimeDelta, Utc};
use entity::RejectionCause::{self, ClockSkew, MalformedSignature, MissingCredential, WrongSecret};

const NOW: DateTime<Utc> = DateTime::from_timestamp(1_772_400_000, 0).expect("a moment");
const URL: &str = "https://hub.example/webhooks/lot";
const BODY: &[u8] = br#"{"canary":"body"}"#;

fn secrets(value: &str) -> Vec<Secret> {
    vec![Secret::new(value)]
}

fn signature(vendor: &'static Vendor, public_url: &str, secrets: Vec<Secret>) -> Verifier {
    let signature = vendor.signature.as_ref().expect("it signs");
    Verifier::new(Scheme::Signature { signature, public_url: public_url.to_owned(), secrets, leeway: None }, [])
}

fn with(scheme: Scheme) -> Verifier {
    Verifier::new(scheme, [])
}

/// What a receiver finds out about a request that a sender has signed.
fn examined(
    sender: &Verifier,
    receiver: &Verifier,
    edit: impl FnOnce(&mut HeaderMap, &mut WebhookRequest<'_>),
) -> (RejectionCause, Vec<String>) {
    let usual: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))].into_iter().collect();
    let unsigned =
        WebhookRequest { headers: &usual, path: "/webhooks/lot", query: Some("a=canary"), body: BODY, now: NOW };
    let signed = sender.sign(&unsigned).expect("signed");
    let mut headers = usual.clone();
    headers.extend(signed.headers);
    let mut changed = WebhookRequest { query: signed.query.as_deref(), ..unsigned };
    edit(&mut headers, &mut changed);
    let request = WebhookRequest { headers: &headers, ..changed };
    let cause = receiver.verify(&request).expect_err("refused").reason.cause();
    let other = with(Scheme::Bearer { tokens: secrets("third-canary") });
    let fits = receiver.would_fit(&request, &[("sender", sender), ("other", &other)]);
    let words: Vec<String> = fits.into_iter().map(|fit| fit.words).collect();
    let text = words.join(" ");
    assert!(["canary", "hub.example", "lot"].iter().all(|value| !text.contains(value)), "{text}");
    (cause, words)
}

fn unchanged(_: &mut HeaderMap, _: &mut WebhookRequest<'_>) {}

fn vendors() -> impl Iterator<Item = &'static Vendor> {
    vendor::ALL.iter().copied().filter(|vendor| vendor.signature.is_some())
}

#[test]
fn the_secret_of_another_source_fits() {
    for vendor in vendors() {
        let found = examined(
            &signature(vendor, URL, secrets("canary-1")),
            &signature(vendor, URL, secrets("canary-2")),
            unchanged,
        );
        assert_eq!(found, (WrongSecret, vec!["the secret of the source `sender`".to_owned()]), "{}", vendor.name);
    }
    let header = HeaderName::from_static("x-key");
    let jwt = |secret: &str| {
        let keys = JwtKeys::Hs256(secrets(secret));
        Scheme::Jwt(Jwt { keys, header: header.clone(), issuer: None, audience: None, leeway: TimeDelta::zero() })
    };
    let schemes: [&dyn Fn(&str) -> Scheme; 5] = [
        &|secret| Scheme::Bearer { tokens: secrets(secret) },
        &|secret| Scheme::Basic { username: "user".to_owned(), passwords: secrets(secret) },
        &|secret| Scheme::ApiKey { header: header.clone(), keys: secrets(secret) },
        &|secret| Scheme::UrlToken { parameter: "token".to_owned(), tokens: secrets(secret) },
        &jwt,
    ];
    for scheme in schemes {
        let (one, two) =
            (with(scheme("canary-1-with-32-characters-and-1")), with(scheme("canary-2-with-32-characters-and-2")));
        let found = examined(&one, &two, unchanged);
        assert_eq!(found, (WrongSecret, vec!["the secret of the source `sender`".to_owned()]), "{:?}", one.schemes());
    }
}

#[test]
fn another_url_fits() {
    let truepic = vendor::by_name("truepic").expect("a vendor");
    for (registered, words) in [
        ("http://hub.example/webhooks/lot", "the URL with http instead of https"),
        ("https://hub.example:443/webhooks/lot", "the URL with the port 443"),
        ("https://hub.example:80/webhooks/lot/", "the URL with the port 80"),
        ("http://hub.example:80/webhooks/lot", "the URL with http instead of https, with the port 80"),
        ("https://inner.test/webhooks/lot", "the URL with the host that the request names"),
        ("https://outer.test/webhooks/lot", "the URL with the host that a proxy forwarded"),
        ("https://hub.example/", "the URL without its path"),
    ] {
        let (sender, receiver) =
            (signature(truepic, registered, secrets("canary")), signature(truepic, URL, secrets("canary")));
        let host = |headers: &mut HeaderMap, _: &mut WebhookRequest<'_>| {
            headers.insert("host", HeaderValue::from_static("inner.test"));
            headers.insert("x-forwarded-host", HeaderValue::from_static("outer.test"));
        };
        let fits = examined(&sender, &receiver, host).1;
        // The other source has the same secret.
        assert_eq!(fits.first().map(String::as_str), Some(words), "{registered}");
    }
    let with_port = signature(truepic, "https://hub.example:8443/webhooks/lot", secrets("canary"));
    let fits = examined(&signature(truepic, URL, secrets("canary")), &with_port, unchanged).1;
    assert_eq!(fits.first().map(String::as_str), Some("the URL without its port"));
    let without_query = |_: &mut HeaderMap, request: &mut WebhookRequest<'_>| request.query = Some("added=1");
    let receiver = signature(truepic, URL, secrets("canary"));
    let sender = signature(truepic, URL, secrets("canary"));
    assert_eq!(examined(&sender, &receiver, without_query).1, Vec::<String>::new(), "another query is another request");
    let hover = vendor::by_name("hover").expect("a vendor");
    for (vendor, path) in [(hover, "https://hub.example/in/lot"), (truepic, "https://hub.example/in/lot")] {
        let (sender, receiver) =
            (signature(vendor, URL, secrets("canary")), signature(vendor, path, secrets("canary")));
        let fits = examined(&sender, &receiver, unchanged).1;
        assert_eq!(
            fits.first().map(String::as_str),
            Some("the URL with the path that the request has"),
            "{}",
            vendor.name
        );
    }
}

#[test]
fn another_time_id_or_body_fits() {
    let truepic = vendor::by_name("truepic").expect("a vendor");
    let own = || signature(truepic, URL, secrets("canary"));
    let late = |_: &mut HeaderMap, request: &mut WebhookRequest<'_>| request.now = NOW + TimeDelta::days(3);
    let (cause, fits) = examined(&own(), &own(), late);
    assert_eq!((cause, fits[0].as_str()), (ClockSkew, "the signature, at another time"));
    let with_id = |id: &str| vec![Secret { id: Some(id.to_owned()), ..Secret::new("canary") }];
    let hover = vendor::by_name("hover").expect("a vendor");
    let (cause, fits) = examined(&signature(hover, URL, with_id("1")), &signature(hover, URL, with_id("2")), unchanged);
    assert_eq!((cause, fits[0].as_str()), (WrongSecret, "the secret, with another id than the signature names"));
    for vendor in vendors().filter(|vendor| vendor.name != "hover") {
        let own = || signature(vendor, URL, secrets("canary"));
        let line_break =
            |_: &mut HeaderMap, request: &mut WebhookRequest<'_>| request.body = b"{\"canary\":\"body\"}\r\n";
        let (cause, fits) = examined(&own(), &own(), line_break);
        assert_eq!(
            (cause, fits[0].as_str()),
            (WrongSecret, "the body without white space at its ends"),
            "{}",
            vendor.name
        );
    }
    for vendor in vendors() {
        let none = |headers: &mut HeaderMap, _: &mut WebhookRequest<'_>| headers.clear();
        let own = || signature(vendor, URL, secrets("canary"));
        assert_eq!(examined(&own(), &own(), none), (MissingCredential, Vec::new()), "{}", vendor.name);
    }
}

#[test]
fn a_static_secret_in_another_place_fits() {
    let bearer = with(Scheme::Bearer { tokens: secrets("canary") });
    let key = with(Scheme::ApiKey { header: HeaderName::from_static("x-key"), keys: secrets("canary") });
    let token = with(Scheme::UrlToken { parameter: "token".to_owned(), tokens: secrets("canary") });
    let basic = |user: &str| with(Scheme::Basic { username: user.to_owned(), passwords: secrets("canary") });
    for (sender, receiver, cause, words) in [
        (&bearer, &key, MissingCredential, "the secret, as it is in the header `authorization`"),
        (&bearer, &token, MissingCredential, "the secret, as it is in the header `authorization`"),
        (&key, &bearer, MissingCredential, "the secret, as it is in the header `x-key`"),
        (&token, &bearer, MissingCredential, "the secret, as it is in the query of the URL"),
        (&basic("one"), &basic("two"), WrongSecret, "the password, with another user name"),
        (&bearer, &basic("one"), MalformedSignature, "the secret, as it is in the header `authorization`"),
    ] {
        let found = examined(sender, receiver, unchanged);
        assert_eq!((found.0, found.1.first().map(String::as_str)), (cause, Some(words)), "{:?}", receiver.schemes());
    }
    let quoted = |headers: &mut HeaderMap, _: &mut WebhookRequest<'_>| {
        headers.insert("x-key", HeaderValue::from_static("\"canary\""));
    };
    assert_eq!(examined(&key, &key, quoted).1, ["the secret, as it is in the header `x-key`"]);
}

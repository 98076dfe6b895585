//! Every vendor's signature in every spelling in which it may come, over every spelling of the address.

use super::{headers, now};
use crate::vendor::signature::{Secret, base64_decode, base64_encode};
use crate::vendor::verify::{Scheme, VerificationFailure, Verifier, WebhookRequest};
use crate::vendor::{self, Vendor};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

fn verifier(vendor: &'static Vendor, public_url: &str, secrets: &[&str]) -> Verifier {
    let signature = vendor.signature.as_ref().expect("a vendor that signs");
    let secrets = secrets.iter().map(|value| Secret::new(*value)).collect();
    Verifier::new(Scheme::Signature { signature, public_url: public_url.to_owned(), secrets, leeway: None }, [])
}

fn signing() -> impl Iterator<Item = &'static Vendor> {
    vendor::ALL.iter().copied().filter(|vendor| vendor.signature.is_some())
}

const SIGN_THE_ADDRESS: [&str; 2] = ["truepic", "hover"];
const PATH: &str = "/webhooks/it";
const URL: &str = "https://hub.example/webhooks/it";

fn request<'a>(headers: &'a HeaderMap, path: &'a str, body: &'a [u8]) -> WebhookRequest<'a> {
    WebhookRequest { headers, path, query: None, body, now: now() }
}

/// What the vendor would send with this body, once for each header that it may sign in: the headers, and which it is.
fn signed(vendor: &'static Vendor, path: &str, body: &[u8]) -> Vec<(HeaderMap, HeaderName)> {
    let public_url = format!("https://hub.example{path}");
    let signed =
        verifier(vendor, &public_url, &["secret"]).sign(&request(&HeaderMap::new(), path, body)).expect("signed");
    let all: HeaderMap = signed.headers.into_iter().collect();
    let names: Vec<HeaderName> = all.keys().filter(|name| name.as_str().contains("signature")).cloned().collect();
    let only = |name: &HeaderName| {
        let mut headers = all.clone();
        names.iter().filter(|other| *other != name).for_each(|other| _ = headers.remove(other));
        (headers, name.clone())
    };
    names.iter().map(only).collect()
}

/// The header's value before the MAC, and the MAC's bytes.
fn split(value: &HeaderValue) -> (String, Vec<u8>) {
    let text = value.to_str().expect("text");
    let begin = text.trim_end_matches('=').rfind(['=', ':']).expect("a name before the signature") + 1;
    let (before, mac) = text.split_at(begin);
    let bytes = hex::decode(mac).ok().or_else(|| base64_decode(mac)).expect("a signature");
    (before.to_owned(), bytes)
}

fn spellings(mac: &[u8]) -> Vec<String> {
    let base64 = base64_encode(mac);
    let url = base64.replace('+', "-").replace('/', "_");
    let bare = |text: &str| text.trim_end_matches('=').to_owned();
    vec![hex::encode(mac), hex::encode_upper(mac), bare(&base64), bare(&url), base64, url]
}

fn judge(vendor: &'static Vendor, headers: &HeaderMap, body: &[u8]) -> Result<(), VerificationFailure> {
    let verified = verifier(vendor, URL, &["new", "secret"]).verify(&request(headers, PATH, body));
    verified.map_err(|unverified| unverified.reason)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Never by chance: whatever letters the signature is made of.
    #[test]
    fn a_signature_fits_in_every_spelling(body in prop::collection::vec(any::<u8>(), 1..200), bit in any::<prop::sample::Index>()) {
        for vendor in signing() {
            for (headers, name) in signed(vendor, PATH, &body) {
                let (before, mac) = split(&headers[&name]);
                let with = |value: String| {
                    let mut headers = headers.clone();
                    headers.insert(&name, HeaderValue::from_str(&value).expect("a value"));
                    headers
                };
                let mut flipped = mac.clone();
                let bit = bit.index(mac.len() * 8);
                flipped[bit / 8] ^= 1 << (bit % 8);
                let spaced = before.replace('=', " = ").replace(':', " : ").replace(',', " , ");
                // What of the header belongs to each signature.
                let part = before.rsplit(',').next().expect("a part").to_owned();
                let wrong = base64_encode(&flipped);
                for spelled in spellings(&mac) {
                    for value in [
                        format!("{before}{spelled}"),
                        format!("{before} {spelled}"),
                        format!("{spaced}{spelled}"),
                        format!("{before}{spelled}, {part}{wrong}"),
                        format!("{before}{wrong},{part}{spelled}"),
                        format!("{before}???,{part}{spelled}"),
                    ] {
                        prop_assert_eq!(judge(vendor, &with(value.clone()), &body), Ok(()), "{}: {}", vendor.name, value);
                    }
                }
                for spelled in spellings(&flipped) {
                    for value in [format!("{before}{spelled}"), format!("{before}{spelled},{part}{spelled}")] {
                        prop_assert!(judge(vendor, &with(value.clone()), &body).is_err(), "{}: {}", vendor.name, value);
                    }
                }
                let other = [&body[..], b" "].concat();
                prop_assert!(judge(vendor, &headers, &other).is_err(), "{}: another body", vendor.name);
            }
        }
    }
}

#[test]
fn the_address_is_believed_with_its_slashes_as_the_vendor_called_it() {
    for vendor in signing() {
        for called in ["/webhooks/it", "/webhooks/it/", "//webhooks/it", "/webhooks//it", "//webhooks//it/"] {
            for (headers, name) in signed(vendor, called, b"{}") {
                let passes = |public_url: &str, path: &str| {
                    verifier(vendor, public_url, &["secret"]).verify(&request(&headers, path, b"{}")).is_ok()
                };
                assert!(passes(URL, called), "{}, {name}: {called}", vendor.name);
                assert!(passes(&format!("{URL}/"), called), "{}, {name}: {called}", vendor.name);
                let other = passes("https://hub.example/webhooks/other", "/webhooks/other");
                assert_eq!(other, !SIGN_THE_ADDRESS.contains(&vendor.name), "{}, {name}: {called}", vendor.name);
                // Without a public URL, what came here is what was called.
                let signs_url = vendor.signature.as_ref().is_some_and(|signature| signature.signs_url);
                assert!(signs_url || passes("", called), "{}, {name}: {called}", vendor.name);
            }
        }
        // A proxy has taken the slash at the end away, or the path is another one behind it.
        for (headers, name) in signed(vendor, "/in/it/", b"{}") {
            for path in ["/webhooks/it", "/in/it", "/in/it/"] {
                let verifier = verifier(vendor, "https://hub.example/in/it", &["secret"]);
                assert!(verifier.verify(&request(&headers, path, b"{}")).is_ok(), "{}, {name}: {path}", vendor.name);
            }
        }
    }
}

/// A proxy may have kept or added either of two lines, so that none of them counts; several signatures come in one line.
#[test]
fn two_lines_of_one_signature_are_refused() {
    for vendor in signing() {
        for (mut headers, name) in signed(vendor, PATH, b"{}") {
            assert_eq!(judge(vendor, &headers, b"{}"), Ok(()), "{}", vendor.name);
            let value = headers[&name].clone();
            headers.append(&name, value);
            let refused = judge(vendor, &headers, b"{}").expect_err("refused").to_string();
            assert!(refused.contains("repeated"), "{}: {refused}", vendor.name);
        }
    }
    assert!(judge(signing().next().expect("a vendor"), &headers(&[]), b"{}").is_err());
}

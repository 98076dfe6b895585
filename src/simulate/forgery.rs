//! Deliveries from a sender that does not know the secret.

use crate::vendor::verify::{RequestCredentials, SignError, Verifier, WebhookRequest};
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

/// The defect of a delivery's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    Unsigned,
    FakeCredential,
    /// They are those of another body, if they cover the body.
    TamperedBody,
}

impl Forgery {
    pub const ALL: &[Forgery] = &[Forgery::Unsigned, Forgery::FakeCredential, Forgery::TamperedBody];

    /// The credentials and body of a forged request, made from a genuine one before signing. If the verifier would accept them,
    /// they have no credentials. An error if the genuine request cannot be signed.
    pub fn forge(
        self,
        verifier: &Verifier,
        genuine: &WebhookRequest<'_>,
        body: &Bytes,
    ) -> Result<(RequestCredentials, Bytes), SignError> {
        let bare = RequestCredentials { headers: Vec::new(), query: genuine.query.map(str::to_owned) };
        let (signed, body) = match self {
            Forgery::Unsigned => return Ok((bare, body.clone())),
            Forgery::FakeCredential => (fake_credential(verifier.sign(genuine)?), body.clone()),
            Forgery::TamperedBody => (verifier.sign(genuine)?, [body, &b" "[..]].concat().into()),
        };
        if !passes(verifier, genuine, &signed, &body) {
            return Ok((signed, body));
        }
        let signed = fake_credential(signed);
        let accepted = passes(verifier, genuine, &signed, &body);
        Ok((if accepted { bare } else { signed }, body))
    }
}

// Replaces letters and digits. Headers that are not text are left out.
fn fake_credential(signed: RequestCredentials) -> RequestCredentials {
    let other = |c: char| match c {
        '0'..='8' | 'a'..='y' | 'A'..='Y' => char::from_u32(c as u32 + 1).unwrap_or(c),
        '9' | 'z' | 'Z' => 'c',
        c => c,
    };
    let garbled = |text: &str| text.chars().rev().map(other).collect::<String>();
    let header = |(name, value): (HeaderName, HeaderValue)| {
        // A forged request still has a content type.
        if name == CONTENT_TYPE {
            return Some((name, value));
        }
        let mut garbled = HeaderValue::from_str(&garbled(value.to_str().ok()?)).ok()?;
        garbled.set_sensitive(true);
        Some((name, garbled))
    };
    RequestCredentials {
        headers: signed.headers.into_iter().filter_map(header).collect(),
        query: signed.query.map(|query| match query.split_once('=') {
            Some((name, value)) => format!("{name}={}", garbled(value)),
            None => query,
        }),
    }
}

fn passes(verifier: &Verifier, genuine: &WebhookRequest<'_>, signed: &RequestCredentials, body: &[u8]) -> bool {
    let mut headers: HeaderMap = genuine.headers.clone();
    headers.extend(signed.headers.iter().cloned());
    verifier.verify(&WebhookRequest { headers: &headers, query: signed.query.as_deref(), body, ..*genuine }).is_ok()
}

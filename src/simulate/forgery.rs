//! Deliveries of somebody who does not know the secret.

use crate::vendor::verify::{RequestCredentials, SignError, Verifier, WebhookRequest};
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;

/// What is wrong with a delivery's proof of where it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// There is none.
    Unsigned,
    /// It is made up.
    FakeCredential,
    /// It is another body's, as far as it is a body's.
    TamperedBody,
}

impl Forgery {
    pub const ALL: &[Forgery] = &[Forgery::Unsigned, Forgery::FakeCredential, Forgery::TamperedBody];

    #[expect(clippy::indexing_slicing, reason = "a constant with something in it")]
    pub fn random(rng: &mut StdRng) -> Forgery {
        Forgery::ALL[rng.random_range(0..Forgery::ALL.len())]
    }

    /// What is sent in place of a genuine request, of which the headers are those before signing. The verifier must not
    /// believe it: where it would, nothing is sent as proof.
    ///
    /// # Errors
    /// If even the genuine request could not be signed.
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
        let believed = passes(verifier, genuine, &signed, &body);
        Ok((if believed { bare } else { signed }, body))
    }
}

// Letters and digits are others; what is not text stays out.
fn fake_credential(signed: RequestCredentials) -> RequestCredentials {
    let other = |c: char| match c {
        '0'..='8' | 'a'..='y' | 'A'..='Y' => char::from_u32(c as u32 + 1).unwrap_or(c),
        '9' | 'z' | 'Z' => 'c',
        c => c,
    };
    let garbled = |text: &str| text.chars().rev().map(other).collect::<String>();
    let header = |(name, value): (HeaderName, HeaderValue)| {
        // Somebody who makes up a signature still says what he sends.
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

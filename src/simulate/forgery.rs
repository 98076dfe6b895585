//! Deliveries of somebody who does not know the secret.

use crate::vendor::verify::{CannotSign, Request, Signed, Verifier};
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;

/// What is wrong with a delivery's proof of where it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// There is none.
    Bare,
    /// It is made up.
    MadeUp,
    /// It is another body's, as far as it is a body's.
    OfAnotherBody,
}

impl Forgery {
    pub const ALL: &[Forgery] = &[Forgery::Bare, Forgery::MadeUp, Forgery::OfAnotherBody];

    #[expect(clippy::indexing_slicing, reason = "a constant with something in it")]
    pub fn any(rng: &mut StdRng) -> Forgery {
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
        genuine: &Request<'_>,
        body: &Bytes,
    ) -> Result<(Signed, Bytes), CannotSign> {
        let bare = Signed { headers: Vec::new(), query: genuine.query.map(str::to_owned) };
        let (signed, body) = match self {
            Forgery::Bare => return Ok((bare, body.clone())),
            Forgery::MadeUp => (made_up(verifier.sign(genuine)?), body.clone()),
            Forgery::OfAnotherBody => (verifier.sign(genuine)?, [body, &b" "[..]].concat().into()),
        };
        if !believed(verifier, genuine, &signed, &body) {
            return Ok((signed, body));
        }
        let signed = made_up(signed);
        let believed = believed(verifier, genuine, &signed, &body);
        Ok((if believed { bare } else { signed }, body))
    }
}

// Letters and digits are others; what is not text stays out.
fn made_up(signed: Signed) -> Signed {
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
    Signed {
        headers: signed.headers.into_iter().filter_map(header).collect(),
        query: signed.query.map(|query| match query.split_once('=') {
            Some((name, value)) => format!("{name}={}", garbled(value)),
            None => query,
        }),
    }
}

fn believed(verifier: &Verifier, genuine: &Request<'_>, signed: &Signed, body: &[u8]) -> bool {
    let mut headers: HeaderMap = genuine.headers.clone();
    headers.extend(signed.headers.iter().cloned());
    verifier.check(&Request { headers: &headers, query: signed.query.as_deref(), body, ..*genuine }).is_ok()
}

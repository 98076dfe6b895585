//! The claims of a token.

use crate::access::{ClaimGrant, View};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

/// How far the clocks of the issuer and the hub may differ.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);
/// Claims that are words, separated by spaces (RFC 8693, section 4.2).
const SCOPE_CLAIMS: [&str; 2] = ["scope", "scp"];
/// Bytes of a subject.
const MAX_SUBJECT_BYTES: usize = 256;

/// All claims of a verified token.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct VerifiedClaims(Map<String, Value>);

/// The issuer that a token claims, before anything is verified. None if the text is no token.
pub fn unverified_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    Some(serde_json::from_slice::<Issuer>(&payload).ok()?.iss)
}

impl VerifiedClaims {
    /// When the token ends. None if it has ended, or is not valid yet. A token without an end is refused.
    pub fn check_times(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let begins = match self.0.get("nbf") {
            Some(begins) => Some(time(begins)?),
            None => None,
        };
        let ends = time(self.0.get("exp")?)?.checked_add_signed(LEEWAY)?;
        let has_begun = begins.is_none_or(|begins| begins.checked_sub_signed(LEEWAY).is_none_or(|at| at <= now));
        (has_begun && now < ends).then_some(ends)
    }

    /// The owner of the token, by this claim: unique over all issuers.
    pub fn subject(&self, issuer: &str, claim: &str) -> Option<String> {
        let subject = self.get(claim)?.as_str()?;
        let is_printable = !subject.chars().any(char::is_control);
        let is_usable = !subject.is_empty() && subject.len() <= MAX_SUBJECT_BYTES && is_printable;
        is_usable.then(|| format!("{issuer}#{subject}"))
    }

    /// What all grants that fit allow together.
    pub fn view(&self, grants: &[ClaimGrant]) -> View {
        View::combined(grants.iter().filter(|grant| self.fit(grant)).map(|grant| &grant.view))
    }

    /// A claim, by its name or its path.
    pub fn get(&self, claim: &str) -> Option<&Value> {
        self.0.get(claim).or_else(|| {
            let mut path = claim.split('.');
            let first = self.0.get(path.next()?)?;
            path.try_fold(first, |value, name| value.get(name))
        })
    }

    /// Adds the claims of another place that are missing here.
    pub fn add_missing(&mut self, others: VerifiedClaims) {
        for (name, value) in others.0 {
            self.0.entry(name).or_insert(value);
        }
    }

    /// Whether the token has what a grant asks for.
    fn fit(&self, grant: &ClaimGrant) -> bool {
        match self.get(&grant.claim) {
            Some(Value::String(text)) if SCOPE_CLAIMS.contains(&grant.claim.as_str()) => {
                text.split(' ').any(|word| word == grant.value)
            }
            Some(Value::String(text)) => *text == grant.value,
            Some(Value::Array(values)) => values.iter().any(|value| value.as_str() == Some(&grant.value)),
            _ => false,
        }
    }
}

// Seconds since the Unix epoch, which may have a fraction (RFC 7519, section 2).
fn time(value: &Value) -> Option<DateTime<Utc>> {
    let seconds = value.as_i64().or_else(|| value.as_f64().filter(|at| at.is_finite()).map(|at| at.floor() as i64))?;
    DateTime::from_timestamp(seconds, 0)
}

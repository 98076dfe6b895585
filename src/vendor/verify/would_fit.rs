//! What a refused request would have passed with: another secret, another URL, another time. For an operator who looks for the
//! cause. Costs many times a verification, so it is computed for few samples and never while a request waits.

use super::url_variants::url_variants;
use super::{Jwt, JwtKeys, Scheme, Verifier, WebhookRequest, credential, signed_message, url_candidates};
use crate::vendor::signature::{Secret, SignatureScheme, UrlCandidates};
use axum::http::header::AUTHORIZATION;
use chrono::TimeDelta;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// One thing with which a request would have passed. Never quotes a secret, nor a value of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldFit {
    /// In words, e.g. `the URL without its port`.
    pub words: String,
    /// The other source whose secret it is: the words name it only to a reader who may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether another URL fits.
    #[serde(skip)]
    pub is_url: bool,
}

impl WouldFit {
    fn new(words: impl Into<String>) -> WouldFit {
        WouldFit { words: words.into(), source: None, is_url: false }
    }

    fn secret_of(source: &str) -> WouldFit {
        WouldFit { source: Some(source.to_owned()), ..WouldFit::new(format!("the secret of the source `{source}`")) }
    }
}

impl Verifier {
    /// What the first scheme that refuses a request would have passed with. `others` are the other sources with their names.
    pub fn would_fit(&self, request: &WebhookRequest<'_>, others: &[(&str, &Verifier)]) -> Vec<WouldFit> {
        let Some(scheme) = self.schemes.iter().find(|scheme| scheme.verify(request).is_err()) else {
            return Vec::new();
        };
        let mut fits = match scheme {
            Scheme::Signature { signature, public_url, secrets, .. } => {
                let signed = SignatureSample { request, signature, public_url, secrets };
                signed.fits()
            }
            Scheme::Jwt(jwt) => jwt_fits(jwt, request),
            Scheme::Basic { .. } | Scheme::UrlToken { .. } | Scheme::Bearer { .. } | Scheme::ApiKey { .. } => {
                static_credential_fits(scheme, request)
            }
        };
        let passes = |other: &Verifier| other.schemes.iter().any(|other| scheme.passes_with_secrets_of(other, request));
        fits.extend(others.iter().filter(|(_, other)| passes(other)).map(|(name, _)| WouldFit::secret_of(name)));
        fits
    }
}

impl Scheme {
    // This scheme with the secrets of another one of the same kind.
    fn passes_with_secrets_of(&self, other: &Scheme, request: &WebhookRequest<'_>) -> bool {
        let scheme = match (self, other) {
            (Scheme::Signature { signature, public_url, .. }, Scheme::Signature { signature: of, secrets, .. })
                if std::ptr::eq(*signature, *of) =>
            {
                let (signature, public_url, secrets) = (*signature, public_url.clone(), without_ids(secrets));
                Scheme::Signature { signature, public_url, secrets, leeway: Some(TimeDelta::MAX) }
            }
            (Scheme::UrlToken { parameter, .. }, Scheme::UrlToken { tokens, .. }) => {
                Scheme::UrlToken { parameter: parameter.clone(), tokens: tokens.clone() }
            }
            (Scheme::Basic { .. }, Scheme::Basic { .. }) | (Scheme::Bearer { .. }, Scheme::Bearer { .. }) => {
                other.clone()
            }
            (Scheme::ApiKey { header, .. }, Scheme::ApiKey { keys, .. }) => {
                Scheme::ApiKey { header: header.clone(), keys: keys.clone() }
            }
            (Scheme::Jwt(own), Scheme::Jwt(other)) => {
                Scheme::Jwt(Jwt { header: own.header.clone(), leeway: TimeDelta::MAX, ..other.clone() })
            }
            _ => return false,
        };
        scheme.verify(request).is_ok()
    }

    // The static secrets.
    fn static_secrets(&self) -> &[Secret] {
        match self {
            Scheme::UrlToken { tokens: secrets, .. }
            | Scheme::Basic { passwords: secrets, .. }
            | Scheme::Bearer { tokens: secrets }
            | Scheme::ApiKey { keys: secrets, .. } => secrets,
            Scheme::Signature { .. } | Scheme::Jwt(_) => &[],
        }
    }
}

fn without_ids(secrets: &[Secret]) -> Vec<Secret> {
    secrets.iter().map(|secret| Secret::new(secret.value.clone())).collect()
}

/// A request whose signature was refused.
struct SignatureSample<'a> {
    request: &'a WebhookRequest<'a>,
    signature: &'static SignatureScheme,
    public_url: &'a str,
    secrets: &'a [Secret],
}

impl SignatureSample<'_> {
    // The first one that fits: each further one would only repeat it.
    fn fits(&self) -> Vec<WouldFit> {
        let candidates = url_candidates(self.public_url, self.request);
        let fit = if self.passes(&candidates, self.secrets, self.request.body) {
            WouldFit::new("the signature, at another time")
        } else if self.passes(&candidates, &without_ids(self.secrets), self.request.body) {
            WouldFit::new("the secret, with another id than the signature names")
        } else if let Some(words) = self.fitting_url() {
            WouldFit { is_url: true, ..WouldFit::new(words) }
        } else if self.passes(&candidates, self.secrets, self.request.body.trim_ascii()) {
            WouldFit::new("the body without white space at its ends")
        } else {
            return Vec::new();
        };
        vec![fit]
    }

    fn fitting_url(&self) -> Option<String> {
        let mut variants = url_variants(self.public_url, self.request, self.signature.signs_url);
        variants
            .find_map(|(words, candidates)| self.passes(&candidates, self.secrets, self.request.body).then_some(words))
    }

    fn passes(&self, candidates: &UrlCandidates, secrets: &[Secret], body: &[u8]) -> bool {
        let request = WebhookRequest { body, ..*self.request };
        // Whether the vendor's clock is right is another question.
        (self.signature.verify)(&signed_message(&request, candidates, secrets, Some(TimeDelta::MAX))).is_ok()
    }
}

fn jwt_fits(jwt: &Jwt, request: &WebhookRequest<'_>) -> Vec<WouldFit> {
    let at_any_time = Jwt { leeway: TimeDelta::MAX, ..jwt.clone() };
    let secrets: &[Secret] = if let JwtKeys::Hs256(secrets) = &jwt.keys { secrets } else { &[] };
    if at_any_time.verify(request).is_ok() {
        vec![WouldFit::new("the token, at another time")]
    } else if is_in_a_header(request, secrets).is_some() {
        // A secret that is sent as it is must be replaced.
        vec![WouldFit::new("the secret itself is in a header: the vendor sends it instead of a token")]
    } else {
        Vec::new()
    }
}

fn static_credential_fits(scheme: &Scheme, request: &WebhookRequest<'_>) -> Vec<WouldFit> {
    let secrets = scheme.static_secrets();
    if let Scheme::Basic { .. } = scheme
        && let Ok(given) = credential::basic_credentials(request.headers)
        && let Some(colon) = given.iter().position(|byte| *byte == b':')
        && let Some((_, password)) = given.split_at_checked(colon + 1)
        && is_secret(password, secrets)
    {
        return vec![WouldFit::new("the password, with another user name")];
    }
    if let Some(name) = is_in_a_header(request, secrets) {
        return vec![WouldFit::new(format!("the secret, as it is in the header `{name}`"))];
    }
    let mut url = Url::parse("http://localhost/").ok();
    if let Some(url) = &mut url {
        url.set_query(request.query);
    }
    let mut values = url.iter().flat_map(Url::query_pairs);
    if values.any(|(_, value)| is_secret(value.as_bytes(), secrets)) {
        return vec![WouldFit::new("the secret, as it is in the query of the URL")];
    }
    Vec::new()
}

// The first header, in alphabetical order, that has one of the secrets: alone, in quotes, or after the name of a scheme.
fn is_in_a_header(request: &WebhookRequest<'_>, secrets: &[Secret]) -> Option<String> {
    let holds = |value: &[u8]| {
        let value = String::from_utf8_lossy(value);
        let value = value.trim();
        let credential = value.split_once(' ').map_or(value, |(_, credential)| credential);
        [value, credential].iter().any(|value| is_secret(value.trim_matches(['"', '\'', ' ']).as_bytes(), secrets))
    };
    let names = request.headers.iter().filter(|(_, value)| holds(value.as_bytes())).map(|(name, _)| name.as_str());
    // The usual header, if it is there.
    names.min_by_key(|name| (*name != AUTHORIZATION.as_str(), *name)).map(str::to_owned)
}

fn is_secret(given: &[u8], secrets: &[Secret]) -> bool {
    credential::matches_any_secret(given, secrets.iter().map(|secret| secret.value.as_bytes()))
}

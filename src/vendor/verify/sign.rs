//! The counterpart of [`Verifier::verify`](super::Verifier::verify): signs a request as a vendor with the same settings
//! would. For the simulator and tests.

use super::{CredentialLocation, Scheme, Verifier, WebhookRequest, credential, signed_message, url_candidates};
use crate::vendor::signature::{Secret, base64_encode};
use axum::http::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// The additions to a request that make it pass. Not printable, because it contains credentials.
#[derive(Clone, Default)]
pub struct RequestCredentials {
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The whole query: of the request and of the schemes.
    pub query: Option<String>,
}

/// Why the hub cannot sign as the vendor would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("a JWT of RS256 needs the private key, which only the vendor has")]
    PrivateKey,
    #[error("there is no secret to sign with")]
    NoSecret,
    #[error("the secret cannot be sent in {0}")]
    InvalidHeaderValue(CredentialLocation),
}

impl Verifier {
    /// Signs with the first secret of each scheme.
    ///
    /// # Errors
    /// If a scheme needs what only the vendor has.
    pub fn sign(&self, request: &WebhookRequest<'_>) -> Result<RequestCredentials, SignError> {
        let mut signed = RequestCredentials { headers: Vec::new(), query: request.query.map(str::to_owned) };
        // The query comes first: a signature may cover it.
        for scheme in &self.schemes {
            if let Scheme::UrlToken { parameter, tokens } = scheme {
                signed.query =
                    credential::append_query_parameter(signed.query.as_deref(), parameter, first_secret(tokens)?);
            }
        }
        let query = signed.query.clone();
        let request = WebhookRequest { query: query.as_deref(), ..*request };
        for scheme in &self.schemes {
            for (name, value) in scheme.headers(&request)? {
                let mut value = HeaderValue::from_str(&value)
                    .map_err(|_| SignError::InvalidHeaderValue(CredentialLocation::Header(name.clone())))?;
                value.set_sensitive(true);
                signed.headers.push((name, value));
            }
        }
        Ok(signed)
    }
}

impl Scheme {
    fn headers(&self, request: &WebhookRequest<'_>) -> Result<Vec<(HeaderName, String)>, SignError> {
        Ok(match self {
            Scheme::Signature { signature, public_url, secrets, leeway } => {
                let candidates = url_candidates(public_url, request);
                let headers = (signature.sign)(&signed_message(request, &candidates, secrets, *leeway));
                headers
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value)))
                    .collect()
            }
            Scheme::UrlToken { .. } => Vec::new(),
            Scheme::Basic { username, passwords } => {
                let pair = format!("{username}:{}", first_secret(passwords)?);
                vec![(AUTHORIZATION, format!("Basic {}", base64_encode(pair.as_bytes())))]
            }
            Scheme::Bearer { tokens } => vec![(AUTHORIZATION, format!("Bearer {}", first_secret(tokens)?))],
            Scheme::ApiKey { header, keys } => vec![(header.clone(), first_secret(keys)?.to_owned())],
            Scheme::Jwt(jwt) => vec![(jwt.header.clone(), format!("Bearer {}", jwt.mint(request.now)?))],
        })
    }
}

fn first_secret(secrets: &[Secret]) -> Result<&str, SignError> {
    secrets.first().map(|secret| secret.value.as_str()).ok_or(SignError::NoSecret)
}

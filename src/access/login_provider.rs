//! The identity provider at which people log in with a browser (OpenID Connect).

use super::ClaimGrant;
use crate::vendor::Secret;
use jsonwebtoken::Algorithm;
use serde_json::json;
use sha2::{Digest, Sha256};

/// The claim that names a person, unless the settings name another one.
pub const DEFAULT_SUBJECT_CLAIM: &str = "sub";

/// An OpenID Connect provider, and what its people may do.
#[derive(Clone, Debug)]
pub struct LoginProvider {
    /// Its issuer: the claim `iss` of its ID tokens, and where its configuration is.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Secret,
    /// What is asked for; contains `openid`.
    pub scopes: Vec<String>,
    /// The claim that names the person.
    pub subject_claim: String,
    /// The algorithms that it signs ID tokens with. None of them is symmetric.
    pub algorithms: Vec<Algorithm>,
    /// What the claims allow.
    pub grants: Vec<ClaimGrant>,
    /// Where browsers reach this hub, without a slash at the end.
    pub public_url: String,
}

impl LoginProvider {
    /// The digest of all that decides about rights: a session is valid where it is the same as at the login.
    pub fn grants_digest(&self) -> String {
        let grants = self
            .grants
            .iter()
            .map(|ClaimGrant { claim, value, view }| json!([claim, value, view.scopes().to_string(), view.sources()]));
        let grants: Vec<_> = grants.collect();
        let all = json!([self.issuer, self.client_id, self.subject_claim, grants]).to_string();
        hex::encode(Sha256::digest(all))
    }

    /// Where the provider sends the browser after a login. It is registered with the provider.
    pub fn redirect_uri(&self) -> String {
        format!("{}/login/callback", self.public_url)
    }

    /// Where the provider sends the browser after a logout. It is registered with the provider.
    pub fn logged_out_uri(&self) -> String {
        format!("{}/logout", self.public_url)
    }

    /// Scheme, host and port of this hub, as browsers write them.
    pub fn public_origin(&self) -> &str {
        let host_begins = self.public_url.find("://").map_or(0, |at| at + "://".len());
        let (_, from_host) = self.public_url.split_at_checked(host_begins).unwrap_or_default();
        let host_ends = from_host.find('/').map_or(self.public_url.len(), |at| host_begins + at);
        self.public_url.get(..host_ends).unwrap_or_default()
    }

    /// The names of the claims that decide: the subject's and those of the grants.
    pub fn needed_claims(&self) -> impl Iterator<Item = &str> {
        let granting = self.grants.iter().map(|grant| grant.claim.as_str());
        std::iter::once(self.subject_claim.as_str()).chain(granting)
    }
}

//! The issuers that sign tokens for the API, and what the claims allow.

use super::View;
use jsonwebtoken::Algorithm;
use std::path::PathBuf;

/// An issuer of JSON Web Tokens.
#[derive(Clone, Debug)]
pub struct TokenIssuer {
    /// The claim `iss` of its tokens.
    pub issuer: String,
    /// What the claim `aud` of its tokens must contain.
    pub audience: String,
    pub key_set: KeySetSource,
    /// The algorithms that it signs with. None of them is symmetric.
    pub algorithms: Vec<Algorithm>,
    /// What its claims allow.
    pub grants: Vec<ClaimGrant>,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetSource {
    /// An `https:` URL; `http:` only on this machine.
    Url(String),
    File(PathBuf),
}

/// What a claim allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimGrant {
    /// The name of the claim, or its path: `realm_access.roles`.
    pub claim: String,
    /// The claim is this text, or a list that contains it; for `scope` and `scp`, one of their words is this.
    pub value: String,
    pub view: View,
}

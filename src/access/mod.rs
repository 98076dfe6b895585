//! Rights: what a principal may see and do. Pure: `scopes` is what a credential allows, `view` which part of the hub it allows that for,
//! `principal` is the owner of a credential, `api_key` the form of the hub's own credentials, `token_issuer` whose tokens count, `grants` what
//! the groups of a person allow together, `client_network` where a request comes from.

mod api_key;
mod client_network;
mod grants;
mod principal;
mod scopes;
mod token_issuer;
mod view;

pub use api_key::{ApiKey, ApiKeyDigest, ApiKeyId, ApiKeyToken, InvalidApiKey};
pub use client_network::ClientNetwork;
pub use principal::Principal;
pub use scopes::{Scopes, UnknownScope, scope_name};
pub use token_issuer::{ClaimGrant, KeySetSource, TokenIssuer};
pub use view::View;

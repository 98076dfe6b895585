//! Rights: what a principal may see and do. Pure: `scopes` is what a credential allows, `view` which part of the hub it allows that for,
//! `principal` is the owner of a credential, `api_key` the form of the hub's own credentials, `token_issuer` whose tokens count, `login_provider` where
//! people log in, `browser_session` what they have then, `grants` what
//! the groups of a person allow together, `client_network` where a request comes from,
//! `safe_url` where credentials may be sent.

mod api_key;
mod browser_session;
mod client_network;
mod grants;
mod login_provider;
mod principal;
mod safe_url;
mod scopes;
mod token_issuer;
mod view;

pub use api_key::{ApiKey, ApiKeyDigest, ApiKeyId, ApiKeyToken, InvalidApiKey};
pub use browser_session::{
    BrowserSession, InvalidSessionToken, SESSION_IDLE_LIMIT, SESSION_LIMIT, SessionDigest, SessionToken,
};
pub use client_network::ClientNetwork;
pub use login_provider::{DEFAULT_SUBJECT_CLAIM, LoginProvider};
pub use principal::Principal;
pub use safe_url::is_safe_url;
pub use scopes::{Scopes, UnknownScope, scope_name};
pub use token_issuer::{ClaimGrant, KeySetSource, TokenIssuer};
pub use view::View;

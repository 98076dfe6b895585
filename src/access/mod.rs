//! Who may see and do what. Pure: `scopes` is what a credential allows, `view` which part of the hub it allows that for,
//! `principal` who uses it until when, `api_key` the form of the hub's own credentials.

mod api_key;
mod grants;
mod principal;
mod scopes;
mod view;

pub use api_key::{ApiKey, ApiKeyDigest, ApiKeyId, ApiKeyToken, InvalidApiKey};
pub use principal::Principal;
pub use scopes::{Scopes, UnknownScope, scope_name};
pub use view::View;

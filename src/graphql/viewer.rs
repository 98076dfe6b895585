//! The principal of a request.

use crate::access::Principal;
use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use entity::Scope;

/// The principal of the request: the owner of its credential.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct Viewer {
    /// The person or program, e.g. `key:3f9a51c07be2`; `anyone` where the API is open.
    pub subject: String,
    /// What the credential allows.
    pub scopes: Vec<Scope>,
    /// The sources that it is limited to, in alphabetical order; null for all. What belongs to other sources does not exist for it.
    pub sources: Option<Vec<String>>,
    /// When the credential ends; null if it does not.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Viewer {
    pub fn of(principal: &Principal) -> Viewer {
        let Principal { subject, view, expires_at, .. } = principal;
        Viewer {
            subject: subject.to_string(),
            scopes: view.scopes().iter().collect(),
            sources: view.sources().map(<[String]>::to_vec),
            expires_at: *expires_at,
        }
    }
}

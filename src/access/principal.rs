//! The owner of a credential.

use super::{Scopes, View};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A person or program that has a credential.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Its name, e.g. `key:3f9a51c07be2`.
    pub subject: Arc<str>,
    pub view: View,
    /// When the credential ends; `None` if it does not.
    pub expires_at: Option<DateTime<Utc>>,
    /// Cancelled when the credential expires or is revoked: subscriptions end then.
    pub ended: CancellationToken,
}

impl Principal {
    /// One with all scopes: the hub itself.
    pub fn unlimited() -> Arc<Principal> {
        Arc::new(Principal::anyone(Scopes::ALL))
    }

    /// Anyone, where no way of authentication is configured.
    pub fn anyone(scopes: Scopes) -> Principal {
        Principal {
            subject: "anyone".into(),
            view: View::new(scopes, None),
            expires_at: None,
            ended: CancellationToken::new(),
        }
    }
}

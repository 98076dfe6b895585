//! Why a login fails, in words for the person: nothing of what the provider sent, and nothing internal.

use crate::store::StoreError;

/// Why a person is not logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error("this address does not exist on this hub: a login returns to a path that begins with one slash")]
    InvalidReturnPath,
    #[error("the identity provider does not answer; try again in a minute")]
    ProviderUnavailable,
    #[error(
        "this login was not begun in this browser, or more than ten minutes ago, or is finished already: log in again"
    )]
    NotBegun,
    #[error("the answer is from another identity provider than the one that was asked: log in again")]
    OtherIssuer,
    #[error("the identity provider did not let you in")]
    Refused,
    #[error("the identity provider reported an error (`{0}`); if it persists, report it to the operator of this hub")]
    ProviderError(String),
    #[error("the identity provider did not accept the answer of the login, which can be used once: log in again")]
    CodeRefused,
    #[error(
        "the answer of the identity provider could not be verified; if it persists, report it to the operator of this hub"
    )]
    NotVerified,
    #[error("the identity provider has not verified your email address: do that there, then log in again")]
    EmailNotVerified,
    #[error("you are known to the identity provider, but have no rights here; the operator of this hub grants them")]
    NoRights,
    #[error("too many logins from this address failed; try again in {0} s")]
    TooManyFailures(u64),
    #[error("the login could not be stored; try again in a minute")]
    Unavailable,
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a login could not be stored");
        LoginError::Unavailable
    }
}

impl From<rand::rand_core::OsError> for LoginError {
    fn from(error: rand::rand_core::OsError) -> Self {
        tracing::error!(%error, "a login could not begin: the operating system has no random numbers");
        LoginError::Unavailable
    }
}

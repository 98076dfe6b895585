//! The settings of logins.

use super::Setting;

/// The keys of `[oidc]`.
pub const OIDC_SETTINGS: &[Setting] = rows! {
    /// The identity provider: an `https` address, or an `http` address of this machine. Its configuration is at
    /// `/.well-known/openid-configuration` below it.
    issuer "URL" = "";
    /// The name under which this hub is registered with the provider.
    client_id "TEXT" = "";
    /// The secret of this registration.
    client_secret "SECRET" = "";
    /// What a login asks for. Add those that the claims of the grants need, e.g. `groups`. `openid` is always asked for.
    scopes "LIST" = "`[\"openid\"]`";
    /// The claim that names the person, in `viewer` and in what it changes. It must be one that the provider gives to nobody else.
    subject_claim "TEXT" = "`sub`";
    /// The algorithms that it signs ID tokens with, some of those of `[[token_issuers]]`.
    algorithms "LIST" = "`[\"RS256\"]`";
    /// What the claims allow: `[[oidc.grants]]`, with the same keys as `[[token_issuers.grants]]`.
    grants "LIST" = "";
};

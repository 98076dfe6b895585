//! The settings of a source, and of a verification scheme, each defined once.

use super::table::{Setting, rows};

/// The keys of `[sources.<name>]`, except `verify`.
pub const SOURCE_SETTINGS: &[Setting] = rows! {
    /// The vendor that sends the webhooks.
    vendor "TEXT" = "the source's name";
    /// The URL that is registered with the vendor, character by character, without its query; a slash at its end makes no
    /// difference. Required if the vendor signs its URL (Truepic), and for other signatures if a proxy changes the path.
    public_url "URL" = "";
    /// The most deliveries per second. Further ones are answered 429. Without it, there is no limit.
    rate_limit "NUMBER" = "";
    /// At least one delivery is expected this often, e.g. `6h`. After a longer silence, `Source.alarm` is `SILENT`.
    expect_every "DURATION" = "";
    /// Accept deliveries from anyone. Required without `verify`, rejected with it.
    open "true|false" = "false";
    /// Hover only: a token for Hover's API. With it, the hub confirms a webhook itself when Hover asks for it.
    api_token "SECRET" = "";
    /// Hover only: the URL of Hover's API.
    api_url "URL" = "https://hover.to";
    /// The page of an inspection at the vendor, with `{external_id}` where the vendor's id belongs:
    /// `https://vendor.example/inspections/{external_id}`. The API shows it as `Inspection.vendorUrl`.
    vendor_link "URL" = "";
    /// Which party an inspection waits for, by state, where it differs from the vendor's default: a table of `"state" =
    /// "customer"`, `"vendor"`, `"reviewer"`, `"us"` or `"nobody"`.
    waits_for "TABLE" = "";
};

/// All verification schemes, in the order of the documentation.
pub const SCHEMES: &[&str] = &["signature", "url_token", "basic", "bearer", "api_key", "jwt"];

/// The keys of `[[sources.<name>.verify]]`.
pub const VERIFY_SETTINGS: &[Setting] = rows! {
    /// The scheme.
    scheme "TEXT" = "";
    /// The active secrets, one or two: signing secrets, tokens, passwords or keys. Any of them is valid. For `jwt` only with
    /// `HS256`. With the day on which it was issued: `{ value = "env:NAME", since = 2026-01-15 }`.
    secrets "SECRET" = "";
    /// How much the sender's clock may differ from ours.
    leeway "DURATION" ["signature", "jwt"] = "the vendor's rule; `1m` for `jwt`";
    /// The query parameter.
    parameter "TEXT" ["url_token"] = "`token`";
    /// The user name.
    username "TEXT" ["basic"] = "";
    /// The header with the key or the token. Choose one without `_`: nginx drops others.
    header "TEXT" ["api_key", "jwt"] = "`x-api-key`; `authorization` for `jwt`";
    /// `HS256` or `RS256`.
    algorithm "TEXT" ["jwt"] = "";
    /// Required with `RS256`, and only for it: the issuer's public RSA key in PEM form, or a list of two.
    public_key "SECRET" ["jwt"] = "";
    /// The required value of the claim `iss`.
    issuer "TEXT" ["jwt"] = "any";
    /// The value that the claim `aud` must have or contain. Without it, tokens with an audience are rejected.
    audience "TEXT" ["jwt"] = "";
};

//! What a hub makes of the settings of a source.

use crate::graphql::SourceInfo;
use crate::http::Endpoint;
use crate::settings::SourceSettings;
use governor::{Quota, RateLimiter};

/// What the API shows of a source.
pub fn info(source: &SourceSettings) -> SourceInfo {
    SourceInfo {
        name: source.name.clone(),
        vendor: source.vendor,
        schemes: source.verifier.schemes().into_iter().map(str::to_owned).collect(),
        open: source.verifier.is_open(),
        url: source.public_url.clone(),
        link: source.vendor_link.clone(),
        waiting_rules: source.waiting_rules.clone(),
    }
}

/// The endpoint that receives its webhooks.
pub fn endpoint(source: SourceSettings) -> (String, Endpoint) {
    let rate_limiter = source.rate_limit.map(|limit| RateLimiter::direct(Quota::per_second(limit)));
    (source.name.clone(), Endpoint { name: source.name.as_str().into(), rate_limiter, source })
}

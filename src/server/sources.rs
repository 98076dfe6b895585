//! What a hub makes of the settings of a source.

use crate::graphql::SourceInfo;
use crate::http::Endpoint;
use crate::settings::SourceSettings;
use governor::{Quota, RateLimiter};
use std::sync::Arc;

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
        rate_limit: source.rate_limit.map(|limit| i32::try_from(limit.get()).unwrap_or(i32::MAX)),
        expect_every: source.expect_every,
        secret_dates: source.verifier.secret_dates().collect(),
    }
}

/// The endpoint that receives its webhooks.
pub fn endpoint(source: SourceSettings) -> (String, Endpoint) {
    let rate_limiter = source.rate_limit.map(|limit| RateLimiter::direct(Quota::per_second(limit)));
    let traffic = Arc::default();
    (source.name.clone(), Endpoint { traffic, name: source.name.as_str().into(), rate_limiter, source })
}

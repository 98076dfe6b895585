//! The rate limit of each client, in points of cost per minute
//! (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>).

use crate::access::ClientNetwork;
use crate::graphql::ApiError;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The time in which an empty quota fills up.
pub const RATE_LIMIT_WINDOW: Duration = Duration::from_secs(60);
/// After this many requests, clients whose quota is full again are removed.
const REQUESTS_PER_SWEEP: u32 = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// Per minute.
    pub quota: u32,
    pub remaining: u32,
}

type KeyedLimiter =
    RateLimiter<ClientNetwork, DefaultKeyedStateStore<ClientNetwork>, DefaultClock, StateInformationMiddleware>;

#[derive(Debug)]
pub struct ClientRateLimiter {
    quota: NonZeroU32,
    limiter: KeyedLimiter,
    request_count: AtomicU32,
}

impl ClientRateLimiter {
    /// A quota of points per minute for each client. A client may use all of them at once.
    pub fn new(quota: NonZeroU32) -> ClientRateLimiter {
        let period = RATE_LIMIT_WINDOW / quota.get();
        let period = Quota::with_period(period.max(Duration::from_nanos(1))).unwrap_or(Quota::per_minute(quota));
        let limiter = RateLimiter::keyed(period.allow_burst(quota)).with_middleware::<StateInformationMiddleware>();
        ClientRateLimiter { quota, limiter, request_count: AtomicU32::default() }
    }

    /// Charges the cost of a request.
    ///
    /// # Errors
    /// If it is more than remains, or more than the quota.
    pub fn charge(&self, client: ClientNetwork, cost: u64) -> Result<RateLimitStatus, ApiError> {
        if self.request_count.fetch_add(1, Ordering::Relaxed) % REQUESTS_PER_SWEEP == REQUESTS_PER_SWEEP - 1 {
            self.limiter.retain_recent();
        }
        let quota = self.quota.get();
        let too_costly = || ApiError::too_costly("points of cost in a minute", quota.into(), Some(cost));
        let points = u32::try_from(cost.max(1)).ok().and_then(NonZeroU32::new).ok_or_else(too_costly)?;
        match self.limiter.check_key_n(&client, points) {
            Ok(Ok(state)) => Ok(RateLimitStatus { quota, remaining: state.remaining_burst_capacity() }),
            Ok(Err(until)) => {
                let seconds = until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
                Err(ApiError::rate_limited(seconds))
            }
            Err(_) => Err(too_costly()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::ApiErrorCode;

    fn client(text: &str) -> ClientNetwork {
        ClientNetwork::new(text.parse().expect("an address"))
    }

    #[test]
    fn each_client_has_its_own_quota() {
        let limiter = ClientRateLimiter::new(NonZeroU32::new(100).expect("not zero"));
        let (one, other) = (client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(limiter.charge(one, 60).map(|status| (status.quota, status.remaining)), Ok((100, 40)));
        let refused = limiter.charge(one, 60).expect_err("it is used up");
        assert_eq!(refused.code, ApiErrorCode::RateLimited);
        let seconds = refused.retry_after().expect("seconds");
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert!(limiter.charge(other, 60).is_ok());
        assert_eq!(limiter.charge(other, 101).map_err(|error| error.code), Err(ApiErrorCode::QueryTooCostly));
        assert_eq!(limiter.charge(other, u64::MAX).map_err(|error| error.code), Err(ApiErrorCode::QueryTooCostly));
    }

    #[test]
    fn a_household_is_one_client() {
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
    }
}

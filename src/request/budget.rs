//! What one client may ask for in a minute, in points of cost (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>).

use crate::graphql::{Fault, TooMuch};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The time in which an empty budget fills up.
pub const WINDOW: Duration = Duration::from_secs(60);
/// After so many requests, clients that have all of their budget again are forgotten.
const SWEEP: u32 = 4_096;

/// Who asks: an IPv4 address, or an IPv6 network of 64 bits, which is what one household gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

impl Client {
    pub fn new(address: IpAddr) -> Client {
        match address.to_canonical() {
            IpAddr::V6(address) => Client(IpAddr::V6((address.to_bits() >> 64 << 64).into())),
            address => Client(address),
        }
    }
}

/// What is left to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// In a minute.
    pub quota: u32,
    pub left: u32,
}

type Limiter = RateLimiter<Client, DefaultKeyedStateStore<Client>, DefaultClock, StateInformationMiddleware>;

/// The budgets of all clients.
#[derive(Debug)]
pub struct Budgets {
    quota: NonZeroU32,
    limiter: Limiter,
    taken: AtomicU32,
}

impl Budgets {
    /// So many points in a minute for each client; all of them may be used at once.
    pub fn new(quota: NonZeroU32) -> Budgets {
        let period = WINDOW / quota.get();
        let period = Quota::with_period(period.max(Duration::from_nanos(1))).unwrap_or(Quota::per_minute(quota));
        let limiter = RateLimiter::keyed(period.allow_burst(quota)).with_middleware::<StateInformationMiddleware>();
        Budgets { quota, limiter, taken: AtomicU32::default() }
    }

    /// Takes what a request costs.
    ///
    /// # Errors
    /// If that is more than is left, or more than there ever is.
    pub fn take(&self, client: Client, cost: u64) -> Result<Allowance, Fault> {
        if self.taken.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.limiter.retain_recent();
        }
        let quota = self.quota.get();
        let points = u32::try_from(cost.max(1)).ok().and_then(NonZeroU32::new);
        let too_much = TooMuch { what: "points of cost in a minute", most: quota.into(), asked: Some(cost) };
        let points = points.ok_or(Fault::TooCostly(too_much))?;
        match self.limiter.check_key_n(&client, points) {
            Ok(Ok(state)) => Ok(Allowance { quota, left: state.remaining_burst_capacity() }),
            Ok(Err(until)) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                Err(Fault::RateLimited { seconds: wait.as_secs() + 1 })
            }
            Err(_) => Err(Fault::TooCostly(too_much)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Client {
        Client::new(text.parse().expect("an address"))
    }

    #[test]
    fn a_client_has_a_budget_of_its_own() {
        let budgets = Budgets::new(NonZeroU32::new(100).expect("more than none"));
        let (one, other) = (client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(budgets.take(one, 60).map(|allowance| (allowance.quota, allowance.left)), Ok((100, 40)));
        let Err(Fault::RateLimited { seconds }) = budgets.take(one, 60) else { panic!("it is used up") };
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert!(budgets.take(other, 60).is_ok());
        assert!(matches!(budgets.take(other, 101), Err(Fault::TooCostly(_))));
        assert!(matches!(budgets.take(other, u64::MAX), Err(Fault::TooCostly(_))));
    }

    #[test]
    fn a_household_is_one_client() {
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
    }
}

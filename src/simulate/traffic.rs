//! Many scenarios side by side, merged in the order of time. The traffic never ends; the same seed gives the same traffic.

use super::patch::{ScenarioStep, TimeMapping};
use super::sample::{SampleBody, SampleError};
use super::scenario::Scenario;
use super::scenarios::VENDOR_SCENARIOS;
use super::script::VendorScenario;
use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::IntoIter;

/// The share of scenarios that never reach their end.
const STALLED_SHARE: f64 = 0.12;
/// The average number of deliveries of a scenario, and how long one lasts.
const DELIVERIES_PER_SCENARIO: u64 = 12;
const SCENARIO_DURATION: TimeDelta = TimeDelta::hours(8);
/// The number of scenarios that run at once if there is no time span to fill.
const CONCURRENT_SCENARIOS: i32 = 60;

/// Which timestamps the deliveries carry.
#[derive(Clone, Copy, Debug)]
pub enum TrafficClock {
    Fixed(TimeMapping),
    /// Each delivery carries the time at which it is sent.
    Live(fn() -> DateTime<Utc>),
}

/// An endless iterator over deliveries.
#[derive(Debug)]
pub struct Traffic {
    seed: u32,
    rng: StdRng,
    clock: TrafficClock,
    /// The sources, each with its vendor's scenario.
    roles: Vec<(usize, &'static VendorScenario)>,
    /// The mean time between the beginnings of two scenarios.
    mean_interval: TimeDelta,
    next_start: TimeDelta,
    scenarios: u64,
    /// The source and what is left to deliver, by the time of the next delivery and by number.
    active: BTreeMap<(TimeDelta, u64), (usize, IntoIter<ScenarioStep>)>,
}

#[derive(Debug)]
pub struct SimulatedDelivery {
    /// The number of the scenario it belongs to.
    pub scenario: u64,
    /// The index of its source.
    pub source: usize,
    pub step: ScenarioStep,
    times: TimeMapping,
}

impl Traffic {
    /// The traffic of these vendors, in the order of the sources. A vendor without a scenario sends nothing. `span` spreads
    /// the scenarios so that this number of deliveries takes about this long.
    pub fn new(seed: u32, vendors: &[&str], clock: TrafficClock, span: Option<(u64, TimeDelta)>) -> Traffic {
        let role = |(source, vendor): (usize, &&str)| {
            Some((source, VENDOR_SCENARIOS.iter().find(|scenario| scenario.vendor == *vendor)?))
        };
        let (duration, scenarios) = match span {
            Some((deliveries, span)) => (span, i32::try_from(deliveries / DELIVERIES_PER_SCENARIO + 1)),
            None => (SCENARIO_DURATION, Ok(CONCURRENT_SCENARIOS)),
        };
        Traffic {
            seed,
            rng: StdRng::seed_from_u64(seed.into()),
            clock,
            roles: vendors.iter().enumerate().filter_map(role).collect(),
            mean_interval: duration / scenarios.unwrap_or(i32::MAX),
            next_start: TimeDelta::zero(),
            scenarios: 0,
            active: BTreeMap::new(),
        }
    }

    fn start_scenario(&mut self) {
        self.scenarios += 1;
        let begin = self.next_start;
        let most = (2 * self.mean_interval.num_milliseconds()).max(1);
        self.next_start += TimeDelta::milliseconds(self.rng.random_range(0..=most));
        let total: u32 = self.roles.iter().map(|(_, of)| of.weight).sum();
        let drawn = self.rng.random_range(0..total.max(1));
        let mut end = 0;
        let role = self.roles.iter().find(|(_, of)| {
            end += of.weight;
            drawn < end
        });
        let Some((source, of)) = role.copied() else { return };
        let steps = Scenario::new(self.seed, self.scenarios, begin).plan(of, STALLED_SHARE);
        self.activate(self.scenarios, source, steps.into_iter());
    }

    fn activate(&mut self, number: u64, source: usize, steps: IntoIter<ScenarioStep>) {
        if let Some(next) = steps.as_slice().first() {
            self.active.insert((next.at, number), (source, steps));
        }
    }
}

impl Iterator for Traffic {
    type Item = Arc<SimulatedDelivery>;

    fn next(&mut self) -> Option<Arc<SimulatedDelivery>> {
        if self.roles.is_empty() {
            return None;
        }
        while self.active.first_key_value().is_none_or(|((at, _), _)| self.next_start <= *at) {
            self.start_scenario();
        }
        let ((_, number), (source, mut steps)) = self.active.pop_first()?;
        let step = steps.next()?;
        self.activate(number, source, steps);
        let times = match self.clock {
            TrafficClock::Fixed(times) => times,
            TrafficClock::Live(now) => TimeMapping { anchor: step.at, at: now(), scale: 1.0 },
        };
        Some(Arc::new(SimulatedDelivery { scenario: number, source, step, times }))
    }
}

impl SimulatedDelivery {
    /// An error if the script does not fit the sample.
    pub fn body(&self) -> Result<SampleBody, SampleError> {
        self.step.body(&self.times)
    }
}

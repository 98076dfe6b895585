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
    /// The times of the run are mapped like this.
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
    roles: Vec<SourceScenario>,
    /// The mean time between the beginnings of two scenarios.
    mean_interval: TimeDelta,
    next_start: TimeDelta,
    scenarios: u64,
    /// By the time of the next delivery and by number.
    active: BTreeMap<(TimeDelta, u64), ActiveScenario>,
}

/// A source and its vendor's scenario.
#[derive(Clone, Copy, Debug)]
struct SourceScenario {
    source: usize,
    scenario: &'static VendorScenario,
}

/// A scenario that has deliveries left.
#[derive(Debug)]
struct ActiveScenario {
    steps: IntoIter<ScenarioStep>,
    source: usize,
}

/// One delivery of a vendor.
#[derive(Debug)]
pub struct SimulatedDelivery {
    /// The number of the scenario it belongs to.
    pub scenario: u64,
    /// The index of its source.
    pub source: usize,
    step: ScenarioStep,
    times: TimeMapping,
}

impl Traffic {
    /// The traffic of these vendors, in the order of the sources. A vendor without a scenario sends nothing. `span` spreads
    /// the scenarios so that this number of deliveries takes about this long.
    pub fn new(seed: u32, vendors: &[&str], clock: TrafficClock, span: Option<(u64, TimeDelta)>) -> Traffic {
        let role = |(source, vendor): (usize, &&str)| {
            let scenario = VENDOR_SCENARIOS.iter().find(|scenario| scenario.vendor == *vendor)?;
            Some(SourceScenario { source, scenario })
        };
        let mean_interval = match span {
            Some((deliveries, span)) => {
                span / i32::try_from(deliveries / DELIVERIES_PER_SCENARIO + 1).unwrap_or(i32::MAX)
            }
            None => SCENARIO_DURATION / CONCURRENT_SCENARIOS,
        };
        Traffic {
            seed,
            rng: StdRng::seed_from_u64(seed.into()),
            clock,
            roles: vendors.iter().enumerate().filter_map(role).collect(),
            mean_interval,
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
        let total: u32 = self.roles.iter().map(|role| role.scenario.weight).sum();
        let mut drawn = self.rng.random_range(0..total.max(1));
        let role = self.roles.iter().find(|role| match drawn.checked_sub(role.scenario.weight) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        });
        let Some(role) = role else { return };
        let scenario = Scenario::new(self.seed, self.scenarios, begin);
        let steps = scenario.plan(role.scenario, STALLED_SHARE).into_iter();
        self.activate(self.scenarios, ActiveScenario { steps, source: role.source });
    }

    fn activate(&mut self, number: u64, scenario: ActiveScenario) {
        if let Some(next) = scenario.steps.as_slice().first() {
            self.active.insert((next.at, number), scenario);
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
        let ((_, number), mut scenario) = self.active.pop_first()?;
        let (step, source) = (scenario.steps.next()?, scenario.source);
        self.activate(number, scenario);
        let times = match self.clock {
            TrafficClock::Fixed(times) => times,
            TrafficClock::Live(now) => TimeMapping { anchor: step.at, at: now(), scale: 1.0 },
        };
        Some(Arc::new(SimulatedDelivery { scenario: number, source, step, times }))
    }
}

impl SimulatedDelivery {
    /// Since the run began.
    pub fn at(&self) -> TimeDelta {
        self.step.at
    }

    /// # Errors
    /// If the script does not fit the sample.
    pub fn body(&self) -> Result<SampleBody, SampleError> {
        self.step.body(&self.times)
    }
}

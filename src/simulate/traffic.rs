//! The scenarios of many things side by side, in the order of time: at each moment some begin, some go on, some have come to
//! their end. Without end itself; the same seed gives the same traffic.

use super::sample::{SampleBody, SampleError};
use super::scenario::{Scenario, ScenarioStep, TimeMapping};
use super::scenarios::{VENDOR_SCENARIOS, VendorScenario};
use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::vec::IntoIter;

/// Of the scenarios, those that are left unfinished.
const STALLED_SHARE: f64 = 0.12;
/// How many deliveries a scenario has, and how long it lasts; both about.
const DELIVERIES_PER_SCENARIO: u64 = 12;
const SCENARIO_DURATION: TimeDelta = TimeDelta::hours(8);
/// The scenarios that are under way at once when there is no span of time to fill.
const CONCURRENT_SCENARIOS: i32 = 60;

/// When the things happen that are reported.
#[derive(Clone, Copy, Debug)]
pub enum TrafficClock {
    /// The run's moments are mapped like this.
    Fixed(TimeMapping),
    /// Everything has just happened when it is sent.
    Live(fn() -> DateTime<Utc>),
}

/// All that happens.
#[derive(Debug)]
pub struct Traffic {
    seed: u32,
    rng: StdRng,
    clock: TrafficClock,
    roles: Vec<SourceScenario>,
    /// The mean time from one scenario's beginning to the next one's.
    mean_interval: TimeDelta,
    next_start: TimeDelta,
    scenarios: u64,
    active: BinaryHeap<Reverse<ActiveScenario>>,
}

/// A source and how its vendor's scenarios go.
#[derive(Clone, Copy, Debug)]
struct SourceScenario {
    source: usize,
    scenario: &'static VendorScenario,
}

/// A scenario that goes on.
#[derive(Debug)]
struct ActiveScenario {
    next: ScenarioStep,
    rest: IntoIter<ScenarioStep>,
    number: u64,
    source: usize,
}

/// One delivery that a vendor means to make.
#[derive(Debug)]
pub struct SimulatedDelivery {
    /// The number of the scenario it belongs to.
    pub scenario: u64,
    /// The source it is for, by its place in the list.
    pub source: usize,
    step: ScenarioStep,
    times: TimeMapping,
}

impl Traffic {
    /// The traffic of these vendors: their names in the order of the sources. A vendor that cannot be simulated says
    /// nothing. The begin of scenarios is spread so that so many deliveries take about so long.
    pub fn new(seed: u32, vendors: &[&str], clock: TrafficClock, span: Option<(u64, TimeDelta)>) -> Traffic {
        let role = |(source, vendor): (usize, &&str)| {
            VENDOR_SCENARIOS
                .iter()
                .find(|script| script.vendor == *vendor)
                .map(|script| SourceScenario { source, scenario: script })
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
            active: BinaryHeap::new(),
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
        let mut scenario = Scenario::new(self.seed, self.scenarios, begin);
        (role.scenario.plan)(&mut scenario);
        let mut steps = scenario.finish(STALLED_SHARE).into_iter();
        if let Some(next) = steps.next() {
            self.active.push(Reverse(ActiveScenario {
                next,
                rest: steps,
                number: self.scenarios,
                source: role.source,
            }));
        }
    }
}

impl Iterator for Traffic {
    type Item = Arc<SimulatedDelivery>;

    fn next(&mut self) -> Option<Arc<SimulatedDelivery>> {
        if self.roles.is_empty() {
            return None;
        }
        while self.active.peek().is_none_or(|Reverse(first)| self.next_start <= first.next.at) {
            self.start_scenario();
        }
        let Reverse(mut scenario) = self.active.pop()?;
        let (number, source) = (scenario.number, scenario.source);
        let step = match scenario.rest.next() {
            Some(next) => {
                let step = std::mem::replace(&mut scenario.next, next);
                self.active.push(Reverse(scenario));
                step
            }
            None => scenario.next,
        };
        let times = match self.clock {
            TrafficClock::Fixed(times) => times,
            TrafficClock::Live(now) => TimeMapping { anchor: step.at, at: now(), scale: 1.0 },
        };
        Some(Arc::new(SimulatedDelivery { scenario: number, source, step, times }))
    }
}

impl SimulatedDelivery {
    /// When in the run it is made.
    pub fn at(&self) -> TimeDelta {
        self.step.at
    }

    /// What it says.
    ///
    /// # Errors
    /// If a scenario and its samples do not fit together.
    pub fn body(&self) -> Result<SampleBody, SampleError> {
        self.step.body(&self.times)
    }
}

impl Ord for ActiveScenario {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.next.at, self.number).cmp(&(other.next.at, other.number))
    }
}

impl PartialOrd for ActiveScenario {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ActiveScenario {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ActiveScenario {}

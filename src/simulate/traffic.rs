//! The lives of many things side by side, in the order of time: at each moment some begin, some go on, some have come to
//! their end. Without end itself; the same seed gives the same traffic.

use super::life::{Life, Step, Times};
use super::lives::{SCRIPTS, Script};
use super::sample::{BadSample, Body};
use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::vec::IntoIter;

/// Of the lives, those that are left unfinished.
const STALLED: f64 = 0.12;
/// How many deliveries a life has, and how long it lasts; both about.
const LENGTH: u64 = 12;
const DURATION: TimeDelta = TimeDelta::hours(8);
/// The lives that are under way at once when there is no span of time to fill.
const AT_ONCE: i32 = 60;

/// When the things happen that are reported.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The run's moments are mapped like this.
    Fixed(Times),
    /// Everything has just happened when it is sent.
    Live(fn() -> DateTime<Utc>),
}

/// All that happens.
#[derive(Debug)]
pub struct Traffic {
    seed: u32,
    rng: StdRng,
    clock: Clock,
    cast: Vec<Role>,
    /// The mean time from one life's beginning to the next one's.
    gap: TimeDelta,
    next_begin: TimeDelta,
    lives: u64,
    open: BinaryHeap<Reverse<Open>>,
}

/// A source and how its vendor's lives go.
#[derive(Clone, Copy, Debug)]
struct Role {
    source: usize,
    script: &'static Script,
}

/// A life that goes on.
#[derive(Debug)]
struct Open {
    next: Step,
    rest: IntoIter<Step>,
    number: u64,
    source: usize,
}

/// One delivery that a vendor means to make.
#[derive(Debug)]
pub struct Post {
    /// The number of the life it belongs to.
    pub life: u64,
    /// The source it is for, by its place in the list.
    pub source: usize,
    step: Step,
    times: Times,
}

impl Traffic {
    /// The traffic of these vendors: their names in the order of the sources. A vendor that cannot be simulated says
    /// nothing. The begin of lives is spread so that so many deliveries take about so long.
    pub fn new(seed: u32, vendors: &[&str], clock: Clock, span: Option<(u64, TimeDelta)>) -> Traffic {
        let role = |(source, vendor): (usize, &&str)| {
            SCRIPTS.iter().find(|script| script.vendor == *vendor).map(|script| Role { source, script })
        };
        let gap = match span {
            Some((deliveries, span)) => span / i32::try_from(deliveries / LENGTH + 1).unwrap_or(i32::MAX),
            None => DURATION / AT_ONCE,
        };
        Traffic {
            seed,
            rng: StdRng::seed_from_u64(seed.into()),
            clock,
            cast: vendors.iter().enumerate().filter_map(role).collect(),
            gap,
            next_begin: TimeDelta::zero(),
            lives: 0,
            open: BinaryHeap::new(),
        }
    }

    fn begin(&mut self) {
        self.lives += 1;
        let begin = self.next_begin;
        let most = (2 * self.gap.num_milliseconds()).max(1);
        self.next_begin += TimeDelta::milliseconds(self.rng.random_range(0..=most));
        let total: u32 = self.cast.iter().map(|role| role.script.weight).sum();
        let mut drawn = self.rng.random_range(0..total.max(1));
        let role = self.cast.iter().find(|role| match drawn.checked_sub(role.script.weight) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        });
        let Some(role) = role else { return };
        let mut life = Life::new(self.seed, self.lives, begin);
        (role.script.live)(&mut life);
        let mut steps = life.end(STALLED).into_iter();
        if let Some(next) = steps.next() {
            self.open.push(Reverse(Open { next, rest: steps, number: self.lives, source: role.source }));
        }
    }
}

impl Iterator for Traffic {
    type Item = Arc<Post>;

    fn next(&mut self) -> Option<Arc<Post>> {
        if self.cast.is_empty() {
            return None;
        }
        while self.open.peek().is_none_or(|Reverse(first)| self.next_begin <= first.next.at) {
            self.begin();
        }
        let Reverse(mut life) = self.open.pop()?;
        let (number, source) = (life.number, life.source);
        let step = match life.rest.next() {
            Some(next) => {
                let step = std::mem::replace(&mut life.next, next);
                self.open.push(Reverse(life));
                step
            }
            None => life.next,
        };
        let times = match self.clock {
            Clock::Fixed(times) => times,
            Clock::Live(now) => Times { anchor: step.at, at: now(), scale: 1.0 },
        };
        Some(Arc::new(Post { life: number, source, step, times }))
    }
}

impl Post {
    /// When in the run it is made.
    pub fn at(&self) -> TimeDelta {
        self.step.at
    }

    /// What it says.
    ///
    /// # Errors
    /// If a life and its samples do not fit together.
    pub fn body(&self) -> Result<Body, BadSample> {
        self.step.body(&self.times)
    }
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.next.at, self.number).cmp(&(other.next.at, other.number))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Open {}

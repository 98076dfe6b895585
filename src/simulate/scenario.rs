//! One scenario: what a vendor says of one thing from its beginning on, and when. It is planned as a whole and turned into
//! bytes when its turn comes, so that planning is cheap and the times can be those of the sending.

use super::sample::{JsonTree, SampleBody, SampleError, SampleTemplate, json_string};
use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::borrow::Cow;
use std::ops::RangeInclusive;
use uuid::{Builder, Uuid};

pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 60 * MINUTE;

/// The scenarios that one seed has ids for.
const SCENARIOS_PER_SEED: u64 = 100_000_000;
/// The children that one scenario has ids for.
const CHILDREN_PER_SCENARIO: u64 = 100;
/// The largest seed whose ids every JSON reader can hold: they stay below 2^53.
pub const MAX_SEED: u32 = 90_000_000;

/// A scenario while it is planned.
#[derive(Debug)]
pub struct Scenario {
    id: u64,
    children: u64,
    rng: StdRng,
    now: TimeDelta,
    steps: Vec<ScenarioStep>,
}

/// One thing that is said.
#[derive(Clone, Debug)]
pub struct ScenarioStep {
    /// Since the run began; [`Times`] makes a moment of it.
    pub at: TimeDelta,
    pub sample: &'static str,
    patches: Vec<(Cow<'static, str>, FieldPatch)>,
}

/// What a field of the sample becomes.
#[derive(Clone, Debug)]
pub enum FieldPatch {
    /// This JSON.
    Json(String),
    /// A moment of the run, as the vendor spells it.
    Timestamp(TimestampFormat, TimeDelta),
    /// A list that keeps only so many of its first entries.
    Truncate(usize),
}

/// How a vendor writes a moment.
#[derive(Clone, Copy, Debug)]
pub enum TimestampFormat {
    /// `2024-03-04T14:00:00.000Z`
    Millis,
    /// `2021-05-28T22:47:10+00:00`
    Seconds,
    /// `2021-05-29T03:47:10+05:00`
    FiveHoursEast,
    /// `1598555054`
    Epoch,
}

/// When a run's moments are.
#[derive(Clone, Copy, Debug)]
pub struct TimeMapping {
    /// This moment of the run …
    pub anchor: TimeDelta,
    /// … is this one,
    pub at: DateTime<Utc>,
    /// and the distance to others is drawn out by this.
    pub scale: f64,
}

impl Scenario {
    /// The scenario with this number, of which a run of this seed has only one; it begins at this moment of the run.
    pub fn new(seed: u32, number: u64, begin: TimeDelta) -> Scenario {
        Scenario {
            id: u64::from(seed) * SCENARIOS_PER_SEED + number,
            children: 0,
            rng: StdRng::seed_from_u64(u64::from(seed) << 32 ^ number),
            now: begin,
            steps: Vec::new(),
        }
    }

    /// What is said, in order; with this probability the scenario is left unfinished.
    pub fn finish(mut self, stalled: f64) -> Vec<ScenarioStep> {
        if self.rng.random_bool(stalled) && self.steps.len() > 1 {
            let said = self.rng.random_range(1..self.steps.len());
            self.steps.truncate(said);
        }
        self.steps
    }

    /// A number that no other scenario has, nor one of a run with another seed.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A number that nothing of its kind has in any scenario; there are a hundred per scenario.
    pub fn child_id(&mut self) -> u64 {
        self.children += 1;
        self.id * CHILDREN_PER_SCENARIO + self.children % CHILDREN_PER_SCENARIO
    }

    pub fn uuid(&mut self) -> Uuid {
        Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    /// Letters and digits in any order.
    pub fn letters(&mut self, number: usize) -> String {
        const LETTERS: &[char] = &['a', 'B', 'c', 'D', 'e', 'F', 'g', 'H', 'j', 'K', 'm', 'N', '2', '5', '7', '9'];
        (0..number).map(|_| self.one_of(LETTERS)).collect()
    }

    /// Whether something happens that does in so many of a hundred cases.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    pub fn between(&mut self, range: RangeInclusive<i64>) -> i64 {
        self.rng.random_range(range)
    }

    #[expect(clippy::indexing_slicing, reason = "the lists are constants with something in them")]
    pub fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.rng.random_range(0..list.len())]
    }

    /// Time passes, in seconds.
    pub fn wait(&mut self, seconds: RangeInclusive<i64>) {
        let (least, most) = seconds.into_inner();
        self.now += TimeDelta::milliseconds(self.rng.random_range(least * 1000..=most * 1000));
    }

    /// The moment it has come to.
    pub fn now(&self) -> TimeDelta {
        self.now
    }

    /// The sample's payload is sent now, with these fields of it replaced.
    pub fn emit<P: Into<Cow<'static, str>>>(
        &mut self,
        sample: &'static str,
        set: impl IntoIterator<Item = (P, FieldPatch)>,
    ) {
        let set = set.into_iter().map(|(pointer, set)| (pointer.into(), set)).collect();
        self.steps.push(ScenarioStep { at: self.now, sample, patches: set });
    }
}

impl ScenarioStep {
    /// The payload.
    ///
    /// # Errors
    /// If the sample has not what is to be replaced.
    pub fn body(&self, times: &TimeMapping) -> Result<SampleBody, SampleError> {
        let mut sample = SampleTemplate::get(self.sample)?;
        for (pointer, set) in &self.patches {
            let no_field = || SampleError::NoField { sample: self.sample, pointer: pointer.to_string() };
            let field = sample.fields.pointer_mut(pointer).ok_or_else(no_field)?;
            match (set, &mut *field) {
                (FieldPatch::Json(text), _) => *field = JsonTree::Leaf(text.as_str().into()),
                (FieldPatch::Timestamp(spelling, at), _) => {
                    *field = JsonTree::Leaf(spelling.format(times.timestamp(*at)).into())
                }
                (FieldPatch::Truncate(number), JsonTree::List(entries)) => entries.truncate(*number),
                (FieldPatch::Truncate(_), _) => return Err(no_field()),
            }
        }
        Ok(sample.body())
    }
}

impl TimeMapping {
    pub fn timestamp(&self, of_run: TimeDelta) -> DateTime<Utc> {
        let distance = (of_run - self.anchor).num_milliseconds() as f64 * self.scale;
        self.at + TimeDelta::milliseconds(distance as i64)
    }
}

impl TimestampFormat {
    /// The moment in JSON.
    fn format(self, at: DateTime<Utc>) -> String {
        match self {
            TimestampFormat::Millis => json_string(&at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            TimestampFormat::Seconds => json_string(&at.to_rfc3339_opts(SecondsFormat::Secs, false)),
            TimestampFormat::FiveHoursEast => match FixedOffset::east_opt(5 * 3600) {
                Some(zone) => json_string(&at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false)),
                None => TimestampFormat::Seconds.format(at),
            },
            TimestampFormat::Epoch => at.timestamp().to_string(),
        }
    }

    /// A field that becomes this moment.
    pub fn patch(self, at: TimeDelta) -> FieldPatch {
        FieldPatch::Timestamp(self, at)
    }
}

impl From<&str> for FieldPatch {
    fn from(text: &str) -> FieldPatch {
        FieldPatch::Json(json_string(text))
    }
}

impl From<String> for FieldPatch {
    fn from(text: String) -> FieldPatch {
        text.as_str().into()
    }
}

impl From<Uuid> for FieldPatch {
    fn from(id: Uuid) -> FieldPatch {
        id.to_string().into()
    }
}

/// Numbers and booleans are written as Rust writes them.
macro_rules! patch_from {
    ($($type:ty),+) => {
        $(impl From<$type> for FieldPatch {
            fn from(value: $type) -> FieldPatch {
                FieldPatch::Json(value.to_string())
            }
        })+
    };
}

patch_from!(bool, i64, u64, usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spelled_as_the_vendor_does() {
        let times = TimeMapping { anchor: TimeDelta::hours(2), at: DateTime::UNIX_EPOCH, scale: 0.5 };
        let at = times.timestamp(TimeDelta::hours(3));
        for (spelling, expected) in [
            (TimestampFormat::Millis, r#""1970-01-01T00:30:00.000Z""#),
            (TimestampFormat::Seconds, r#""1970-01-01T00:30:00+00:00""#),
            (TimestampFormat::FiveHoursEast, r#""1970-01-01T05:30:00+05:00""#),
            (TimestampFormat::Epoch, "1800"),
        ] {
            assert_eq!(spelling.format(at), expected);
        }
    }

    #[test]
    fn ids_of_two_seeds_never_meet() {
        let last = Scenario::new(1, SCENARIOS_PER_SEED - 1, TimeDelta::zero());
        let mut first = Scenario::new(2, 0, TimeDelta::zero());
        assert!(last.id() < first.id());
        assert!(last.id() * CHILDREN_PER_SCENARIO + CHILDREN_PER_SCENARIO - 1 < first.child_id());
        let largest = Scenario::new(MAX_SEED, SCENARIOS_PER_SEED - 1, TimeDelta::zero());
        assert!(largest.id() < 1 << 53);
    }

    #[test]
    fn what_a_sample_has_not_cannot_be_replaced() {
        let mut scenario = Scenario::new(1, 1, TimeDelta::zero());
        scenario.emit("truepic/status-started.json", [("/inspection_id", 7u64.into()), ("/photo_id", 8u64.into())]);
        let times = TimeMapping { anchor: TimeDelta::zero(), at: DateTime::UNIX_EPOCH, scale: 1.0 };
        let error = scenario.finish(0.0)[0].body(&times).expect_err("no photo");
        assert_eq!(error.to_string(), "the sample truepic/status-started.json has no /photo_id");
    }
}

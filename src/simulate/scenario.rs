//! Plans one scenario: interprets a vendor's script with random numbers of its own. It is planned as a whole and turned
//! into bytes when its turn comes, so that planning is cheap and timestamps can be those of sending.

use super::patch::{FieldPatch, ScenarioStep};
use super::sample::SampleTemplate;
use super::script::{ScriptStep, VendorScenario};
use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::ops::ControlFlow;
use uuid::Builder;

/// The number of scenarios that one seed has ids for.
const SCENARIOS_PER_SEED: u64 = 100_000_000;
/// The number of children that one scenario has ids for.
const CHILDREN_PER_SCENARIO: u64 = 100;
/// The largest seed whose ids every JSON reader represents exactly: they stay below 2^53.
pub const MAX_SEED: u32 = 90_000_000;

/// A scenario while it is planned.
#[derive(Debug)]
pub struct Scenario {
    id: u64,
    children: u64,
    rng: StdRng,
    now: TimeDelta,
    variables: HashMap<String, Variable>,
    /// The index of the innermost [`ScriptStep::Each`].
    row: Option<usize>,
    steps: Vec<ScenarioStep>,
}

#[derive(Clone, Debug)]
enum Variable {
    Text(String),
    /// Time since the beginning of the run.
    Time(TimeDelta),
}

impl Scenario {
    /// The scenario with this number, which is unique within a run of this seed. `begin` counts from the start of the run.
    pub fn new(seed: u32, number: u64, begin: TimeDelta) -> Scenario {
        let id = u64::from(seed) * SCENARIOS_PER_SEED + number;
        let mut scenario = Scenario {
            id,
            children: 0,
            rng: StdRng::seed_from_u64(u64::from(seed) << 32 ^ number),
            now: begin,
            variables: HashMap::new(),
            row: None,
            steps: Vec::new(),
        };
        scenario.set("id", id.to_string());
        scenario
    }

    /// All deliveries of this vendor's scenario, in order. With the probability `stalled`, it ends early.
    pub fn plan(mut self, of: &'static VendorScenario, stalled: f64) -> Vec<ScenarioStep> {
        let _ = self.run(of, of.script);
        if self.rng.random_bool(stalled) && self.steps.len() > 1 {
            let sent = self.rng.random_range(1..self.steps.len());
            self.steps.truncate(sent);
        }
        self.steps
    }

    fn run(&mut self, of: &'static VendorScenario, steps: &'static [ScriptStep]) -> ControlFlow<()> {
        for step in steps {
            match *step {
                ScriptStep::Wait(min, max) => self.wait(min, max),
                ScriptStep::Send(sample) => self.send(of, sample),
                ScriptStep::After(min, max, sample) => {
                    self.wait(min, max);
                    self.send(of, sample);
                }
                ScriptStep::Set(name, template) => {
                    let value = self.fill(template, "").unwrap_or_else(|_| template.to_owned());
                    self.set(name, value);
                }
                ScriptStep::Time(name, seconds) => {
                    let at = self.now + TimeDelta::seconds(seconds);
                    self.set_variable(name, Variable::Time(at));
                }
                ScriptStep::Number(name, min, max) => {
                    let number = self.between(min, max).to_string();
                    self.set(name, number);
                }
                ScriptStep::OneOf(name, texts) => {
                    let text = self.one_of(texts);
                    self.set(name, text);
                }
                ScriptStep::RowOf(names, rows) => {
                    let row = self.one_of(rows);
                    self.set_row(names, row);
                }
                ScriptStep::Either(percent, first, second) => {
                    let first_is_run = self.rng.random_range(0..100) < percent;
                    self.run(of, if first_is_run { first } else { second })?;
                }
                ScriptStep::IfSet(name, steps) if self.variables.contains_key(name) => self.run(of, steps)?,
                ScriptStep::IfSet(..) => {}
                ScriptStep::Repeat(min, max, steps) => {
                    for round in 1..=self.between(min, max) {
                        self.set("round", round.to_string());
                        self.run(of, steps)?;
                    }
                }
                ScriptStep::Each(names, rows, min, max, steps) => {
                    let count = usize::try_from(self.between(min, max)).unwrap_or_default();
                    for (index, row) in rows.iter().enumerate().take(count) {
                        self.row = Some(index);
                        self.set_row(names, row);
                        self.run(of, steps)?;
                    }
                    self.row = None;
                }
                ScriptStep::Run(steps) => self.run(of, steps)?,
                ScriptStep::Call(call) => call(self),
                ScriptStep::End => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }

    /// A number that no other scenario has, of whatever seed.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A number that no child of any scenario has; there are a hundred per scenario.
    fn child_id(&mut self) -> u64 {
        self.children += 1;
        self.id * CHILDREN_PER_SCENARIO + self.children % CHILDREN_PER_SCENARIO
    }

    fn letters(&mut self) -> String {
        const LETTERS: &[char] = &['a', 'B', 'c', 'D', 'e', 'F', 'g', 'H', 'j', 'K', 'm', 'N', '2', '5', '7', '9'];
        (0..16).map(|_| self.one_of(LETTERS)).collect()
    }

    pub fn between(&mut self, min: i64, max: i64) -> i64 {
        self.rng.random_range(min..=max)
    }

    #[expect(clippy::indexing_slicing, reason = "the lists are constants and not empty")]
    pub fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.rng.random_range(0..list.len())]
    }

    fn wait(&mut self, min: i64, max: i64) {
        let milliseconds = self.between(min * 1000, max * 1000);
        self.now += TimeDelta::milliseconds(milliseconds);
    }

    pub fn set(&mut self, name: &str, text: impl Into<String>) {
        self.set_variable(name, Variable::Text(text.into()));
    }

    fn set_row(&mut self, names: &[&str], row: &[&str]) {
        for (name, text) in names.iter().zip(row) {
            self.set(name, *text);
        }
    }

    fn set_variable(&mut self, name: &str, value: Variable) {
        if let Some(row) = self.row {
            self.variables.insert(format!("{name}.{row}"), value.clone());
        }
        self.variables.insert(name.to_owned(), value);
    }

    pub fn seconds_between(&self, from: &str, to: &str) -> i64 {
        match (self.variables.get(from), self.variables.get(to)) {
            (Some(Variable::Time(from)), Some(Variable::Time(to))) => (*to - *from).num_seconds(),
            _ => 0,
        }
    }

    fn send(&mut self, of: &VendorScenario, sample: &'static str) {
        self.set_variable("now", Variable::Time(self.now));
        let extension = if sample.contains('.') { "" } else { ".json" };
        let path = format!("{}/{sample}{extension}", of.vendor);
        let mut patches: Vec<(String, FieldPatch)> = Vec::new();
        // A sample that does not exist is reported where its body is made.
        if let Ok(template) = SampleTemplate::get(&path) {
            let rules = of.fields.iter().filter(|(prefix, _)| sample.starts_with(prefix)).flat_map(|(_, rules)| *rules);
            for (pattern, value) in rules {
                for (pointer, index) in template.fields.matches(pattern) {
                    if patches.iter().all(|(patched, _)| *patched != pointer) {
                        patches.push((pointer, self.patch(value, &index)));
                    }
                }
            }
        }
        self.steps.push(ScenarioStep { at: self.now, sample: path, patches });
    }

    fn patch(&mut self, template: &str, index: &str) -> FieldPatch {
        let name = template.trim_matches(['{', '}']).replace('*', index);
        match self.variables.get(&name) {
            Some(Variable::Time(at)) => FieldPatch::Time(*at),
            _ => match self.fill(template, index) {
                Ok(text) => FieldPatch::Text(text),
                Err(variable) => FieldPatch::Unset(variable),
            },
        }
    }

    /// The text of a template, or the name of a variable that is not set.
    pub fn fill(&mut self, template: &str, index: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            text.push_str(before);
            text.push_str(&self.value_of(name, index)?);
            rest = after;
        }
        Ok(text + rest)
    }

    fn value_of(&mut self, name: &str, index: &str) -> Result<String, String> {
        let new = match name {
            "*" => return Ok(index.to_owned()),
            "new" => self.child_id().to_string(),
            "uuid" => Builder::from_random_bytes(self.rng.random()).into_uuid().to_string(),
            "letters" => self.letters(),
            _ => match self.variables.get(&name.replace('*', index)) {
                Some(Variable::Text(text)) => return Ok(text.clone()),
                _ => return Err(name.to_owned()),
            },
        };
        self.set("last", new.as_str());
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::script::chance;

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
    fn a_script_is_run_step_by_step() {
        static OF: VendorScenario = VendorScenario {
            vendor: "pave",
            weight: 1,
            script: &[
                ScriptStep::Each(
                    &["word"],
                    &[&["a"], &["b"], &["c"]],
                    2,
                    2,
                    &[ScriptStep::Set("twice", "{word}{word}")],
                ),
                ScriptStep::IfSet("nothing", &[ScriptStep::End]),
                ScriptStep::Repeat(2, 2, &[ScriptStep::After(1, 1, "session-note-insert")]),
                chance(100, &[ScriptStep::Send("session-sms-process"), ScriptStep::End]),
                ScriptStep::Send("session-complete"),
            ],
            fields: &[
                ("session-note", &[("/title", "{twice.0}/{word}/{round}"), ("/timestamp", "{now}"), ("/*", "{*}")]),
                ("session-sms", &[("/none", "{none}"), ("/name", "{none}")]),
            ],
        };
        let steps = Scenario::new(1, 1, TimeDelta::zero()).plan(&OF, 0.0);
        let samples: Vec<_> = steps.iter().map(|step| (step.at.num_seconds(), step.sample.as_str())).collect();
        let (note, sms) = ("pave/session-note-insert.json", "pave/session-sms-process.json");
        assert_eq!(samples, [(1, note), (2, note), (2, sms)]);
        let patch = |step: usize, name: &str| steps[step].patches.iter().find(|(pointer, _)| pointer == name);
        let text = |text: &str| FieldPatch::Text(text.to_owned());
        assert_eq!(patch(1, "/title").map(|found| &found.1), Some(&text("aa/b/2")));
        assert_eq!(patch(1, "/timestamp").map(|found| &found.1), Some(&FieldPatch::Time(TimeDelta::seconds(2))));
        assert_eq!(patch(0, "/user").map(|found| &found.1), Some(&text("user")));
        assert_eq!(steps[2].patches, [("/name".to_owned(), FieldPatch::Unset("none".to_owned()))]);
    }
}

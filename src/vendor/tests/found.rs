//! What a reading shows, and whether a value of the body is among it.

use crate::event::{Event, News, Reading, VendorTime};
use crate::vendor::fields::{json, moment};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::HashSet;

/// All values that a reading shows, whichever of its entities they belong to.
#[derive(Debug, Default)]
pub struct Shown {
    texts: HashSet<String>,
    numbers: HashSet<u64>,
    moments: HashSet<DateTime<Utc>>,
}

impl Shown {
    pub fn of(reading: &Reading) -> Self {
        let mut shown = Shown::default();
        shown.text(&reading.event);
        reading.news_id.iter().for_each(|id| shown.text(id));
        shown.time(&reading.occurred_at);
        for event in &reading.events {
            shown.event(event);
        }
        shown
    }

    fn event(&mut self, event: &Event) {
        let refs = [Some(&event.about), event.parent.as_ref()].into_iter().flatten();
        refs.for_each(|of| self.id(&of.external_id));
        event.inspection.iter().for_each(|id| self.id(id));
        event.reference.iter().for_each(|reference| self.text(&reference.value));
        event.group.iter().for_each(|group| self.text(group));
        if let News::State(state) = &event.news {
            self.text(state);
        }
        self.time(&event.at);
        for fact in &event.facts {
            self.json(&fact.parts().1.expect("JSON"));
        }
        for (_, value) in &event.details {
            self.json(&json(value));
        }
    }

    // An id is put together from those of what the entity belongs to and its own.
    fn id(&mut self, id: &str) {
        self.text(id);
        id.split('/').for_each(|part| self.text(part));
    }

    fn time(&mut self, time: &VendorTime) {
        self.moments.extend(time.at());
        time.stated().iter().for_each(|stated| self.json(&json(&stated.value)));
    }

    fn text(&mut self, text: &str) {
        if let Ok(number) = text.trim().parse::<f64>() {
            self.numbers.insert(number.to_bits());
        }
        self.moments.extend(moment(text));
        self.texts.insert(text.to_owned());
        self.texts.insert(text.trim().to_owned());
    }

    /// Adds all leaves of a value.
    pub fn json(&mut self, value: &Value) {
        leaves(value, "", &mut |_, leaf| match leaf {
            Value::String(text) => self.text(text),
            leaf => self.text(&leaf.to_string()),
        });
    }

    /// Whether the leaf is shown, as it came, or as the number, flag or moment that it spells.
    pub fn has(&self, leaf: &Value) -> bool {
        let text = text_of(leaf);
        let number = || text.trim().parse::<f64>().is_ok_and(|number| self.numbers.contains(&number.to_bits()));
        let at = || moment(&text).is_some_and(|at| self.moments.contains(&at));
        // A flag can become any word; that it is heard is tested by turning it.
        is_flag(&text) || self.texts.contains(&text) || self.texts.contains(text.trim()) || number() || at()
    }
}

pub fn text_of(leaf: &Value) -> String {
    match leaf {
        Value::String(text) => text.clone(),
        leaf => leaf.to_string(),
    }
}

pub fn is_flag(text: &str) -> bool {
    ["true", "false", "1", "0"].contains(&text.trim().to_ascii_lowercase().as_str())
}

/// Each leaf that is not null, with its path: names with dots between, `[]` for any place in a list.
pub fn leaves(value: &Value, path: &str, found: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Null => {}
        Value::Array(entries) => entries.iter().for_each(|entry| leaves(entry, &format!("{path}[]"), found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let whole = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
                let path = match (path, whole) {
                    (path, true) => format!("{path}[]"),
                    ("", false) => name.clone(),
                    (path, false) => format!("{path}.{name}"),
                };
                leaves(value, &path, found);
            }
        }
        leaf => found(path, leaf),
    }
}

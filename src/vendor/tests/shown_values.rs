//! What a reading shows, and whether a value of the body is among it.

use crate::event::{Event, ParsedDelivery, StateClaim, VendorTime};
use crate::vendor::fields::{json_value, parse_timestamp};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::HashSet;

/// All values that a reading shows, whichever of its entities they belong to.
#[derive(Debug, Default)]
pub struct ShownValues {
    /// In lower case: a UUID is the same in any.
    texts: HashSet<String>,
    stated: HashSet<DateTime<Utc>>,
    /// Read from the texts when they are needed for the first time.
    moments: OnceCell<HashSet<DateTime<Utc>>>,
    numbers: OnceCell<HashSet<u64>>,
}

impl ShownValues {
    pub fn of(reading: &ParsedDelivery) -> Self {
        let mut shown = ShownValues::default();
        shown.text(&reading.event);
        reading.vendor_event_id.iter().for_each(|id| shown.text(id));
        shown.time(&reading.occurred_at);
        for event in &reading.events {
            shown.event(event);
        }
        shown
    }

    fn event(&mut self, event: &Event) {
        let refs = [Some(&event.entity), event.parent.as_ref()].into_iter().flatten();
        refs.for_each(|of| self.id(&of.external_id));
        event.inspection_external_id.iter().for_each(|id| self.id(id));
        event.reference.iter().for_each(|reference| self.text(&reference.value));
        event.group.iter().for_each(|group| self.text(group));
        if let StateClaim::Exact(state) = &event.state_claim {
            self.text(state);
        }
        self.time(&event.occurred_at);
        for fact in &event.facts {
            self.json(&fact.parts().1.expect("JSON"));
        }
        for (_, value) in &event.details {
            self.json(&json_value(value));
        }
    }

    // An id is put together from those of what the entity belongs to and its own.
    fn id(&mut self, id: &str) {
        self.text(id);
        id.split('/').for_each(|part| self.text(part));
    }

    fn time(&mut self, time: &VendorTime) {
        self.stated.extend(time.at);
        time.raw_field.as_deref().iter().for_each(|stated| self.json(&json_value(&stated.value)));
    }

    fn text(&mut self, text: &str) {
        self.texts.insert(text.trim().to_ascii_lowercase());
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
        let text = text_of(leaf).trim().to_ascii_lowercase();
        // A flag can become any word; that it is heard is tested by turning it.
        is_flag(&text) || self.texts.contains(&text) || self.has_number(&text) || self.has_moment(&text)
    }

    fn has_number(&self, text: &str) -> bool {
        let Ok(number) = text.parse::<f64>() else { return false };
        let numbers = || self.texts.iter().filter_map(|text| Some(text.parse::<f64>().ok()?.to_bits())).collect();
        self.numbers.get_or_init(numbers).contains(&number.to_bits())
    }

    fn has_moment(&self, text: &str) -> bool {
        let Some(at) = parse_timestamp(&text.to_ascii_uppercase()) else { return false };
        let moments = || self.texts.iter().filter_map(|text| parse_timestamp(&text.to_ascii_uppercase())).collect();
        self.stated.contains(&at) || self.moments.get_or_init(moments).contains(&at)
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

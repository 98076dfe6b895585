//! Fields of a body that have no typed fact.

use serde_json::value::RawValue;
use std::collections::HashMap;

/// Untyped fields, under the vendor's names.
#[derive(Clone, Debug, Default)]
pub struct Details {
    pub fields: Vec<Detail>,
    /// Whether one of the fields contains an invalid time.
    pub invalid_time: bool,
}

#[derive(Clone, Debug)]
pub struct Detail {
    pub name: String,
    /// The path from the body, e.g. `session.vehicle`.
    pub path: String,
    pub value: Box<RawValue>,
}

impl Details {
    /// A field that the body does not have under this name, if it has a value.
    pub fn of(name: &str, value: Option<&RawValue>) -> Self {
        let detail =
            |value: &RawValue| Detail { name: name.to_owned(), path: name.to_owned(), value: value.to_owned() };
        Details { fields: value.map(detail).into_iter().collect(), invalid_time: false }
    }

    pub fn and(mut self, other: Details) -> Self {
        self.fields.extend(other.fields);
        self.invalid_time |= other.invalid_time;
        self
    }

    /// Adds the fields to those that an event already has from the same body. If two fields have one name, the later one gets its
    /// path as its name, so that neither replaces the other.
    pub(super) fn add_to(self, known: &mut Vec<(String, Box<RawValue>)>) {
        if self.fields.is_empty() {
            return;
        }
        known.reserve(self.fields.len());
        let mut names: HashMap<String, usize> =
            known.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        // A body can have thousands of fields with one name.
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for Detail { name, path, value } in self.fields {
            let known_as = |name: &str| names.get(name).and_then(|at| known.get(*at));
            let same = |name: &str| known_as(name).is_some_and(|(_, known)| known.get() == value.get());
            if same(&name) || same(&path) {
                continue;
            }
            let free = if !names.contains_key(&name) {
                name
            } else if !names.contains_key(&path) {
                path
            } else {
                let number = numbers.entry(path.clone()).or_insert(1);
                loop {
                    *number += 1;
                    let numbered = format!("{path}#{number}");
                    if !names.contains_key(&numbered) {
                        break numbered;
                    }
                }
            };
            names.insert(free.clone(), known.len());
            known.push((free, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(name: &str, path: &str, value: &str) -> Detail {
        let value = RawValue::from_string(value.to_owned()).expect("JSON");
        Detail { name: name.to_owned(), path: path.to_owned(), value }
    }

    #[test]
    fn no_field_replaces_another_of_its_name() {
        let mut known = Vec::new();
        for (path, value) in [("vin", "1"), ("session.vin", "2"), ("session.vin", "3"), ("session.vin", "4")] {
            let mut details = Details::default();
            details.fields.extend([detail("vin", path, value), detail("same", path, "5")]);
            details.add_to(&mut known);
        }
        let known: Vec<_> = known.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
        let expected =
            [("vin", "1"), ("same", "5"), ("session.vin", "2"), ("session.vin#2", "3"), ("session.vin#3", "4")];
        assert_eq!(known, expected);
    }

    #[test]
    fn thousands_of_fields_with_one_name_are_all_kept() {
        let mut details = Details::default();
        details.fields.extend((0..50_000).map(|number| detail("a", "a", &number.to_string())));
        let mut known = Vec::new();
        details.add_to(&mut known);
        assert_eq!(known.len(), 50_000);
        assert_eq!(known.last().map(|(name, _)| name.as_str()), Some("a#50000"));
    }
}

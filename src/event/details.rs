//! What a vendor reports and no typed field holds, on its way from a body to the entity it belongs to.

use serde_json::value::RawValue;
use std::collections::HashMap;

/// Fields without a type of their own, in the vendor's words.
#[derive(Clone, Debug, Default)]
pub struct Details {
    fields: Vec<Detail>,
    /// Whether a field that should state a moment does not.
    pub invalid_time: bool,
}

/// One field as it came.
#[derive(Clone, Debug)]
pub struct Detail {
    /// The field's own name.
    pub name: String,
    /// Its name with those of the objects around it, e.g. `session.vehicle`.
    pub path: String,
    pub value: Box<RawValue>,
}

impl Details {
    pub fn push(&mut self, detail: Detail) {
        self.fields.push(detail);
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Both, this one's fields first.
    pub fn and(mut self, other: impl Into<Details>) -> Self {
        let other = other.into();
        self.fields.extend(other.fields);
        self.invalid_time |= other.invalid_time;
        self
    }

    /// Adds the fields to those that an entity has from the same body. Where two have one name, the later is named by its
    /// path, so that neither replaces the other.
    pub(super) fn add_to(self, known: &mut Vec<(String, Box<RawValue>)>) {
        if self.fields.is_empty() {
            return;
        }
        known.reserve(self.fields.len());
        let mut names: HashMap<String, usize> =
            known.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        // A body can have very many fields of one name.
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

impl From<Vec<(String, Box<RawValue>)>> for Details {
    fn from(fields: Vec<(String, Box<RawValue>)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| Detail { path: name.clone(), name, value });
        Details { fields: fields.collect(), invalid_time: false }
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
            details.push(detail("vin", path, value));
            details.push(detail("same", path, "5"));
            details.add_to(&mut known);
        }
        let known: Vec<_> = known.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
        let expected =
            [("vin", "1"), ("same", "5"), ("session.vin", "2"), ("session.vin#2", "3"), ("session.vin#3", "4")];
        assert_eq!(known, expected);
    }

    #[test]
    fn very_many_fields_of_one_name_are_all_kept() {
        let mut details = Details::default();
        (0..50_000).for_each(|number| details.push(detail("a", "a", &number.to_string())));
        let mut known = Vec::new();
        details.add_to(&mut known);
        assert_eq!(known.len(), 50_000);
        assert_eq!(known.last().map(|(name, _)| name.as_str()), Some("a#50000"));
    }
}

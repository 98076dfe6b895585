//! What is left of a body: what no adapter has read, in nested objects and lists too. Each part is handed out once.

use super::{Entry, Field, Fields, State};
use crate::event::{Detail, Details, storable};
use serde_json::value::RawValue;

impl Fields<'_> {
    /// What has not been read and is not null, as details under the fields' names; of an object or a list that was opened,
    /// what is left of it. Once handed out, it is not left any more.
    pub fn rest(&self) -> Details {
        let mut details = Details::default();
        for field in &self.0.fields {
            if let Some(value) = left_of_field(field, &mut details.misread_time) {
                let name = storable(field.name.clone().into_owned());
                let path = self.path_of(&name);
                details.push(Detail { name, path, value });
            }
        }
        details
    }

    /// Whether nothing is left that has not been read.
    pub fn is_spent(&self) -> bool {
        self.0.fields.iter().all(|field| is_spent(&field.state.borrow(), field.value))
    }
}

fn is_spent(state: &State<'_>, value: &RawValue) -> bool {
    match state {
        State::Unread => value.get() == "null",
        State::Read => true,
        State::Object(fields) => fields.is_spent(),
        State::List(entries) => entries.iter().all(|Entry(entry)| is_spent(&entry.state.borrow(), entry.value)),
        State::One(Entry(entry)) => is_spent(&entry.state.borrow(), entry.value),
    }
}

fn left_of_field(field: &Field<'_>, misread: &mut bool) -> Option<Box<RawValue>> {
    let left = left(&field.state.replace(State::Read), field.value, misread)?;
    *misread |= field.misread.take();
    Some(left)
}

fn left(state: &State<'_>, value: &RawValue, misread: &mut bool) -> Option<Box<RawValue>> {
    match state {
        State::Unread => (value.get() != "null").then(|| value.to_owned()),
        State::Read => None,
        State::Object(fields) => {
            let left = fields.0.fields.iter().filter_map(|field| {
                let value = left_of_field(field, misread)?;
                Some(format!(
                    "{}:{}",
                    serde_json::to_string(&storable(field.name.clone().into_owned())).ok()?,
                    value.get()
                ))
            });
            printed('{', left.collect(), '}')
        }
        State::List(entries) => {
            let left = entries.iter().filter_map(|Entry(entry)| Some(left_of_field(entry, misread)?.get().to_owned()));
            printed('[', left.collect(), ']')
        }
        State::One(Entry(entry)) => left_of_field(entry, misread),
    }
}

fn printed(open: char, parts: Vec<String>, close: char) -> Option<Box<RawValue>> {
    if parts.is_empty() {
        return None;
    }
    RawValue::from_string(format!("{open}{}{close}", parts.join(","))).ok()
}

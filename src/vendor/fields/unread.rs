//! The fields that no adapter has read, also in nested objects and lists. Each one is returned once.

use super::{JsonFields, ListEntry, ReadState, TrackedField};
use crate::event::{Detail, Details, storable};
use serde_json::value::RawValue;

impl JsonFields<'_> {
    /// The fields that are unread and not null; of objects and lists that were opened, their unread parts. All of them count as
    /// read afterwards.
    pub fn unread_details(&self) -> Details {
        let mut details = Details::default();
        for field in &self.0.fields {
            if let Some(value) = take_unread_field(field, &mut details.invalid_time) {
                let name = storable(field.name.clone().into_owned());
                let path = self.path_of(&name);
                details.fields.push(Detail { name, path, value });
            }
        }
        details
    }

    pub fn is_fully_read(&self) -> bool {
        self.0.fields.iter().all(|field| is_value_fully_read(&field.state.borrow(), field.value))
    }
}

fn is_value_fully_read(state: &ReadState<'_>, value: &RawValue) -> bool {
    match state {
        ReadState::Unread => value.get() == "null",
        ReadState::Read => true,
        ReadState::Object(fields) => fields.is_fully_read(),
        ReadState::List(entries) => {
            entries.iter().all(|ListEntry(entry)| is_value_fully_read(&entry.state.borrow(), entry.value))
        }
        ReadState::Single(ListEntry(entry)) => is_value_fully_read(&entry.state.borrow(), entry.value),
    }
}

fn take_unread_field(field: &TrackedField<'_>, misread: &mut bool) -> Option<Box<RawValue>> {
    let left = take_unread_value(&field.state.replace(ReadState::Read), field.value, misread)?;
    *misread |= field.misread.take();
    Some(left)
}

fn take_unread_value(state: &ReadState<'_>, value: &RawValue, misread: &mut bool) -> Option<Box<RawValue>> {
    match state {
        ReadState::Unread => (value.get() != "null").then(|| value.to_owned()),
        ReadState::Read => None,
        ReadState::Object(fields) => {
            let left = fields.0.fields.iter().filter_map(|field| {
                let value = take_unread_field(field, misread)?;
                Some(format!(
                    "{}:{}",
                    serde_json::to_string(&storable(field.name.clone().into_owned())).ok()?,
                    value.get()
                ))
            });
            join_json('{', left.collect(), '}')
        }
        ReadState::List(entries) => {
            let left =
                entries.iter().filter_map(|ListEntry(entry)| Some(take_unread_field(entry, misread)?.get().to_owned()));
            join_json('[', left.collect(), ']')
        }
        ReadState::Single(ListEntry(entry)) => take_unread_field(entry, misread),
    }
}

fn join_json(open: char, parts: Vec<String>, close: char) -> Option<Box<RawValue>> {
    if parts.is_empty() {
        return None;
    }
    RawValue::from_string(format!("{open}{}{close}", parts.join(","))).ok()
}

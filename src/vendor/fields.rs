//! A vendor's JSON object, read field by field and forgivingly: a field of the wrong type counts as absent and stays
//! readable among the details, numbers keep their text, and what nobody asked for is what is left.
//!
//! An object or a list that is opened stays a part of its body: what is not read of it is left of the body too, under its
//! name. An adapter that hands out the [rest](Fields::rest) of the body therefore loses nothing.

mod layered;
mod parse;
mod unread;

pub use super::timestamp::parse_timestamp;
pub use layered::LayeredFields;
pub use parse::json_value;

use super::{Unreadable, body};
use crate::event::VendorTime;
use chrono::{DateTime, Utc};
use parse::{list_entries, string, text};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// How deep a body may be nested; the limit serde_json has too.
const MAX_DEPTH: usize = 128;
/// The longest id a vendor announces (Record360: up to 255 characters); ours is a little larger.
const MAX_ID_CHARS: usize = 512;

/// The fields of one JSON object. A field that was read does not count among the [rest](Fields::rest).
#[derive(Clone, Debug, Default)]
pub struct JsonFields<'a>(Rc<TrackedObject<'a>>);

#[derive(Debug, Default)]
struct TrackedObject<'a> {
    fields: Vec<TrackedField<'a>>,
    /// The names of the objects around it and its own, with dots between; empty for a body.
    path: String,
}

#[derive(Debug)]
struct TrackedField<'a> {
    name: Cow<'a, str>,
    value: &'a RawValue,
    state: RefCell<ReadState<'a>>,
    /// Whether it was asked for a moment and states none.
    misread: Cell<bool>,
}

/// How far a value has been read.
#[derive(Debug, Default)]
enum ReadState<'a> {
    #[default]
    Unread,
    Read,
    Object(JsonFields<'a>),
    List(Vec<ListEntry<'a>>),
    /// A single value where a list is meant.
    Single(ListEntry<'a>),
}

/// An entry of a list that was opened.
#[derive(Clone, Debug)]
pub struct ListEntry<'a>(Rc<TrackedField<'a>>);

impl<'a> JsonFields<'a> {
    /// Reads a body that should be a JSON object.
    ///
    /// # Errors
    /// Says in which way it is not, and where.
    pub fn parse_body(body: &'a [u8]) -> Result<Self, Unreadable> {
        let text = body::utf8(body)?;
        if parse::nesting_depth(text) > MAX_DEPTH {
            return Err(Unreadable(format!("the body is nested deeper than {MAX_DEPTH} levels")));
        }
        serde_json::from_str(text).map_err(|error| {
            Unreadable(match error.classify() {
                serde_json::error::Category::Data => "the body is JSON, but not an object".to_owned(),
                _ => format!("the body is not JSON: line {}, column {}", error.line(), error.column()),
            })
        })
    }

    fn new(members: Vec<(Cow<'a, str>, &'a RawValue)>, path: String) -> Self {
        let fields = members.into_iter().map(|(name, value)| TrackedField::new(name, value)).collect();
        JsonFields(Rc::new(TrackedObject { fields, path }))
    }

    fn parse_value(value: &'a RawValue, path: String) -> Option<Self> {
        Some(JsonFields::new(parse::members(value)?, path))
    }

    fn path_of(&self, name: &str) -> String {
        if self.0.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.0.path) }
    }

    // The last of several fields with one name counts, as in serde_json and JavaScript.
    fn find(&self, name: &str) -> Option<&TrackedField<'a>> {
        self.0.fields.iter().rev().find(|field| field.name == name)
    }

    fn consume<T>(&self, name: &str, convert: impl FnOnce(&'a RawValue) -> Option<T>) -> Option<T> {
        let field = self.find(name)?;
        let value = convert(field.value)?;
        field.state.replace(ReadState::Read);
        Some(value)
    }

    /// All fields by name, read or not, as they stand; of several with one name the last counts.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.fields.iter().map(|field| (field.name.as_ref(), field.value))
    }

    /// Whether there is a field with this name, and it is not null.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some_and(|field| field.value.get() != "null")
    }

    /// A string that is not blank; a number's or a boolean's text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.consume(name, text)
    }

    /// An identifier: a string or a whole number, as text, at most 512 characters. A whole number is one too where it is
    /// printed with a fraction of zeros, as in `4.0`.
    pub fn id(&self, name: &str) -> Option<String> {
        self.consume(name, id)
    }

    /// An identifier of what the vendor numbers: however the number is spelled (`4`, `"04"`, `" 4 "`, `4.0`), it is one.
    /// Other text is taken as by [`Fields::id`].
    pub fn numeric_id(&self, name: &str) -> Option<String> {
        self.consume(name, |value| Some(normalize_numeric_id(id(value)?)))
    }

    /// A number, also one written as a string. One with more digits than a double holds is none.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.consume(name, |value| number(&text(value)?))
    }

    /// A whole number within 32 bits, also one written as a string.
    pub fn integer(&self, name: &str) -> Option<i32> {
        self.consume(name, |value| strip_zero_fraction(text(value)?.trim()).parse().ok())
    }

    /// A boolean: `true` and `false`, 1 and 0, `yes` and `no`, `t` and `f` (PostgreSQL), also written as strings, in any
    /// case.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.consume(name, |value| match strip_zero_fraction(text(value)?.trim()).to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "t" => Some(true),
            "false" | "0" | "no" | "f" => Some(false),
            _ => None,
        })
    }

    /// The moment by which an event is ordered, in any of the forms of [`moment`]. What is none stays among the
    /// [rest](Fields::rest). A blank text states nothing.
    pub fn vendor_time(&self, name: &str) -> VendorTime {
        let Some(field) = self.find(name).filter(|field| !is_blank(field.value)) else {
            return VendorTime::default();
        };
        match self.consume(name, stated_timestamp) {
            Some(at) => VendorTime::valid(name, field.value, at),
            None => VendorTime::invalid(name, field.value),
        }
    }

    /// A moment that is a fact, in any of the forms of [`moment`]. What is none stays among the [rest](Fields::rest), which
    /// then says that a time could not be read.
    pub fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        let at = self.consume(name, stated_timestamp);
        if at.is_none()
            && let Some(field) = self.find(name).filter(|field| !is_blank(field.value))
        {
            field.misread.set(true);
        }
        at
    }

    /// A nested object. What is not read of it is left of this one too.
    pub fn object(&self, name: &str) -> Option<JsonFields<'a>> {
        self.find(name)?.open(|| self.path_of(name))
    }

    /// A field by a path of names with dots between, as an identifier: `asset.external_id`.
    pub fn id_at_path(&self, path: &str, counts_as_read: bool) -> Option<String> {
        match path.split_once('.') {
            Some((name, rest)) => self.object(name)?.id_at_path(rest, counts_as_read),
            None if counts_as_read => self.id(path),
            None => id(self.find(path)?.value),
        }
    }

    /// The entries of a list: of one that PHP printed as an object too, and a single value where a list of one is meant.
    /// What is not read of them is left of this object too.
    pub fn list(&self, name: &str) -> Vec<ListEntry<'a>> {
        let Some(field) = self.find(name).filter(|field| field.value.get() != "null") else { return Vec::new() };
        match &*field.state.borrow() {
            ReadState::List(entries) => return entries.clone(),
            ReadState::Single(entry) => return vec![entry.clone()],
            ReadState::Unread | ReadState::Read | ReadState::Object(_) => {}
        }
        let entry = |value| ListEntry(Rc::new(TrackedField::new(Cow::Owned(self.path_of(name)), value)));
        let Some(values) = list_entries(field.value) else {
            let one = entry(field.value);
            field.open_with(ReadState::Single(one.clone()));
            return vec![one];
        };
        let list: Vec<_> = values.into_iter().map(entry).collect();
        field.open_with(ReadState::List(list.clone()));
        list
    }

    /// The objects of a list; also a single object where a list of one is meant.
    pub fn objects(&self, name: &str) -> Vec<JsonFields<'a>> {
        self.list(name).iter().filter_map(ListEntry::object).collect()
    }

    /// The values of a list, which all count as read; also a single value where a list of one is meant.
    pub fn values(&self, name: &str) -> Vec<&'a RawValue> {
        let value = |value: &'a RawValue| match value.get() {
            "null" => None,
            _ => Some(list_entries(value).unwrap_or_else(|| vec![value])),
        };
        self.consume(name, value).unwrap_or_default()
    }

    /// The values of a list as by [`Fields::values`]; they do not count as read.
    pub fn peek_values(&self, name: &str) -> Vec<&'a RawValue> {
        self.peek(name).map(|value| list_entries(value).unwrap_or_else(|| vec![value])).unwrap_or_default()
    }

    /// Whether there is a list with this name, and nothing in it.
    pub fn is_empty_list(&self, name: &str) -> bool {
        self.peek(name).and_then(list_entries).is_some_and(|entries| entries.is_empty())
    }

    /// A field as it stands, if it is not null.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.consume(name, |value| (value.get() != "null").then_some(value))
    }

    /// A field as it stands, if it is not null; it does not count as read.
    pub fn peek(&self, name: &str) -> Option<&'a RawValue> {
        self.find(name).map(|field| field.value).filter(|value| value.get() != "null")
    }

    /// A field's text as by [`Fields::text`]; it does not count as read.
    pub fn peek_text(&self, name: &str) -> Option<String> {
        text(self.find(name)?.value)
    }

    /// An identifier as by [`Fields::number_id`]; it does not count as read.
    pub fn peek_numeric_id(&self, name: &str) -> Option<String> {
        id(self.find(name)?.value).map(normalize_numeric_id)
    }

    /// A field as a JSON value, if it is not null.
    pub fn json(&self, name: &str) -> Option<serde_json::Value> {
        self.consume(name, |value| (value.get() != "null").then(|| json_value(value)))
    }

    /// What a known word stands for, in any case. It does not count as read: it may say more than its meaning.
    pub fn peek_enum<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.peek_text(name)?;
        words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim())).map(|(_, meaning)| *meaning)
    }

    /// Counts a field as not read, for what turned out to have no use.
    pub fn mark_unread(&self, name: &str) {
        if let Some(field) = self.find(name) {
            field.state.replace(ReadState::Unread);
        }
    }

    /// Counts a field as read, for what is known but has no use.
    pub fn mark_read(&self, name: &str) {
        self.consume(name, |_| Some(()));
    }
}

impl<'a> TrackedField<'a> {
    fn open(&self, path: impl FnOnce() -> String) -> Option<JsonFields<'a>> {
        if let ReadState::Object(fields) = &*self.state.borrow() {
            return Some(fields.clone());
        }
        let fields = JsonFields::parse_value(self.value, path())?;
        self.open_with(ReadState::Object(fields.clone()));
        Some(fields)
    }

    // What was read as a whole is not left again because a part of it is looked at.
    fn open_with(&self, opened: ReadState<'a>) {
        if matches!(*self.state.borrow(), ReadState::Unread) {
            self.state.replace(opened);
        }
    }
}

impl<'a> ListEntry<'a> {
    /// Its fields, if it is an object.
    pub fn object(&self) -> Option<JsonFields<'a>> {
        self.0.open(|| self.0.name.clone().into_owned())
    }

    /// As it stands; it does not count as read.
    pub fn peek(&self) -> &'a RawValue {
        self.0.value
    }

    /// As it stands, all of it read.
    pub fn consume(&self) -> &'a RawValue {
        self.0.state.replace(ReadState::Read);
        self.0.value
    }

    /// Its text, if it is a string that is not blank; it does not count as read.
    pub fn peek_text(&self) -> Option<String> {
        string(self.0.value).filter(|text| !text.trim().is_empty())
    }

    /// Its text, if it is a string that is not blank.
    pub fn text(&self) -> Option<String> {
        let text = self.peek_text()?;
        self.consume();
        Some(text)
    }
}

/// The address of a thing without what changes each time it is signed: query and fragment.
pub fn url_without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url).trim()
}

/// An id for what has none: its owner's and a digest of what it says (the first 64 bits of SHA-256, hexadecimal).
pub fn content_id(owner: &str, content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    format!("{owner}/{}", hex::encode(digest.get(..8).unwrap_or_default()))
}

// A moment as a text or a number, or as PHP prints its `DateTime`: an object with the date and the time zone.
fn stated_timestamp(value: &RawValue) -> Option<DateTime<Utc>> {
    if let Some(text) = text(value) {
        return parse_timestamp(&text);
    }
    let object = JsonFields::parse_value(value, String::new())?;
    parse_timestamp(&format!("{} {}", object.text("date")?, object.text("timezone")?))
}

fn is_blank(value: &RawValue) -> bool {
    value.get() == "null" || string(value).is_some_and(|text| text.trim().is_empty())
}

fn id(value: &RawValue) -> Option<String> {
    let raw = strip_zero_fraction(value.get());
    let digits = raw.strip_prefix('-').unwrap_or(raw).bytes().all(|byte| byte.is_ascii_digit());
    let id = if digits { raw.to_owned() } else { string(value)?.trim().to_owned() };
    (!id.is_empty() && id.chars().count() <= MAX_ID_CHARS).then_some(id)
}

// A number's text without a fraction of zeros.
fn strip_zero_fraction(number: &str) -> &str {
    match number.split_once('.') {
        Some((whole, zeros)) if !whole.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => number,
    }
}

fn normalize_numeric_id(id: String) -> String {
    let digits = strip_zero_fraction(&id);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return id;
    }
    let plain = digits.trim_start_matches('0');
    if plain.is_empty() { "0".to_owned() } else { plain.to_owned() }
}

fn number(text: &str) -> Option<f64> {
    /// As many digits as PHP and Python print of a double.
    const MAX_DIGITS: usize = 17;
    /// Whole numbers up to this are exact (2^53).
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let text = text.trim();
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    (digits <= MAX_DIGITS && (mantissa.contains('.') || number.abs() <= MAX_EXACT)).then_some(number)
}

#[cfg(test)]
mod tests;

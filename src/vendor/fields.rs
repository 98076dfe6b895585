//! A vendor's JSON object, read leniently field by field. A field of the wrong type counts as absent and unread. Numbers
//! keep their text.
//!
//! The object tracks which fields have been read. Objects and lists that are opened belong to their body: their unread parts
//! are unread parts of the body, under the same name. An adapter that adds the body's
//! [unread details](JsonFields::unread_details) to an event therefore loses nothing.

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
use std::collections::HashSet;
use std::rc::Rc;

/// The maximum nesting of a body; also the limit of serde_json.
const MAX_DEPTH: usize = 128;
/// The longest id that a vendor documents has 255 characters (Record360).
const MAX_ID_CHARS: usize = 512;

/// The fields of one JSON object, and which of them have been read.
#[derive(Clone, Debug, Default)]
pub struct JsonFields<'a>(Rc<TrackedObject<'a>>);

#[derive(Debug, Default)]
struct TrackedObject<'a> {
    fields: Vec<TrackedField<'a>>,
    /// The path from the body, with dots; empty for the body.
    path: String,
}

#[derive(Debug)]
struct TrackedField<'a> {
    name: Cow<'a, str>,
    value: &'a RawValue,
    state: RefCell<ReadState<'a>>,
    /// Whether it was read as a time and is not one.
    misread: Cell<bool>,
}

#[derive(Debug, Default)]
enum ReadState<'a> {
    #[default]
    Unread,
    Read,
    Object(JsonFields<'a>),
    List(Vec<ListEntry<'a>>),
    /// A single value in place of a list.
    Single(ListEntry<'a>),
}

#[derive(Clone, Debug)]
pub struct ListEntry<'a>(Rc<TrackedField<'a>>);

impl<'a> JsonFields<'a> {
    /// Parses a body that must be a JSON object.
    ///
    /// # Errors
    /// If it is not. The error says why, and where.
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

    // Of repeated names the last one counts, as in serde_json and JavaScript.
    fn find(&self, name: &str) -> Option<&TrackedField<'a>> {
        self.0.fields.iter().rev().find(|field| field.name == name)
    }

    fn consume<T>(&self, name: &str, convert: impl FnOnce(&'a RawValue) -> Option<T>) -> Option<T> {
        let field = self.find(name)?;
        let value = convert(field.value)?;
        field.state.replace(ReadState::Read);
        Some(value)
    }

    /// All fields, read or not. Names may be repeated; the last one counts.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.fields.iter().map(|field| (field.name.as_ref(), field.value))
    }

    /// A string that is not blank; a number's or a boolean's text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.consume(name, text)
    }

    /// An identifier: a string or a whole number, as text of at most 512 characters. `4.0` is a whole number.
    pub fn id(&self, name: &str) -> Option<String> {
        self.consume(name, identifier)
    }

    /// An identifier that the vendor counts up: `4`, `"04"`, `" 4 "` and `4.0` are the same. Other text is as by
    /// [`JsonFields::id`].
    pub fn numeric_id(&self, name: &str) -> Option<String> {
        self.consume(name, |value| Some(normalize_numeric_id(identifier(value)?)))
    }

    /// A number, also as a string. `None` if it has more digits than a double represents.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.consume(name, |value| number(&text(value)?))
    }

    /// A whole number within 32 bits, also as a string.
    pub fn integer(&self, name: &str) -> Option<i32> {
        self.consume(name, |value| strip_zero_fraction(text(value)?.trim()).parse().ok())
    }

    /// A boolean: `true` and `false`, 1 and 0, `yes` and `no`, `t` and `f` (PostgreSQL), also as strings in any case.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.consume(name, |value| match strip_zero_fraction(text(value)?.trim()).to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "t" => Some(true),
            "false" | "0" | "no" | "f" => Some(false),
            _ => None,
        })
    }

    /// The time by which an event is ordered, in any format of [`parse_timestamp`]. Another value stays unread. A blank
    /// string is no value.
    pub fn vendor_time(&self, name: &str) -> VendorTime {
        let Some(field) = self.find(name).filter(|field| !is_blank(field.value)) else {
            return VendorTime::default();
        };
        match self.consume(name, stated_timestamp) {
            Some(at) => VendorTime::valid(name, field.value, at),
            None => VendorTime::invalid(name, field.value),
        }
    }

    /// A time that is a fact, in any format of [`parse_timestamp`]. Another value stays unread, and is flagged as an invalid
    /// time among the details.
    pub fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        let at = self.consume(name, stated_timestamp);
        if at.is_none()
            && let Some(field) = self.find(name).filter(|field| !is_blank(field.value))
        {
            field.misread.set(true);
        }
        at
    }

    pub fn object(&self, name: &str) -> Option<JsonFields<'a>> {
        self.find(name)?.open(|| self.path_of(name))
    }

    /// An identifier by the path of its field, e.g. `asset.external_id`; it does not count as read. An object may also be a
    /// string that contains one.
    pub fn peek_id_at_path(&self, path: &str) -> Option<String> {
        let Some((name, rest)) = path.split_once('.') else { return identifier(self.find(path)?.value) };
        let field = self.find(name)?;
        match &*field.state.borrow() {
            ReadState::Object(fields) => fields.peek_id_at_path(rest),
            _ => with_object(field.value, |fields| fields.peek_id_at_path(rest)),
        }
    }

    /// Counts the identifier at a path as read, unless an object on the path is a string.
    pub fn mark_id_at_path_read(&self, path: &str) {
        match path.split_once('.') {
            Some((name, rest)) => self.object(name).iter().for_each(|fields| fields.mark_id_at_path_read(rest)),
            None => _ = self.id(path),
        }
    }

    /// The entries of a list, or of an object in place of a list, as PHP prints it. A single value is a list of one.
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

    /// The objects of a list. A single object is a list of one.
    pub fn objects(&self, name: &str) -> Vec<JsonFields<'a>> {
        self.list(name).iter().filter_map(ListEntry::object).collect()
    }

    /// The values of a list, which all count as read. A single value is a list of one.
    pub fn values(&self, name: &str) -> Vec<&'a RawValue> {
        self.raw(name).map(entries_or_value).unwrap_or_default()
    }

    /// Like [`JsonFields::values`], but they do not count as read.
    pub fn peek_values(&self, name: &str) -> Vec<&'a RawValue> {
        self.peek(name).map(entries_or_value).unwrap_or_default()
    }

    pub fn is_empty_list(&self, name: &str) -> bool {
        self.peek(name).and_then(list_entries).is_some_and(|entries| entries.is_empty())
    }

    /// The value, if it is not null.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.consume(name, |value| (value.get() != "null").then_some(value))
    }

    /// The value, if it is not null; it does not count as read.
    pub fn peek(&self, name: &str) -> Option<&'a RawValue> {
        self.find(name).map(|field| field.value).filter(|value| value.get() != "null")
    }

    /// Like [`JsonFields::text`], but it does not count as read.
    pub fn peek_text(&self, name: &str) -> Option<String> {
        text(self.find(name)?.value)
    }

    /// Like [`JsonFields::numeric_id`], but it does not count as read.
    pub fn peek_numeric_id(&self, name: &str) -> Option<String> {
        identifier(self.find(name)?.value).map(normalize_numeric_id)
    }

    /// The value as a JSON value, if it is not null.
    pub fn json(&self, name: &str) -> Option<serde_json::Value> {
        self.raw(name).map(json_value)
    }

    /// The meaning of a known word, in any case. The field does not count as read, so that the word stays among the details.
    pub fn peek_enum<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.peek_text(name)?;
        words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim())).map(|(_, meaning)| *meaning)
    }

    /// Counts a field as not read.
    pub fn mark_unread(&self, name: &str) {
        if let Some(field) = self.find(name) {
            field.state.replace(ReadState::Unread);
        }
    }

    /// Counts a field as read that is understood, but has no use.
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

    // A value that was read as a whole stays read when a part of it is opened.
    fn open_with(&self, opened: ReadState<'a>) {
        if matches!(*self.state.borrow(), ReadState::Unread) {
            self.state.replace(opened);
        }
    }
}

impl<'a> ListEntry<'a> {
    pub fn object(&self) -> Option<JsonFields<'a>> {
        self.0.open(|| self.0.name.clone().into_owned())
    }

    /// The value; it does not count as read.
    pub fn peek(&self) -> &'a RawValue {
        self.0.value
    }

    /// Its text, if it is a string that is not blank; it does not count as read.
    pub fn peek_text(&self) -> Option<String> {
        string(self.0.value).filter(|text| !text.trim().is_empty())
    }

    /// Its text, if it is a string that is not blank.
    pub fn text(&self) -> Option<String> {
        let text = self.peek_text()?;
        self.0.state.replace(ReadState::Read);
        Some(text)
    }
}

/// A URL without query and fragment, which change each time the URL is signed.
pub fn url_without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url).trim()
}

/// An id for an object without one: the owner's id and the first 64 bits of the SHA-256 of the content, hexadecimal.
pub fn content_id(owner: &str, content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    format!("{owner}/{}", hex::encode(digest.get(..8).unwrap_or_default()))
}

/// The entries of a list with their ids, in order. Where several have one id, the last one is the newest and counts; the
/// others stay unread. Entries whose id is `seen` already, or that have none, stay unread too.
pub fn last_entries_by_id<'a>(
    entries: Vec<ListEntry<'a>>,
    seen: &mut HashSet<String>,
    id: impl Fn(&ListEntry<'a>, usize) -> Option<String>,
) -> Vec<(String, ListEntry<'a>)> {
    let mut found = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate().rev() {
        if let Some(id) = id(&entry, index)
            && seen.insert(id.clone())
        {
            found.push((id, entry));
        }
    }
    found.reverse();
    found
}

/// Reads an object, or a string that contains one.
pub fn with_object<T>(value: &RawValue, read: impl FnOnce(&JsonFields<'_>) -> Option<T>) -> Option<T> {
    match string(value) {
        Some(text) => read(&JsonFields::parse_body(text.as_bytes()).ok()?),
        None => read(&JsonFields::parse_value(value, String::new())?),
    }
}

// A time as a string or a number, or as PHP prints its `DateTime`: an object with the date and the time zone.
fn stated_timestamp(value: &RawValue) -> Option<DateTime<Utc>> {
    if let Some(text) = text(value) {
        return parse_timestamp(&text);
    }
    let object = JsonFields::parse_value(value, String::new())?;
    parse_timestamp(&format!("{} {}", object.text("date")?, object.text("timezone")?))
}

fn entries_or_value(value: &RawValue) -> Vec<&RawValue> {
    list_entries(value).unwrap_or_else(|| vec![value])
}

fn is_blank(value: &RawValue) -> bool {
    value.get() == "null" || string(value).is_some_and(|text| text.trim().is_empty())
}

/// A string without surrounding blanks, or a whole number, as text of at most 512 characters.
pub fn identifier(value: &RawValue) -> Option<String> {
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
    /// The number of digits that PHP and Python print of a double.
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

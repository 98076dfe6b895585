//! What is known of an entity: each field with the order key of the news that it comes from, so that the newest wins in
//! whatever order they come.

use super::{Fact, Reference};
use crate::machine::fold::{Key, OrderedBy};
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

/// The group of what has no typed field.
const DETAILS: &str = "details";
/// Stands for all fields that no key is kept for by name.
const OTHERS: &str = "";

/// One field of what a vendor says.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its group and name, with a dot between.
    place: String,
    value: Box<RawValue>,
}

/// All fields of an entity, by group and name.
#[derive(Clone, Debug, Default)]
pub struct Known {
    fields: BTreeMap<String, Field>,
    /// The keys of what has a column of its own.
    reference: Option<(u8, Key)>,
    group: Option<Key>,
}

#[derive(Clone, Debug)]
struct Field {
    value: Box<RawValue>,
    key: Key,
}

/// What came of something said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It differs from what was known.
    News,
    /// It was known; it is newer all the same.
    Same,
    /// Something newer is known, by this part of the order keys.
    Older(OrderedBy),
    /// It comes from a field that counts less than the one known, whichever is newer.
    Lesser,
}

/// How it is stored: three objects of JSON.
#[derive(Debug)]
pub struct Columns {
    /// Group -> field -> value.
    pub facts: String,
    /// Field -> value.
    pub details: String,
    /// Group and field -> order key; the most frequent key stands once, under the empty name. The reference's name ends with
    /// its precedence, unless that is 0.
    pub stamps: String,
}

const REFERENCE: &str = "reference";
const GROUP: &str = "group";

impl Said {
    /// The fields of a group.
    pub fn facts(fact: &Fact) -> Vec<Said> {
        let (group, Ok(serde_json::Value::Object(fields))) = fact.parts() else { return Vec::new() };
        let said = |(field, value)| Some(Said { place: format!("{group}.{field}"), value: to_raw_value(&value).ok()? });
        fields.into_iter().filter_map(said).collect()
    }

    /// What has no typed field.
    pub fn detail(name: &str, value: Box<RawValue>) -> Said {
        Said { place: format!("{DETAILS}.{name}"), value }
    }
}

impl Known {
    /// Takes in what news with this key says.
    pub fn learn(&mut self, said: &Said, key: Key) -> Learned {
        let Some(field) = self.fields.get_mut(&said.place) else {
            self.fields.insert(said.place.clone(), Field { value: said.value.clone(), key });
            return Learned::News;
        };
        if let (Ordering::Greater, by) = field.key.compare(&key) {
            return Learned::Older(by);
        }
        field.key = key;
        if field.value.get() == said.value.get() {
            return Learned::Same;
        }
        field.value.clone_from(&said.value);
        Learned::News
    }

    /// The same for the reference: the field with the smallest precedence wins, among those of one field the newest.
    pub fn learn_reference(&mut self, known: &mut Option<String>, said: &Reference, key: Key) -> Learned {
        if let Some((precedence, newest)) = self.reference {
            match precedence.cmp(&said.precedence) {
                Ordering::Less => return Learned::Lesser,
                Ordering::Greater => {}
                Ordering::Equal => {
                    if let (Ordering::Greater, by) = newest.compare(&key) {
                        return Learned::Older(by);
                    }
                }
            }
        }
        self.reference = Some((said.precedence, key));
        replace(known, &said.value)
    }

    /// The same for the group.
    pub fn learn_group(&mut self, known: &mut Option<String>, said: &str, key: Key) -> Learned {
        if let Some((Ordering::Greater, by)) = self.group.map(|newest| newest.compare(&key)) {
            return Learned::Older(by);
        }
        self.group = Some(key);
        replace(known, said)
    }

    /// As it is stored.
    pub fn columns(&self) -> Columns {
        let (mut facts, mut details, mut stamps) = (Object::new(), Object::new(), Object::new());
        let common = self.most_frequent_key();
        if let Some(key) = common {
            stamps.put(OTHERS, &key);
        }
        if let Some(key) = &self.group {
            stamps.put(GROUP, key);
        }
        if let Some((precedence, key)) = &self.reference {
            stamps.put(&reference_name(*precedence), key);
        }
        let mut group: Option<(&str, Object)> = None;
        for (place, field) in &self.fields {
            let (of, name) = place.split_once('.').unwrap_or_default();
            if common != Some(field.key) {
                stamps.put(place, &field.key);
            }
            if of == DETAILS {
                details.put(name, &field.value);
                continue;
            }
            if let Some((last, fields)) = group.take_if(|(last, _)| *last != of) {
                facts.put_printed(last, &fields.end());
            }
            group.get_or_insert_with(|| (of, Object::new())).1.put(name, &field.value);
        }
        if let Some((last, fields)) = group {
            facts.put_printed(last, &fields.end());
        }
        Columns { facts: facts.end(), details: details.end(), stamps: stamps.end() }
    }

    /// As it was stored.
    ///
    /// # Errors
    /// If the columns are not what [`Known::columns`] gives.
    pub fn of(facts: &str, details: &str, stamps: &str) -> serde_json::Result<Known> {
        type Fields<'a> = HashMap<String, &'a RawValue>;
        let mut stamps: HashMap<String, Key> = serde_json::from_str(stamps)?;
        let groups: HashMap<String, Fields> = serde_json::from_str(facts)?;
        let details = (DETAILS.to_owned(), Fields::deserialize(&mut serde_json::Deserializer::from_str(details))?);
        let group = stamps.remove(GROUP);
        let reference = stamps.keys().find_map(|name| Some((name.clone(), reference_precedence(name)?)));
        let reference = reference.and_then(|(name, precedence)| Some((precedence, stamps.remove(&name)?)));
        let mut fields = BTreeMap::new();
        for (group, of) in groups.into_iter().chain([details]) {
            for (name, value) in of {
                let place = format!("{group}.{name}");
                let key = stamps.get(&place).or_else(|| stamps.get(OTHERS)).copied();
                let key = key.ok_or_else(|| serde_json::Error::custom(format!("no order key for {place}")))?;
                fields.insert(place, Field { value: value.to_owned(), key });
            }
        }
        Ok(Known { fields, reference, group })
    }

    // Mostly all fields come from few news, so that a list of a few keys finds it.
    fn most_frequent_key(&self) -> Option<Key> {
        let mut counts: Vec<(Key, usize)> = Vec::new();
        for field in self.fields.values() {
            match counts.iter_mut().find(|(key, _)| *key == field.key) {
                Some((_, count)) => *count += 1,
                None => counts.push((field.key, 1)),
            }
        }
        // The first of equals, so that the same knowledge is always stored alike.
        counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(key, _)| key)
    }
}

fn replace(known: &mut Option<String>, said: &str) -> Learned {
    if known.as_deref() == Some(said) {
        return Learned::Same;
    }
    *known = Some(said.to_owned());
    Learned::News
}

fn reference_name(precedence: u8) -> Cow<'static, str> {
    match precedence {
        0 => REFERENCE.into(),
        precedence => format!("{REFERENCE}{precedence}").into(),
    }
}

// Names of fields have a dot, so none looks like it.
fn reference_precedence(name: &str) -> Option<u8> {
    match name.strip_prefix(REFERENCE)? {
        "" => Some(0),
        precedence => precedence.parse().ok(),
    }
}

/// A JSON object in the making.
struct Object(Vec<u8>);

impl Object {
    fn new() -> Self {
        Object(vec![b'{'])
    }

    fn put(&mut self, name: &str, value: &impl serde::Serialize) {
        self.name(name);
        // Writing into memory does not fail, and no value here has keys that are not text.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    fn put_printed(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.extend_from_slice(value.as_bytes());
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        let _ = serde_json::to_writer(&mut self.0, name);
        self.0.push(b':');
    }

    fn end(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8(self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Photo;

    fn at(position: i64) -> Key {
        Key { position, ..Key::default() }
    }

    fn photo(label: &str, code: &str) -> Vec<Said> {
        Said::facts(&Photo { label: Some(label.into()), code: Some(code.into()), ..Photo::default() }.into())
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn the_newest_wins_and_the_order_does_not_matter() {
        let mut one = Known::default();
        let mut other = Known::default();
        let older = photo("Front", "1");
        let newer = photo("Rear", "1");
        assert!(older.iter().all(|said| one.learn(said, at(1)) == Learned::News));
        assert_eq!(newer.iter().map(|said| one.learn(said, at(2))).collect::<Vec<_>>(), [Learned::Same, Learned::News]);
        newer.iter().for_each(|said| assert_eq!(other.learn(said, at(2)), Learned::News));
        older.iter().for_each(|said| assert_eq!(other.learn(said, at(1)), Learned::Older(OrderedBy::Arrival)));
        assert_eq!(one.columns().facts, other.columns().facts);
        assert_eq!(one.columns().facts, r#"{"photo":{"code":"1","label":"Rear"}}"#);
    }

    #[test]
    fn a_key_that_many_fields_share_is_stored_once() {
        let mut known = Known::default();
        photo("Front", "1").iter().for_each(|said| _ = known.learn(said, at(1)));
        known.learn(&Said::detail("a \"b.c", raw("1.50")), at(2));
        let mut reference = None;
        assert_eq!(known.learn_reference(&mut reference, &Reference::new("VIN".into(), 3), at(1)), Learned::News);
        let columns = known.columns();
        assert_eq!(columns.details, r#"{"a \"b.c":1.50}"#);
        let stamps = r#"{"":[null,0,0,1],"reference3":[null,0,0,1],"details.a \"b.c":[null,0,0,2]}"#;
        assert_eq!(columns.stamps, stamps);
        let again = Known::of(&columns.facts, &columns.details, &columns.stamps).expect("its own columns").columns();
        assert_eq!((again.facts, again.details, again.stamps), (columns.facts, columns.details, columns.stamps));
    }

    #[test]
    fn a_lesser_field_never_displaces_the_reference() {
        let all = [("own", 0, 1), ("own, newer", 0, 2), ("lesser", 1, 3), ("least", 7, 4)];
        for shift in 0..all.len() {
            for backwards in [false, true] {
                let mut order = all;
                order.rotate_left(shift);
                if backwards {
                    order.reverse();
                }
                let (mut known, mut reference) = (Known::default(), None);
                for (value, precedence, position) in order {
                    known.learn_reference(&mut reference, &Reference::new(value.into(), precedence), at(position));
                    let columns = known.columns();
                    known = Known::of(&columns.facts, &columns.details, &columns.stamps).expect("its own columns");
                }
                assert_eq!(reference.as_deref(), Some("own, newer"), "{order:?}");
            }
        }
    }

    #[test]
    fn a_field_without_a_key_is_an_error() {
        assert!(Known::of(r#"{"photo":{"code":"1"}}"#, "{}", "{}").is_err());
        assert!(Known::of("{}", "{}", "{}").is_ok());
    }
}

//! The fields of an entity, merged by last-writer-wins: each one has the order key of its event as its version, so that the
//! newest value wins in any order of arrival.

use super::{FactGroup, Reference};
use crate::machine::fold::{OrderKey, OrderedBy};
use serde::de::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

/// The group of untyped fields.
const DETAILS: &str = "details";
/// The name under which the most frequent version is stored.
const COMMON_VERSION: &str = "";

#[derive(Clone, Debug)]
pub struct FieldValue {
    /// `group.name`
    path: String,
    value: Box<RawValue>,
}

/// All fields of an entity, by `group.name`.
#[derive(Clone, Debug, Default)]
pub struct VersionedFields {
    fields: BTreeMap<String, VersionedField>,
    /// The versions of fields with a column of their own; of the reference, also the precedence.
    reference: Option<(u8, OrderKey)>,
    group: Option<OrderKey>,
}

#[derive(Clone, Debug)]
struct VersionedField {
    value: Box<RawValue>,
    version: OrderKey,
}

/// The result of merging a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// The value differs from the previous one.
    Changed,
    /// The value is the same, and its version newer.
    Unchanged,
    /// The previous value is newer, by this part of the order keys.
    Outdated(OrderedBy),
    /// The previous value comes from a field that takes precedence, whichever is newer.
    LowerPrecedence,
}

/// The fields as stored: three JSON objects.
#[derive(Debug)]
pub struct FieldColumns {
    /// Group -> field -> value.
    pub facts: String,
    /// Field -> value.
    pub details: String,
    /// Group and field -> order key. The most frequent key is stored once, under the empty name. The name of the reference ends
    /// with its precedence, unless that is 0.
    pub field_versions: String,
}

const REFERENCE: &str = "reference";
const GROUP: &str = "group";

impl FieldValue {
    pub fn from_fact(fact: &FactGroup) -> Vec<FieldValue> {
        let (group, Ok(serde_json::Value::Object(fields))) = fact.parts() else { return Vec::new() };
        let field_value =
            |(field, value)| Some(FieldValue { path: format!("{group}.{field}"), value: to_raw_value(&value).ok()? });
        fields.into_iter().filter_map(field_value).collect()
    }

    pub fn from_detail(name: &str, value: Box<RawValue>) -> FieldValue {
        FieldValue { path: format!("{DETAILS}.{name}"), value }
    }
}

impl VersionedFields {
    pub fn merge(&mut self, new: &FieldValue, key: OrderKey) -> MergeOutcome {
        let Some(field) = self.fields.get_mut(&new.path) else {
            self.fields.insert(new.path.clone(), VersionedField { value: new.value.clone(), version: key });
            return MergeOutcome::Changed;
        };
        if let (Ordering::Greater, by) = field.version.compare(&key) {
            return MergeOutcome::Outdated(by);
        }
        field.version = key;
        if field.value.get() == new.value.get() {
            return MergeOutcome::Unchanged;
        }
        field.value.clone_from(&new.value);
        MergeOutcome::Changed
    }

    /// Merges the reference: the field with the smallest precedence wins, and of one field the newest value.
    pub fn merge_reference(&mut self, known: &mut Option<String>, new: &Reference, key: OrderKey) -> MergeOutcome {
        if let Some((precedence, newest)) = self.reference {
            match precedence.cmp(&new.precedence) {
                Ordering::Less => return MergeOutcome::LowerPrecedence,
                Ordering::Greater => {}
                Ordering::Equal => {
                    if let (Ordering::Greater, by) = newest.compare(&key) {
                        return MergeOutcome::Outdated(by);
                    }
                }
            }
        }
        self.reference = Some((new.precedence, key));
        replace(known, &new.value)
    }

    pub fn merge_group(&mut self, known: &mut Option<String>, new: &str, key: OrderKey) -> MergeOutcome {
        if let Some((Ordering::Greater, by)) = self.group.map(|newest| newest.compare(&key)) {
            return MergeOutcome::Outdated(by);
        }
        self.group = Some(key);
        replace(known, new)
    }

    pub fn to_columns(&self) -> FieldColumns {
        let common = self.most_frequent_version();
        let reference = self.reference.map(|(precedence, key)| (reference_name(precedence), key));
        let of_columns = common.map(|key| (COMMON_VERSION.into(), key)).into_iter();
        let of_columns = of_columns.chain(self.group.map(|key| (GROUP.into(), key))).chain(reference);
        let others = self.fields.iter().filter(|(_, field)| common != Some(field.version));
        let others = others.map(|(path, field)| (Cow::from(path), field.version));

        let fields = self.fields.iter().map(|(path, field)| {
            let (group, name) = path.split_once('.').unwrap_or_default();
            (group, name, &field.value)
        });
        let (details, facts): (Vec<_>, Vec<_>) = fields.partition(|(group, ..)| *group == DETAILS);
        let groups = facts.chunk_by(|(group, ..), (next, ..)| group == next).map(|fields| {
            let name = fields.first().map_or("", |(group, ..)| group);
            (name, JsonObject(fields.iter().map(|(_, name, value)| (name, value))))
        });
        FieldColumns {
            facts: json_object(groups),
            details: json_object(details.iter().map(|(_, name, value)| (name, value))),
            field_versions: json_object(of_columns.chain(others)),
        }
    }

    /// # Errors
    /// If the columns are not those of [`VersionedFields::to_columns`].
    pub fn from_columns(facts: &str, details: &str, field_versions: &str) -> serde_json::Result<VersionedFields> {
        type Fields<'a> = HashMap<String, &'a RawValue>;
        let mut field_versions: HashMap<String, OrderKey> = serde_json::from_str(field_versions)?;
        let groups: HashMap<String, Fields> = serde_json::from_str(facts)?;
        let details = (DETAILS.to_owned(), Fields::deserialize(&mut serde_json::Deserializer::from_str(details))?);
        let group = field_versions.remove(GROUP);
        let reference = field_versions.keys().find_map(|name| Some((name.clone(), reference_precedence(name)?)));
        let reference = reference.and_then(|(name, precedence)| Some((precedence, field_versions.remove(&name)?)));
        let mut fields = BTreeMap::new();
        for (group, of) in groups.into_iter().chain([details]) {
            for (name, value) in of {
                let place = format!("{group}.{name}");
                let key = field_versions.get(&place).or_else(|| field_versions.get(COMMON_VERSION)).copied();
                let key = key.ok_or_else(|| serde_json::Error::custom(format!("no order key for {place}")))?;
                fields.insert(place, VersionedField { value: value.to_owned(), version: key });
            }
        }
        Ok(VersionedFields { fields, reference, group })
    }

    // Most entities have few distinct versions, so that a list is fast enough.
    fn most_frequent_version(&self) -> Option<OrderKey> {
        let mut counts: Vec<(OrderKey, usize)> = Vec::new();
        for field in self.fields.values() {
            match counts.iter_mut().find(|(key, _)| *key == field.version) {
                Some((_, count)) => *count += 1,
                None => counts.push((field.version, 1)),
            }
        }
        // The first of equals, so that equal fields are always stored alike.
        counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(key, _)| key)
    }
}

fn replace(known: &mut Option<String>, new: &str) -> MergeOutcome {
    if known.as_deref() == Some(new) {
        return MergeOutcome::Unchanged;
    }
    *known = Some(new.to_owned());
    MergeOutcome::Changed
}

fn reference_name(precedence: u8) -> Cow<'static, str> {
    match precedence {
        0 => REFERENCE.into(),
        precedence => format!("{REFERENCE}{precedence}").into(),
    }
}

// Other names contain a dot.
fn reference_precedence(name: &str) -> Option<u8> {
    match name.strip_prefix(REFERENCE)? {
        "" => Some(0),
        precedence => precedence.parse().ok(),
    }
}

/// Names and values as a JSON object.
struct JsonObject<I>(I);

impl<N: Serialize, V: Serialize, I: Iterator<Item = (N, V)> + Clone> Serialize for JsonObject<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

// Writing to memory does not fail, and all names are strings.
fn json_object<N: Serialize, V: Serialize>(members: impl Iterator<Item = (N, V)> + Clone) -> String {
    serde_json::to_string(&JsonObject(members)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Photo;

    fn at(position: i64) -> OrderKey {
        OrderKey { position, ..OrderKey::default() }
    }

    fn photo(label: &str, code: &str) -> Vec<FieldValue> {
        FieldValue::from_fact(&Photo { label: Some(label.into()), code: Some(code.into()), ..Photo::default() }.into())
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn the_newest_wins_and_the_order_does_not_matter() {
        let mut one = VersionedFields::default();
        let mut other = VersionedFields::default();
        let older = photo("Front", "1");
        let newer = photo("Rear", "1");
        assert!(older.iter().all(|field| one.merge(field, at(1)) == MergeOutcome::Changed));
        assert_eq!(
            newer.iter().map(|field| one.merge(field, at(2))).collect::<Vec<_>>(),
            [MergeOutcome::Unchanged, MergeOutcome::Changed]
        );
        newer.iter().for_each(|field| assert_eq!(other.merge(field, at(2)), MergeOutcome::Changed));
        older
            .iter()
            .for_each(|field| assert_eq!(other.merge(field, at(1)), MergeOutcome::Outdated(OrderedBy::Arrival)));
        assert_eq!(one.to_columns().facts, other.to_columns().facts);
        assert_eq!(one.to_columns().facts, r#"{"photo":{"code":"1","label":"Rear"}}"#);
    }

    #[test]
    fn a_key_that_many_fields_share_is_stored_once() {
        let mut known = VersionedFields::default();
        photo("Front", "1").iter().for_each(|field| _ = known.merge(field, at(1)));
        known.merge(&FieldValue::from_detail("a \"b.c", raw("1.50")), at(2));
        let mut reference = None;
        assert_eq!(
            known.merge_reference(&mut reference, &Reference::new("VIN".into(), 3), at(1)),
            MergeOutcome::Changed
        );
        let columns = known.to_columns();
        assert_eq!(columns.details, r#"{"a \"b.c":1.50}"#);
        let field_versions = r#"{"":[null,0,0,1],"reference3":[null,0,0,1],"details.a \"b.c":[null,0,0,2]}"#;
        assert_eq!(columns.field_versions, field_versions);
        let again = VersionedFields::from_columns(&columns.facts, &columns.details, &columns.field_versions)
            .expect("its own columns")
            .to_columns();
        assert_eq!(
            (again.facts, again.details, again.field_versions),
            (columns.facts, columns.details, columns.field_versions)
        );
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
                let (mut known, mut reference) = (VersionedFields::default(), None);
                for (value, precedence, position) in order {
                    known.merge_reference(&mut reference, &Reference::new(value.into(), precedence), at(position));
                    let columns = known.to_columns();
                    known = VersionedFields::from_columns(&columns.facts, &columns.details, &columns.field_versions)
                        .expect("its own columns");
                }
                assert_eq!(reference.as_deref(), Some("own, newer"), "{order:?}");
            }
        }
    }

    #[test]
    fn a_field_without_a_key_is_an_error() {
        assert!(VersionedFields::from_columns(r#"{"photo":{"code":"1"}}"#, "{}", "{}").is_err());
        assert!(VersionedFields::from_columns("{}", "{}", "{}").is_ok());
    }
}

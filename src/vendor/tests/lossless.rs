//! Every leaf of a body is found in what its adapter says, in a typed field or among the details, and no fact is said that
//! the body does not state. What an adapter does not recognize is visible as the delivery's body, and does not count here.

use super::hidden::{HIDDEN, HUB_VALUES};
use super::mutations::{mutations, with_flipped_flags, with_short_lists};
use super::shown_values::{ShownValues, is_flag, leaves, text_of};
use crate::event::{Event, FactGroup, ParsedDelivery, Summary};
use crate::vendor::{ALL, DeliveryBody, Unreadable, Vendor, by_name};
use serde_json::Value;
use std::collections::BTreeMap;

type ParseFn<'a> = &'a dyn Fn(&[u8]) -> Result<ParsedDelivery, Unreadable>;

fn samples(vendor: &Vendor) -> Vec<(String, Value)> {
    let folder = format!("{}/tests/samples/{}", env!("CARGO_MANIFEST_DIR"), vendor.name);
    let files = std::fs::read_dir(folder).expect("samples").flatten().map(|file| file.path());
    let json = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut samples: Vec<_> = json
        .map(|path| {
            let body = serde_json::from_slice(&std::fs::read(&path).expect("a sample")).expect("JSON");
            (path.file_name().expect("a name").to_string_lossy().into_owned(), with_short_lists(body))
        })
        .collect();
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    samples
}

fn parse_with(vendor: &'static Vendor) -> impl Fn(&[u8]) -> Result<ParsedDelivery, Unreadable> {
    |body| (vendor.parse)(&DeliveryBody { content_type: Some("application/json"), body })
}

/// What is wrong with the reading of a body; none if it is not recognized.
fn violations(vendor: &Vendor, body: &Value, read: ParseFn<'_>) -> Option<Vec<String>> {
    let reading = read(body.to_string().as_bytes()).ok()?;
    if reading.no_effect.is_some() {
        return None;
    }
    let mut faults = lost(vendor, body, &reading);
    faults.extend(invented(vendor, body, &reading));
    Some(faults)
}

// The field itself, and whatever it holds.
fn is_hidden(vendor: &Vendor, path: &str) -> bool {
    let holds =
        |hidden: &str| path.strip_prefix(hidden).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    HIDDEN.iter().any(|(of, hidden, _)| *of == vendor.name && holds(hidden))
}

fn lost(vendor: &Vendor, body: &Value, reading: &ParsedDelivery) -> Vec<String> {
    let shown = ShownValues::of(reading);
    let mut lost = Vec::new();
    leaves(body, "", &mut |path, leaf| {
        if !is_hidden(vendor, path) && !shown.has(leaf) {
            lost.push(format!("{path} is lost"));
        }
    });
    lost
}

fn invented(vendor: &Vendor, body: &Value, reading: &ParsedDelivery) -> Vec<String> {
    let mut stated = ShownValues::default();
    let mut flags = Vec::new();
    let mut damages = Vec::new();
    stated.json(body);
    leaves(body, "", &mut |_, leaf| flags.extend(flag(&text_of(leaf))));
    damage_lists(body, &mut damages);
    let mut invented = Vec::new();
    let facts = reading.events.iter().flat_map(|event| &event.facts);
    for (group, fields) in facts.map(|fact| (fact.parts().0, fact.parts().1.expect("JSON"))) {
        for (field, value) in fields.as_object().into_iter().flatten() {
            let word = |(of, in_group, name, words): &(&str, &str, &str, &[&str])| {
                *of == vendor.name && *in_group == group && name == field && words.contains(&text_of(value).as_str())
            };
            // A list says by itself how many there are, and an empty one that there is none.
            let listed = match field.as_str() {
                "damaged" => damages.iter().any(|count| Some(*count > 0) == value.as_bool()),
                "damage_count" => damages.iter().any(|count| Some(*count) == value.as_u64()),
                _ => false,
            };
            let known = match value {
                Value::Bool(flag) => flags.contains(flag),
                // A value without a type of its own is the body's, in part or whole.
                Value::Object(_) | Value::Array(_) => true,
                value => stated.has(value) && !is_flag(&text_of(value)) || flag(&text_of(value)).is_some(),
            };
            // An error that is an object becomes a string.
            let printed = value.as_str().is_some_and(|text| text.starts_with(['{', '[']));
            if !known && !printed && !listed && !HUB_VALUES.iter().any(word) {
                invented.push(format!("{group}.{field} {value} is invented"));
            }
        }
    }
    invented
}

fn flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "t" => Some(true),
        "false" | "0" | "no" | "f" => Some(false),
        _ => None,
    }
}

// How many entries each list of damages has; a single value where a list is meant counts as one.
fn damage_lists(value: &Value, lengths: &mut Vec<u64>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        damage_lists(value, lengths);
        let whole = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
        if name == "detected_damages" {
            lengths.push(match value {
                Value::Array(entries) => entries.len() as u64,
                Value::Object(fields) if fields.keys().all(whole) => fields.len() as u64,
                _ => 1,
            });
        }
    }
}

/// The faults of all samples of a vendor and of all their mutations, each with the body it was found in; none for a body
/// that is not recognized.
fn all_violations<'a>(vendor: &'static Vendor, read: ParseFn<'a>) -> impl Iterator<Item = Vec<(String, String)>> + 'a {
    samples(vendor).into_iter().flat_map(move |(sample, body)| {
        let bodies = [("as it is".to_owned(), body.clone())].into_iter().chain(mutations(&body));
        bodies.filter_map(move |(what, body)| {
            let faults = violations(vendor, &body, read)?;
            Some(faults.into_iter().map(|fault| (fault, format!("{sample} {what}"))).collect())
        })
    })
}

fn nothing_vanishes(vendor: &str) {
    let vendor = by_name(vendor).expect("a vendor");
    let (mut bodies, mut found) = (0, BTreeMap::new());
    for faults in all_violations(vendor, &parse_with(vendor)) {
        bodies += 1;
        found.extend(faults);
    }
    assert!(bodies > 100, "{bodies} bodies");
    let first: Vec<_> = found.iter().take(100).map(|(fault, at)| format!("{fault}, in {at}")).collect();
    assert!(found.is_empty(), "{} faults, such as {first:#?}", found.len());
}

#[test]
fn nothing_of_truepic_vanishes_or_is_invented() {
    nothing_vanishes("truepic");
}

#[test]
fn nothing_of_pave_vanishes_or_is_invented() {
    nothing_vanishes("pave");
}

#[test]
fn nothing_of_hover_vanishes_or_is_invented() {
    nothing_vanishes("hover");
}

#[test]
fn nothing_of_truto_vanishes_or_is_invented() {
    nothing_vanishes("truto");
}

#[test]
fn nothing_of_record360_vanishes_or_is_invented() {
    nothing_vanishes("record360");
}

#[test]
fn every_flag_is_heard() {
    let said = |reading: ParsedDelivery| -> Vec<String> {
        reading
            .events
            .iter()
            .map(|event| format!("{:?} {:?} {:?}", event.state_claim, event.facts, event.details))
            .collect()
    };
    for vendor in ALL {
        let read = parse_with(vendor);
        for (sample, body) in samples(vendor) {
            let Ok(before) = read(body.to_string().as_bytes()) else { continue };
            if before.no_effect.is_some() {
                continue;
            }
            let before = said(before);
            for (pointer, turned) in with_flipped_flags(&body) {
                let path = pointer.trim_start_matches('/').replace('/', ".");
                if is_hidden(vendor, &path) {
                    continue;
                }
                let after = said(read(turned.to_string().as_bytes()).expect("readable"));
                assert_ne!(after, before, "{}/{sample}: nobody hears {pointer}", vendor.name);
            }
        }
    }
}

#[test]
fn a_reader_that_loses_or_invents_is_found_out() {
    type Harm = fn(&mut Event);
    let harms: [Harm; 3] = [
        |event| event.details.clear(),
        |event| event.facts.clear(),
        |event| {
            event.facts.push(FactGroup::Summary(Summary { outcome: Some("fine".to_owned()), ..Summary::default() }))
        },
    ];
    for vendor in ALL {
        for harm in harms {
            let honest = parse_with(vendor);
            let harmful = |body: &[u8]| {
                let mut reading = honest(body)?;
                reading.events.iter_mut().for_each(harm);
                Ok(reading)
            };
            assert!(all_violations(vendor, &harmful).any(|faults| !faults.is_empty()), "{}", vendor.name);
        }
    }
}

#[test]
fn what_is_hidden_has_a_reason() {
    for (vendor, path, reason) in HIDDEN {
        assert!(ALL.iter().any(|known| known.name == *vendor) && reason.len() > 10, "{vendor} {path}");
    }
}

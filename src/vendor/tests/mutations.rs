//! A body, spelled otherwise: at every place what PHP, a careless template or a newer version may send.

use serde_json::{Map, Value, json};

/// How long the lists of a sample are at most: more entries of one kind show nothing new.
const MAX_LIST: usize = 2;

/// The body with lists that are short enough.
pub fn with_short_lists(mut body: Value) -> Value {
    shorten(&mut body);
    body
}

fn shorten(value: &mut Value) {
    match value {
        Value::Array(entries) => {
            entries.truncate(MAX_LIST);
            entries.iter_mut().for_each(shorten);
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// Every body that differs from this one in one place, with what was done there.
pub fn mutations(body: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    pointers(body, String::new(), &mut places);
    let mut bodies = Vec::new();
    for (number, pointer) in places.iter().enumerate() {
        let Some(old) = body.pointer(pointer) else { continue };
        for (what, new) in spellings(old, number) {
            let mut mutated = body.clone();
            if let Some(place) = mutated.pointer_mut(pointer) {
                *place = new;
            }
            bodies.push((format!("{pointer} {what}"), mutated));
        }
    }
    bodies
}

fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Array(entries) => {
            // The entries of a list are alike: what is tried with the first is enough.
            entries.first().into_iter().for_each(|entry| pointers(entry, format!("{at}/0"), found));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(value, format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
    found.push(at);
}

fn spellings(old: &Value, number: usize) -> Vec<(&'static str, Value)> {
    let text = format!("zq-{number}");
    let unique = 987_650_000 + number;
    let mut new = vec![
        ("null", Value::Null),
        ("an empty text", json!("")),
        ("a text", json!(text)),
        ("a number", json!(unique)),
        ("a fraction", json!(unique as f64 + 0.25)),
        ("a number as text", json!(unique.to_string())),
        ("a number with a unit", json!(format!("{unique} km"))),
        ("a number with commas", json!("98,765")),
        ("a time", json!(format!("2031-05-01 10:{:02}:{:02}+00", number / 60 % 60, number % 60))),
        ("a time in words", json!(format!("soon-{number}"))),
        ("an object", json!({ "zq": text })),
        ("a list of texts", json!([text, format!("{text}b")])),
        ("a list of numbers", json!([unique, unique + 500_000])),
        ("an empty list", json!([])),
        ("an empty object", json!({})),
    ];
    match old {
        Value::Array(entries) => {
            let gaps: Map<_, _> =
                entries.iter().enumerate().map(|(at, entry)| ((at * 2 + 1).to_string(), entry.clone())).collect();
            new.push(("a list with gaps", Value::Object(gaps)));
            new.extend(entries.first().map(|entry| ("a single entry", entry.clone())));
            let more = entries.iter().cloned().chain([json!(text), json!(unique), json!({ "zq": text })]);
            new.push(("a list with odd entries", more.collect()));
            let twice = entries.iter().cloned().chain(entries.iter().rev().map(marked(&text)));
            new.push(("a list with each entry twice", twice.collect()));
        }
        Value::Object(fields) => {
            let mut more = fields.clone();
            more.insert("zq_unknown".to_owned(), json!(text));
            more.insert("zq_nested".to_owned(), json!({ "a": { "b": [format!("{text}n")] } }));
            new.push(("unknown fields", Value::Object(more)));
            new.push(("a list of it", json!([old])));
        }
        Value::Number(number) => new.push(("the number as text", json!(number.to_string()))),
        Value::Bool(flag) => {
            new.push(("the flag as text", json!(flag.to_string())));
            new.push(("the flag as a number as text", json!(u8::from(*flag).to_string())));
        }
        Value::String(text) => new.push(("with blanks around", json!(format!(" {text} ")))),
        Value::Null => {}
    }
    // A body stays an object; what it is else is tested where it is read.
    new.retain(|(_, new)| new.is_object() || !matches!(old, Value::Object(fields) if fields.contains_key("event")));
    new
}

fn marked(text: &str) -> impl Fn(&Value) -> Value {
    move |entry| match entry {
        Value::Object(fields) => {
            let mut fields = fields.clone();
            fields.insert("zq_again".to_owned(), json!(format!("{text}-again")));
            Value::Object(fields)
        }
        other => other.clone(),
    }
}

/// The body with each flag turned, one at a time.
pub fn with_flipped_flags(body: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    pointers(body, String::new(), &mut places);
    let turn = |pointer: String| {
        let mut turned = body.clone();
        let place = turned.pointer_mut(&pointer)?;
        *place = json!(!place.as_bool()?);
        Some((pointer, turned))
    };
    places.into_iter().filter_map(turn).collect()
}

//! A type name occurs once in `src`, so that a reader who searches for it finds one thing.

use crate::rust::Line;
use crate::{files, report, rust};
use std::collections::{BTreeMap, BTreeSet};

/// Names that may occur more than once, each with the reason.
const ALLOWED: &[(&str, &str)] = &[];

#[test]
fn a_type_name_occurs_once() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files::sources() {
        for (number, name) in definitions(&rust::lines(&file.path, &file.text)) {
            places.entry(name).or_default().push(format!("{}:{number}", file.path));
        }
    }
    assert!(places.len() > 300, "{} types: the search is broken", places.len());
    let twice: BTreeSet<&String> = places.iter().filter(|(_, places)| places.len() > 1).map(|(name, _)| name).collect();
    let unused: Vec<&str> =
        ALLOWED.iter().map(|(name, _)| *name).filter(|name| !twice.contains(&(*name).to_owned())).collect();
    assert!(unused.is_empty(), "ALLOWED lists names that occur once by now: {unused:?}; remove them");
    let problems = twice.iter().filter(|name| !ALLOWED.iter().any(|(allowed, _)| allowed == **name));
    let problems =
        problems.flat_map(|name| places[*name].iter().map(move |place| format!("{place}: {name}"))).collect();
    report(
        problems,
        "Rename all but one, by what it is for (`StoredChange`). If each is right, list it in ALLOWED with the reason.",
    );
}

/// Structs, enums, unions, traits and type aliases; not associated types. With the line of each.
fn definitions(lines: &[Line]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // For each open brace, whether it is the body of an `impl` or a `trait`.
    let mut open: Vec<bool> = Vec::new();
    let mut is_body_next = false;
    let mut before = String::new();
    for line in lines {
        for word in words(&line.code) {
            match word {
                "{" => open.push(std::mem::take(&mut is_body_next)),
                "}" => drop(open.pop()),
                ";" => is_body_next = false,
                // `impl Trait` as a type is followed by a brace, too, that of a function.
                "fn" => is_body_next = false,
                "impl" if matches!(before.as_str(), "" | "}" | ";" | "]" | "{" | "unsafe") => is_body_next = true,
                "trait" => is_body_next = true,
                _ => {}
            }
            let is_name = word.starts_with(|it: char| it.is_ascii_uppercase());
            match before.as_str() {
                "struct" | "enum" | "union" | "trait" if is_name => found.push((line.number, word.to_owned())),
                "type" if is_name && open.last() != Some(&true) => found.push((line.number, word.to_owned())),
                _ => {}
            }
            word.clone_into(&mut before);
        }
    }
    found
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    let is_word = |it: char| it.is_alphanumeric() || it == '_';
    let mut rest = code;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let end = match is_word(first) {
            true => rest.find(|it| !is_word(it)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

#[test]
fn definitions_are_found() {
    let text = "pub struct A<T>(T);\nimpl Iterator for A<u8> {\n    type Item = u8;\n    fn f() -> impl Sized { struct B; }\n}\n\
                type C = u8;\ntrait D { type E; }\nmacro_rules! m { () => { struct $name; } }\nfn g(_: impl D) { enum F {} }\n";
    let found: Vec<(usize, String)> = definitions(&rust::lines("src/x.rs", text));
    let found: Vec<(usize, &str)> = found.iter().map(|(number, name)| (*number, name.as_str())).collect();
    assert_eq!(found, [(1, "A"), (4, "B"), (6, "C"), (7, "D"), (9, "F")]);
}

//! Over every place where a value can be given: stray characters are rejected, and a good value is taken. A new setting, a
//! new key of a scheme or a new form of value needs a sample here.

use super::*;
use crate::settings::parse::ValueKind;
use crate::settings::table::{SCHEMES, SETTINGS, SOURCE_SETTINGS, VERIFY_KEYS};

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj
NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz
P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo
9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB
EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX
FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp
oQIDAQAB
-----END PUBLIC KEY-----";

/// One place where a value can be given, and how a world looks that has it there.
struct InputPlace {
    name: String,
    sample: &'static str,
    /// Whether it takes `env:NAME` and `file:PATH`.
    is_secret: bool,
    world: Box<dyn Fn(&str) -> SettingsInput>,
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap().replace('\u{7f}', "\\u007f")
}

fn sample_of(form: ValueKind, key: &str) -> &'static str {
    match form {
        ValueKind::Address => "127.0.0.1:1",
        ValueKind::Count => "7",
        ValueKind::Database => "sqlite://data/other.db",
        ValueKind::Duration => "2h",
        ValueKind::Filter => "debug",
        ValueKind::LogFormat => "json",
        ValueKind::Secret => "s3cret",
        ValueKind::Size => "5MiB",
        ValueKind::Boolean => "true",
        ValueKind::Url => "https://hub.example/in",
        ValueKind::Text => match key {
            "allowed_origins" => "https://app.example",
            "nats" => "nats://127.0.0.1:4222",
            "trusted_documents" => "documents.json",
            "vendor" => "hover",
            other => panic!("{other} needs a sample"),
        },
    }
}

fn settings() -> Vec<InputPlace> {
    let places = SETTINGS.iter().flat_map(|row| {
        let place = |how: &str, world: Box<dyn Fn(&str) -> SettingsInput>| InputPlace {
            name: format!("{how} {}", row.key),
            sample: sample_of(row.kind, row.key),
            is_secret: row.kind == ValueKind::Secret,
            world,
        };
        [
            place("file", Box::new(|value| file(&format!("{} = {}", row.key, quoted(value))))),
            place("variable", Box::new(|value| SettingsInput::default().variable(&row.env_var(), value))),
            place("flag", Box::new(|value| SettingsInput::default().flag(row.key, value))),
        ]
    });
    places.collect()
}

fn of_sources() -> Vec<InputPlace> {
    let places = SOURCE_SETTINGS.iter().flat_map(|row| {
        let text = move |value: Option<&str>| {
            let mut text = String::from("[sources.hover]\n");
            // An address of the API is only for whoever has a token, and a source is open or is not.
            for (key, other) in [("open", "true"), ("api_token", "'t'")] {
                if row.key != key {
                    text += &format!("{key} = {other}\n");
                }
            }
            value.iter().for_each(|value| text += &format!("{} = {}\n", row.key, quoted(value)));
            text
        };
        let place = |how: &str, world: Box<dyn Fn(&str) -> SettingsInput>| InputPlace {
            name: format!("{how} sources.hover.{}", row.key),
            sample: sample_of(row.kind, row.key),
            is_secret: row.kind == ValueKind::Secret,
            world,
        };
        let in_file = place("file", Box::new(move |value| file(&text(Some(value)))));
        let variable =
            place("variable", Box::new(move |value| file(&text(None)).variable(&row.source_env_var("hover"), value)));
        [Some(in_file), row.has_source_env_var().then_some(variable)].into_iter().flatten()
    });
    places.collect()
}

fn sample_of_key(scheme: &str, key: &str) -> &'static str {
    match (scheme, key) {
        (_, "secrets") => "s3cret",
        (_, "leeway") => "5m",
        (_, "parameter") => "token",
        (_, "username") => "pave",
        (_, "header") => "x-key",
        ("jwt", "algorithm") => "HS256",
        (_, "issuer") => "joe",
        (_, "audience") => "hub",
        (_, "public_key") => KEY,
        (_, "scheme") => SCHEMES.iter().find(|known| **known == scheme).unwrap(),
        other => panic!("{other:?} needs a sample"),
    }
}

/// A source with one scheme, of which these keys have other values, written in TOML.
fn with_scheme(scheme: &str, changed: &[(&str, String)]) -> SettingsInput {
    // With a public key there is another algorithm, and there are no secrets.
    let of_key = changed.iter().any(|(key, _)| *key == "public_key");
    let mut text = String::from("[sources.it]\nvendor = 'hover'\n[[sources.it.verify]]\n");
    for row in VERIFY_KEYS.iter().filter(|row| row.schemes.contains(&scheme)) {
        let value = match (row.key, changed.iter().find(|(key, _)| *key == row.key)) {
            (_, Some((_, value))) => value.clone(),
            ("public_key", None) => continue,
            ("secrets", None) if of_key => continue,
            ("algorithm", None) if of_key => quoted("RS256"),
            (key, None) => quoted(sample_of_key(scheme, key)),
        };
        text += &format!("{} = {value}\n", row.key);
    }
    file(&text)
}

fn of_schemes() -> Vec<InputPlace> {
    let mut places = Vec::new();
    for scheme in SCHEMES {
        for row in VERIFY_KEYS.iter().filter(|row| row.schemes.contains(scheme)) {
            let mut place = |how: &str, sample, is_secret, toml: fn(&str) -> String| {
                let world = move |value: &str| with_scheme(scheme, &[(row.key, toml(value))]);
                places.push(InputPlace {
                    name: format!("{scheme} {how} {}", row.key),
                    sample,
                    is_secret,
                    world: Box::new(world),
                });
            };
            let sample = sample_of_key(scheme, row.key);
            let is_secret = matches!(row.key, "secrets" | "public_key");
            place("one", sample, is_secret, quoted);
            if is_secret {
                place("in a list of", sample, true, |value| format!("[{}]", quoted(value)));
            }
            if (*scheme, row.key) == ("signature", "secrets") {
                place("value of", sample, true, |value| format!("[{{ id = '1', value = {} }}]", quoted(value)));
                place("id of", "230293", false, |id| format!("[{{ id = {}, value = 's' }}]", quoted(id)));
            }
        }
    }
    places
}

/// The value with what cannot be meant.
fn spoiled(value: &str) -> Vec<String> {
    let (begin, end) = value.split_at(value.len() / 2);
    let mut all: Vec<String> = ["\n", "\r\n", " ", "\t", "\u{a0}", "\u{7}", "\u{200b}", "\n\n", " \n", "\u{2028}"]
        .iter()
        .map(|end| format!("{value}{end}"))
        .collect();
    all.extend(["\n", " ", "\t", "\u{feff}", "\u{3000}"].iter().map(|start| format!("{start}{value}")));
    all.extend(["\u{1b}", "\u{7f}", "\u{feff}", "\u{202e}"].iter().map(|within| format!("{begin}{within}{end}")));
    if !value.contains('\n') {
        all.push(format!("{begin}\n{end}"));
    }
    all
}

/// What is wrong with a key of several lines: blanks and newlines around lines are not.
fn is_fine_in_lines(value: &str) -> bool {
    value.contains("-----") && value.trim_matches([' ', '\t', '\n', '\r']) == KEY
}

fn refused(place: &InputPlace, value: &str, world: SettingsInput) {
    let what = format!("{}: {value:?}", place.name);
    if is_fine_in_lines(value) {
        return assert!(world.load().is_ok(), "{what}: {:?}", world.load());
    }
    let problems = world.load().map(|_| ()).expect_err(&what).0;
    let [problem] = problems.as_slice() else { panic!("{what}: {problems:?}") };
    assert!(problem.origin != ValueOrigin::Default, "{what}: {problem}");
    // A word that is none of a list has its own sentence.
    let named = ["begins with", "ends with", "holds"].iter().any(|word| problem.message.contains(word));
    assert!(named || problem.message.starts_with("is no "), "{what}: {problem}");
    let told = problem.to_string();
    assert!(!place.is_secret || !told.contains(place.sample), "{what}: {told}");
}

fn places() -> Vec<InputPlace> {
    [settings(), of_sources(), of_schemes()].into_iter().flatten().collect()
}

#[test]
fn what_cannot_be_meant_is_refused_wherever_it_stands() {
    let places = places();
    assert!(places.len() > 100, "{}", places.len());
    for place in &places {
        let fine = (place.world)(place.sample);
        assert!(fine.load().is_ok(), "{}: {:?}", place.name, fine.load());
        for value in spoiled(place.sample) {
            refused(place, &value, (place.world)(&value));
            if place.is_secret {
                refused(place, &value, (place.world)("env:IT").variable("IT", &value));
                // One newline is the end of the line.
                let trimmed = value.strip_suffix("\r\n").or_else(|| value.strip_suffix('\n'));
                if trimmed != Some(place.sample) {
                    refused(place, &value, (place.world)("file:it").other_file("it", &value));
                    refused(place, &value, (place.world)("file:it").other_file("it", &format!("{value}\n")));
                }
            }
        }
    }
}

#[test]
fn a_file_ends_with_a_newline_and_no_more() {
    for place in places().iter().filter(|place| place.is_secret) {
        for end in ["", "\n", "\r\n"] {
            let world = (place.world)("file:it").other_file("it", &format!("{}{end}", place.sample));
            assert!(world.load().is_ok(), "{} {end:?}: {:?}", place.name, world.load());
        }
        for end in ["\n\n", "\r\n\r\n", "\n\r\n", "\r\r\n", "\r"] {
            let world = (place.world)("file:it").other_file("it", &format!("{}{end}", place.sample));
            match place.sample == KEY {
                true => assert!(world.load().is_ok(), "{}", place.name),
                false => assert!(world.problems()[0].contains("ends with a newline; remove it"), "{end:?}"),
            }
        }
    }
    let two = SettingsInput::default().flag("api_tokens", "file:it").other_file("it", "abc\n\n").problems();
    assert_eq!(two, ["--api-tokens: the file it, without the newline at its end, ends with a newline; remove it"]);
    let variable = SettingsInput::default().flag("api_tokens", "env:IT").variable("IT", "abc\n").problems();
    assert_eq!(variable, ["--api-tokens: the variable IT ends with a newline; remove it"]);
}

#[test]
fn quotes_around_the_whole_are_worth_a_warning() {
    for place in places().iter().filter(|place| place.sample != KEY) {
        for value in [format!("\"{}\"", place.sample), format!("'{}'", place.sample)] {
            let world = (place.world)(&value);
            let before = (place.world)(place.sample).warnings();
            // Where quotes cannot be meant, they are refused.
            let Ok((_, warnings)) = world.load() else { continue };
            let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
            let new: Vec<_> = warnings.iter().filter(|warning| !before.contains(warning)).collect();
            assert_eq!(new.len(), 1, "{}: {warnings:?}", place.name);
            assert!(new[0].contains("is in quotes"), "{}: {new:?}", place.name);
            assert!(!place.is_secret || !new[0].contains(place.sample), "{}: {new:?}", place.name);
            if place.is_secret {
                let referred = (place.world)("env:IT").variable("IT", &value).warnings();
                assert!(referred.iter().any(|warning| warning.contains("is in quotes")), "{}", place.name);
            }
        }
    }
    for secret in places().iter().filter(|place| place.is_secret && place.sample != KEY) {
        assert!((secret.world)("'s3cret'").load().is_ok(), "{}: taken, with a warning", secret.name);
    }
}

#[test]
fn several_tokens_of_the_api_may_have_blanks_beside_the_comma_alone() {
    for text in ["a,b", "a, b", "a ,b"] {
        assert_eq!(SettingsInput::default().flag("api_tokens", text).settings().api_tokens.len(), 2, "{text}");
    }
    for text in [" a,b", "a,b ", "a,b\n", "a\n,b"] {
        assert_eq!(SettingsInput::default().flag("api_tokens", text).problems().len(), 1, "{text:?}");
    }
    assert_eq!(
        SettingsInput::default().flag("api_tokens", "'a,b'").warnings().len(),
        2,
        "it is in quotes; sources are open"
    );
}

#[test]
fn an_api_key_may_hold_blanks_and_its_header_may_be_any() {
    let world = with_scheme("api_key", &[("secrets", quoted("Token abc")), ("header", quoted("authorization"))]);
    assert_eq!(world.warnings(), Vec::<String>::new());
    assert_eq!(world.settings().sources[0].verifier.schemes(), ["api_key"]);
    let world = with_scheme("api_key", &[("secrets", quoted("T\u{f6}ken"))]);
    assert!(world.problems()[0].contains("letters beyond ASCII"), "{:?}", world.problems());
    for scheme in ["api_key", "jwt"] {
        let warnings = with_scheme(scheme, &[("header", quoted("api_key"))]).warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("verify[1].header: has `_` in its name, and nginx drops"), "{warnings:?}");
    }
}

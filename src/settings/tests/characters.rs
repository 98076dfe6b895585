//! For every place where a value can be given: stray characters are rejected, and a valid value is accepted. A new setting or
//! placeholder needs a sample here.

use super::*;
use crate::settings::source_table::{SCHEMES, SOURCE_SETTINGS, VERIFY_SETTINGS};
use crate::settings::table::{SETTINGS, Setting};

/// The placeholder of settings that accept `env:NAME` and `file:PATH`.
const SECRET: &str = "SECRET";

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj
NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz
P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo
9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB
EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX
FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp
oQIDAQAB
-----END PUBLIC KEY-----";

/// One place where a value can be given, and an input with the value there.
struct InputPlace {
    name: String,
    sample: &'static str,
    /// Whether it accepts `env:NAME` and `file:PATH`.
    is_secret: bool,
    input: Box<dyn Fn(&str) -> SettingsInput>,
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap().replace('\u{7f}', "\\u007f")
}

fn sample_of(setting: &Setting) -> &'static str {
    match (setting.key, setting.placeholder) {
        ("allowed_origins", _) => "https://app.example",
        ("database", _) => "sqlite://data/other.db",
        ("open_api_scopes", _) => "read, metrics",
        ("nats", _) => "nats://127.0.0.1:4222",
        ("trusted_documents", _) => "documents.json",
        ("vendor", _) => "hover",
        ("vendor_link", _) => "https://vendor.example/{external_id}",
        ("waits_for", _) => "us",
        (_, "ADDRESS:PORT") => "127.0.0.1:1",
        (_, "NUMBER") => "7",
        (_, "DURATION") => "2h",
        (_, "FILTER") => "debug",
        (_, "text|json") => "json",
        (_, SECRET) => "s3cret",
        (_, "SIZE") => "5MiB",
        (_, "true|false") => "true",
        (_, "URL") => "https://hub.example/in",
        (_, "NETWORKS") => "10.0.0.0/8",
        (_, "HEADER") => "X-User",
        (key, _) => panic!("{key} needs a sample"),
    }
}

fn settings() -> Vec<InputPlace> {
    let places = SETTINGS.iter().flat_map(|row| {
        let place = |how: &str, input: Box<dyn Fn(&str) -> SettingsInput>| InputPlace {
            name: format!("{how} {}", row.key),
            sample: sample_of(row),
            is_secret: row.placeholder == SECRET,
            input,
        };
        [
            place("file", Box::new(|value| file(&format!("{} = {}", row.key, quoted(value))))),
            place("variable", Box::new(|value| SettingsInput::default().variable(&row.env_var(), value))),
            place("flag", Box::new(|value| SettingsInput::default().flag(row.key, value))),
        ]
    });
    places.collect()
}

fn source_settings() -> Vec<InputPlace> {
    let places = SOURCE_SETTINGS.iter().flat_map(|row| {
        let text = move |value: Option<&str>| {
            let mut text = String::from("[sources.hover]\n");
            // An API URL needs a token, and a source without `verify` must be open.
            for (key, other) in [("open", "true"), ("api_token", "'t'")] {
                if row.key != key {
                    text += &format!("{key} = {other}\n");
                }
            }
            // A value of the table, by state.
            let key = if row.placeholder == "TABLE" { format!("{}.uploading", row.key) } else { row.key.to_owned() };
            value.iter().for_each(|value| text += &format!("{key} = {}\n", quoted(value)));
            text
        };
        let place = |how: &str, input: Box<dyn Fn(&str) -> SettingsInput>| InputPlace {
            name: format!("{how} sources.hover.{}", row.key),
            sample: sample_of(row),
            is_secret: row.placeholder == SECRET,
            input,
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

/// A source with one scheme. These keys have other values, in TOML syntax.
fn with_scheme(scheme: &str, changed: &[(&str, String)]) -> SettingsInput {
    // A public key needs another algorithm, and excludes secrets.
    let has_public_key = changed.iter().any(|(key, _)| *key == "public_key");
    let mut text = String::from("[sources.it]\nvendor = 'hover'\n[[sources.it.verify]]\n");
    for row in VERIFY_SETTINGS.iter().filter(|row| row.applies_to(scheme)) {
        let value = match (row.key, changed.iter().find(|(key, _)| *key == row.key)) {
            (_, Some((_, value))) => value.clone(),
            ("public_key", None) => continue,
            ("secrets", None) if has_public_key => continue,
            ("algorithm", None) if has_public_key => quoted("RS256"),
            (key, None) => quoted(sample_of_key(scheme, key)),
        };
        text += &format!("{} = {value}\n", row.key);
    }
    file(&text)
}

fn scheme_settings() -> Vec<InputPlace> {
    let mut places = Vec::new();
    for scheme in SCHEMES {
        for row in VERIFY_SETTINGS.iter().filter(|row| row.applies_to(scheme)) {
            let mut place = |how: &str, sample, is_secret, toml: fn(&str) -> String| {
                let input = move |value: &str| with_scheme(scheme, &[(row.key, toml(value))]);
                places.push(InputPlace {
                    name: format!("{scheme} {how} {}", row.key),
                    sample,
                    is_secret,
                    input: Box::new(input),
                });
            };
            let sample = sample_of_key(scheme, row.key);
            let is_secret = row.placeholder == SECRET;
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

/// The value with each stray character.
fn with_stray_characters(value: &str) -> Vec<String> {
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

/// A key in PEM form has several lines, and may have whitespace around them.
fn is_valid_pem(value: &str) -> bool {
    value.contains("-----") && value.trim_matches([' ', '\t', '\n', '\r']) == KEY
}

fn assert_rejected(place: &InputPlace, value: &str, input: SettingsInput) {
    let what = format!("{}: {value:?}", place.name);
    if is_valid_pem(value) {
        return assert!(input.load().is_ok(), "{what}: {:?}", input.load());
    }
    let problems = input.load().map(|_| ()).expect_err(&what).0;
    let [problem] = problems.as_slice() else { panic!("{what}: {problems:?}") };
    assert!(problem.at.origin != ValueOrigin::Default, "{what}: {problem}");
    // A word that is not in a list of known ones has its own message.
    let named = ["begins with", "ends with", "contains"].iter().any(|word| problem.message.contains(word));
    assert!(named || problem.message.starts_with("is not "), "{what}: {problem}");
    let message = problem.to_string();
    assert!(!place.is_secret || !message.contains(place.sample), "{what}: {message}");
}

fn places() -> Vec<InputPlace> {
    [settings(), source_settings(), scheme_settings()].into_iter().flatten().collect()
}

#[test]
fn stray_characters_are_rejected_everywhere() {
    let places = places();
    assert!(places.len() > 100, "{}", places.len());
    for place in &places {
        let valid = (place.input)(place.sample);
        assert!(valid.load().is_ok(), "{}: {:?}", place.name, valid.load());
        for value in with_stray_characters(place.sample) {
            assert_rejected(place, &value, (place.input)(&value));
            if place.is_secret {
                assert_rejected(place, &value, (place.input)("env:IT").variable("IT", &value));
                // One newline at the end of a file is allowed.
                let trimmed = value.strip_suffix("\r\n").or_else(|| value.strip_suffix('\n'));
                if trimmed != Some(place.sample) {
                    assert_rejected(place, &value, (place.input)("file:it").other_file("it", &value));
                    assert_rejected(place, &value, (place.input)("file:it").other_file("it", &format!("{value}\n")));
                }
            }
        }
    }
}

#[test]
fn a_file_may_end_with_one_newline() {
    for place in places().iter().filter(|place| place.is_secret) {
        for end in ["", "\n", "\r\n"] {
            let input = (place.input)("file:it").other_file("it", &format!("{}{end}", place.sample));
            assert!(input.load().is_ok(), "{} {end:?}: {:?}", place.name, input.load());
        }
        for end in ["\n\n", "\r\n\r\n", "\n\r\n", "\r\r\n", "\r"] {
            let input = (place.input)("file:it").other_file("it", &format!("{}{end}", place.sample));
            match place.sample == KEY {
                true => assert!(input.load().is_ok(), "{}", place.name),
                false => assert!(input.problems()[0].contains("ends with a newline; remove it"), "{end:?}"),
            }
        }
    }
    let url_token = |value: &str| with_scheme("url_token", &[("secrets", quoted(value))]);
    let two = url_token("file:it").other_file("it", "abc\n\n").problems();
    assert!(two[0].ends_with("the file it, without the newline at its end, ends with a newline; remove it"), "{two:?}");
    let variable = url_token("env:IT").variable("IT", "abc\n").problems();
    assert!(variable[0].ends_with("the variable IT ends with a newline; remove it"), "{variable:?}");
}

#[test]
fn quotes_around_a_value_cause_a_warning() {
    for place in places().iter().filter(|place| place.sample != KEY) {
        for value in [format!("\"{}\"", place.sample), format!("'{}'", place.sample)] {
            let input = (place.input)(&value);
            let before = (place.input)(place.sample).warnings();
            // Most types reject quotes.
            let Ok((_, warnings)) = input.load() else { continue };
            let new: Vec<_> = warnings.iter().filter(|warning| !before.contains(warning)).collect();
            assert_eq!(new.len(), 1, "{}: {warnings:?}", place.name);
            assert!(new[0].contains("is in quotes"), "{}: {new:?}", place.name);
            assert!(!place.is_secret || !new[0].contains(place.sample), "{}: {new:?}", place.name);
            if place.is_secret {
                let referred = (place.input)("env:IT").variable("IT", &value).warnings();
                assert!(referred.iter().any(|warning| warning.contains("is in quotes")), "{}", place.name);
            }
        }
    }
    for secret in places().iter().filter(|place| place.is_secret && place.sample != KEY) {
        assert!((secret.input)("'s3cret'").load().is_ok(), "{}: accepted, with a warning", secret.name);
    }
}

#[test]
fn an_api_key_may_contain_spaces_and_be_in_any_header() {
    let input = with_scheme("api_key", &[("secrets", quoted("Token abc")), ("header", quoted("authorization"))]);
    assert_eq!(input.warnings(), Vec::<String>::new());
    assert_eq!(input.settings().sources[0].verifier.schemes(), ["api_key"]);
    let input = with_scheme("api_key", &[("secrets", quoted("T\u{f6}ken"))]);
    assert!(input.problems()[0].contains("characters beyond ASCII"), "{:?}", input.problems());
    for scheme in ["api_key", "jwt"] {
        let warnings = with_scheme(scheme, &[("header", quoted("api_key"))]).warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("verify[1].header: has `_` in its name, and nginx drops"), "{warnings:?}");
    }
}

use super::*;
use crate::access::{ApiKeyToken, Scopes};

const ID: &str = "0123456789ab";
const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn hash() -> String {
    let token: ApiKeyToken = format!("ihub_{ID}_{SECRET}").parse().unwrap();
    format!("sha256:{}", token.digest())
}

/// The lines of a valid key. A line with the key of another replaces that; `-KEY` removes it.
fn api_key(changes: &[&str]) -> SettingsInput {
    let key_of = |line: &str| line.split([' ', '=']).next().unwrap_or_default().trim_start_matches('-').to_owned();
    let mut lines = vec![
        format!("id = '{ID}'"),
        "name = 'board'".into(),
        format!("hash = '{}'", hash()),
        "scopes = ['read']".into(),
    ];
    lines.retain(|line| !changes.iter().any(|change| key_of(change) == key_of(line)));
    lines.extend(changes.iter().filter(|change| !change.starts_with('-')).map(|change| (*change).to_owned()));
    file(&format!("[[api_keys]]\n{}\n", lines.join("\n")))
}

#[test]
fn the_keys_of_the_file() {
    assert!(SettingsInput::default().settings().api_keys.is_empty());
    let more = [
        "scopes = ['read:personal', 'read', 'read']",
        "sources = ['pave', 'hover']",
        "expires = 2999-01-31T00:00:00+01:00",
    ];
    let keys = api_key(&more).settings().api_keys;
    let [key] = &keys[..] else { panic!("{keys:?}") };
    assert_eq!((key.id.to_string().as_str(), key.name.as_str()), (ID, "board"));
    assert!(key.digest.matches(&format!("ihub_{ID}_{SECRET}").parse().unwrap()));
    assert_eq!(key.view.scopes().to_string(), "read read:personal");
    assert_eq!(key.view.sources(), Some(&["hover".to_owned(), "pave".to_owned()][..]));
    assert_eq!(key.expires_at.unwrap().to_rfc3339(), "2999-01-30T23:00:00+00:00");
    let quoted = api_key(&["expires = '2999-01-30T23:00:00Z'"]).settings().api_keys.remove(0);
    assert_eq!((quoted.expires_at, quoted.view.sources()), (key.expires_at, None));
}

#[test]
fn mistakes_in_keys() {
    let token = format!("hash = 'ihub_{ID}_{SECRET}'");
    let upper = format!("hash = '{}'", hash().to_uppercase());
    let bare = format!("hash = '{}'", &hash()["sha256:".len()..]);
    let cases: &[(&[&str], &str)] = &[
        (&["-id"], ":1: api_keys[1].id: is missing; `inspection-hub keys create --print-settings` prints it"),
        (&["id = ''"], ".id: is missing"),
        (&["id = 'ihub_0123456789ab'"], ".id: must be the 12 digits after `ihub_`"),
        (&["id = '0123456789AB'"], ".id: must be the 12 digits"),
        (&["id = 12"], ".id: is missing"),
        (&["-name"], ".name: is missing; write what the key is for"),
        (&["name = 'a\tb'"], ".name: "),
        (&["name = ' a'"], ".name: "),
        (&["-hash"], ".hash: is missing"),
        (&[&token], ".hash: is the key itself, which must not be in the file"),
        (&[&upper], ".hash: must be sha256: and 64 hexadecimal digits in lower case"),
        (&[&bare], ".hash: must be sha256:"),
        (&["hash = 'sha256:00'"], ".hash: must be sha256:"),
        (&["-scopes"], ".scopes: is missing; write scopes = [\"read\"]"),
        (&["scopes = []"], ".scopes: is missing"),
        (&["scopes = 'read'"], ".scopes: must be a list"),
        (
            &["scopes = ['read', 'raed']"],
            ".scopes[2]: \"raed\" is not a scope; write one of read, read:personal, operate, erase, admin, metrics; did you mean read?",
        ),
        (&["scopes = ['read operate']"], ".scopes[1]: \"read operate\" is not a scope"),
        (&["scopes = [1]"], ".scopes[1]: must be a string"),
        (&["sources = []"], ".sources: is empty; name a source, or remove it for all sources"),
        (&["sources = 'pave'"], ".sources: must be a list"),
        (&["sources = ['pav']"], ".sources[1]: \"pav\" is not a source of the file; did you mean pave?"),
        (&["expires = 'soon'"], ".expires: \"soon\" is not a time with its offset"),
        (&["expires = 2999-01-31"], ".expires: \"2999-01-31\" is not a time with its offset"),
        (&["expires = 2999-01-31T00:00:00"], ".expires: "),
        (&["expires = 5"], ".expires: "),
        (&["expire = 5"], ".expire: is not a setting; did you mean expires?"),
    ];
    for (changes, expected) in cases {
        let problems = api_key(changes).problems();
        assert_eq!(problems.len(), 1, "{changes:?}: {problems:?}");
        assert!(problems[0].contains(expected), "{changes:?}: {problems:?}");
        assert!(!problems[0].contains(SECRET), "{changes:?}: {problems:?}");
    }
}

#[test]
fn all_mistakes_in_keys_are_reported_at_once() {
    let text = format!(
        "[[api_keys]]\nid = '{ID}'\nname = 'a'\nhash = '{}'\nscopes = ['read']\n\
         [[api_keys]]\nid = '{ID}'\nname = 'b'\nhash = '{}'\nscopes = ['read']\n\
         [[api_keys]]\nid = 'x'\nscopes = ['x']\nsources = ['x']\nexpires = 'x'\n",
        hash(),
        hash()
    );
    let problems = file(&text).problems();
    let lines: Vec<&str> =
        problems.iter().map(|problem| problem.split(": ").take(2).last().unwrap_or_default()).collect();
    let third = |key: &str| format!("api_keys[3].{key}");
    let expected =
        [third("name"), third("hash"), third("id"), third("scopes[1]"), third("sources[1]"), third("expires")];
    let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    expected.insert(0, "api_keys[2].id");
    assert_eq!(lines, expected, "{problems:#?}");
    assert!(problems[0].contains("is the id of an earlier key"), "{problems:?}");
    for text in ["api_keys = 1", "api_keys = ['x']", "[api_keys]\nid = 'x'"] {
        assert_eq!(
            file(text).problems(),
            ["inspection-hub.toml:1: api_keys: must be a list of tables; write [[api_keys]]"]
        );
    }
}

#[test]
fn scopes_of_the_open_api() {
    let scopes = |text: &str| SettingsInput::default().flag("open_api_scopes", text).settings().open_api_scopes;
    assert_eq!(SettingsInput::default().settings().open_api_scopes.to_string(), "read read:personal operate metrics");
    assert_eq!(scopes("read,admin").to_string(), "read admin");
    assert_eq!(scopes("read, read:personal, operate, erase, admin, metrics"), Scopes::ALL);
    let problems = SettingsInput::default().flag("open_api_scopes", "read, raed").problems();
    assert!(problems[0].starts_with("--open-api-scopes: \"raed\" is not a scope"), "{problems:?}");
}

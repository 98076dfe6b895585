use super::*;

#[test]
fn all_mistakes_are_reported_at_once_with_their_location() {
    let input = file(
        "\
listen = 'everywhere'
body_limt = '5MiB'
body_timeout = 10
max_connections = [1]

[sources.Yard]
vendor = 'hoover'

[sources.pave]
rate_limit = 0
public_url = 'pave'
[[sources.pave.verify]]
scheme = 'signature'
secrets = ['env:PAVE_SECRET']
[[sources.pave.verify]]
scheme = 'bearer'
leeway = '5m'

[sources.record360]
",
    )
    .variable("INSPECTION_HUB_LOG_FORMAT", "xml")
    .variable("INSPECTION_HUB_LOGS", "info")
    .variable("INSPECTION_HUB_SOURCES__PAVE__RATE", "5")
    .variable("PATH", "/bin")
    .flag("database", "postgres://hub:hunter2@db:port/hub");
    let expected = "\
inspection-hub.toml:1: listen: \"everywhere\" is not an address with a port; write 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080
inspection-hub.toml:2: body_limt: is not a setting; did you mean body_limit?
inspection-hub.toml:3: body_timeout: \"10\" is not a duration above zero; write a number with its unit: 10s (ms, s, m, h, d; at most 365d)
inspection-hub.toml:4: max_connections: must be a single value
inspection-hub.toml:6: sources.Yard: the name must be 1 to 64 of a-z, 0-9 and -; it is the end of the URL
inspection-hub.toml:6: sources.Yard: has no verify; add [[sources.Yard.verify]], or open = true to accept deliveries from anyone
inspection-hub.toml:7: sources.Yard.vendor: is not a supported vendor; write one of truepic, pave, hover, truto, record360; did you mean hover?
inspection-hub.toml:10: sources.pave.rate_limit: \"0\" is not a whole number from 1 to 4294967295
inspection-hub.toml:11: sources.pave.public_url: is not an absolute URL; write one such as https://hub.example.com/webhooks/truepic
inspection-hub.toml:14: sources.pave.verify[1].secrets[1]: the variable PAVE_SECRET is not set
inspection-hub.toml:15: sources.pave.verify[2].secrets: is missing; write secrets = [\"env:NAME\"]
inspection-hub.toml:17: sources.pave.verify[2].leeway: is for signature and jwt, not for bearer; remove it
inspection-hub.toml:19: sources.record360: has no verify; add [[sources.record360.verify]], or open = true to accept deliveries from anyone
INSPECTION_HUB_LOGS: is not a setting; did you mean INSPECTION_HUB_LOG?
INSPECTION_HUB_LOG_FORMAT: \"xml\" is not a log format; write text or json
INSPECTION_HUB_SOURCES__PAVE__RATE: is not a setting; did you mean INSPECTION_HUB_SOURCES__PAVE__RATE_LIMIT?
--database: the database's address cannot be understood: percent-encode the password's `@ # ? / %` (as %40 %23 %3F %2F %25); the port is not a number from 1 to 65535; write the path of a SQLite file, or the URL of a PostgreSQL database: sqlite://data/hub.db, postgres://hub@db.example/hub";
    assert_eq!(input.load().unwrap_err().to_string(), expected);
}

#[test]
fn a_file_that_cannot_be_parsed_does_not_hide_other_mistakes() {
    let input = file("listen = \n[sources.pave\n").variable("INSPECTION_HUB_LOG_FORMAT", "xml").flag("body_limit", "0");
    let problems = input.problems();
    assert!(problems[0].starts_with("inspection-hub.toml:1: "), "{problems:?}");
    assert!(problems[1].starts_with("inspection-hub.toml:2: "), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.starts_with("INSPECTION_HUB_LOG_FORMAT: ")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.starts_with("--body-limit: ")), "{problems:?}");
}

#[test]
fn sources_must_be_tables() {
    assert_eq!(
        file("sources = 1").problems(),
        ["inspection-hub.toml:1: sources: must be a table; write [sources.<name>]"]
    );
    assert!(file("[sources]").problems()[0].contains("has no source"));
    assert!(file("sources.pave = 1").problems()[0].contains("must be a table"));
    assert!(file("sources.pave.verify = 'bearer'").problems()[0].contains("write [[sources.pave.verify]]"));
    assert!(file("sources.yard.open = true").problems()[0].contains("has no vendor; write one of truepic, pave"));
}

/// The mistakes of a source with this scheme.
fn problems_of_scheme(vendor: &str, scheme: &str) -> Vec<String> {
    let text = format!("[sources.s]\nvendor = '{vendor}'\n[[sources.s.verify]]\n{scheme}\n");
    file(&text).other_file("empty", "\n").other_file("private.pem", "-----BEGIN PRIVATE KEY-----\n").problems()
}

#[test]
fn mistakes_in_schemes() {
    let cases = [
        ("pave", "secrets = ['s']", "verify[1].scheme: is missing; write one of signature, url_token, basic"),
        ("pave", "scheme = 'brearer'", "is not a scheme; write one of"),
        ("pave", "scheme = 'brearer'", "did you mean bearer?"),
        ("pave", "scheme = 'signature'\nsecrets = ['s']", "PAVE does not sign its webhooks; use another scheme"),
        ("truepic", "scheme = 'signature'\nsecrets = ['s']", "add public_url to the source"),
        ("pave", "scheme = 'bearer'\nsecrets = []", ":5: sources.s.verify[1].secrets: is missing"),
        ("pave", "scheme = 'bearer'\nsecrets = ['a', 'b', 'c']", "has more than two secrets with the same id"),
        ("pave", "scheme = 'bearer'\nsecrets = ['']", "secrets[1]: is empty"),
        ("pave", "scheme = 'bearer'\nsecrets = ['file:empty']", "secrets[1]: is empty"),
        ("pave", "scheme = 'bearer'\nsecrets = ['file:missing']", "secrets[1]: missing cannot be read"),
        ("pave", "scheme = 'bearer'\nsecrets = [7]", "secrets[1]: must be a string"),
        ("pave", "scheme = 'bearer'\nsecrets = ['two words']", "no header can carry"),
        ("pave", "scheme = 'bearer'\nsecrets = [{ id = '1', value = 's' }]", "secrets[1].id: is for signatures only"),
        ("hover", "scheme = 'signature'\nsecrets = [{ id = '1' }]", "has no value; write { value = "),
        ("hover", "scheme = 'signature'\nsecrets = [{ id = '1', value = 's', ide = 's' }]", "did you mean id?"),
        ("pave", "scheme = 'basic'\nsecrets = ['s']", "username: is missing"),
        ("pave", "scheme = 'basic'\nsecrets = ['s']\nusername = 'a:b'", "must not contain a colon"),
        ("pave", "scheme = 'api_key'\nsecrets = ['s']\nheader = 'x y'", "is not a header name"),
        (
            "pave",
            "scheme = 'url_token'\nsecrets = ['s']\nparameter = ''",
            "parameter: must be a string that is not empty",
        ),
        ("pave", "scheme = 'jwt'\nsecrets = ['s']", "algorithm: is missing; write HS256 or RS256"),
        ("pave", "scheme = 'jwt'\nsecrets = ['s']\nalgorithm = 'none'", "is not a supported algorithm"),
        ("pave", "scheme = 'jwt'\nsecrets = ['s']\nalgorithm = 'RS256'", "secrets: is not for RS256"),
        ("pave", "scheme = 'jwt'\npublic_key = 's'\nalgorithm = 'HS256'", "public_key: is not for HS256"),
        ("pave", "scheme = 'jwt'\npublic_key = 's'\nalgorithm = 'RS256'", "is not a public RSA key in PEM form"),
        ("pave", "scheme = 'jwt'\npublic_key = 'file:private.pem'\nalgorithm = 'RS256'", "is a private key"),
        (
            "pave",
            "scheme = 'jwt'\nsecrets = ['s']\nalgorithm = 'HS256'\nleeway = '5'",
            "leeway: \"5\" is not a duration",
        ),
    ];
    for (vendor, scheme, expected) in cases {
        let problems = problems_of_scheme(vendor, scheme);
        assert_eq!(problems.len(), 1, "{scheme}: {problems:?}");
        assert!(problems[0].contains(expected), "{scheme}: {problems:?}");
    }
}

#[test]
fn two_schemes_cannot_share_a_header() {
    let text = "
sources.pave.verify = [
    { scheme = 'bearer', secrets = 'one' },
    { scheme = 'basic', username = 'u', secrets = 'two' },
]";
    assert_eq!(
        file(text).problems(),
        [
            "inspection-hub.toml:4: sources.pave.verify: has two schemes for the header authorization, and all schemes must pass; \
          remove one"
        ]
    );
}

#[test]
fn secrets_are_never_shown() {
    let text = "\
sources.hover.api_token = 'hunter2'
sources.hover.api_url = 'https://hunter2@hover.to'
sources.hover.public_url = 'https://hub.example/?token=hunter2'
[[sources.hover.verify]]
scheme = 'bearer'
secrets = ['hunter2 ', { id = 'a', value = 'hunter2' }]
[[sources.hover.verify]]
scheme = 'jwt'
algorithm = 'RS256'
public_key = 'hunter2'
";
    let problems = file(text).flag("database", "hunter2").load().unwrap_err();
    assert_eq!(problems.0.len(), 6, "{problems}");
    assert!(!format!("{problems} {problems:?}").contains("hunter2"), "{problems}");

    let text = "\
sources.hover.api_token = 'hunter2'
[[sources.hover.verify]]
scheme = 'basic'
username = 'hover'
secrets = ['hunter2', 'hunter2']
";
    assert!(!format!("{:?}", file(text).settings()).contains("hunter2"));
}

#[test]
fn origins_must_be_written_as_browsers_write_them() {
    const WRITE: &str = "write scheme, host and port as browsers do, without a path: https://app.example or \
                         http://localhost:3000";
    for (text, problem) in [
        (
            "https://app.example/",
            "\"https://app.example/\" is not how browsers write it; write https://app.example".to_owned(),
        ),
        (
            "https://app.example/app",
            "\"https://app.example/app\" is not how browsers write it; write https://app.example".to_owned(),
        ),
        (
            "https://App.Example",
            "\"https://App.Example\" is not how browsers write it; write https://app.example".to_owned(),
        ),
        (
            "https://app.example:443",
            "\"https://app.example:443\" is not how browsers write it; write https://app.example".to_owned(),
        ),
        (
            "https://bücher.example",
            "\"https://bücher.example\" is not how browsers write it; write https://xn--bcher-kva.example".to_owned(),
        ),
        (
            "https://app.example?x",
            "\"https://app.example?x\" is not how browsers write it; write https://app.example".to_owned(),
        ),
        (
            "https://*.example",
            "\"https://*.example\" contains a pattern, which is not supported; write each origin".to_owned(),
        ),
        ("app.example", format!("\"app.example\" is not an origin; {WRITE}")),
        ("localhost:3000", format!("\"localhost:3000\" has no host; {WRITE}")),
        ("null", format!("\"null\" is not an origin; {WRITE}")),
        ("https://app.example,", format!("\"\" is not an origin; {WRITE}")),
        ("https://hub:hunter2@app.example", format!("contains a user name or password; {WRITE}")),
        ("*, https://app.example", "contains `*` and others; write `*` alone for any origin, or remove it".to_owned()),
    ] {
        let problems = SettingsInput::default().flag("allowed_origins", text).problems();
        assert_eq!(problems, [format!("--allowed-origins: {problem}")], "{text}");
    }
}

use super::*;
use crate::vendor::verify::WebhookRequest;
use axum::http::HeaderMap;
use chrono::Utc;
use entity::Party;

const BEARER: &str = "\
[sources.pave]
[[sources.pave.verify]]
scheme = 'bearer'
";

/// Whether the first source accepts this `Authorization`.
fn accepts(settings: &Settings, authorization: &str) -> bool {
    let headers: HeaderMap =
        [(axum::http::header::AUTHORIZATION, authorization.parse().unwrap())].into_iter().collect();
    let request =
        WebhookRequest { headers: &headers, path: "/webhooks/pave", query: None, body: b"{}", now: Utc::now() };
    settings.sources[0].verifier.verify(&request).is_ok()
}

#[test]
fn a_secret_is_a_variable_a_file_or_the_text_itself() {
    let input = file(&format!("{BEARER}secrets = ['env:PAVE_NEW', 'file:secrets/old']"))
        .variable("PAVE_NEW", "new")
        .other_file("secrets/old", "old\r\n");
    let settings = input.settings();
    assert!(accepts(&settings, "Bearer new") && accepts(&settings, "Bearer old"));
    assert!(!accepts(&settings, "Bearer PAVE_NEW") && !accepts(&settings, "Bearer "));
    assert!(accepts(&file(&format!("{BEARER}secrets = 'itself'")).settings(), "Bearer itself"));
}

#[test]
fn relative_paths_of_secrets_start_at_the_folder_of_the_settings() {
    let input = SettingsInput::default()
        .flag("config", "/etc/hub/hub.toml")
        .other_file("/etc/hub/hub.toml", "[[sources.pave.verify]]\nscheme = 'bearer'\nsecrets = 'file:token'")
        .other_file("/etc/hub/token", "new");
    assert!(accepts(&input.settings(), "Bearer new"));
}

#[test]
fn a_variable_with_a_secret_may_have_our_prefix() {
    let input = file(&format!("{BEARER}secrets = 'env:INSPECTION_HUB_PAVE'")).variable("INSPECTION_HUB_PAVE", "s");
    assert!(accepts(&input.settings(), "Bearer s"));
    assert!(SettingsInput::default().variable("INSPECTION_HUB_PAVE", "s").load().is_err());
}

#[test]
fn variables_set_sources() {
    let input = file("[sources.my-hover]\nvendor = 'hover'\nopen = true\nrate_limit = 5")
        .variable("INSPECTION_HUB_SOURCES__MY_HOVER__RATE_LIMIT", "7")
        .variable("INSPECTION_HUB_SOURCES__MY_HOVER__PUBLIC_URL", "https://hub.example/in")
        .variable("INSPECTION_HUB_SOURCES__MY_HOVER__API_TOKEN", "env:HOVER_TOKEN")
        .variable("INSPECTION_HUB_SOURCES__MY_HOVER__API_URL", "http://127.0.0.1:9/")
        .variable("HOVER_TOKEN", "secret");
    let source = input.settings().sources.remove(0);
    assert_eq!((source.name.as_str(), source.vendor.name), ("my-hover", "hover"));
    assert_eq!(source.rate_limit.map(NonZeroU32::get), Some(7));
    assert_eq!(source.public_url.as_deref(), Some("https://hub.example/in"));
    let handshake = source.handshake.unwrap();
    assert_eq!((handshake.api_url.as_str(), handshake.api_token.value.as_str()), ("http://127.0.0.1:9", "secret"));
    // Also the sources that exist without a file.
    let input = SettingsInput::default().variable("INSPECTION_HUB_SOURCES__HOVER__API_TOKEN", "secret");
    let hover = input.settings().sources.into_iter().find(|source| source.name == "hover").unwrap();
    assert_eq!(hover.handshake.unwrap().api_url, "https://hover.to");
}

#[test]
fn only_hover_has_an_api() {
    let input = SettingsInput::default().variable("INSPECTION_HUB_SOURCES__PAVE__API_TOKEN", "s");
    assert!(input.problems()[0].contains("PAVE does not ask for a confirmation"));
    let input = SettingsInput::default().variable("INSPECTION_HUB_SOURCES__HOVER__API_URL", "https://hover.to");
    assert!(input.problems()[0].contains("has no effect without api_token"));
}

#[test]
fn open_sources_are_for_loopback() {
    assert_eq!(
        SettingsInput::default().warnings(),
        [format!(
            "anyone who can reach 127.0.0.1:8080 can post to the open sources {}; add [[sources.<name>.verify]]",
            crate::vendor::names().collect::<Vec<_>>().join(", ")
        )]
    );
    for loopback in ["[::1]:80", "127.9.9.9:80", "[::ffff:127.0.0.1]:80"] {
        assert_eq!(SettingsInput::default().flag("listen", loopback).warnings().len(), 1);
    }
    for public in ["0.0.0.0:80", "[::]:80", "192.168.0.1:80"] {
        let problems = SettingsInput::default().flag("listen", public).problems();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with(&format!("--listen: {public} is not loopback")), "{problems:?}");
        let input = SettingsInput::default().flag("listen", public).flag("allow_open_sources", "true");
        assert_eq!(input.warnings().len(), 1);
    }
    let in_file = file("listen = '0.0.0.0:80'\n[sources.pave]\nopen = true");
    assert_eq!(
        in_file.problems(),
        [
            "inspection-hub.toml:2: sources.pave: is open, and 0.0.0.0:80 is not loopback; add [[sources.pave.verify]], or \
          allow_open_sources = true"
        ]
    );
}

#[test]
fn a_source_in_the_file_is_open_only_if_it_says_so() {
    assert!(file("[sources.pave]\nopen = true").settings().sources[0].verifier.is_open());
    assert!(file("[sources.pave]").problems()[0].contains("has no verify"));
    assert!(file("[sources.pave]\nverify = []").problems()[0].contains("has no verify"));
    assert!(file("[sources.pave]\nopen = false").problems()[0].contains("has no verify"));
    let verified = file(&format!("listen = '0.0.0.0:80'\n{BEARER}secrets = 's'"));
    assert!(verified.warnings().is_empty());
    let both = verified.variable("INSPECTION_HUB_SOURCES__PAVE__OPEN", "true");
    assert!(both.problems()[0].contains("has both open and verify"));
}

#[test]
fn two_secrets_per_id() {
    let text = "\
[[sources.hover.verify]]
scheme = 'signature'
leeway = '15m'
secrets = [{ id = 1, value = 'a' }, { id = 1, value = 'b' }, { id = '2', value = 'c' }, 'd', 'e']
";
    assert_eq!(file(text).settings().sources[0].verifier.schemes(), ["signature"]);
    assert!(file(&text.replace("'2'", "1")).problems()[0].contains("more than two secrets with the same id"));
}

#[test]
fn a_link_and_what_inspections_wait_for_are_settings_of_a_source() {
    let text = "[sources.yard]\nvendor = 'truepic'\nopen = true\nvendor_link = 'https://vendor.example/{external_id}'\n\
                [sources.yard.waits_for]\nCreated = 'nobody'\n'Ready for Review' = 'us'\n";
    let source = file(text).settings().sources.remove(0);
    assert_eq!(source.vendor_link.unwrap().url("7"), "https://vendor.example/7");
    let party = |state| source.waiting_rules.party(Some(state));
    assert_eq!([party("Created"), party("Ready for Review")], [None, Some(Party::Us)]);
    assert_eq!(party("Started"), Some(Party::Customer), "the vendor's default");
    let by_variable =
        file(text).variable("INSPECTION_HUB_SOURCES__YARD__VENDOR_LINK", "http://a.example/?{external_id}");
    assert_eq!(by_variable.settings().sources[0].vendor_link.as_ref().unwrap().url("7"), "http://a.example/?7");
    for (wrong, message) in [
        ("vendor_link = 'https://vendor.example'", "yard.vendor_link: must contain {external_id} once"),
        ("vendor_link = ['a']", "must be a single value"),
        ("waits_for = 'us'", "yard.waits_for: must be a table; write [sources.yard.waits_for]"),
        (
            "waits_for = { Started = 'them' }",
            "yard.waits_for.Started: \"them\" is no party; write one of customer, vendor, reviewer, us, nobody",
        ),
        ("waits_for = { Started = 'custmer' }", "did you mean customer?"),
        ("waits_for = { Started = 1 }", "must be a string"),
        ("waits_for = { started = 'us' }", "is no state of an inspection of Truepic Vision; did you mean Started?"),
    ] {
        let problems = file(&format!("[sources.yard]\nvendor = 'truepic'\nopen = true\n{wrong}")).problems();
        assert!(problems.len() == 1 && problems[0].contains(message), "{problems:?}");
    }
}

#[test]
fn a_secret_has_the_day_on_which_it_was_issued() {
    let text = "[sources.yard]\nvendor = 'hover'\n[[sources.yard.verify]]\nscheme = 'signature'\nsecrets = [{ id = 'a', value = 's', \
                since = 2026-01-15 }, 't', { value = 'u', since = '2026-01-16T12:00:00+02:00' }]\n[[sources.yard.verify]]\n\
                scheme = 'basic'\nusername = 'u'\nsecrets = { value = 's3cret', since = 2026-01-17T00:00:00Z }";
    let source = file(text).settings().sources.remove(0);
    let dates: Vec<_> = source
        .verifier
        .secret_dates()
        .map(|(scheme, number, since)| (scheme, number, since.map(|at| at.to_rfc3339())))
        .collect();
    let expected = [
        ("signature", 1, Some("2026-01-15T00:00:00+00:00")),
        ("signature", 2, None),
        ("signature", 3, Some("2026-01-16T10:00:00+00:00")),
        ("basic", 1, Some("2026-01-17T00:00:00+00:00")),
    ];
    assert_eq!(dates, expected.map(|(scheme, number, since)| (scheme, number, since.map(str::to_owned))));
    for (secret, message) in [
        ("{ since = 2026-01-15 }", "secrets[1]: has no value; write { value = "),
        ("{ value = 's3cret', since = 2026 }", "secrets[1].since: \"2026\" is neither a day nor a time"),
        ("{ value = 's3cret', since = 2026-01-15T12:00:00 }", "is neither a day nor a time"),
        ("{ value = 's3cret', since = ['a'] }", "is neither a day nor a time"),
        ("{ value = 's3cret', id = 'a' }", "secrets[1].id: is for signatures only; remove it"),
        ("{ value = 's3cret', sinc = 2026-01-15 }", "is not a setting; did you mean since?"),
        ("{ value = 1 }", "must be a string"),
        ("{ value = '', since = 2026-01-15 }", "is empty"),
    ] {
        let text = format!(
            "[sources.yard]\nvendor = 'pave'\n[[sources.yard.verify]]\nscheme = 'bearer'\nsecrets = [{secret}]"
        );
        let problems = file(&text).problems();
        assert!(problems.len() == 1 && problems[0].contains(message), "{secret}: {problems:?}");
        assert!(!problems[0].contains("s3cret"), "{problems:?}");
    }
}

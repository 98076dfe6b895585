use super::*;
use std::collections::BTreeSet;

const TEXT: &str = "\
nats = 'nats://hub:one@127.0.0.1:4222'
[sources.yard]
vendor = 'hover'
api_token = 'one'
[[sources.yard.verify]]
scheme = 'signature'
secrets = [{ id = 'a', value = 'one' }]
[[sources.yard.verify]]
scheme = 'basic'
username = 'user'
secrets = 'one'
[[api_keys]]
id = '3f9a51c07be2'
name = 'dashboards'
hash = 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
scopes = ['read']
";

fn digest(text: &str) -> String {
    file(text).settings().digest()
}

#[test]
fn secrets_and_addresses_make_no_difference() {
    let digest_of = digest(TEXT);
    assert_eq!(digest_of.len(), 32);
    assert_eq!(digest(TEXT), digest_of);
    let other_secrets = TEXT.replace("hub:one", "hub:two").replace("'one'", "'two'");
    assert_eq!(digest(&other_secrets), digest_of);
    let hash = TEXT.replace("9f86d0", "000000");
    assert_eq!(digest(&hash), digest_of, "the digest of a key");
    let elsewhere = file(TEXT).flag("listen", "127.0.0.1:1").flag("database", "sqlite://other.db");
    assert_eq!(elsewhere.settings().digest(), digest_of);
}

#[test]
fn everything_else_makes_a_difference() {
    let mut digests = BTreeSet::from([digest(TEXT)]);
    let changes = [
        ("vendor = 'hover'", "vendor = 'hover'\nrate_limit = 5"),
        ("vendor = 'hover'", "vendor = 'hover'\npublic_url = 'https://hub.example/yard'"),
        ("vendor = 'hover'", "vendor = 'hover'\nvendor_link = 'https://vendor.example/{external_id}'"),
        ("vendor = 'hover'", "vendor = 'hover'\nwaits_for = { uploading = 'us' }"),
        ("vendor = 'hover'", "vendor = 'hover'\napi_url = 'https://other.example'"),
        ("[sources.yard]", "[sources.lot]\nvendor = 'pave'\nopen = true\n[sources.yard]"),
        ("id = 'a'", "id = 'b'"),
        ("'user'", "'other'"),
        ("secrets = 'one'", "secrets = ['one', 'two']"),
        ("4222", "4223"),
        ("['read']", "['operate']"),
        ("nats =", "body_limit = '1MiB'\nnats ="),
        ("nats =", "retention = '90d'\nnats ="),
        ("vendor = 'hover'", "vendor = 'hover'\nexpect_every = '6h'"),
        ("value = 'one' }", "value = 'one', since = 2026-01-15 }"),
        ("nats =", "log = 'debug'\nnats ="),
    ];
    for (old, new) in changes {
        assert!(digests.insert(digest(&TEXT.replace(old, new))), "{new}");
    }
}

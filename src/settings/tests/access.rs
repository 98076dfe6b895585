use super::*;
use crate::access::KeySetSource;

const ISSUER: &str = "[[token_issuers]]
issuer = 'https://login.example'
audience = 'hub'
jwks = 'https://login.example/jwks'
algorithms = ['RS256', 'EdDSA']
[[token_issuers.grants]]
claim = 'groups'
value = 'readers'
scopes = ['read', 'read:personal']
sources = ['pave']
";
const OIDC: &str = "public_url = 'https://hub.example/in/'
[oidc]
issuer = 'https://login.example/realms/a'
client_id = 'hub'
client_secret = 'env:CLIENT_SECRET'
scopes = ['groups', 'email']
subject_claim = 'email'
algorithms = ['ES256']
[[oidc.grants]]
claim = 'groups'
value = 'readers'
scopes = ['read']
sources = ['pave']
";
const PROXY: &str = "trusted_proxies = '10.1.2.3/8, ::1, 127.0.0.1'
proxy_user_header = 'X-User'
proxy_groups_header = 'X-Groups'
[[proxy_grants]]
group = '*'
scopes = ['read']
";

fn replaced(text: &str, from: &str, to: &str) -> SettingsInput {
    assert!(text.contains(from), "{from}");
    file(&text.replacen(from, to, 1))
}

#[test]
fn issuers_and_proxies_are_read() {
    let issuers = file(ISSUER).settings().token_issuers;
    let [issuer] = &issuers[..] else { panic!("{issuers:?}") };
    assert_eq!((issuer.issuer.as_str(), issuer.audience.as_str()), ("https://login.example", "hub"));
    assert_eq!(issuer.key_set, KeySetSource::Url("https://login.example/jwks".into()));
    assert_eq!(issuer.algorithms.len(), 2);
    let [grant] = &issuer.grants[..] else { panic!("{issuer:?}") };
    assert_eq!((grant.claim.as_str(), grant.value.as_str()), ("groups", "readers"));
    assert_eq!(grant.view.scopes().to_string(), "read read:personal");
    assert_eq!(grant.view.sources(), Some(&["pave".to_owned()][..]));
    for (jwks, source) in [
        ("file:keys.json", KeySetSource::File("keys.json".into())),
        ("http://localhost:9/jwks", KeySetSource::Url("http://localhost:9/jwks".into())),
    ] {
        let read = replaced(ISSUER, "https://login.example/jwks", jwks).settings().token_issuers.remove(0);
        assert_eq!(read.key_set, source);
    }
    let settings = file(PROXY).settings();
    let networks: Vec<String> = settings.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128", "127.0.0.1/32"]);
    assert_eq!(settings.proxy_user_header.expect("a header"), "x-user");
    let [(group, view)] = &settings.proxy_grants[..] else { panic!("{:?}", settings.proxy_grants) };
    assert_eq!((group.as_str(), view.scopes().to_string()), ("*", "read".to_owned()));
}

#[test]
fn mistakes_about_issuers_and_proxies() {
    let issuer_grants = &ISSUER[ISSUER.find("[[token_issuers.grants]]").expect("grants")..];
    for (text, from, to, problem) in [
        (
            ISSUER,
            "issuer = 'https://login.example'\n",
            "",
            "token_issuers[1].issuer: is missing; write the claim `iss`",
        ),
        (ISSUER, "audience = 'hub'\n", "", "token_issuers[1].audience: is missing"),
        (ISSUER, "audience = 'hub'", "audience = 7", "token_issuers[1].audience: is missing"),
        (ISSUER, "jwks = 'https://login.example/jwks'\n", "", "token_issuers[1].jwks: is missing"),
        (ISSUER, "'https://login.example/jwks'", "'http://login.example/jwks'", "jwks: must be an https address"),
        (ISSUER, "'https://login.example/jwks'", "'file:'", "jwks: must be an https address"),
        (ISSUER, "'https://login.example/jwks'", "'keys.json'", "jwks: must be an https address"),
        (ISSUER, "['RS256', 'EdDSA']", "['HS256']", "\"HS256\" is not an algorithm with a public key"),
        (ISSUER, "['RS256', 'EdDSA']", "['none']", "\"none\" is not an algorithm"),
        (ISSUER, "['RS256', 'EdDSA']", "[]", "algorithms: is missing"),
        (ISSUER, "['RS256', 'EdDSA']", "'RS256'", "algorithms: must be a list"),
        (ISSUER, issuer_grants, "", "grants: is missing; write [[token_issuers.grants]]"),
        (ISSUER, "claim = 'groups'\n", "", "grants[1].claim: is missing"),
        (ISSUER, "value = 'readers'\n", "", "grants[1].value: is missing"),
        (ISSUER, "'read:personal'", "'read:personel'", "grants[1].scopes[2]: "),
        (ISSUER, "sources = ['pave']", "sources = ['pavé']", "is not a source of the file"),
        (ISSUER, "audience", "audence", "audence: "),
        (ISSUER, "[[token_issuers]]\n", "[token_issuers]\n", "token_issuers: must be a list of tables"),
        (PROXY, "10.1.2.3/8", "0.0.0.0/0", "\"0.0.0.0/0\" contains every address"),
        (PROXY, "10.1.2.3/8", "::/0", "\"::/0\" contains every address"),
        (PROXY, "10.1.2.3/8", "proxy.example", "\"proxy.example\" is not a network"),
        (PROXY, "'X-User'", "'X User'", "\"X User\" is not the name of a header"),
        (PROXY, "'X-User'", "'Authorization'", "\"Authorization\" has another meaning"),
        (PROXY, "group = '*'\n", "", "proxy_grants[1].group: is missing"),
        (PROXY, "scopes = ['read']", "scopes = []", "proxy_grants[1].scopes: is missing"),
    ] {
        let problems = replaced(text, from, to).problems();
        assert!(problems.iter().any(|found| found.contains(problem)), "{problem}: {problems:?}");
    }
    let twice = file(&format!("{ISSUER}{ISSUER}")).problems();
    assert!(twice[0].contains("is the issuer of an earlier table"), "{twice:?}");
}

#[test]
fn settings_about_proxies_need_each_other() {
    let proxy_grants = &PROXY[PROXY.find("[[proxy_grants]]").expect("grants")..];
    for (from, expected) in [
        ("proxy_user_header = 'X-User'\n", vec!["[[proxy_grants]] has no effect", "proxy_groups_header has no effect"]),
        (
            "trusted_proxies = '10.1.2.3/8, ::1, 127.0.0.1'\n",
            vec!["proxy_user_header has no effect without trusted_proxies"],
        ),
        (proxy_grants, vec!["proxy_user_header gives users no rights"]),
        ("proxy_groups_header = 'X-Groups'\n", vec![]),
    ] {
        let warnings = replaced(PROXY, from, "").warnings();
        let about_proxies: Vec<&String> = warnings.iter().filter(|warning| warning.contains("proxy_")).collect();
        assert_eq!(about_proxies.len(), expected.len(), "{warnings:?}");
        assert!(about_proxies.iter().zip(&expected).all(|(warning, begin)| warning.starts_with(begin)), "{warnings:?}");
    }
}

fn oidc(from: &str, to: &str) -> SettingsInput {
    replaced(OIDC, from, to).variable("CLIENT_SECRET", "hunter2 with / and %")
}

#[test]
fn the_provider_of_logins_is_read() {
    let settings = oidc("", "").settings();
    let provider = settings.oidc.expect("a provider");
    assert_eq!((provider.issuer.as_str(), provider.client_id.as_str()), ("https://login.example/realms/a", "hub"));
    assert_eq!(provider.client_secret.value, "hunter2 with / and %");
    assert!(!format!("{provider:?}").contains("hunter2"), "it is not printed by accident");
    assert_eq!((provider.scopes.join(" "), provider.subject_claim.as_str()), ("openid groups email".into(), "email"));
    assert_eq!(provider.grants[0].view.sources(), Some(&["pave".to_owned()][..]));
    assert_eq!(provider.redirect_uri(), "https://hub.example/in/login/callback");
    assert_eq!(
        (provider.logged_out_uri().as_str(), provider.public_origin()),
        ("https://hub.example/in/logout", "https://hub.example")
    );
    assert_eq!(format!("{:?}", provider.algorithms), "[ES256]");
    let all = OIDC.replace("scopes = ['groups', 'email']\nsubject_claim = 'email'\nalgorithms = ['ES256']\n", "");
    let provider = file(&all).variable("CLIENT_SECRET", "s").settings().oidc.expect("a provider");
    assert_eq!((provider.scopes.join(" "), provider.subject_claim.as_str()), ("openid".into(), "sub"));
    assert_eq!(format!("{:?}", provider.algorithms), "[RS256]");
    let local = oidc("https://hub.example/in/", "http://localhost:8080").settings().oidc.expect("a provider");
    assert_eq!(
        (local.redirect_uri().as_str(), local.public_origin()),
        ("http://localhost:8080/login/callback", "http://localhost:8080")
    );
    // What decides about rights is in the digest, and nothing else.
    let digest = |from: &str, to: &str| oidc(from, to).settings().oidc.expect("a provider").grants_digest();
    let same = digest("", "");
    for (from, to, is_same) in [
        ("client_secret = 'env:CLIENT_SECRET'", "client_secret = 'other'", true),
        ("https://hub.example/in/", "https://hub.example", true),
        ("value = 'readers'", "value = 'others'", false),
        ("scopes = ['read']", "scopes = ['read', 'operate']", false),
        ("sources = ['pave']\n", "", false),
        ("subject_claim = 'email'", "subject_claim = 'sub'", false),
        ("client_id = 'hub'", "client_id = 'hub2'", false),
        ("realms/a", "realms/b", false),
    ] {
        assert_eq!(digest(from, to) == same, is_same, "{from}");
    }
}

#[test]
fn mistakes_about_logins() {
    let grants = &OIDC[OIDC.find("[[oidc.grants]]").expect("grants")..];
    for (from, to, problem) in [
        ("public_url = 'https://hub.example/in/'\n", "", "oidc: needs public_url"),
        ("https://hub.example/in/", "http://hub.example", "public_url: must be an https address"),
        ("https://hub.example/in/", "https://hub.example/?a", "public_url: must have nothing but scheme"),
        ("issuer = 'https://login.example/realms/a'\n", "", "oidc.issuer: is missing"),
        ("'https://login", "'http://login", "oidc.issuer: must be an https address"),
        ("realms/a", "realms/a?b=c", "oidc.issuer: must be an https address"),
        ("client_id = 'hub'\n", "", "oidc.client_id: is missing"),
        ("client_secret = 'env:CLIENT_SECRET'\n", "", "oidc.client_secret: is missing"),
        ("client_secret = 'env:CLIENT_SECRET'", "client_secret = 7", "oidc.client_secret: is missing"),
        ("env:CLIENT_SECRET", "env:OTHER", "oidc.client_secret: the variable OTHER is not set"),
        ("['groups', 'email']", "['a b']", "oidc.scopes[1]: \"a b\" is not the name of a scope"),
        ("['groups', 'email']", "'groups'", "oidc.scopes: must be a list"),
        ("subject_claim = 'email'", "subject_claim = ''", "oidc.subject_claim: is missing"),
        ("['ES256']", "['HS256']", "\"HS256\" is not an algorithm with a public key"),
        ("['ES256']", "['none']", "\"none\" is not an algorithm"),
        (grants, "", "oidc.grants: is missing; write [[oidc.grants]]"),
        ("claim = 'groups'\n", "", "oidc.grants[1].claim: is missing"),
        ("sources = ['pave']", "sources = ['pavé']", "is not a source of the file"),
        ("client_id", "clientid", "oidc.clientid: is not a setting; did you mean client_id?"),
    ] {
        let problems = oidc(from, to).problems();
        assert!(problems.iter().any(|found| found.contains(problem)), "{problem}: {problems:?}");
        assert!(!problems.concat().contains("hunter2"), "{problems:?}");
    }
    let table = file("oidc = 7").problems();
    assert!(table[0].contains("oidc: must be a table; write [oidc]"), "{table:?}");
}

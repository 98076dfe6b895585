//! Parses the address of a database. An invalid address may hold a password in any of its parts, so errors name the part
//! and the rule, and quote nothing.

use super::DatabaseAddress;
use crate::store::StoreError;
use form_urlencoded::Serializer;
use sea_orm::sqlx::postgres::PgConnectOptions;
use std::str::FromStr;

/// The name of the process in PostgreSQL's list of connections.
const APPLICATION_NAME: &str = "inspection-hub";
/// Endings that identify a file where the address has no `sqlite://`.
const SQLITE_EXTENSIONS: &[&str] = &[".db", ".db3", ".sqlite", ".sqlite3"];
/// The parameters that are passed on, beside `options[name]`.
const SUPPORTED_PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
const PERCENT_ENCODE_ERROR: &str =
    "the database's address cannot be understood: percent-encode the password's `@ # ? / %` (as %40 %23 %3F %2F %25)";
const MULTIPLE_HOSTS_ERROR: &str =
    "the database's address names several hosts: name one, such as a name or a proxy that always leads to the primary";

/// The database that `sqlite://PATH`, a path, or `postgres://…` names.
pub fn parse(address: &str) -> Result<DatabaseAddress, StoreError> {
    let parsed = match address.split_once("://") {
        Some(("sqlite", path)) => parse_sqlite_path(path),
        Some(("postgres" | "postgresql", rest)) => {
            parse_postgres_url(rest).map(Box::new).map(DatabaseAddress::Postgres)
        }
        None if looks_like_path(address) => parse_sqlite_path(address),
        _ => Err("is not a supported database address".to_owned()),
    };
    parsed.map_err(StoreError::Configuration)
}

fn looks_like_path(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    let path = text.split('?').next().unwrap_or_default();
    let named = text.starts_with(['/', '.', '~']) || SQLITE_EXTENSIONS.iter().any(|ending| path.ends_with(ending));
    named && !first.contains(':')
}

fn parse_sqlite_path(text: &str) -> Result<DatabaseAddress, String> {
    // Other programs write `mode=rwc`, which is the only mode here.
    let path = text.strip_suffix("?mode=rwc").unwrap_or(text);
    if path.contains('?') {
        return Err("nothing may follow a ? in the path of a SQLite file: it is always opened for reading and \
                    writing, and created if it does not exist"
            .to_owned());
    }
    if path.is_empty() || path.ends_with('/') {
        return Err("the path of a SQLite file must end with its name".to_owned());
    }
    if path.contains(":memory:") {
        return Err("a database in memory would be lost with the process".to_owned());
    }
    if path == "~" || path.starts_with("~/") {
        return Err("~ is not replaced in the path of a SQLite file: write the whole path".to_owned());
    }
    Ok(DatabaseAddress::Sqlite(path.to_owned()))
}

// The value of one of libpq's parameters.
fn parse_parameter(name: &str, encoded: &str) -> Result<String, String> {
    let value = percent_decode(encoded)?;
    match name {
        "host" if value.contains(',') => Err(MULTIPLE_HOSTS_ERROR.to_owned()),
        "host" if !is_host(&value) => Err(format!("{PERCENT_ENCODE_ERROR}, or name a host")),
        "port" if !value.parse::<u16>().is_ok_and(|port| port > 0) => {
            Err(format!("{PERCENT_ENCODE_ERROR}; the port is not a number from 1 to 65535"))
        }
        "hostaddr" if value.parse::<std::net::IpAddr>().is_err() => {
            Err("hostaddr in the database's address must be an IP address".to_owned())
        }
        "sslmode" if !SSL_MODES.contains(&value.as_str()) => {
            Err(format!("sslmode in the database's address must be one of {}", SSL_MODES.join(", ")))
        }
        _ => Ok(value),
    }
}

fn parse_postgres_url(rest: &str) -> Result<PgConnectOptions, String> {
    let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = base.split_once('/').unwrap_or((base, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    // One of these characters makes the parts ambiguous.
    if rest.contains('#') || user.contains('@') || database.contains(['@', '/']) || query.contains(['@', '?']) {
        return Err(PERCENT_ENCODE_ERROR.to_owned());
    }
    // By the names of libpq's parameters.
    let mut parts = Serializer::new(String::new());
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    if host.contains(',') {
        return Err(MULTIPLE_HOSTS_ERROR.to_owned());
    }
    // An IPv6 address has its colons in brackets.
    let (host, port) = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).unwrap_or((host, ""));
    let given = [("user", user), ("password", password), ("host", host), ("port", port), ("dbname", database)];
    for (name, value) in given.into_iter().filter(|(_, value)| !value.is_empty()) {
        parts.append_pair(name, &parse_parameter(name, value)?);
    }
    for (place, pair) in (1..).zip(query.split('&')).filter(|(_, pair)| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode(name)?;
        let is_known =
            SUPPORTED_PARAMETERS.contains(&name.as_str()) || (name.starts_with("options[") && name.ends_with(']'));
        if !is_known {
            return Err(unknown_parameter_error(place, &name));
        }
        parts.append_pair(&name, &parse_parameter(&name, value)?);
    }
    // Written as parameters alone, the address leaves the driver nothing to interpret.
    let options = PgConnectOptions::from_str(&format!("postgres:///?{}", parts.finish()))
        .map_err(|_| "the database's address cannot be understood".to_owned())?;
    let named = options.get_application_name().is_some();
    let options = if named { options } else { options.application_name(APPLICATION_NAME) };
    // A pooler refuses this startup parameter; results are binary, where it has no effect.
    Ok(options.extra_float_digits(None))
}

fn is_host(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => text.starts_with('/') || text.chars().all(plain) || text.parse::<std::net::Ipv6Addr>().is_ok(),
    }
}

// Parameters of other clients, and what to do instead. Only their names are ever quoted: the rest of an unencoded password with
// an `&` in it would look like a name.
fn unknown_parameter_error(place: usize, name: &str) -> String {
    let instead = match name {
        "passwd" | "pwd" | "pass" => "the parameter is called password",
        "username" | "usr" => "the parameter is called user",
        "database" | "db" => "the parameter is called dbname",
        "sslpassword" => "a key that has a password of its own cannot be used",
        "target_session_attrs" | "load_balance_hosts" => {
            "the hub writes: name the one host that accepts writes, and leave it out"
        }
        "connect_timeout" | "pool_timeout" => "leave it out, and set database_acquire_timeout",
        "statement_timeout" | "lock_timeout" => {
            "leave it out, and set database_statement_timeout and database_acquire_timeout"
        }
        "keepalives" | "keepalives_idle" | "keepalives_interval" | "keepalives_count" | "tcp_user_timeout" => {
            "leave it out: the hub detects connections that do not answer"
        }
        "channel_binding"
        | "gssencmode"
        | "krbsrvname"
        | "passfile"
        | "pgbouncer"
        | "require_auth"
        | "schema"
        | "search_path"
        | "service"
        | "sslcrl"
        | "sslnegotiation"
        | "sslsni"
        | "ssl_min_protocol_version" => "it cannot be honoured; leave it out",
        _ => {
            let known = SUPPORTED_PARAMETERS.join(", ");
            return format!(
                "parameter {place} after the ? of the database's address is unknown; write one of {known}, and \
                 percent-encode `& = + %` in the values"
            );
        }
    };
    format!("the database's address has the parameter {name}: {instead}")
}

// As libpq does: a plus sign is a plus sign.
fn percent_decode(text: &str) -> Result<String, String> {
    let is_encoded = |rest: &[u8]| rest.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    let is_valid = text.split('%').skip(1).all(|rest| is_encoded(rest.as_bytes()));
    let decoded = decoded.ok().filter(|decoded| is_valid && !decoded.contains('\0'));
    decoded.map(String::from).ok_or_else(|| PERCENT_ENCODE_ERROR.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::postgres::redacted_url;
    use super::*;
    use proptest::prelude::*;

    fn options(address: &str) -> PgConnectOptions {
        match parse(address) {
            Ok(DatabaseAddress::Postgres(options)) => *options,
            other => panic!("{address}: {other:?}"),
        }
    }

    fn refused(address: &str) -> String {
        parse(address).expect_err(address).to_string()
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (address, expected) in [
            (
                "postgres://hub:hunter2@db.example:5433/inspections?sslmode=require",
                "postgres://hub@db.example:5433/inspections",
            ),
            (
                "postgres://hub:hunter2@localhost/inspections?host=/run/postgresql",
                "postgres://hub@/run/postgresql/inspections",
            ),
            ("postgresql://hub@/hub?host=/run/postgresql", "postgres://hub@/run/postgresql/hub"),
            ("postgres://hub:hunter2@:5433/hub?host=/run/postgresql", "postgres://hub@/run/postgresql/hub"),
            ("postgres://hub:hunter2@%2Frun%2Fpostgresql/hub", "postgres://hub@/run/postgresql/hub"),
            ("postgres:///hub?user=hub&password=hunter2&host=db", "postgres://hub@db:5432/hub"),
            ("postgres://a%40b:p%40%23%3F%2F%25@db/hub", "postgres://a@b@db:5432/hub"),
            ("postgres://hub@[::1]:5433/hub", "postgres://hub@[::1]:5433/hub"),
            ("postgres://hub:a+b:c=d@db:/hub", "postgres://hub@db:5432/hub"),
        ] {
            assert_eq!(redacted_url(&options(address)), expected, "{address}");
        }
        let debug = format!("{:?}", options("postgres://hub:p%40%23+@db/hub?sslmode=verify-full"));
        assert!(debug.contains("VerifyFull"), "{debug}");
    }

    #[test]
    fn an_ambiguous_address_is_refused_and_not_quoted() {
        for password in
            ["SEK@RET", "SEK#RET", "SEK?RET", "SEK/RET", "SEK%RET", "5432#SEKRET", "5432/SEKRET", "12?x=SEKRET"]
        {
            let why = refused(&format!("postgres://hub:{password}@db.example/hub"));
            assert!(why.contains("percent-encode the password's `@ # ? / %`"), "{password}: {why}");
            assert!(!why.contains("SEK") && !why.contains("RET") && !why.contains("hub:"), "{password}: {why}");
        }
        for (address, expected) in [
            ("postgres://hub:SEKRET@db:port/x", "not a number from 1 to 65535"),
            ("postgres://hub:SEKRET@db:0/x", "not a number from 1 to 65535"),
            ("postgres://hub:SEKRET@one,two/x", "several hosts"),
            ("postgres://hub:SEKRET@one:1,two:2/x", "several hosts"),
            ("postgres://hub:SEKRET@/x?host=one,two", "several hosts"),
            ("postgres://hub:SEKRET@d b/x", "name a host"),
            ("postgres://hub@db/x?sslmode=SEKRET", "one of disable, allow"),
            ("postgres://hub@db/x?hostaddr=SEKRET", "must be an IP address"),
            ("postgres://hub@db/x?passwd=SEKRET", "the parameter passwd: the parameter is called password"),
            ("postgres://hub@db/x?pwd=SEKRET", "called password"),
            ("postgres://hub@db/x?pass=SEKRET", "called password"),
            ("postgres://hub@db/x?sslpassword=SEKRET", "a password of its own"),
            ("postgres://hub@db/x?target_session_attrs=read-write", "name the one host that accepts writes"),
            ("postgres://hub@db/x?connect_timeout=10", "set database_acquire_timeout"),
            ("postgres://hub@db/x?channel_binding=require", "cannot be honoured"),
            ("postgres://hub@db/x?password=a&SEKRET", "parameter 2 after the ?"),
            ("postgres://hub@db/x?password=a&SEKRET=b", "parameter 2 after the ?"),
            ("postgres://hub@db/x?password=%5", "percent-encode"),
            ("postgres://hub@db/x?password=%ff", "percent-encode"),
            ("mysql://root:SEKRET@db", "is not a supported database address"),
            ("host=db password=SEKRET", "is not a supported database address"),
            ("sqlite:hub.db", "is not a supported database address"),
            ("file:hub.db", "is not a supported database address"),
            ("", "is not a supported database address"),
            ("sqlite://hub.db?mode=ro", "nothing may follow a ?"),
            ("sqlite://hub.db?mode=memory", "nothing may follow a ?"),
            ("sqlite://hub.db?key=SEKRET", "nothing may follow a ?"),
            ("./hub.db?mode=ro", "nothing may follow a ?"),
            ("hub.db?mode=ro", "nothing may follow a ?"),
            ("sqlite://", "end with its name"),
            ("sqlite://data/", "end with its name"),
            ("/srv/", "end with its name"),
            ("sqlite://:memory:", "lost with the process"),
            ("sqlite://~/hub.db", "write the whole path"),
            ("~/hub.db", "write the whole path"),
        ] {
            let why = refused(address);
            assert!(why.contains(expected) && !why.contains("SEKRET"), "{address}: {why}");
        }
    }

    #[test]
    fn a_path_names_a_file() {
        for (address, expected) in [
            ("sqlite://data/hub.db", "data/hub.db"),
            ("sqlite:///srv/hub.db", "/srv/hub.db"),
            ("sqlite://hub.db?mode=rwc", "hub.db"),
            ("/srv/hub", "/srv/hub"),
            ("./hub.db", "./hub.db"),
            ("../hub", "../hub"),
            ("hub.db", "hub.db"),
            ("data/hub.sqlite3", "data/hub.sqlite3"),
        ] {
            assert!(matches!(parse(address), Ok(DatabaseAddress::Sqlite(path)) if path == expected), "{address}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        // Either the password is parsed as meant, or the error shows nothing of it.
        #[test]
        fn no_password_is_ever_shown(password in "[a-z0-9@#?/%:&=+, \\[\\]]{0,12}") {
            let password = format!("qZ{password}Zq");
            for address in [format!("postgres://hub:{password}@db/hub"), format!("postgres://hub@db/hub?password={password}")] {
                let shown = match parse(&address) {
                    Ok(parsed) => parsed.redacted(),
                    Err(error) => error.to_string(),
                };
                prop_assert!(!shown.contains("qZ") && !shown.contains("Zq"), "{address}: {shown}");
            }
        }
    }
}

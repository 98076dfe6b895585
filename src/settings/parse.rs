//! Parsers of setting values. An error says what is wrong and what to write. Values that may contain a password (URLs, the
//! database) are never quoted.

use super::LogFormat;
use crate::store::DatabaseAddress;
use axum::http::HeaderName;
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use ipnet::IpNet;
use reqwest::Url;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

const SIZE_UNITS: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
    ("", 1),
];
const DAY_MS: u64 = 86_400_000;
const DURATION_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", DAY_MS)];

/// Resuming clients and vendors' retries need a finished inspection for some time.
const MIN_RETENTION: Duration = Duration::from_secs(3600);

pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not an address with a port; write 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080"))
}

/// In bytes: a number, with a unit or without.
pub fn size(text: &str) -> Result<usize, String> {
    let bytes = parse_with_unit(text, SIZE_UNITS).filter(|bytes| *bytes > 0);
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| {
        format!("{text:?} is not a size above zero; write bytes, or a unit: 5MiB (KiB, MiB, GiB, kB, MB, GB)")
    })
}

/// At most a year, so that it can be added to any time.
pub fn duration(text: &str) -> Result<Duration, String> {
    duration_up_to(365, "10s", text)
}

/// How long ago something was, at most a century.
pub fn age(text: &str) -> Result<Duration, String> {
    duration_up_to(36_500, "90d", text)
}

/// How long something is kept, at least an hour; empty for ever.
pub fn retention(text: &str) -> Result<Option<Duration>, String> {
    match optional(text, age)? {
        Some(age) if age < MIN_RETENTION => {
            Err(format!("{text:?} is too short; write at least an hour, or nothing to keep everything"))
        }
        age => Ok(age),
    }
}

fn duration_up_to(days: u64, example: &str, text: &str) -> Result<Duration, String> {
    let milliseconds = parse_with_unit(text, DURATION_UNITS).filter(|value| (1..=days * DAY_MS).contains(value));
    milliseconds.map(Duration::from_millis).ok_or_else(|| {
        format!("{text:?} is not a duration above zero; write a number with its unit: {example} (ms, s, m, h, d; at most {days}d)")
    })
}

fn parse_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim_start()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

pub fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{text:?} is not a boolean; write true or false"))
}

pub fn count(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number from 1 to {}", u32::MAX))
}

pub fn database(text: &str) -> Result<String, String> {
    const WRITE: &str = "write the path of a SQLite file, or the URL of a PostgreSQL database: sqlite://data/hub.db, \
                         postgres://hub@db.example/hub";
    DatabaseAddress::parse(text).map(|_| text.to_owned()).map_err(|error| format!("{error}; {WRITE}"))
}

/// Networks separated by commas. An address is a network of its own. One that contains every address is none.
pub fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |text: &str| {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
            format!("{text:?} is not a network; write 10.0.0.0/8, 127.0.0.1 or fd00::/8, several separated by commas")
        })?;
        match network.prefix_len() {
            0 => Err(format!(
                "{text:?} contains every address, so anybody could be the proxy; write the proxies' networks"
            )),
            _ => Ok(network.trunc()),
        }
    };
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(network).collect()
}

/// The name of a header; empty for none.
pub fn header_name(text: &str) -> Result<Option<HeaderName>, String> {
    let name = |text: &str| text.parse().map_err(|_| format!("{text:?} is not the name of a header"));
    match optional(text, name)? {
        Some(name) if [AUTHORIZATION, COOKIE, HOST, ORIGIN].contains(&name) => {
            Err(format!("{text:?} has another meaning; write a header that the proxy alone sets"))
        }
        name => Ok(name),
    }
}

/// Origins separated by commas, or `*` alone for any.
pub fn origins(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let origins = text.split(',').map(|text| origin(text.trim())).collect::<Result<Vec<_>, _>>()?;
    if origins.len() > 1 && origins.iter().any(|origin| origin == "*") {
        return Err("contains `*` and others; write `*` alone for any origin, or remove it".to_owned());
    }
    Ok(origins)
}

// As browsers write it (RFC 6454, section 6.2), so that equal origins are equal strings.
fn origin(text: &str) -> Result<String, String> {
    const WRITE: &str = "write scheme, host and port as browsers do, without a path: https://app.example or \
                         http://localhost:3000";
    if text == "*" {
        return Ok(text.to_owned());
    }
    if text.contains('*') {
        return Err(format!("{text:?} contains a pattern, which is not supported; write each origin"));
    }
    let url = Url::parse(text).map_err(|_| format!("{text:?} is not an origin; {WRITE}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("contains a user name or password; {WRITE}"));
    }
    let host =
        url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("{text:?} has no host; {WRITE}"))?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let normalized = format!("{}://{host}{port}", url.scheme());
    if normalized == text {
        return Ok(normalized);
    }
    Err(format!("{text:?} is not how browsers write it; write {normalized}"))
}

/// Empty for null.
pub fn optional<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// The address of a NATS server, which may contain a password.
pub fn nats_url(text: &str) -> Result<Option<String>, String> {
    optional(text, |text| match text.parse::<async_nats::ServerAddr>() {
        Ok(_) if text.starts_with("nats://") || text.starts_with("tls://") => Ok(text.to_owned()),
        _ => Err("is not the address of a NATS server; write nats://nats.example:4222, or tls://…".to_owned()),
    })
}

/// The syntax of `tracing_subscriber::EnvFilter`, except bare names: `verbose` would be a module of that name, and nothing
/// else would be logged.
pub fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
    let known = |part: &str| part.contains(['=', '[']) || LEVELS.contains(&part.trim().to_lowercase().as_str());
    match EnvFilter::builder().parse(text) {
        Ok(_) if text.split(',').all(known) => Ok(text.to_owned()),
        _ => Err(format!(
            "{text:?} is not a log filter; write a level ({}), or several: info,inspection_hub=debug",
            LEVELS.join(", ")
        )),
    }
}

pub fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("{text:?} is not a log format; write text or json")),
    }
}

/// The URL that is registered with a vendor, unchanged, because the vendor may sign it.
pub fn public_url(text: &str) -> Result<String, String> {
    let url = web_url(text, "https://hub.example.com/webhooks/truepic")?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end before the question mark; the query of each request is added to it".to_owned());
    }
    Ok(text.to_owned())
}

/// The URL of a vendor's API. A token is sent to it, so it is encrypted, except to this machine.
pub fn api_url(text: &str) -> Result<String, String> {
    let url = web_url(text, "https://hover.to")?;
    let is_local = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && !is_local {
        return Err("must begin with https://, because a token is sent to it".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn web_url(text: &str, example: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    // The parser would remove or encode whitespace.
    let url = url.filter(|_| !text.contains(char::is_whitespace));
    let url = url.ok_or_else(|| format!("is not an absolute URL; write one such as {example}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("1", 1), ("512 B", 512), ("1KiB", 1024), ("5MiB", 5 << 20), ("5mib", 5 << 20), ("2kB", 2000)]
        {
            assert_eq!(size(text), Ok(bytes));
        }
        for text in ["", "0", "-1", "5M", "1.5MiB", "MiB", "99999999999999999999", "20000000000GiB", "１"] {
            assert!(size(text).unwrap_err().contains("5MiB"), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, milliseconds) in
            [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("2 h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
        }
        for text in ["", "10", "0s", "1m30s", "10 sec", "366d", "s"] {
            assert!(duration(text).unwrap_err().contains("10s"), "{text}");
        }
    }

    #[test]
    fn ages() {
        assert_eq!(retention(""), Ok(None));
        assert_eq!(retention("1h"), Ok(Some(Duration::from_secs(3600))));
        assert_eq!(retention("3650d"), Ok(Some(Duration::from_secs(3650 * 86_400))));
        assert!(retention("59m").unwrap_err().contains("an hour"));
        for text in ["90", "0d", "36501d", "for ever"] {
            assert!(retention(text).unwrap_err().contains("90d") && age(text).is_err(), "{text}");
        }
    }

    #[test]
    fn databases() {
        assert!(database("sqlite://data/hub.db").is_ok());
        assert!(database("sqlite:///var/lib/hub.db").is_ok());
        assert!(database("postgres://hub:hunter2@db/hub?sslmode=verify-full&sslrootcert=/etc/ca.pem").is_ok());
        for text in
            ["postgres://root:hunter2@db:port/hub", "", "sqlite://", "sqlite://:memory:", "mysql://root:hunter2@db"]
        {
            assert!(!database(text).unwrap_err().contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn nats_servers() {
        assert_eq!(nats_url(""), Ok(None));
        assert!(nats_url("nats://hub:hunter2@127.0.0.1:4222").is_ok_and(|server| server.is_some()));
        for text in ["127.0.0.1:4222", "http://nats", "nats://hub:hunter2@:port"] {
            assert!(!nats_url(text).unwrap_err().contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn urls() {
        assert_eq!(public_url("https://hub.example/in"), Ok("https://hub.example/in".to_owned()));
        for text in [
            "hub.example/in",
            "ftp://hub.example",
            "https://",
            "https://u:p@hub.example/",
            "https://hub.example/?token=x",
            "https://hub.example/in ",
            "https://hub.example/i n",
        ] {
            assert!(public_url(text).is_err(), "{text}");
        }
        assert_eq!(api_url("http://127.0.0.1:9/"), Ok("http://127.0.0.1:9".to_owned()));
        assert!(api_url("http://hover.to").is_err());
    }

    #[test]
    fn other_values() {
        assert!(address("127.0.0.1:0").is_ok() && address("[::1]:8080").is_ok());
        assert!(address("localhost:8080").is_err() && address("8080").is_err());
        assert!(log_filter("info,sqlx=warn").is_ok() && log_filter("DEBUG").is_ok());
        assert!(log_filter("").is_err() && log_filter("hub=loud").is_err() && log_filter("verbose").is_err());
        assert!(count("0").is_err() && count("-3").is_err() && count("10").is_ok());
        assert!(boolean("yes").is_err() && boolean("true") == Ok(true));
        assert!(log_format("xml").is_err());
    }
}

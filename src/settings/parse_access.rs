//! Parsers of the settings about access: scopes, when a key expires, addresses that credentials are sent to.

use super::error::did_you_mean;
use super::parse::{age, optional};
use crate::access::{Scopes, scope_name};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Url;

/// Names of scopes, separated by commas; empty for none.
pub fn scopes(text: &str) -> Result<Scopes, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let scopes = names.map(scope).collect::<Result<Vec<_>, _>>()?;
    Ok(scopes.iter().flat_map(|scopes| scopes.iter()).collect())
}

/// The name of a scope.
pub fn scope(name: &str) -> Result<Scopes, String> {
    let names: Vec<&str> = Scopes::ALL.iter().map(scope_name).collect();
    let known = names.contains(&name).then(|| name.parse().ok()).flatten();
    known.ok_or_else(|| {
        format!("{name:?} is not a scope; write one of {}{}", names.join(", "), did_you_mean(name, &names))
    })
}

/// A moment, with its offset from UTC (RFC 3339).
pub fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    time.map_err(|_| format!("{text:?} is not a time with its offset from UTC; write one such as 2027-01-31T00:00:00Z"))
}

/// A moment, or how long from now.
pub fn expiry(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let write = || format!("{text:?} is neither a duration nor a time; write 90d, or 2027-01-31T00:00:00Z");
    let is_duration = text.len() < "2027-01-31T00:00Z".len();
    let expires_at = match is_duration {
        true => age(text).ok().and_then(|age| now.checked_add_signed(TimeDelta::from_std(age).ok()?)),
        false => time(text).ok(),
    };
    match expires_at.ok_or_else(write)? {
        past if past <= now => Err(format!("{text:?} is in the past")),
        expires_at => Ok(expires_at),
    }
}

/// Whether what is sent to a URL, or comes from it, is encrypted or stays on this machine.
pub fn is_safe_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| crate::access::is_safe_url(&url))
}

/// Where browsers reach the hub, without a slash at the end; empty for nothing.
pub fn hub_url(text: &str) -> Result<Option<String>, String> {
    const WRITE: &str = "write where browsers reach this hub: https://hub.example, or http://localhost:8080";
    optional(text, |text| {
        let url = Url::parse(text).ok().filter(|_| is_safe_url(text) && !text.contains(char::is_whitespace));
        let url =
            url.ok_or_else(|| format!("must be an https address, or an http address of this machine; {WRITE}"))?;
        let has_more = url.query().is_some() || url.fragment().is_some();
        if has_more || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("must have nothing but scheme, host, port and path; {WRITE}"));
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_hub() {
        for (text, expected) in [
            ("https://hub.example", "https://hub.example"),
            ("https://Hub.example:443/", "https://hub.example"),
            ("https://hub.example/inspections/", "https://hub.example/inspections"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(hub_url(text), Ok(Some(expected.to_owned())), "{text}");
        }
        assert_eq!(hub_url(""), Ok(None));
        for text in [
            "hub.example",
            "http://hub.example",
            "http://localhost.evil.example",
            "ftp://localhost",
            "https://",
            "https://u:p@hub.example",
            "https://hub.example/?a=b",
            "https://hub.example/#a",
            "https://hub.example/ x",
        ] {
            assert!(hub_url(text).is_err(), "{text}");
        }
    }
}

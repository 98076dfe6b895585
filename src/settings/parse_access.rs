//! Parsers of the settings of API keys: scopes, and when a key expires.

use super::error::did_you_mean;
use super::parse::age;
use crate::access::{Scopes, scope_name};
use chrono::{DateTime, TimeDelta, Utc};

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

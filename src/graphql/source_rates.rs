//! What a source received over time, its alarm, and the age of its secrets.

use super::ApiContext;
use super::data_loader::load;
use super::error::ApiError;
use super::limits::check_minutes;
use super::loaders::{ReplicaStartLoader, SourceRateLoader};
use crate::store::read::datetime_from_micros;
use crate::store::{HOUR_SECONDS, MINUTE_SECONDS};
use async_graphql::{Context, Enum, SimpleObject};
use chrono::{DateTime, Utc};
use entity::source_rate::Model;
use std::collections::HashMap;

const SECOND: i64 = 1_000_000;
/// The hours that the usual rate is of, and how many there must be.
const USUAL_HOURS: i64 = 7 * 24;
const MIN_HOURS: i64 = 24;

/// The webhooks that a source received within a minute, by answer.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct SourceRate {
    /// The beginning of the minute.
    pub at: DateTime<Utc>,
    /// Stored: 200.
    pub accepted: i32,
    /// Duplicates of an earlier delivery: 200.
    pub duplicates: i32,
    /// Stored, but unreadable: 200.
    pub quarantined: i32,
    /// Without a valid credential or signature: 401.
    pub not_authenticated: i32,
    /// Beyond the limit of the source: 429.
    pub rate_limited: i32,
    /// Not stored, because the database or the queue had no room: 503.
    pub unavailable: i32,
    /// Refused for other reasons: too large, too slow, compressed, empty or incomplete.
    pub rejected: i32,
}

/// Whether a source is silent for longer than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SourceAlarm {
    /// The source has no setting `expect_every`.
    Off,
    /// A delivery was received within that time.
    Ok,
    /// No delivery was received for longer: see `silentSince`.
    Silent,
}

/// How old a secret is.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct SecretAge {
    /// The verification scheme that it is of, e.g. `signature`.
    pub scheme: String,
    /// Its number among the secrets of the scheme, from 1, in the order of the settings.
    pub number: i32,
    /// When it was issued, as the settings say (`since`); null if they do not.
    pub since: Option<DateTime<Utc>>,
    /// The whole days since then.
    pub days: Option<i32>,
}

impl SourceRate {
    pub fn refused(&self) -> i32 {
        let SourceRate { not_authenticated, rate_limited, unavailable, rejected, .. } = self;
        [not_authenticated, rate_limited, unavailable, rejected]
            .into_iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn new(begins_at: i64, row: Option<&Model>) -> SourceRate {
        let count = |of: fn(&Model) -> i64| i32::try_from(row.map_or(0, of)).unwrap_or(i32::MAX);
        SourceRate {
            at: datetime_from_micros(begins_at),
            accepted: count(|row| row.accepted),
            duplicates: count(|row| row.duplicates),
            quarantined: count(|row| row.quarantined),
            not_authenticated: count(|row| row.not_authenticated),
            rate_limited: count(|row| row.rate_limited),
            unavailable: count(|row| row.unavailable),
            rejected: count(|row| row.rejected),
        }
    }
}

impl SecretAge {
    pub fn new(scheme: &str, number: usize, since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> SecretAge {
        let days = since.map(|since| i32::try_from((now - since).num_days().max(0)).unwrap_or(i32::MAX));
        SecretAge { scheme: scheme.to_owned(), number: i32::try_from(number).unwrap_or(i32::MAX), since, days }
    }
}

/// The last minutes of a source, the current one last.
pub async fn by_minute(ctx: &Context<'_>, source: &str, minutes: i32) -> Result<Vec<SourceRate>, ApiError> {
    let minutes = check_minutes(minutes)?;
    let length = i64::from(MINUTE_SECONDS) * SECOND;
    let now = ApiContext::of(ctx)?.now().timestamp_micros();
    let first = begin(now, length) - (minutes - 1) * length;
    let rows = rows(ctx, source, MINUTE_SECONDS, first).await?;
    let by_begin: HashMap<i64, &Model> = rows.iter().map(|row| (row.begins_at, row)).collect();
    let all = (0..minutes).map(|number| first + number * length);
    Ok(all.map(|begins_at| SourceRate::new(begins_at, by_begin.get(&begins_at).copied())).collect())
}

/// Deliveries per hour on average; none if it is not known yet.
pub async fn usual_per_hour(ctx: &Context<'_>, source: &str) -> Result<Option<f64>, ApiError> {
    let length = i64::from(HOUR_SECONDS) * SECOND;
    let end = begin(ApiContext::of(ctx)?.now().timestamp_micros(), length);
    // From the eighth day one sees only whether the source was there before.
    let rows = rows(ctx, source, HOUR_SECONDS, end - (USUAL_HOURS + MIN_HOURS) * length).await?;
    let Some(oldest) = rows.first() else { return Ok(None) };
    let first = oldest.begins_at.max(end - USUAL_HOURS * length);
    let hours = (end - first) / length;
    if hours < MIN_HOURS {
        return Ok(None);
    }
    let counted = rows.iter().filter(|row| (first..end).contains(&row.begins_at));
    let received: i64 = counted.map(|row| row.accepted + row.duplicates + row.quarantined).sum();
    Ok(Some(received as f64 / hours as f64))
}

/// When the first of the running replicas started.
pub async fn hub_started_at(ctx: &Context<'_>) -> Result<Option<i64>, ApiError> {
    load(ctx, ReplicaStartLoader, ()).await
}

async fn rows(ctx: &Context<'_>, source: &str, seconds: i32, since: i64) -> Result<Vec<Model>, ApiError> {
    let all = load(ctx, SourceRateLoader { seconds, since }, ()).await?.unwrap_or_default();
    Ok(all.get(source).cloned().unwrap_or_default())
}

fn begin(at: i64, length: i64) -> i64 {
    at - at.rem_euclid(length)
}

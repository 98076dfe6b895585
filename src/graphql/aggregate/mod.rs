//! What dashboards ask: counts, times, the funnel, what is stalled, and when most happens. What each word means stands in
//! `docs/aggregates.md`.

mod ages;
mod cache;
mod counts;
mod funnel;
mod hours;
mod lifecycle;
mod period;
mod time_in_status;
mod time_zone;

use super::error::ApiError;
use super::filter::{ChangeFilter, InspectionFilter};
use super::query::QueryRoot;
use crate::store::read::{InspectionIndex, counts_by_age};
use ages::AgeBucket;
use async_graphql::{Context, Object};
use cache::ResultCache;
use chrono::{DateTime, Utc};
use counts::{InspectionCount, InspectionDimension};
use funnel::Funnel;
use hours::BusyHour;
use lifecycle::{Grouping, LifecycleStats};
use std::sync::Arc;
use time_in_status::TimeInStatus;
use time_zone::parse_time_zone;

/// What is kept between requests so that many can ask.
#[derive(Debug, Default)]
pub struct AggregateCaches {
    pub inspection_index: InspectionIndex,
    lifecycles: ResultCache<LifecycleStats>,
    counts: ResultCache<Vec<InspectionCount>>,
    ages: ResultCache<Vec<AgeBucket>>,
    hours: ResultCache<Vec<BusyHour>>,
}

impl AggregateCaches {
    pub fn of<'a>(ctx: &Context<'a>) -> Result<&'a AggregateCaches, ApiError> {
        ctx.data::<AggregateCaches>().map_err(|_| ApiError::internal("the schema has no aggregations"))
    }

    /// Without answers that are kept.
    #[cfg(test)]
    pub fn without_caching() -> Self {
        AggregateCaches {
            inspection_index: InspectionIndex::default(),
            lifecycles: ResultCache::disabled(),
            counts: ResultCache::disabled(),
            ages: ResultCache::disabled(),
            hours: ResultCache::disabled(),
        }
    }
}

/// The aggregates, as fields of the query.
#[derive(Debug)]
pub struct AggregateFields;

#[Object]
impl AggregateFields {
    /// How many inspections were first seen in a period, by their present status, vendor, source, or the day on which they
    /// were first seen (`createdAt`). One row for each combination that there is, in order; without `groupBy` one row of
    /// all. Rows of `STATUS` without a status are inspections of which none was reported yet.
    async fn inspection_counts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to count by, e.g. `[VENDOR, DAY]`.", default)] group_by: Vec<InspectionDimension>,
        #[graphql(desc = "First seen at this moment or later: 30 days before `until`, unless said otherwise.")]
        since: Option<DateTime<Utc>>,
        #[graphql(desc = "First seen before this moment: now, unless said otherwise. At most 366 days after `since`.")]
        until: Option<DateTime<Utc>>,
        #[graphql(
            desc = "Where days begin: `UTC`, a place by its name in the IANA time zone database as in `Europe/Berlin`, or a fixed distance from UTC as in `+02:00` or `-05:30`.",
            default = "UTC"
        )]
        time_zone: String,
        #[graphql(desc = "Only inspections that fit.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<InspectionCount>, ApiError> {
        let api = QueryRoot.begin_read(ctx).await?;
        let (period, zone) = (period::parse_period(api.now(), since, until)?, parse_time_zone(&time_zone)?);
        let all = AggregateCaches::of(ctx)?;
        let key = format!("{group_by:?} {since:?} {until:?} {zone:?} {filter:?}");
        let rows = filter.unwrap_or_default().into_store_filter(api.now())?;
        let offsets = zone.offsets(period);
        let count = counts::count_inspections(api, &all.inspection_index, &group_by, (period, &offsets), &rows);
        Ok(all.counts.get_or_compute(key, count).await?.to_vec())
    }

    /// How long inspections that were first seen in a period stayed in each status: of all stays that have ended, half were
    /// at most as long as the median, and 95 of 100 at most as long as the 95th percentile. A stay begins and ends by the
    /// vendor's clock, or when the hub received it where the vendor gives no time. Who comes back into a status, say after
    /// a reopening, begins another stay. Rows come by vendor or source, then in the order of a life.
    async fn time_in_status(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of whom to tell apart.", default_with = "Grouping::Vendor")] group_by: Grouping,
        #[graphql(desc = "First seen at this moment or later: 30 days before `until`, unless said otherwise.")]
        since: Option<DateTime<Utc>>,
        #[graphql(desc = "First seen before this moment: now, unless said otherwise. At most 366 days after `since`.")]
        until: Option<DateTime<Utc>>,
        #[graphql(desc = "Only inspections that fit.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<TimeInStatus>, ApiError> {
        Ok(lifecycle_stats(ctx, since, until, filter).await?.times(group_by).to_vec())
    }

    /// How far inspections that were first seen in a period have come, stage by stage, and where those dropped out that
    /// were never completed. Who skipped a stage has reached it, and who was reopened has still been as far as ever before.
    async fn funnel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of whom to tell apart.", default_with = "Grouping::Vendor")] group_by: Grouping,
        #[graphql(desc = "First seen at this moment or later: 30 days before `until`, unless said otherwise.")]
        since: Option<DateTime<Utc>>,
        #[graphql(desc = "First seen before this moment: now, unless said otherwise. At most 366 days after `since`.")]
        until: Option<DateTime<Utc>>,
        #[graphql(desc = "Only inspections that fit.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<Funnel>, ApiError> {
        Ok(lifecycle_stats(ctx, since, until, filter).await?.funnels(group_by).to_vec())
    }

    /// How many inspections that are not at an end have been without a change for how long: like `stalledFor`, in buckets.
    /// The youngest come first; every bucket is there.
    async fn stalled_inspections(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Where the buckets are cut: durations as in `stalledFor`, from the shortest up, at most 20.",
            default_with = "ages::default_ages()"
        )]
        ages: Vec<String>,
        #[graphql(desc = "Only inspections that fit.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<AgeBucket>, ApiError> {
        let api = QueryRoot.begin_read(ctx).await?;
        let all = AggregateCaches::of(ctx)?;
        let moments = ages::cutoffs(api.now(), &ages)?;
        let key = format!("{ages:?} {filter:?}");
        let rows = filter.unwrap_or_default().into_store_filter(api.now())?;
        let count = async { Ok(ages::buckets(&ages, counts_by_age(&api.readers, &rows, &moments).await?)) };
        Ok(all.ages.get_or_compute(key, count).await?.to_vec())
    }

    /// The hours of the week in which most happened, the busiest first: of all changes that the hub received in a period,
    /// by when they happened (the vendor's clock, or when received where the vendor gives no time).
    async fn busiest_hours(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many hours, at most the 168 of a week.", default = 24)] first: i32,
        #[graphql(desc = "Received at this moment or later: 30 days before `until`, unless said otherwise.")]
        since: Option<DateTime<Utc>>,
        #[graphql(desc = "Received before this moment: now, unless said otherwise. At most 366 days after `since`.")]
        until: Option<DateTime<Utc>>,
        #[graphql(
            desc = "Where hours and days begin: `UTC`, a place by its name in the IANA time zone database as in `Europe/Berlin`, or a fixed distance from UTC as in `+02:00` or `-05:30`.",
            default = "UTC"
        )]
        time_zone: String,
        #[graphql(desc = "Only changes that fit.")] filter: Option<ChangeFilter>,
    ) -> Result<Vec<BusyHour>, ApiError> {
        let api = QueryRoot.begin_read(ctx).await?;
        let (period, zone) = (period::parse_period(api.now(), since, until)?, parse_time_zone(&time_zone)?);
        let all = AggregateCaches::of(ctx)?;
        let first = hours::checked_first(first)?;
        let key = format!("{since:?} {until:?} {zone:?} {filter:?}");
        let rows = filter.unwrap_or_default().into_store_filter()?;
        let count = async { Ok(hours::busiest_hours_of_week(zone.counts_by_hour(&api.readers, &rows, period).await?)) };
        Ok(all.hours.get_or_compute(key, count).await?.iter().take(first).cloned().collect())
    }
}

// Times and funnels are told of the same lives: both are made at once.
async fn lifecycle_stats(
    ctx: &Context<'_>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    filter: Option<InspectionFilter>,
) -> Result<Arc<LifecycleStats>, ApiError> {
    let api = QueryRoot.begin_read(ctx).await?;
    let period = period::parse_period(api.now(), since, until)?;
    let all = AggregateCaches::of(ctx)?;
    let key = format!("{since:?} {until:?} {filter:?}");
    let rows = filter.unwrap_or_default().into_store_filter(api.now())?;
    all.lifecycles.get_or_compute(key, LifecycleStats::load(&api.readers, &all.inspection_index, rows, period)).await
}

//! Aggregates for dashboards: counts, times, the funnel, stalled inspections, and the busiest hours. `docs/aggregates.md`
//! defines each of them.

mod ages;
mod cache;
mod counts;
mod funnel;
mod hours;
mod lifecycle;
mod period;
mod rates;
mod time_in_status;
mod time_zone;

use super::error::ApiError;
use super::filter::{ChangeFilter, InspectionFilter};
use super::limits::check_minutes;
use super::query::QueryRoot;
use crate::store::read::{self, counts_by_age};
use ages::AgeBucket;
use async_graphql::{Context, Object};
pub use cache::MIN_COMPUTE_TIME;
use cache::ResultCache;
use chrono::{DateTime, Utc};
use counts::{InspectionCount, InspectionDimension};
use funnel::Funnel;
use hours::BusyHour;
use lifecycle::{Grouping, LifecycleStats};
use rates::StatusRate;
use std::sync::Arc;
use std::time::Duration;
use time_in_status::TimeInStatus;
use time_zone::parse_time_zone;

/// In microseconds.
const MINUTE: i64 = 60_000_000;

/// A bound of a period; null for the default.
type Bound = Option<DateTime<Utc>>;

/// What is shared between queries.
#[derive(Debug)]
pub struct AggregateCaches {
    lifecycles: ResultCache<LifecycleStats>,
    counts: ResultCache<Vec<InspectionCount>>,
    ages: ResultCache<Vec<AgeBucket>>,
    hours: ResultCache<Vec<BusyHour>>,
    rates: ResultCache<Vec<StatusRate>>,
}

impl AggregateCaches {
    /// `min_compute_time`: a result that took less is not reused.
    pub fn new(min_compute_time: Duration) -> Self {
        AggregateCaches {
            lifecycles: ResultCache::new(min_compute_time),
            counts: ResultCache::new(min_compute_time),
            ages: ResultCache::new(min_compute_time),
            hours: ResultCache::new(min_compute_time),
            rates: ResultCache::new(min_compute_time),
        }
    }

    pub fn of<'a>(ctx: &Context<'a>) -> Result<&'a AggregateCaches, ApiError> {
        ctx.data::<AggregateCaches>().map_err(|_| ApiError::internal("the schema has no aggregations"))
    }
}

#[derive(Debug)]
pub struct AggregateFields;

#[Object]
impl AggregateFields {
    /// The number of inspections created in a period, by their current status, vendor, source, or day of creation
    /// (`createdAt`). One row for each combination that occurs, in order; without `groupBy` one row for all. A row of `STATUS`
    /// without a status counts inspections whose status was never reported.
    async fn inspection_counts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to count by, e.g. `[VENDOR, DAY]`.", default)] group_by: Vec<InspectionDimension>,
        #[graphql(desc = "Created at this moment or later. Default: 30 days before `until`.")] since: Bound,
        #[graphql(desc = "Created before this moment. Default: now. At most 366 days after `since`.")] until: Bound,
        #[graphql(
            desc = "Where days begin: `UTC`, a name of the IANA time zone database as in `Europe/Berlin`, or an offset from UTC as in `+02:00` or `-05:30`.",
            default = "UTC"
        )]
        time_zone: String,
        #[graphql(desc = "Only inspections that match.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<InspectionCount>, ApiError> {
        let api = QueryRoot.begin_read(ctx).await?;
        let (period, zone) = (period::parse_period(api.now(), since, until)?, parse_time_zone(&time_zone)?);
        let all = AggregateCaches::of(ctx)?;
        let key = format!("{group_by:?} {since:?} {until:?} {zone:?} {filter:?}");
        let rows = filter.unwrap_or_default().into_store_filter(api)?;
        let offsets = zone.offsets(period);
        let count = counts::count_inspections(api, &api.inspection_index, &group_by, (period, &offsets), &rows);
        Ok(all.counts.get_or_compute(api.view(), key, count).await?.to_vec())
    }

    /// How long inspections created in a period stayed in each status. Of all stays that have ended, half were at most as long
    /// as the median, and 95 % at most as long as the 95th percentile. A stay begins and ends at the vendor's time, or when
    /// the hub received the event if the vendor reported no time. A return into a status, for example after a reopening, is
    /// another stay. Rows are in the order of vendor or source, then of the statuses.
    async fn time_in_status(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "One row for each of these.", default_with = "Grouping::Vendor")] group_by: Grouping,
        #[graphql(desc = "Created at this moment or later. Default: 30 days before `until`.")] since: Bound,
        #[graphql(desc = "Created before this moment. Default: now. At most 366 days after `since`.")] until: Bound,
        #[graphql(desc = "Only inspections that match.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<TimeInStatus>, ApiError> {
        Ok(lifecycle_stats(ctx, since, until, filter).await?.times(group_by).to_vec())
    }

    /// How many inspections created in a period reached each stage, and where those dropped out that were never completed. An
    /// inspection that skipped a stage has reached it. A reopened inspection counts with the furthest stage it ever reached.
    async fn funnel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "One row for each of these.", default_with = "Grouping::Vendor")] group_by: Grouping,
        #[graphql(desc = "Created at this moment or later. Default: 30 days before `until`.")] since: Bound,
        #[graphql(desc = "Created before this moment. Default: now. At most 366 days after `since`.")] until: Bound,
        #[graphql(desc = "Only inspections that match.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<Funnel>, ApiError> {
        Ok(lifecycle_stats(ctx, since, until, filter).await?.funnels(group_by).to_vec())
    }

    /// The number of unfinished inspections by the time since their last change, in buckets; see `stalledFor`. The most recent
    /// come first, and every bucket is present.
    async fn stalled_inspections(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The limits of the buckets: durations as in `stalledFor`, in ascending order, at most 20.",
            default_with = "ages::default_ages()"
        )]
        ages: Vec<String>,
        #[graphql(desc = "Only inspections that match.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<AgeBucket>, ApiError> {
        let api = QueryRoot.begin_read(ctx).await?;
        let all = AggregateCaches::of(ctx)?;
        let moments = ages::cutoffs(api.now(), &ages)?;
        let key = format!("{ages:?} {filter:?}");
        let rows = filter.unwrap_or_default().into_store_filter(api)?;
        let count = async { Ok(ages::buckets(&ages, counts_by_age(&api.readers, &rows, &moments).await?)) };
        Ok(all.ages.get_or_compute(api.view(), key, count).await?.to_vec())
    }

    /// The hours of the week with the most changes, the busiest first: of all changes that the hub received in a period, by
    /// when they happened (the vendor's time, or when received if the vendor reported no time).
    async fn busiest_hours(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The number of hours, at most the 168 of a week.", default = 24)] first: i32,
        #[graphql(desc = "Received at this moment or later. Default: 30 days before `until`.")] since: Bound,
        #[graphql(desc = "Received before this moment. Default: now. At most 366 days after `since`.")] until: Bound,
        #[graphql(
            desc = "Where hours and days begin: `UTC`, a name of the IANA time zone database as in `Europe/Berlin`, or an offset from UTC as in `+02:00` or `-05:30`.",
            default = "UTC"
        )]
        time_zone: String,
        #[graphql(desc = "Only changes that match.")] filter: Option<ChangeFilter>,
    ) -> Result<Vec<BusyHour>, ApiError> {
        let api = QueryRoot.begin_read(ctx).await?;
        let (period, zone) = (period::parse_period(api.now(), since, until)?, parse_time_zone(&time_zone)?);
        let all = AggregateCaches::of(ctx)?;
        let first = hours::checked_first(first)?;
        let key = format!("{since:?} {until:?} {zone:?} {filter:?}");
        let rows = filter.unwrap_or_default().into_store_filter(api.view())?;
        let count = async { Ok(hours::busiest_hours_of_week(zone.counts_by_hour(&api.readers, &rows, period).await?)) };
        Ok(all.hours.get_or_compute(api.view(), key, count).await?.iter().take(first).cloned().collect())
    }

    /// How many inspections entered each status in each of the last minutes, the current minute last: one row for each minute and
    /// status that occurs. The minute is that in which the hub received the event.
    async fn status_rates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many minutes, from 1 to 1440.", default = 60)] minutes: i32,
        #[graphql(desc = "Only inspections that match now.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<StatusRate>, ApiError> {
        let api = QueryRoot.begin_read(ctx).await?;
        let all = AggregateCaches::of(ctx)?;
        let now = api.now().timestamp_micros();
        let since = now - now.rem_euclid(MINUTE) - (check_minutes(minutes)? - 1) * MINUTE;
        let key = format!("{minutes} {filter:?}");
        let rows = filter.unwrap_or_default().into_store_filter(api)?;
        let count = async { Ok(rates::status_rates(read::status_rates(&api.readers, &rows, since).await?)) };
        Ok(all.rates.get_or_compute(api.view(), key, count).await?.to_vec())
    }
}

// `timeInStatus` and `funnel` are computed from the same timelines, so both are computed at once.
async fn lifecycle_stats(
    ctx: &Context<'_>,
    since: Bound,
    until: Bound,
    filter: Option<InspectionFilter>,
) -> Result<Arc<LifecycleStats>, ApiError> {
    let api = QueryRoot.begin_read(ctx).await?;
    let period = period::parse_period(api.now(), since, until)?;
    let all = AggregateCaches::of(ctx)?;
    let key = format!("{since:?} {until:?} {filter:?}");
    let rows = filter.unwrap_or_default().into_store_filter(api)?;
    all.lifecycles
        .get_or_compute(api.view(), key, LifecycleStats::load(&api.readers, &api.inspection_index, rows, period))
        .await
}

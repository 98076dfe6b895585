//! Status timelines aggregated by vendor, by source and in total: read once for all queries of the same period.

use super::funnel::{Funnel, FunnelCounter};
use super::time_in_status::{StayDurations, TimeInStatus};
use crate::graphql::error::ApiError;
use crate::store::ReadPool;
use crate::store::read::{self, EntityFilter, StatusTimeline};
use crate::store::{InspectionIndex, Period};
use async_graphql::Enum;
use std::collections::BTreeMap;

/// The most inspections of one query. Reading this many takes some seconds and 100 MB.
const MAX_INSPECTIONS: usize = 250_000;

/// What one row of times or of a funnel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Grouping {
    /// All inspections.
    None,
    /// The inspections of a vendor.
    Vendor,
    /// The inspections of a configured connection.
    Source,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupingKey {
    pub vendor: Option<String>,
    pub source: Option<String>,
}

#[derive(Debug)]
pub struct LifecycleStats(Vec<(Grouping, Vec<TimeInStatus>, Vec<Funnel>)>);

impl LifecycleStats {
    /// Aggregates the inspections created in a period that a filter accepts.
    pub async fn load(
        db: &ReadPool,
        index: &InspectionIndex,
        filter: EntityFilter,
        period: Period,
    ) -> Result<LifecycleStats, ApiError> {
        let cohort = index.cohort(db, filter, period).await?;
        if cohort.size > MAX_INSPECTIONS {
            return Err(ApiError::bad_user_input(
                format!("{} inspections were created in this period", cohort.size),
                format!("Ask for a shorter period, or one vendor or source: at most {MAX_INSPECTIONS} at a time."),
            ));
        }
        let timelines = read::status_timelines(db, &cohort).await?;
        let computing = tokio::task::spawn_blocking(move || LifecycleStats::compute(&timelines));
        computing.await.map_err(|error| ApiError::internal(format!("aggregating timelines ended early: {error}")))
    }

    pub fn compute(timelines: &[StatusTimeline]) -> LifecycleStats {
        let all = [Grouping::None, Grouping::Vendor, Grouping::Source];
        LifecycleStats(all.into_iter().map(|grouping| grouping.aggregate(timelines)).collect())
    }

    pub fn times(&self, grouping: Grouping) -> &[TimeInStatus] {
        self.0.iter().find(|(of, ..)| *of == grouping).map_or(&[], |(_, times, _)| times)
    }

    pub fn funnels(&self, grouping: Grouping) -> &[Funnel] {
        self.0.iter().find(|(of, ..)| *of == grouping).map_or(&[], |(.., funnels)| funnels)
    }
}

impl Grouping {
    fn aggregate(self, timelines: &[StatusTimeline]) -> (Grouping, Vec<TimeInStatus>, Vec<Funnel>) {
        let mut groups: BTreeMap<GroupingKey, (StayDurations, FunnelCounter)> = BTreeMap::new();
        if self == Grouping::None {
            groups.entry(GroupingKey::default()).or_default();
        }
        for timeline in timelines {
            let (stays, funnel) = groups.entry(self.key_of(timeline)).or_default();
            stays.add(timeline);
            funnel.add(timeline);
        }
        let (mut times, mut funnels) = (Vec::new(), Vec::new());
        for (key, (stays, funnel)) in groups {
            times.extend(stays.into_rows(&key));
            funnels.push(funnel.into_funnel(key));
        }
        (self, times, funnels)
    }

    fn key_of(self, timeline: &StatusTimeline) -> GroupingKey {
        let vendor = (self != Grouping::None).then(|| timeline.vendor.clone());
        let source = (self == Grouping::Source).then(|| timeline.source.clone());
        GroupingKey { vendor, source }
    }
}

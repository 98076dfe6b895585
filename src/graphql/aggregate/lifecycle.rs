//! Lives of inspections, told by vendor, by source and all together: one reading for all who ask of the same period.

use super::funnel::{Funnel, FunnelCounter};
use super::time_in_status::{StayDurations, TimeInStatus};
use crate::graphql::error::ApiError;
use crate::store::ReadPool;
use crate::store::read::{self, EntityFilter, InspectionIndex, Period, StatusTimeline};
use async_graphql::Enum;
use std::collections::BTreeMap;

/// Inspections of one question. Reading so many takes some seconds and 100 MB.
const MAX_INSPECTIONS: usize = 250_000;

/// Of whom times and funnels are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Grouping {
    /// Nobody: all in one.
    None,
    /// Vendors.
    Vendor,
    /// Configured connections.
    Source,
}

/// Whom a row is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupingKey {
    pub vendor: Option<String>,
    pub source: Option<String>,
}

/// What came of lives.
#[derive(Debug)]
pub struct LifecycleStats(Vec<(Grouping, Vec<TimeInStatus>, Vec<Funnel>)>);

impl LifecycleStats {
    /// Of the inspections first seen in a period that a filter lets through.
    pub async fn load(
        db: &ReadPool,
        census: &InspectionIndex,
        filter: EntityFilter,
        period: Period,
    ) -> Result<LifecycleStats, ApiError> {
        let cohort = census.cohort(db, filter, period).await?;
        if cohort.size > MAX_INSPECTIONS {
            return Err(ApiError::bad_user_input(
                format!("{} inspections were first seen in this period", cohort.size),
                format!("Ask for a shorter period, or one vendor or source: at most {MAX_INSPECTIONS} at a time."),
            ));
        }
        let lives = read::status_timelines(db, &cohort).await?;
        let telling = tokio::task::spawn_blocking(move || LifecycleStats::compute(&lives));
        telling.await.map_err(|error| ApiError::internal(format!("the lives could not be told: {error}")))
    }

    pub fn compute(lives: &[StatusTimeline]) -> LifecycleStats {
        let all = [Grouping::None, Grouping::Vendor, Grouping::Source];
        LifecycleStats(all.into_iter().map(|grouping| grouping.aggregate(lives)).collect())
    }

    pub fn times(&self, grouping: Grouping) -> &[TimeInStatus] {
        self.0.iter().find(|(told, ..)| *told == grouping).map_or(&[], |(_, times, _)| times)
    }

    pub fn funnels(&self, grouping: Grouping) -> &[Funnel] {
        self.0.iter().find(|(told, ..)| *told == grouping).map_or(&[], |(.., funnels)| funnels)
    }
}

impl Grouping {
    fn aggregate(self, lives: &[StatusTimeline]) -> (Grouping, Vec<TimeInStatus>, Vec<Funnel>) {
        let mut groups: BTreeMap<GroupingKey, (StayDurations, FunnelCounter)> = BTreeMap::new();
        if self == Grouping::None {
            groups.entry(GroupingKey::default()).or_default();
        }
        for life in lives {
            let (stays, tally) = groups.entry(self.key_of(life)).or_default();
            stays.add(life);
            tally.add(life);
        }
        let (mut times, mut funnels) = (Vec::new(), Vec::new());
        for (whose, (stays, tally)) in groups {
            times.extend(stays.into_rows(&whose));
            funnels.push(tally.into_funnel(whose));
        }
        (self, times, funnels)
    }

    fn key_of(self, life: &StatusTimeline) -> GroupingKey {
        match self {
            Grouping::None => GroupingKey::default(),
            Grouping::Vendor => GroupingKey { vendor: Some(life.vendor.clone()), source: None },
            Grouping::Source => GroupingKey { vendor: Some(life.vendor.clone()), source: Some(life.source.clone()) },
        }
    }
}

//! Lives of inspections, told by vendor, by source and all together: one reading for all who ask of the same period.

use super::funnel::{Funnel, Tally};
use super::times::{Stays, TimeInStatus};
use crate::graphql::error::Fault;
use crate::store::Readers;
use crate::store::read::{self, Census, EntityFilter, Life, Period};
use async_graphql::Enum;
use std::collections::BTreeMap;

/// Inspections of one question. Reading so many takes some seconds and 100 MB.
const MOST: usize = 250_000;

/// Of whom times and funnels are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Grouping {
    /// Nobody: all in one.
    All,
    /// Vendors.
    Vendor,
    /// Configured connections.
    Source,
}

/// Whom a row is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whose {
    pub vendor: Option<String>,
    pub source: Option<String>,
}

/// What came of lives.
#[derive(Debug)]
pub struct Lives(Vec<(Grouping, Vec<TimeInStatus>, Vec<Funnel>)>);

impl Lives {
    /// Of the inspections first seen in a period that a filter lets through.
    pub async fn read(db: &Readers, census: &Census, filter: EntityFilter, period: Period) -> Result<Lives, Fault> {
        let cohort = census.cohort(db, filter, period).await?;
        if cohort.size > MOST {
            return Err(Fault::input(
                format!("{} inspections were first seen in this period", cohort.size),
                format!("Ask for a shorter period, or one vendor or source: at most {MOST} at a time."),
            ));
        }
        let lives = read::lives(db, &cohort).await?;
        let telling = tokio::task::spawn_blocking(move || Lives::of(&lives));
        telling.await.map_err(|error| Fault::corrupt(format!("the lives could not be told: {error}")))
    }

    pub fn of(lives: &[Life]) -> Lives {
        let all = [Grouping::All, Grouping::Vendor, Grouping::Source];
        Lives(all.into_iter().map(|grouping| grouping.tell(lives)).collect())
    }

    pub fn times(&self, grouping: Grouping) -> &[TimeInStatus] {
        self.0.iter().find(|(told, ..)| *told == grouping).map_or(&[], |(_, times, _)| times)
    }

    pub fn funnels(&self, grouping: Grouping) -> &[Funnel] {
        self.0.iter().find(|(told, ..)| *told == grouping).map_or(&[], |(.., funnels)| funnels)
    }
}

impl Grouping {
    fn tell(self, lives: &[Life]) -> (Grouping, Vec<TimeInStatus>, Vec<Funnel>) {
        let mut groups: BTreeMap<Whose, (Stays, Tally)> = BTreeMap::new();
        if self == Grouping::All {
            groups.entry(Whose::default()).or_default();
        }
        for life in lives {
            let (stays, tally) = groups.entry(self.whose(life)).or_default();
            stays.take(life);
            tally.take(life);
        }
        let (mut times, mut funnels) = (Vec::new(), Vec::new());
        for (whose, (stays, tally)) in groups {
            times.extend(stays.told(&whose));
            funnels.push(tally.told(whose));
        }
        (self, times, funnels)
    }

    fn whose(self, life: &Life) -> Whose {
        match self {
            Grouping::All => Whose::default(),
            Grouping::Vendor => Whose { vendor: Some(life.vendor.clone()), source: None },
            Grouping::Source => Whose { vendor: Some(life.vendor.clone()), source: Some(life.source.clone()) },
        }
    }
}

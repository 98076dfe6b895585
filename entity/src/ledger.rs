//! Per source: how many deliveries were received, and with which verdict. `received` is the sum of all other counts.

use crate::Verdict;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    pub received: i64,
    pub duplicates: i64,
    pub applied: i64,
    pub skipped_ahead: i64,
    pub unexpected: i64,
    pub stale: i64,
    pub refused: i64,
    pub no_change: i64,
    pub unrecognized: i64,
    pub unreadable: i64,
    pub orphaned: i64,
    pub received_at: Option<i64>,
}

impl Model {
    /// The number of deliveries with a verdict.
    pub fn count_mut(&mut self, verdict: Verdict) -> &mut i64 {
        match verdict {
            Verdict::Applied => &mut self.applied,
            Verdict::SkippedAhead => &mut self.skipped_ahead,
            Verdict::Unexpected => &mut self.unexpected,
            Verdict::Stale => &mut self.stale,
            Verdict::Refused => &mut self.refused,
            Verdict::NoChange => &mut self.no_change,
            Verdict::Unrecognized => &mut self.unrecognized,
            Verdict::Unreadable => &mut self.unreadable,
            Verdict::Orphaned => &mut self.orphaned,
        }
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

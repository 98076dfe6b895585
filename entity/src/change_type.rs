//! The part of a row of history that repeats: words, states, and what follows from them. Each combination is stored once. Rows are
//! only added, also when what they describe is purged: no column has a text that a person may have written.

use crate::{Kind, ReasonCode, Status, Verdict};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "change_type")]
pub struct Model {
    /// A digest of all other columns: every database and every process computes the same number.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub kind: Kind,
    pub source: Option<String>,
    pub vendor: Option<String>,
    /// The name of an event; empty if the row of history has its own.
    pub event: String,
    pub verdict: Verdict,
    pub reason_code: ReasonCode,
    pub reason_params: Option<String>,
    pub warnings: Option<String>,
    pub from_state: Option<String>,
    pub to_state: Option<String>,
    pub from_status: Option<Status>,
    pub to_status: Option<Status>,
    pub target_state: Option<String>,
    pub at_least: bool,
    pub order_rank: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! One POST as it came: the ground truth, from which everything else can be rebuilt. Rows are only ever added; a
//! repetition of the same news is counted on the first.

use crate::Verdict;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub row_id: i64,
    pub source: String,
    pub vendor: String,
    pub received_at: i64,
    pub method: String,
    /// The request's headers as a JSON object, credentials left out.
    pub headers: String,
    pub body: Vec<u8>,
    /// What makes this news the same as other news, if it is about no entity; else a row of its history says it.
    pub dedup_key: Option<i64>,
    /// The vendor's name of the event; empty when it could not be read.
    pub event: String,
    pub occurred_at: Option<i64>,
    pub verdict: Verdict,
    pub reason: String,
    /// The positions of its changes: `first_position .. first_position + changes`.
    pub first_position: i64,
    pub change_count: i32,
    /// How many times the same news came again, and when last.
    pub duplicates: i64,
    pub last_duplicate_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

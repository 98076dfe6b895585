//! One webhook as it was received: the source of truth, from which everything else can be rebuilt. Rows are only added; a
//! duplicate is counted on the original.

use crate::{ReasonCode, Verdict};
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
    /// The dedup key of a delivery about no entity. For all others, one of their changes has it.
    pub dedup_key: Option<i64>,
    /// The vendor's name of the event; empty if the body is unreadable.
    pub event: String,
    pub occurred_at: Option<i64>,
    pub verdict: Verdict,
    pub reason_code: ReasonCode,
    /// The parameters of the reason, as JSON; null if it has none.
    pub reason_params: Option<String>,
    /// What to know beside the reason, as a JSON list; null if there is nothing.
    pub warnings: Option<String>,
    /// The original, if a rebuild found this delivery to be a duplicate. Null on arrival: then a duplicate leaves no row.
    pub duplicate_of: Option<i64>,
    /// The positions of its changes are `first_position .. first_position + change_count`.
    pub first_position: i64,
    pub change_count: i32,
    /// The dictionary that headers and body are compressed with; null if they are stored as they were received.
    pub dictionary_id: Option<i32>,
    /// How many duplicates were received, and when the last one was.
    pub duplicates: i64,
    pub last_duplicate_at: Option<i64>,
    /// The size of the body as it was received, in bytes.
    pub body_size: i64,
    /// The request's headers as a JSON object, credentials left out. `store::payload` decodes them.
    pub headers: Vec<u8>,
    /// The body. `store::payload` decodes it. Last, because SQLite reads all of a large value to find a column after it.
    pub body: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

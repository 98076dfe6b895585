//! One row of history: what an event did to an entity, or why it did nothing. Rows are only ever added.

use crate::{Kind, Status, Verdict};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "change")]
pub struct Model {
    /// Contiguous, in commit order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    pub kind: Kind,
    /// The entity's number; none when the delivery was about no entity.
    pub entity: Option<i64>,
    /// The number of the inspection it belongs to, as known at that moment.
    pub inspection: Option<i64>,
    pub delivery: i64,
    pub source: String,
    pub vendor: String,
    pub event: String,
    pub verdict: Verdict,
    pub reason: String,
    pub from_state: Option<String>,
    /// The entity's state after the event.
    pub to_state: Option<String>,
    pub from_status: Option<Status>,
    pub to_status: Option<Status>,
    pub cycle: i32,
    pub occurred_at: Option<i64>,
    pub received_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

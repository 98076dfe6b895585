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
    pub entity_row_id: Option<i64>,
    /// The number of the inspection it belongs to, as known at that moment.
    pub inspection_row_id: Option<i64>,
    pub delivery_row_id: i64,
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
    /// What makes the delivery's news the same as other news about this entity; on one row of each delivery.
    pub dedup_key: Option<i64>,
    /// The state that the event names, if it names one that bears on the entity's: then this row is a step of the fold.
    pub target_state: Option<String>,
    /// Whether the event only implies that the state has been reached.
    pub at_least: bool,
    /// The cycle and rank that the event was placed at on arrival.
    pub order_cycle: i32,
    pub order_rank: i32,
    /// The position of the newest step before this row; none where there is none, and where the steps stand in `step`.
    pub previous_step: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

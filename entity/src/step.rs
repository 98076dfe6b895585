//! One event that reports an entity's state, in the order of the fold. Only for entities whose history is not in that order,
//! because events arrived out of order, or is too long to be read.

use crate::Status;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "step")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub entity_row_id: i64,
    /// 0, 1, 2 … in the order of the fold.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i32,
    /// The change it belongs to.
    pub position: i64,
    /// The state that the event reports.
    pub target_state: String,
    /// Whether the event only implies that the state has been reached.
    pub at_least: bool,
    /// The vendor's time; null if the vendor gives none.
    pub occurred_at: Option<i64>,
    /// The cycle and rank of its order key, as assigned on arrival.
    pub order_cycle: i32,
    pub order_rank: i32,
    pub received_at: i64,
    /// When it happened, as far as known: never later than the step after it. Part of the key, so that an as-of query is one
    /// look-up.
    #[sea_orm(primary_key, auto_increment = false)]
    pub effective_at: i64,
    /// The entity after this step, in the order of the fold.
    pub state_after: Option<String>,
    pub status_after: Option<Status>,
    pub cycle_after: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

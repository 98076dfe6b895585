//! One event that bears on an entity's state, in the order of the fold. Only of entities whose history does not tell
//! that by itself, because events came out of order, or would take long to, because it has become long.

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
    /// The change that brought it.
    pub position: i64,
    /// The state the event names.
    pub target_state: String,
    /// Whether the event only implies that the state has been reached.
    pub at_least: bool,
    /// The vendor's time; none where the vendor gives none.
    pub occurred_at: Option<i64>,
    /// The cycle and rank it was placed at on arrival.
    pub order_cycle: i32,
    pub order_rank: i32,
    pub received_at: i64,
    /// When it happened, as well as can be known: never later than the step after it. Part of the key, so that "as of"
    /// is one look-up.
    #[sea_orm(primary_key, auto_increment = false)]
    pub effective_at: i64,
    /// The entity after it, in the order of the fold.
    pub state_after: Option<String>,
    pub status_after: Option<Status>,
    pub cycle_after: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

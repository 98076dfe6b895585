//! One row of history: what an event or a command did to an entity, or why it had no effect. Rows are only added.
//!
//! A view: [`change_row`] has what differs from row to row, and [`change_type`] what repeats.

use crate::{Kind, ReasonCode, Status, Verdict, change_row, change_type};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "change")]
pub struct Model {
    /// Contiguous, in commit order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    pub kind: Kind,
    /// Null if the delivery was about no entity.
    pub entity_row_id: Option<i64>,
    /// The inspection that the entity belonged to when the row was written.
    pub inspection_row_id: Option<i64>,
    /// Null if no delivery brought the change.
    pub delivery_row_id: Option<i64>,
    /// Null unless a command made the change.
    pub command_row_id: Option<i64>,
    /// Of the entity, if a command made the change.
    pub source: Option<String>,
    /// Of the entity, if a command made the change.
    pub vendor: Option<String>,
    pub event: String,
    pub verdict: Verdict,
    pub reason_code: ReasonCode,
    /// The parameters of the reason, as JSON; null if it has none.
    pub reason_params: Option<String>,
    /// What to know beside the reason, as a JSON list; null if there is nothing.
    pub warnings: Option<String>,
    pub from_state: Option<String>,
    /// The entity's state after the event.
    pub to_state: Option<String>,
    pub from_status: Option<Status>,
    pub to_status: Option<Status>,
    pub cycle: i32,
    pub occurred_at: Option<i64>,
    pub received_at: i64,
    /// Equal keys of one entity mark duplicate deliveries. On one row of each delivery.
    pub dedup_key: Option<i64>,
    /// The state that the event reports. If it is set, this row is a step of the fold.
    pub target_state: Option<String>,
    /// Whether the event only implies that the state has been reached.
    pub at_least: bool,
    /// The cycle and rank of the step's order key, as assigned on arrival. The cycle is null if the row is no step.
    pub order_cycle: Option<i32>,
    pub order_rank: i32,
    /// The position of the newest step before this row; null if there is none, or if the steps are in the table `step`.
    pub previous_step: Option<i64>,
}

impl Model {
    /// The row of the view.
    pub fn new(row: change_row::Model, of_row: &change_type::Model) -> Model {
        Model {
            position: row.position,
            kind: of_row.kind,
            entity_row_id: row.entity_row_id,
            inspection_row_id: row.inspection_row_id,
            delivery_row_id: row.delivery_row_id,
            command_row_id: row.command_row_id,
            source: of_row.source.clone(),
            vendor: of_row.vendor.clone(),
            event: row.event.unwrap_or_else(|| of_row.event.clone()),
            verdict: of_row.verdict,
            reason_code: of_row.reason_code,
            reason_params: row.reason_params.or_else(|| of_row.reason_params.clone()),
            warnings: of_row.warnings.clone(),
            from_state: of_row.from_state.clone(),
            to_state: of_row.to_state.clone(),
            from_status: of_row.from_status,
            to_status: of_row.to_status,
            cycle: row.cycle,
            occurred_at: row.occurred_at,
            received_at: row.received_at,
            dedup_key: row.dedup_key,
            target_state: of_row.target_state.clone(),
            at_least: of_row.at_least,
            order_cycle: row.order_cycle,
            order_rank: of_row.order_rank,
            previous_step: row.previous_step,
        }
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

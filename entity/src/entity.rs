//! An inspection, session, job or item as it stands now. The four share one shape, one fold and so one table.

use crate::{Kind, Status};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "entity")]
pub struct Model {
    /// In order of first sight; what other rows refer to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub row_id: i64,
    /// The public id, derived from source, kind and the vendor's id, so that every replica and rebuild agree.
    pub id: Uuid,
    pub kind: Kind,
    /// The word of a `JobKind` or an `ItemKind`; empty for inspections and sessions.
    pub subkind: String,
    pub source: String,
    pub vendor: String,
    pub external_id: String,
    /// What it hangs on, where the vendor says.
    pub parent_row_id: Option<i64>,
    /// The inspection it belongs to; none while it is orphaned.
    pub inspection_row_id: Option<i64>,
    /// The customer's own key: an order number, a VIN.
    pub reference: Option<String>,
    /// What several inspections share: a check-out and its check-in.
    pub group_key: Option<String>,
    /// The vendor's own word.
    pub state: Option<String>,
    pub status: Option<Status>,
    pub cycle: i32,
    /// Typed facts: JSON, group -> field -> value.
    pub facts: String,
    /// Everything else the vendor said: JSON, field -> value.
    pub details: String,
    /// The order key of each fact, so that older news never overwrites newer: JSON.
    pub field_versions: String,
    /// Where the fold of its events stands: JSON.
    pub fold_state: String,
    /// Whether its steps stand in the table `step`, because they came out of order or are many.
    pub steps_materialized: bool,
    pub created_at: i64,
    /// When we received the newest news that changed it.
    pub updated_at: i64,
    /// The newest moment a vendor gave for it.
    pub occurred_at: Option<i64>,
    /// The position of the newest change that changed it.
    pub position: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

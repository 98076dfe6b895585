//! The current state of an inspection, session, job or item. The four share one shape, one fold and so one table.

use crate::{Kind, Status};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "entity")]
pub struct Model {
    /// In the order in which entities were first seen. Other rows refer to it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub row_id: i64,
    /// The public id, derived from source, kind and the vendor's id, so that all replicas and rebuilds agree.
    pub id: Uuid,
    pub kind: Kind,
    /// The word of a `JobKind` or an `ItemKind`; empty for inspections and sessions.
    pub subkind: String,
    pub source: String,
    pub vendor: String,
    pub external_id: String,
    /// The entity it belongs to, if the vendor names one.
    pub parent_row_id: Option<i64>,
    /// The inspection it belongs to; null while it is orphaned.
    pub inspection_row_id: Option<i64>,
    /// The entity whose link by hand decides about the inspection: itself, or one that it belongs to; null if the vendor decides.
    pub hand_linked_row_id: Option<i64>,
    /// The inspection that the vendor says, while a link by hand decides.
    pub vendor_inspection_row_id: Option<i64>,
    /// The customer's own key as the vendor reports it: an order number, a VIN.
    pub reference: Option<String>,
    /// The customer's own key as a person or program has set it. It wins over the vendor's word.
    pub customer_reference: Option<String>,
    /// What people have labelled it with: JSON, key -> value; null if there is nothing.
    pub labels: Option<String>,
    /// When it should be finished.
    pub due_at: Option<i64>,
    /// When it was announced; null if a vendor named it without that.
    pub registered_at: Option<i64>,
    /// What several inspections share: a check-out and its check-in.
    pub group_key: Option<String>,
    /// The state, in the vendor's own word.
    pub state: Option<String>,
    pub status: Option<Status>,
    pub cycle: i32,
    /// Typed facts: JSON, group -> field -> value.
    pub facts: String,
    /// All other fields that the vendor sent: JSON, field -> value.
    pub details: String,
    /// The order key of each field, so that an older value never overwrites a newer one: JSON.
    pub field_versions: String,
    /// What the fold needs to continue with the next event in order: JSON.
    pub fold_state: String,
    /// Whether its steps are in the table `step`, because they arrived out of order or are many.
    pub steps_materialized: bool,
    pub created_at: i64,
    /// The receipt time of the newest event that changed it.
    pub updated_at: i64,
    /// The newest time that the vendor gave for it.
    pub occurred_at: Option<i64>,
    /// The position of the newest change with an effect on it.
    pub position: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

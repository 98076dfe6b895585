//! A refused webhook: why, and how many equal ones there were. Not derived from the raw log.

use crate::RejectionCause;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rejection")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Empty if the request is for no configured source.
    pub source: String,
    pub cause: RejectionCause,
    /// The verification scheme that did not pass.
    pub scheme: Option<String>,
    pub http_status: i32,
    pub method: String,
    /// Without the query, cut.
    pub path: String,
    /// A JSON list.
    pub header_names: String,
    pub bytes: i64,
    /// Of IPv6, the network of 64 bits.
    pub address: Option<String>,
    /// In words for an operator.
    pub reason: String,
    /// A JSON list, see `vendor::verify::WouldFit`.
    pub would_fit: String,
    /// How many equal requests there were.
    pub count: i64,
    /// When the first and the newest of them were received.
    pub first_at: i64,
    pub at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

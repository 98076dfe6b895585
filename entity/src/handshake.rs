//! A vendor's request to confirm the webhook URL, and the progress of the confirmation (Hover's verification code).

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "handshake")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub code: String,
    pub requested_at: i64,
    pub confirmed_at: Option<i64>,
    pub attempts: i32,
    /// Why the newest attempt failed, in words for an operator.
    pub last_error: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

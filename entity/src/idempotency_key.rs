//! A mutation that was carried out, by the key that its caller chose: the same key gives the first result again.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_key")]
pub struct Model {
    /// A digest of the subject, the mutation and the key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: String,
    /// A digest of the rest of the input.
    pub input_digest: String,
    /// The number of the command.
    pub command_row_id: i64,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! A dictionary that payloads of deliveries are compressed with. Rows are only added: a newer version of the program may bring
//! another dictionary for the same vendor.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payload_dictionary")]
pub struct Model {
    /// A digest of the content, as `store::payload` computes it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// The vendor whose samples it was trained from.
    pub vendor: String,
    /// In zstd's format (RFC 8878, section 5).
    pub content: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! The session of a person that has logged in with a browser: everything but its secret. A row is deleted some time after it has
//! expired.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "browser_session")]
pub struct Model {
    /// The SHA-256 of the secret, as hexadecimal digits.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: String,
    /// The SHA-256 of the login that it is from: a login makes one session.
    #[sea_orm(unique)]
    pub login_digest: String,
    /// The person.
    pub subject: String,
    /// The names of its scopes, separated by spaces.
    pub scopes: String,
    /// The sources that it is limited to, as a JSON list; null for all.
    pub sources: Option<String>,
    /// The SHA-256 of the settings that decided about its rights.
    pub grants_digest: String,
    pub created_at: i64,
    /// To the minute.
    pub last_used_at: i64,
    /// When it ends at the latest.
    pub expires_at: i64,
    /// When the person logged out.
    pub ended_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! The order of updates: the entities of each kind, and those of each kind and status, in the order of their newest changes. Rows are
//! added with each change of an entity, and obsolete rows are deleted later, many at once. A row is current while its entity has
//! its status and position. Reading a list by this order needs no index of `entity` that moves with each change.

use crate::{Kind, Status};
use sea_orm::entity::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "update_order")]
pub struct Model {
    /// The number of a kind, or of a kind and status: see [`kind_list`] and [`status_list`].
    #[sea_orm(primary_key, auto_increment = false)]
    pub list: i32,
    /// The position of the entity's newest change.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    /// Part of the key: while a rebuild replaces the history, a place may have an entity of the old one and of the new one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub entity_row_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The statuses that entities of a kind can have, and none.
pub const fn statuses(kind: Kind) -> &'static [Option<Status>] {
    use Status::{
        Canceled, Captured, Capturing, Completed, Expired, Failed, InProgress, Processing, Queued, ReadyForReview,
        Requested, Running, Started, Submitted, Succeeded, Waiting,
    };
    match kind {
        Kind::Inspection => &[
            None,
            Some(Requested),
            Some(Started),
            Some(InProgress),
            Some(Submitted),
            Some(Processing),
            Some(ReadyForReview),
            Some(Completed),
            Some(Canceled),
            Some(Expired),
            Some(Failed),
        ],
        Kind::Session => &[
            None,
            Some(Requested),
            Some(Started),
            Some(Capturing),
            Some(Captured),
            Some(Completed),
            Some(Canceled),
            Some(Expired),
            Some(Failed),
        ],
        Kind::Job => &[None, Some(Queued), Some(Running), Some(Waiting), Some(Succeeded), Some(Failed), Some(Canceled)],
        Kind::Item | Kind::Delivery => &[None],
    }
}

/// The factor of a kind in the number of a list.
pub const KIND_FACTOR: i32 = 32;
/// Means no status in the number of a list; greater than the number of any status.
pub const NO_STATUS: i32 = 31;

/// The list of all entities of a kind.
pub fn kind_list(kind: Kind) -> i32 {
    i32::from(kind.number()) * KIND_FACTOR
}

/// The list of the entities of a kind that have a status, or have none.
pub fn status_list(kind: Kind, status: Option<Status>) -> i32 {
    kind_list(kind) + status.map_or(NO_STATUS, |status| i32::from(status.number()))
}

/// The lists that an entity is in. Items have no status, and so only one list.
pub fn lists(kind: Kind, status: Option<Status>) -> impl Iterator<Item = i32> {
    [kind_list(kind)].into_iter().chain((kind != Kind::Item).then(|| status_list(kind, status)))
}

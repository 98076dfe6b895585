//! History in order of position, as the feed and the API read it.

use super::pagination::padded_keys;
use crate::store::{ReadPool, StoreError};
use entity::{Kind, change, log_head};
use sea_orm::entity::prelude::Uuid;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;

/// A change, and which entity it is about.
#[derive(Clone, Debug)]
pub struct ChangeWithEntity {
    pub change: change::Model,
    /// None when the delivery was about no entity.
    pub entity: Option<Identity>,
    /// The public id of its inspection.
    pub inspection_id: Option<Uuid>,
}

/// What names an entity, without what is known of it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Identity {
    pub row_id: i64,
    pub id: Uuid,
    pub kind: Kind,
    pub subkind: String,
    pub external_id: String,
    pub reference: Option<String>,
    pub group_key: Option<String>,
}

/// The newest positions.
///
/// # Errors
/// If the database does not answer, or was never migrated.
pub async fn head<C: ConnectionTrait>(db: &C) -> Result<log_head::Model, StoreError> {
    let head = log_head::Entity::find_by_id(1).one(db).await?;
    head.ok_or_else(|| StoreError::Corrupt("the table log_head has no row".into()))
}

/// Whether all that came after a position is still there.
///
/// # Errors
/// [`StoreError::Expired`] if something of it was removed.
pub fn ensure_retained_after(head: &log_head::Model, position: i64) -> Result<(), StoreError> {
    let log_head::Model { retained_from, generation, .. } = *head;
    if position >= retained_from { Ok(()) } else { Err(StoreError::Expired { retained_from, generation }) }
}

/// The changes after a position, oldest first, at most `limit`.
///
/// # Errors
/// If the database does not answer.
pub async fn changes_after(db: &ReadPool, after: i64, limit: u64) -> Result<Vec<ChangeWithEntity>, StoreError> {
    let changes = change::Entity::find()
        .filter(change::Column::Position.gt(after))
        .order_by_asc(change::Column::Position)
        .limit(limit)
        .all(db)
        .await?;
    with_identities(db, changes).await
}

/// Adds to each change which entity it is about: one statement for all.
///
/// # Errors
/// If the database does not answer.
pub async fn with_identities(db: &ReadPool, changes: Vec<change::Model>) -> Result<Vec<ChangeWithEntity>, StoreError> {
    let numbers = changes.iter().flat_map(|change| [change.entity_row_id, change.inspection_row_id]).flatten();
    let identities = identities(db, numbers.collect()).await?;
    Ok(changes
        .into_iter()
        .map(|change| ChangeWithEntity {
            entity: change.entity_row_id.and_then(|number| identities.get(&number).cloned()),
            inspection_id: change
                .inspection_row_id
                .and_then(|number| identities.get(&number))
                .map(|identity| identity.id),
            change,
        })
        .collect())
}

/// What names entities, by their numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn identities(db: &ReadPool, mut numbers: Vec<i64>) -> Result<HashMap<i64, Identity>, StoreError> {
    use entity::entity::{Column, Entity};
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find()
        .select_only()
        .columns([
            Column::RowId,
            Column::Id,
            Column::Kind,
            Column::Subkind,
            Column::ExternalId,
            Column::Reference,
            Column::GroupKey,
        ])
        .filter(Column::RowId.is_in(padded_keys(&numbers)))
        .into_model::<Identity>()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|identity| (identity.row_id, identity)).collect())
}

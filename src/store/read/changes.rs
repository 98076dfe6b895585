//! Reads the history in the order of positions, for the feed and the API.

use super::pagination::padded_keys;
use crate::store::{ReadPool, StoreError};
use entity::{Kind, change, change_row, change_type, command, log_head};
use sea_orm::entity::prelude::Uuid;
use sea_orm::{ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;

/// A change, with its entity.
#[derive(Clone, Debug)]
pub struct ChangeWithEntity {
    pub change: change::Model,
    /// None if the delivery was about no entity.
    pub entity: Option<Identity>,
    /// The public id of the entity's inspection.
    pub inspection_id: Option<Uuid>,
    /// The subject of the command that made it.
    pub actor: Option<String>,
}

/// The columns that identify an entity.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "entity::entity::Entity")]
pub struct Identity {
    pub row_id: i64,
    pub id: Uuid,
    pub kind: Kind,
    pub subkind: String,
    pub external_id: String,
    pub reference: Option<String>,
    pub customer_reference: Option<String>,
    pub labels: Option<String>,
    pub group_key: Option<String>,
}

/// The counters: newest position, generation and others. Fails if the database was never migrated.
pub async fn head<C: ConnectionTrait>(db: &C) -> Result<log_head::Model, StoreError> {
    let head = log_head::Entity::find_by_id(1).one(db).await?;
    head.ok_or_else(|| StoreError::Corrupt("the table log_head has no row".into()))
}

/// Checks that no change after a position was purged. Fails with [`StoreError::Expired`] if one was.
pub fn ensure_retained_after(head: &log_head::Model, position: i64) -> Result<(), StoreError> {
    let log_head::Model { retained_from, generation, .. } = *head;
    if position >= retained_from { Ok(()) } else { Err(StoreError::Expired { retained_from, generation }) }
}

/// The changes after a position, oldest first, at most `limit`.
pub async fn changes_after(db: &ReadPool, after: i64, limit: u64) -> Result<Vec<ChangeWithEntity>, StoreError> {
    let rows = change_row::Entity::find()
        .filter(change_row::Column::Position.gt(after))
        .order_by_asc(change_row::Column::Position)
        .limit(limit)
        .all(db)
        .await?;
    with_identities(db, with_types(db, rows).await?).await
}

// Adds to each row its type, as the view `change` does. Long pages have few types: each is read once, not once for each row. They
// are read after the rows and never deleted, so that no type is missing.
async fn with_types(db: &ReadPool, rows: Vec<change_row::Model>) -> Result<Vec<change::Model>, StoreError> {
    let mut ids: Vec<i64> = rows.iter().map(|row| row.type_id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let types = change_type::Entity::find().filter(change_type::Column::Id.is_in(padded_keys(&ids))).all(db).await?;
    let types: HashMap<i64, change_type::Model> = types.into_iter().map(|row| (row.id, row)).collect();
    let missing =
        |row: &change_row::Model| StoreError::Corrupt(format!("the type of change {} is missing", row.position));
    rows.into_iter()
        .map(|row| match types.get(&row.type_id) {
            Some(of_row) => Ok(change::Model::new(row, of_row)),
            None => Err(missing(&row)),
        })
        .collect()
}

/// Adds to each change its entity, with one statement for all, and the actors of commands with another, if there are any.
pub async fn with_identities(db: &ReadPool, changes: Vec<change::Model>) -> Result<Vec<ChangeWithEntity>, StoreError> {
    let row_ids = changes.iter().flat_map(|change| [change.entity_row_id, change.inspection_row_id]).flatten();
    let identities = identities(db, row_ids.collect()).await?;
    let actors = actors(db, changes.iter().filter_map(|change| change.command_row_id).collect()).await?;
    let identity = |row_id: Option<i64>| identities.get(&row_id?);
    Ok(changes
        .into_iter()
        .map(|change| ChangeWithEntity {
            entity: identity(change.entity_row_id).cloned(),
            inspection_id: identity(change.inspection_row_id).map(|identity| identity.id),
            actor: change.command_row_id.and_then(|command| actors.get(&command).cloned()),
            change,
        })
        .collect())
}

// The actors of commands, by row id.
async fn actors(db: &ReadPool, mut commands: Vec<i64>) -> Result<HashMap<i64, String>, StoreError> {
    use command::Column::{Actor, RowId};
    commands.dedup();
    if commands.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = command::Entity::find().select_only().columns([RowId, Actor]);
    let rows = rows.filter(RowId.is_in(padded_keys(&commands)));
    Ok(rows.into_tuple::<(i64, String)>().all(db).await?.into_iter().collect())
}

/// What identifies entities, by row id.
pub async fn identities(db: &ReadPool, mut row_ids: Vec<i64>) -> Result<HashMap<i64, Identity>, StoreError> {
    use entity::entity::{Column, Entity};
    row_ids.sort_unstable();
    row_ids.dedup();
    if row_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find().filter(Column::RowId.is_in(padded_keys(&row_ids)));
    let rows: Vec<Identity> = rows.into_partial_model().all(db).await?;
    Ok(rows.into_iter().map(|identity| (identity.row_id, identity)).collect())
}

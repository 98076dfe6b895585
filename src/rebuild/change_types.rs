//! The types of changes that the second database has and the first one lacks.

use super::verify::derived_tables::DerivedTable;
use crate::store::StoreError;
use entity::change_type::{Column, Entity, Model};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Iterable, QueryFilter};
use std::collections::HashMap;

/// Types in one statement.
const ROWS_PER_STATEMENT: usize = 100;

/// A derived type, and the stored one with the same number, if it differs.
pub type DifferingType = (Model, Option<Model>);

/// Some of the derived types, after a number: the newest number, and those that are not stored as they were derived. None if there
/// are no more.
pub async fn differing_page(
    stored: &impl ConnectionTrait,
    derived: &impl ConnectionTrait,
    after: i64,
) -> Result<Option<(i64, Vec<DifferingType>)>, StoreError> {
    let page = Entity::page(after).all(derived).await?;
    let Some(newest) = page.last().map(|row| row.id) else { return Ok(None) };
    let known = Entity::find().filter(Column::Id.is_in(page.iter().map(|row| row.id))).all(stored).await?;
    let mut known: HashMap<i64, Model> = known.into_iter().map(|row| (row.id, row)).collect();
    let with_known = page.into_iter().map(|row| {
        let known = known.remove(&row.id);
        (row, known)
    });
    Ok(Some((newest, with_known.filter(|(row, known)| known.as_ref() != Some(row)).collect())))
}

/// Stores all derived types as they were derived. Others stay: a type that no change has does no harm.
pub async fn store_all(txn: &impl ConnectionTrait, derived: &impl ConnectionTrait) -> Result<(), StoreError> {
    let mut last = i64::MIN;
    while let Some((newest, differing)) = differing_page(txn, derived, last).await? {
        last = newest;
        for rows in differing.chunks(ROWS_PER_STATEMENT) {
            let rows = rows.iter().map(|(row, _)| row.clone().into_active_model().reset_all());
            let columns = Column::iter().filter(|column| !matches!(column, Column::Id));
            let replaced = OnConflict::column(Column::Id).update_columns(columns).to_owned();
            Entity::insert_many(rows).on_conflict(replaced).exec_without_returning(txn).await?;
        }
    }
    Ok(())
}

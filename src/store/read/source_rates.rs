//! Reads how many webhooks the sources received.

use super::filter::in_sources;
use crate::store::{ReadPool, StoreError};
use entity::source_rate::{Column, Entity, Model};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};
use std::collections::HashMap;

/// The intervals of this length that begin at a moment or later, by source, oldest first. An interval without any is left out.
pub async fn source_rates(db: &ReadPool, seconds: i32, since: i64) -> Result<HashMap<String, Vec<Model>>, StoreError> {
    let rows = Entity::find()
        .filter(Column::Seconds.eq(seconds).and(Column::BeginsAt.gte(since)))
        .filter(Condition::all().add_option(in_sources(Column::Source, db.view(), None)))
        .order_by_asc(Column::BeginsAt);
    let mut by_source: HashMap<String, Vec<Model>> = HashMap::new();
    for row in rows.all(db).await? {
        by_source.entry(row.source.clone()).or_default().push(row);
    }
    Ok(by_source)
}

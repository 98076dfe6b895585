//! Counts the ledger again.

use super::row_writes::insert_rows;
use crate::store::StoreError;
use entity::{delivery, ledger};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect};
use std::collections::HashMap;

/// Replaces the counts of verdicts by those derived. Duplicates have left no bytes, so their counts stay.
pub async fn recount_ledger(txn: &impl ConnectionTrait, derived: &DatabaseConnection) -> Result<(), StoreError> {
    let stored = ledger::Entity::find().all(txn).await?;
    let stored: HashMap<String, ledger::Model> = stored.into_iter().map(|row| (row.source.clone(), row)).collect();
    let mut rows = ledger::Entity::find().all(derived).await?;
    for row in &mut rows {
        let known = stored.get(&row.source);
        let duplicates = match known {
            Some(known) => known.duplicates,
            None => row.duplicates + count_duplicates(txn, &row.source).await?,
        };
        row.received += duplicates - row.duplicates;
        row.duplicates = duplicates;
        row.received_at = std::cmp::max(row.received_at, known.and_then(|known| known.received_at));
    }
    ledger::Entity::delete_many().exec(txn).await?;
    insert_rows(txn, ledger::Entity, rows).await
}

async fn count_duplicates<C: ConnectionTrait>(txn: &C, source: &str) -> Result<i64, StoreError> {
    use delivery::Column::{Duplicates, Source};
    let sum = delivery::Entity::find()
        .select_only()
        .expr(Expr::col(Duplicates).sum().cast_as("bigint"))
        .filter(Source.eq(source));
    Ok(sum.into_tuple::<Option<i64>>().one(txn).await?.flatten().unwrap_or_default())
}

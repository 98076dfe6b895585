//! Counts the ledger again.

use crate::store::StoreError;
use entity::{delivery, ledger};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};

/// Replaces the counts of verdicts by those derived. Duplicates have left no bytes, so their counts stay.
pub async fn recount_ledger<C: ConnectionTrait>(txn: &C, derived: &DatabaseConnection) -> Result<(), StoreError> {
    let derived = ledger::Entity::find().all(derived).await?;
    for row in &derived {
        let stored = ledger::Entity::find_by_id(row.source.as_str()).one(txn).await?;
        let duplicates = match &stored {
            Some(stored) => stored.duplicates,
            None => row.duplicates + count_duplicates(txn, &row.source).await?,
        };
        let received_at = stored.as_ref().and_then(|stored| stored.received_at);
        let received_at = std::cmp::max(row.received_at, received_at);
        let row = ledger::Model {
            received: row.received - row.duplicates + duplicates,
            duplicates,
            received_at,
            ..row.clone()
        };
        let row = row.into_active_model().reset_all();
        match stored {
            Some(_) => _ = ledger::Entity::update(row).exec(txn).await?,
            None => _ = ledger::Entity::insert(row).exec_without_returning(txn).await?,
        }
    }
    let known = derived.iter().map(|row| row.source.as_str());
    ledger::Entity::delete_many().filter(ledger::Column::Source.is_not_in(known)).exec(txn).await?;
    Ok(())
}

async fn count_duplicates<C: ConnectionTrait>(txn: &C, source: &str) -> Result<i64, StoreError> {
    use delivery::Column::{Duplicates, Source};
    let sum = delivery::Entity::find()
        .select_only()
        .expr(Expr::col(Duplicates).sum().cast_as("bigint"))
        .filter(Source.eq(source));
    Ok(sum.into_tuple::<Option<i64>>().one(txn).await?.flatten().unwrap_or_default())
}

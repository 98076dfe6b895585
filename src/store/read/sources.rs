//! Reads the ledgers and handshakes of the sources.

use crate::store::{ReadPool, StoreError};
use entity::{Verdict, delivery, handshake, ledger};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Order, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;

/// The ledgers by source. A source without deliveries has none.
pub async fn ledgers(db: &ReadPool) -> Result<HashMap<String, ledger::Model>, StoreError> {
    let rows = ledger::Entity::find().all(db).await?;
    Ok(rows.into_iter().map(|row| (row.source.clone(), row)).collect())
}

/// The newest request for a proof of ownership, by source.
pub async fn handshakes(db: &ReadPool) -> Result<HashMap<String, handshake::Model>, StoreError> {
    let rows = handshake::Entity::find().order_by_asc(handshake::Column::RequestedAt).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.source.clone(), row)).collect())
}

/// The verdict of the newest delivery, by source.
pub async fn last_verdicts(db: &ReadPool) -> Result<HashMap<String, Verdict>, StoreError> {
    use delivery::Column;
    let past = Alias::new("past");
    let newest = Query::select()
        .expr(Expr::col((past.clone(), Column::RowId)))
        .from_as(delivery::Entity, past.clone())
        .and_where(Expr::col((past.clone(), Column::Source)).equals((ledger::Entity, ledger::Column::Source)))
        .order_by((past, Column::RowId), Order::Desc)
        .limit(1)
        .take();
    let row_ids = Query::select().expr(Expr::from(newest)).from(ledger::Entity).take();
    let rows = delivery::Entity::find()
        .select_only()
        .columns([Column::Source, Column::Verdict])
        .filter(Column::RowId.in_subquery(row_ids));
    Ok(rows.into_tuple().all(db).await?.into_iter().collect())
}

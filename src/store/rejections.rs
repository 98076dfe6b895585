//! Writes refused webhooks. The hub saves many at once, now and then, and never for one request.

use super::{Database, StoreError, begin_writing};
use entity::rejection::{Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait, Func, OnConflict, Order, Query, SelectStatement, WindowStatement};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// Records that are kept of each source and cause.
pub const MAX_REJECTIONS: usize = 100;

/// Rows of one statement: SQLite takes 32,766 parameters.
const ROWS_PER_STATEMENT: usize = 1_000;
/// On PostgreSQL, replicas save one after the other: they delete each other's rows. The key is "rejects" as a number.
const LOCKS: &str = "SELECT pg_advisory_xact_lock(32199654986970227)";
/// The wait between two attempts to take SQLite's lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);
/// Rows of other replicas that are read at once.
const MAX_RECENT: u64 = 1_000;

/// The refused webhooks of all replicas.
#[derive(Clone, Debug)]
pub struct RejectionStore(Database);

impl RejectionStore {
    /// Those in this database.
    pub fn new(db: Database) -> Self {
        RejectionStore(db)
    }

    /// Inserts or replaces rows, and deletes what is beyond the newest [`MAX_REJECTIONS`] of a source and cause.
    pub async fn save(&self, rows: &[Model]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let txn = begin_writing(&self.0.write_pool, LOCKS, || tokio::time::sleep(LOCK_RETRY_INTERVAL)).await?;
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            let newest = [Column::Cause, Column::Bytes, Column::Reason, Column::WouldFit, Column::Count, Column::At];
            Entity::insert_many(rows.iter().map(|row| row.clone().into_active_model().reset_all()))
                .on_conflict(OnConflict::column(Column::Id).update_columns(newest).to_owned())
                .exec_without_returning(&txn)
                .await?;
        }
        let sources: BTreeSet<&str> = rows.iter().map(|row| row.source.as_str()).collect();
        Entity::delete_many().filter(Column::Id.in_subquery(surplus(sources))).exec(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// The rows that were saved or changed after a moment, oldest first.
    pub async fn recent(&self, after: i64) -> Result<Vec<Model>, StoreError> {
        let recent = Entity::find().filter(Column::At.gt(after)).order_by_asc(Column::At).limit(MAX_RECENT);
        Ok(recent.all(&self.0.read_pool).await?)
    }
}

// The ids of what is beyond the newest of each cause of these sources.
fn surplus(sources: BTreeSet<&str>) -> SelectStatement {
    let mut window = WindowStatement::partition_by_custom("\"source\", \"cause\"");
    window.order_by(Column::At, Order::Desc).order_by(Column::Id, Order::Desc);
    let ranked = Query::select()
        .column(Column::Id)
        .expr_window_as(Func::cust("ROW_NUMBER"), window, "rank")
        .from(Entity)
        .and_where(Expr::col(Column::Source).is_in(sources))
        .take();
    let max = i64::try_from(MAX_REJECTIONS).unwrap_or(i64::MAX);
    Query::select().column("id").from_subquery(ranked, "ranked").and_where(Expr::col("rank").gt(max)).take()
}

/// Deletes the records whose newest request is older than a moment.
pub async fn delete_rejections_before<C: ConnectionTrait>(db: &C, before: i64) -> Result<u64, StoreError> {
    Ok(Entity::delete_many().filter(Column::At.lt(before)).exec(db).await?.rows_affected)
}

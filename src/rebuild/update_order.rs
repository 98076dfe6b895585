//! Restores the order of updates: adds the places that entities should have, and deletes obsolete ones at leisure.

use crate::store::read::head;
use crate::store::{StoreError, begin_writing};
use entity::Kind;
use entity::entity::{Column, Entity};
use entity::update_order::{self, KIND_FACTOR, NO_STATUS};
use sea_orm::sea_query::{Expr, ExprTrait, Func, IntoTableRef, OnConflict, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, JoinType, QueryTrait};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Places that are deleted in one transaction.
const PLACES_PER_TRANSACTION: usize = 500;
/// The wait between two attempts to take SQLite's lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// Adds the places that some rows of a table of entities do not have yet.
pub async fn add_places(
    db: &impl ConnectionTrait,
    places: impl IntoTableRef + Clone,
    entities: impl IntoTableRef + Clone,
    which: Expr,
) -> Result<(), StoreError> {
    for mut rows in select_places() {
        rows.from(entities.clone()).and_where(which.clone());
        let mut insert = Query::insert();
        insert.into_table(places.clone()).columns(["list", "position", "entity_row_id"]);
        insert.select_from(rows).map_err(|error| StoreError::task("the order of updates", error))?;
        db.execute(insert.on_conflict(OnConflict::new().do_nothing().to_owned())).await?;
    }
    Ok(())
}

/// The places that entities should have, and do not have.
pub async fn missing_places(db: &impl ConnectionTrait) -> Result<Vec<update_order::Model>, StoreError> {
    use update_order::Column::{EntityRowId, List, Position};
    let stored = |column: update_order::Column| Expr::col((update_order::Entity, column));
    let of_entity = |column: Column| Expr::col((Entity, column));
    let mut all = Vec::new();
    for (mut missing, list) in select_places().into_iter().zip(list_exprs()) {
        let place = Query::select()
            .expr(Expr::val(1))
            .from(update_order::Entity)
            .and_where(stored(List).eq(list))
            .and_where(stored(Position).eq(of_entity(Column::Position)))
            .and_where(stored(EntityRowId).eq(of_entity(Column::RowId)))
            .take();
        missing.from(Entity).and_where(Expr::exists(place).not());
        for row in db.query_all(&missing).await? {
            let (list, position) = (row.try_get("", "list")?, row.try_get("", "position")?);
            all.push(update_order::Model { list, position, entity_row_id: row.try_get("", "row_id")? });
        }
    }
    Ok(all)
}

/// Deletes the places whose entities have changed since, or do not exist any more. Places of changes that are written from now on are
/// left to the writer: under traffic there would be others for ever. Each transaction is short, and others may write for as long as
/// it took. `locks` are its first statements on PostgreSQL.
pub async fn delete_obsolete_places(
    connection: &DatabaseConnection,
    locks: &str,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    use update_order::Column::{EntityRowId, List, Position};
    let is_current = Expr::col((Entity, Column::RowId))
        .equals((update_order::Entity, EntityRowId))
        .and(Expr::col((Entity, Column::Position)).equals((update_order::Entity, Position)));
    let key = || Expr::tuple([List, Position, EntityRowId].map(|column| Expr::col((update_order::Entity, column))));
    let (newest, mut last) = (head(connection).await?.position, (0, 0, 0));
    while !stop.is_cancelled() {
        let mut places = update_order::Entity::find().into_query();
        places
            .join(JoinType::LeftJoin, Entity, is_current.clone())
            .and_where(Column::RowId.is_null())
            .and_where(Expr::col((update_order::Entity, Position)).lte(newest))
            .and_where(key().gt(Expr::tuple([last.0.into(), last.1.into(), last.2.into()])))
            .order_by_columns(
                [List, Position, EntityRowId].map(|column| ((update_order::Entity, column), sea_orm::Order::Asc)),
            )
            .limit(PLACES_PER_TRANSACTION as u64);
        let places = connection.query_all(&places).await?;
        let places = places.iter().map(|row| {
            Ok((
                row.try_get::<i32>("", "list")?,
                row.try_get::<i64>("", "position")?,
                row.try_get::<i64>("", "entity_row_id")?,
            ))
        });
        let places: Vec<(i32, i64, i64)> = places.collect::<Result<_, sea_orm::DbErr>>()?;
        let Some(found) = places.last() else { return Ok(()) };
        last = *found;
        let txn = begin_writing(connection, locks, || tokio::time::sleep(LOCK_RETRY_INTERVAL)).await?;
        let begun = Instant::now();
        // List by list: SQLite finds no tuples by an index.
        for of_list in places.chunk_by(|one, next| one.0 == next.0) {
            let current = Query::select().expr(Expr::val(1)).from(Entity).and_where(is_current.clone()).take();
            let mut delete = Query::delete();
            delete
                .from_table(update_order::Entity)
                .and_where(List.eq(of_list.first().map(|(list, ..)| *list)))
                .and_where(Position.is_in(of_list.iter().map(|(_, position, _)| *position)))
                .and_where(Expr::exists(current).not());
            txn.execute(&delete).await?;
        }
        txn.commit().await?;
        tokio::time::sleep(begun.elapsed()).await;
    }
    Ok(())
}

// List, position and row id of the rows of a table of entities: first for the lists of kinds, then for those of statuses, which
// items are not in.
fn select_places() -> [SelectStatement; 2] {
    let [mut of_kinds, mut of_statuses] = list_exprs()
        .map(|list| Query::select().expr_as(list, "list").columns([Column::Position, Column::RowId]).take());
    of_statuses.and_where(Expr::col(Column::Kind).ne(Kind::Item));
    [of_kinds.take(), of_statuses]
}

// `kind_list` and `status_list` of an entity's row.
fn list_exprs() -> [Expr; 2] {
    let kind_list = Expr::col(Column::Kind).mul(KIND_FACTOR);
    let status = Func::coalesce([Expr::col(Column::Status), Expr::value(NO_STATUS)]);
    [kind_list.clone(), kind_list.add(Expr::from(status))]
}

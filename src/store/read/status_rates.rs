//! Counts the inspections that entered a status, by minute.

use super::as_of_join::position_as_of;
use super::daily_counts::SECOND;
use super::filter::{EntityFilter, any_of, in_sources};
use crate::store::{ReadPool, StoreError};
use entity::entity as thing;
use entity::{Kind, Status, change_row, change_type};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryResult, QuerySelect, QueryTrait};

const MINUTE: i64 = 60 * SECOND;

/// How often inspections that a filter accepts have entered a status, by the minute in which the event was received: its beginning, and
/// the status. `since`: from this moment on. Times of receipt ascend with positions, so they are one range of the history.
pub async fn status_rates(
    db: &ReadPool,
    filter: &EntityFilter,
    since: i64,
) -> Result<Vec<(i64, Status, i64)>, StoreError> {
    use change_row::Column::{EntityRowId, Position, ReceivedAt, TypeId};
    use change_type::Column::{FromStatus, Id, Source, ToStatus, Vendor};
    let filter = filter.resolve(db).await?;
    let of_type = Expr::col((change_type::Entity, Id)).equals((change_row::Entity, TypeId));
    let entered = FromStatus.is_null().or(Expr::col((change_type::Entity, FromStatus)).ne(ToStatus.into_expr()));
    let rows = change_row::Entity::find()
        .select_only()
        .expr_as(ReceivedAt.into_expr().div(MINUTE), "minute")
        .expr_as(ToStatus.into_expr(), "status")
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .filter(Expr::col((change_row::Entity, Position)).gt(Expr::from(position_as_of(since - 1))))
        .filter(change_type::Column::Kind.eq(Kind::Inspection))
        .filter(ToStatus.is_not_null().and(entered))
        .group_by(Expr::cust("1"))
        .group_by(Expr::cust("2"));
    let mut rows = rows.into_query();
    let EntityFilter { kind, vendor, source, .. } = filter.as_ref().clone();
    rows.join(JoinType::InnerJoin, change_type::Entity, of_type)
        .and_where_option(any_of(Vendor, vendor.as_deref()))
        .and_where_option(in_sources(Source, db.view(), source.as_deref()));
    if *filter != (EntityFilter { kind, vendor, source, ..EntityFilter::default() }) {
        // One look-up for each row, however many inspections the filter accepts.
        let matching = thing::Entity::find()
            .select_only()
            .expr(Expr::cust("1"))
            .filter(thing::Column::RowId.into_expr().equals((change_row::Entity, EntityRowId)))
            .filter(filter.condition(db.view()));
        rows.and_where(Expr::exists(matching.into_query()));
    }
    let rows = db.query_all(&rows).await?;
    let read = |row: &QueryResult| -> Result<(i64, Status, i64), StoreError> {
        let minute: i64 = row.try_get("", "minute")?;
        Ok((minute * MINUTE, row.try_get("", "status")?, row.try_get("", "count")?))
    };
    rows.iter().map(read).collect()
}

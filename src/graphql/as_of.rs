//! Lists as of a time in the past.

use super::ApiContext;
use super::connection::{Connection, PageArgs, TotalCount};
use super::cursor::{self, Cursor};
use super::error::ApiError;
use super::snapshot::{SnapshotNode, selected_columns_of_snapshots};
use crate::store::read::{AsOfList, EntityAsOf, EntityFilter, SortDirection, TimeAxis};
use async_graphql::{Context, OutputType};
use chrono::{DateTime, SecondsFormat, Utc};

/// The entities that match, as of a time.
///
/// # Errors
/// If the time is in the future.
pub fn as_of_list(
    api: &ApiContext,
    at: DateTime<Utc>,
    clock: TimeAxis,
    filter: EntityFilter,
) -> Result<AsOfList, ApiError> {
    let now = api.now();
    if at > now {
        let format_time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        return Err(ApiError::bad_user_input(
            format!("`at` is {}, which is in the future", format_time(at)),
            format!("The hub's clock says {}. For the present, use the field without `AsOf`.", format_time(now)),
        ));
    }
    Ok(AsOfList { at, axis: clock, filter })
}

/// A page of such a list.
pub async fn as_of_page<T: SnapshotNode + OutputType>(
    ctx: &Context<'_>,
    args: PageArgs,
    list: AsOfList,
    direction: SortDirection,
) -> Result<Connection<T>, ApiError> {
    let page = args.page(|text| cursor::parse_created_cursor(text, direction))?;
    let slice =
        list.page(&ApiContext::of(ctx)?.readers, selected_columns_of_snapshots::<T>(ctx), direction, &page).await?;
    let (at, clock) = (list.at, list.axis);
    Ok(Connection::of(slice, &page, TotalCount::AsOfList(list), |row: EntityAsOf| {
        (Cursor::created(row.current.row_id, direction), T::of(at, clock, row))
    }))
}

//! Keyset pagination: how the pages of lists are read. Lists of the same field under many objects share a statement.

use super::ApiContext;
use super::change::Change;
use super::command::Comment;
use super::connection::{Connection, PageArgs, TotalCount};
use super::cursor::{self, Cursor};
use super::data_loader::load;
use super::delivery::Delivery;
use super::entity::selected_columns_of_nodes;
use super::error::ApiError;
use super::loaders::{CommentLoader, HistoryLoader, LogHeadLoader, RecordChangesLoader};
use super::order::DeliveryOrder;
use super::rejection::Rejection;
use super::snapshot::{SnapshotNode, selected_columns_of_snapshots};
use crate::store::read::{
    self, AsOfList, ChangeRowFilter, ChildRelation, ChildrenQuery, DeliveryProjection, DeliveryRow, DeliveryRowFilter,
    EntityAsOf, EntityFilter, EntityOrder, EntityRow, LogTableName, PageRequest, RejectionFilter, RejectionKey, Slice,
    SortDirection, TimeAxis,
};
use async_graphql::{Context, OutputType};
use chrono::{DateTime, SecondsFormat, Utc};
use entity::{Kind, change, command, log_head};
use std::sync::Arc;

/// A page of entities: by default, the last changed first.
pub async fn entities<T: From<Arc<EntityRow>>>(
    ctx: &Context<'_>,
    args: PageArgs,
    filter: EntityFilter,
    order: Option<impl Into<EntityOrder>>,
) -> Result<Connection<T>, ApiError> {
    let order = order.map_or(EntityOrder::Updated(SortDirection::Desc), Into::into);
    let page = args.page(|text| cursor::parse_entity_cursor(text, order))?;
    let slice =
        read::entities(&ApiContext::of(ctx)?.readers, selected_columns_of_nodes(ctx), &filter, order, &page).await?;
    Ok(Connection::of(slice, &page, TotalCount::Entities(filter), |row: Arc<EntityRow>| {
        let key = match order {
            EntityOrder::Updated(_) => row.position,
            EntityOrder::Created(_) => row.row_id,
        };
        (Cursor::Entity(order, key), row.into())
    }))
}

/// A page of the entities of a kind that belong to one.
pub async fn children<T: From<Arc<EntityRow>>>(
    ctx: &Context<'_>,
    args: PageArgs,
    (relation, parent): (ChildRelation, i64),
    kind: Kind,
    subkind: Option<Vec<&'static str>>,
) -> Result<Connection<T>, ApiError> {
    let filter = EntityFilter { kind: Some(kind), subkind, ..EntityFilter::default() };
    let page = args.page(|text| cursor::parse_created_cursor(text, SortDirection::Asc))?;
    let children = ChildrenQuery { relation, filter: filter.clone(), projection: selected_columns_of_nodes(ctx), page };
    let slice = load(ctx, children, parent).await?.unwrap_or_default();
    let total = TotalCount::Children { of: relation, filter, parent };
    Ok(Connection::of(slice, &page, total, |row: Arc<EntityRow>| {
        (Cursor::created(row.row_id, SortDirection::Asc), row.into())
    }))
}

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

/// A page of entities as of a time.
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

/// A page of the whole history.
pub async fn changes(
    ctx: &Context<'_>,
    args: PageArgs,
    filter: ChangeRowFilter,
) -> Result<Connection<Change>, ApiError> {
    let page = position_page(ctx, args).await?;
    let slice = read::changes(&ApiContext::of(ctx)?.readers, &filter, &page).await?;
    if page.after.is_some() || page.before.is_some() {
        // Read afterwards: a page that was read before a purge is complete.
        let head = read_head(ctx).await?;
        // `before` requests the changes below a position, so the position before it must be retained.
        for edge in [page.after, page.before.map(|before| before - 1)].into_iter().flatten() {
            read::ensure_retained_after(&head, edge)?;
        }
    }
    change_connection(ctx, slice, &page, TotalCount::Changes(filter))
}

/// A page of an entity's history. A retained entity has its whole history, however old the cursor.
pub async fn history(ctx: &Context<'_>, args: PageArgs, entity: i64) -> Result<Connection<Change>, ApiError> {
    let page = position_page(ctx, args).await?;
    let slice = load(ctx, HistoryLoader(page), entity).await?.unwrap_or_default();
    change_connection(ctx, slice, &page, TotalCount::History(entity))
}

/// A page of the changes that a delivery caused.
pub async fn changes_of_delivery(
    ctx: &Context<'_>,
    args: PageArgs,
    delivery: &DeliveryRow,
) -> Result<Connection<Change>, ApiError> {
    let page = position_page(ctx, args).await?;
    let loader = RecordChangesLoader { table: LogTableName::Delivery, page };
    let slice = load(ctx, loader, delivery.row_id).await?.unwrap_or_default();
    change_connection(ctx, slice, &page, TotalCount::Precomputed(delivery.change_count.into()))
}

/// A page of the changes that a command made.
pub async fn changes_of_command(
    ctx: &Context<'_>,
    args: PageArgs,
    command: &command::Model,
) -> Result<Connection<Change>, ApiError> {
    let page = position_page(ctx, args).await?;
    let loader = RecordChangesLoader { table: LogTableName::Command, page };
    let slice = load(ctx, loader, command.row_id).await?.unwrap_or_default();
    change_connection(ctx, slice, &page, TotalCount::Precomputed(command.change_count.into()))
}

/// A page of the comments on an inspection, oldest first.
pub async fn comments(ctx: &Context<'_>, args: PageArgs, inspection: i64) -> Result<Connection<Comment>, ApiError> {
    let page = args.page(cursor::parse_comment_cursor)?;
    let slice = load(ctx, CommentLoader(page), inspection).await?.unwrap_or_default();
    Ok(Connection::of(slice, &page, TotalCount::Comments(inspection), |row: Arc<command::Model>| {
        (Cursor::Comment(row.row_id), Comment(row))
    }))
}

/// A page of deliveries: by default, the oldest first.
pub async fn deliveries(
    ctx: &Context<'_>,
    args: PageArgs,
    projection: DeliveryProjection,
    filter: DeliveryRowFilter,
    order: Option<DeliveryOrder>,
) -> Result<Connection<Delivery>, ApiError> {
    let direction = order.map_or(SortDirection::Asc, Into::into);
    let page = args.page(|text| cursor::parse_delivery_cursor(text, direction))?;
    let slice = read::deliveries(&ApiContext::of(ctx)?.readers, projection, &filter, direction, &page).await?;
    Ok(Connection::of(slice, &page, TotalCount::Deliveries(filter), |row: Arc<DeliveryRow>| {
        (Cursor::Delivery(row.row_id, direction), Delivery(row))
    }))
}

/// A page of refused webhooks, newest first.
pub async fn rejections(
    ctx: &Context<'_>,
    args: PageArgs,
    filter: RejectionFilter,
) -> Result<Connection<Rejection>, ApiError> {
    let page = args.page(cursor::parse_rejection_cursor)?;
    let slice = read::rejections(&ApiContext::of(ctx)?.readers, &filter, &page).await?;
    Ok(Connection::of(slice, &page, TotalCount::Rejections(filter), |row| {
        (Cursor::Rejection(RejectionKey { at: row.at, id: row.id }), Rejection(Arc::new(row)))
    }))
}

/// The position of a cursor of the history, if it is of this generation, not beyond the end, and retained.
pub async fn resolve_position(ctx: &Context<'_>, text: &str) -> Result<i64, ApiError> {
    let (position, generation) = cursor::parse_change_cursor(text)?;
    if ApiContext::of(ctx)?.feed.can_replay(position, generation) {
        return Ok(position);
    }
    let head = read_head(ctx).await?;
    let position = check_history((position, generation), &head)?;
    read::ensure_retained_after(&head, position)?;
    Ok(position)
}

fn check_history((position, generation): (i64, i64), head: &log_head::Model) -> Result<i64, ApiError> {
    match position {
        _ if generation != head.generation => Err(cursor::invalidated()),
        position if position > head.position => Err(cursor::out_of_range(position, head.position)),
        position => Ok(position),
    }
}

/// The newest positions of the history.
pub async fn read_head(ctx: &Context<'_>) -> Result<log_head::Model, ApiError> {
    let head = load(ctx, LogHeadLoader, ()).await?.ok_or_else(|| ApiError::internal("the log head is missing"))?;
    ApiContext::of(ctx)?.feed.set_generation(head.generation);
    Ok(head)
}

async fn position_page(ctx: &Context<'_>, args: PageArgs) -> Result<PageRequest<i64>, ApiError> {
    let page = args.page(cursor::parse_change_cursor)?;
    let (after, before) = match (page.after, page.before) {
        (None, None) => (None, None),
        (after, before) => {
            let head = read_head(ctx).await?;
            let checked = |cursor: Option<(i64, i64)>| cursor.map(|cursor| check_history(cursor, &head)).transpose();
            (checked(after)?, checked(before)?)
        }
    };
    Ok(PageRequest { after, before, limit: page.limit, paging: page.paging })
}

fn change_connection(
    ctx: &Context<'_>,
    slice: Slice<Arc<change::Model>>,
    page: &PageRequest<i64>,
    total: TotalCount,
) -> Result<Connection<Change>, ApiError> {
    let generation = ApiContext::of(ctx)?.feed.generation();
    Ok(Connection::of(slice, page, total, |row: Arc<change::Model>| {
        (Cursor::Change { position: row.position, generation }, Change::from_row(row))
    }))
}

//! How the lists are fetched, each in one statement for all who ask.

use super::ApiContext;
use super::change::Change;
use super::connection::{Connection, PageArgs, TotalCount};
use super::cursor::{self, Cursor};
use super::data_loader::load;
use super::delivery::Delivery;
use super::entity::selected_columns_of_nodes;
use super::error::ApiError;
use super::loaders::{DeliveryChangesLoader, HistoryLoader, LogHeadLoader};
use super::order::DeliveryOrder;
use crate::store::read::{
    self, ChangeRowFilter, ChildRelation, ChildrenQuery, DeliveryProjection, DeliveryRow, DeliveryRowFilter,
    EntityFilter, EntityOrder, EntityRow, EntitySortKey, PageRequest, Slice, SortDirection,
};
use async_graphql::Context;
use entity::{change, log_head};
use std::sync::Arc;

/// A page of entities, from the whole hub. What changed last comes first, unless said otherwise.
pub async fn entities<T: From<Arc<EntityRow>>>(
    ctx: &Context<'_>,
    asked: PageArgs,
    filter: EntityFilter,
    order: Option<impl Into<EntityOrder>>,
) -> Result<Connection<T>, ApiError> {
    let order = order.map_or(EntityOrder::Updated(SortDirection::Desc), Into::into);
    let page = match order {
        EntityOrder::Updated(way) => asked.page(|text| cursor::parse_updated_cursor(text, way))?,
        EntityOrder::Created(way) => {
            asked.page(|text| Ok(EntitySortKey { updated_at: 0, row_id: cursor::parse_created_cursor(text, way)? }))?
        }
    };
    let part =
        read::entities(&ApiContext::of(ctx)?.readers, selected_columns_of_nodes(ctx), &filter, order, &page).await?;
    Ok(Connection::of(part, &page, TotalCount::Entities(filter), |row: Arc<EntityRow>| {
        let place = match order {
            EntityOrder::Updated(way) => {
                Cursor::Updated(EntitySortKey { updated_at: row.updated_at, row_id: row.row_id }, way)
            }
            EntityOrder::Created(way) => Cursor::Created(row.row_id, way),
        };
        (place, row.into())
    }))
}

/// A page of what hangs on an entity.
pub async fn children<T: From<Arc<EntityRow>>>(
    ctx: &Context<'_>,
    asked: PageArgs,
    of: ChildRelation,
    filter: EntityFilter,
    parent: i64,
) -> Result<Connection<T>, ApiError> {
    let page = asked.page(|text| cursor::parse_created_cursor(text, SortDirection::Asc))?;
    let children =
        ChildrenQuery { relation: of, filter: filter.clone(), projection: selected_columns_of_nodes(ctx), page };
    let part = load(ctx, children, parent).await?.unwrap_or_default();
    let total = TotalCount::Children { of, filter, parent };
    Ok(Connection::of(part, &page, total, |row: Arc<EntityRow>| {
        (Cursor::Created(row.row_id, SortDirection::Asc), row.into())
    }))
}

/// A page of the whole history.
pub async fn changes(
    ctx: &Context<'_>,
    asked: PageArgs,
    filter: ChangeRowFilter,
) -> Result<Connection<Change>, ApiError> {
    let page = position_page(ctx, asked).await?;
    let part = read::changes(&ApiContext::of(ctx)?.readers, &filter, &page).await?;
    if page.after.is_some() || page.before.is_some() {
        // Looked at afterwards: what was read before something was removed is whole.
        let head = read_head(ctx).await?;
        // What stands before a position, and not what is after it, is asked for by `before`.
        for edge in [page.after, page.before.map(|before| before - 1)].into_iter().flatten() {
            read::ensure_retained_after(&head, edge)?;
        }
    }
    change_connection(ctx, part, &page, TotalCount::Changes(filter))
}

/// A page of an entity's history. An entity that is kept has all of it, however old the cursor.
pub async fn history(ctx: &Context<'_>, asked: PageArgs, entity: i64) -> Result<Connection<Change>, ApiError> {
    let page = position_page(ctx, asked).await?;
    let part = load(ctx, HistoryLoader(page), entity).await?.unwrap_or_default();
    change_connection(ctx, part, &page, TotalCount::History(entity))
}

/// A page of what a delivery changed.
pub async fn changes_of_delivery(
    ctx: &Context<'_>,
    asked: PageArgs,
    delivery: &DeliveryRow,
) -> Result<Connection<Change>, ApiError> {
    let page = position_page(ctx, asked).await?;
    let part = load(ctx, DeliveryChangesLoader(page), delivery.row_id).await?.unwrap_or_default();
    change_connection(ctx, part, &page, TotalCount::Precomputed(delivery.change_count.into()))
}

/// A page of deliveries. The oldest comes first, unless said otherwise.
pub async fn deliveries(
    ctx: &Context<'_>,
    asked: PageArgs,
    wants: DeliveryProjection,
    filter: DeliveryRowFilter,
    order: Option<DeliveryOrder>,
) -> Result<Connection<Delivery>, ApiError> {
    let direction = order.map_or(SortDirection::Asc, Into::into);
    let page = asked.page(|text| cursor::parse_delivery_cursor(text, direction))?;
    let part = read::deliveries(&ApiContext::of(ctx)?.readers, wants, &filter, direction, &page).await?;
    Ok(Connection::of(part, &page, TotalCount::Deliveries(filter), |row: Arc<DeliveryRow>| {
        (Cursor::Delivery(row.row_id, direction), Delivery(row))
    }))
}

/// The position a cursor of the history names, if it is of this history and that reaches so far.
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

/// The newest positions.
pub async fn read_head(ctx: &Context<'_>) -> Result<log_head::Model, ApiError> {
    let head = load(ctx, LogHeadLoader, ()).await?.ok_or_else(|| ApiError::internal("there is no head"))?;
    ApiContext::of(ctx)?.feed.set_generation(head.generation);
    Ok(head)
}

async fn position_page(ctx: &Context<'_>, asked: PageArgs) -> Result<PageRequest<i64>, ApiError> {
    let page = asked.page(cursor::parse_change_cursor)?;
    let (after, before) = match (page.after, page.before) {
        (None, None) => (None, None),
        (after, before) => {
            let head = read_head(ctx).await?;
            let here = |cursor: Option<(i64, i64)>| cursor.map(|cursor| check_history(cursor, &head)).transpose();
            (here(after)?, here(before)?)
        }
    };
    Ok(PageRequest { after, before, limit: page.limit, paging: page.paging })
}

fn change_connection(
    ctx: &Context<'_>,
    part: Slice<Arc<change::Model>>,
    page: &PageRequest<i64>,
    total: TotalCount,
) -> Result<Connection<Change>, ApiError> {
    let generation = ApiContext::of(ctx)?.feed.generation();
    Ok(Connection::of(part, page, total, |row: Arc<change::Model>| {
        (Cursor::Change { position: row.position, generation }, Change::from_row(row))
    }))
}

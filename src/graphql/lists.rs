//! How the lists are fetched, each in one statement for all who ask.

use super::Api;
use super::batch::ask;
use super::change::Change;
use super::connection::{Asked, Connection, Total};
use super::cursor::{self, Cursor};
use super::delivery::Delivery;
use super::entity::wants_of_nodes;
use super::error::Fault;
use super::order::DeliveryOrder;
use super::questions::{Head, Histories, OfDeliveries};
use crate::store::read::{
    self, ChangeFilter, Children, DeliveryFilter, DeliveryRow, DeliveryWants, Direction, EntityFilter, EntityRow, Key,
    Of, Order, Page, Part,
};
use async_graphql::Context;
use entity::{change, log_head};
use std::sync::Arc;

/// A page of entities, from the whole hub. What changed last comes first, unless said otherwise.
pub async fn entities<T: From<Arc<EntityRow>>>(
    ctx: &Context<'_>,
    asked: Asked,
    filter: EntityFilter,
    order: Option<impl Into<Order>>,
) -> Result<Connection<T>, Fault> {
    let order = order.map_or(Order::Updated(Direction::Down), Into::into);
    let page = match order {
        Order::Updated(way) => asked.page(|text| cursor::updated(text, way))?,
        Order::Created(way) => asked.page(|text| Ok(Key { updated_at: 0, number: cursor::created(text, way)? }))?,
    };
    let part = read::entities(&Api::of(ctx)?.readers, wants_of_nodes(ctx), &filter, order, &page).await?;
    Ok(Connection::of(part, &page, Total::Entities(filter), |row: Arc<EntityRow>| {
        let place = match order {
            Order::Updated(way) => Cursor::Updated(Key { updated_at: row.updated_at, number: row.number }, way),
            Order::Created(way) => Cursor::Created(row.number, way),
        };
        (place, row.into())
    }))
}

/// A page of what hangs on an entity.
pub async fn children<T: From<Arc<EntityRow>>>(
    ctx: &Context<'_>,
    asked: Asked,
    of: Of,
    filter: EntityFilter,
    parent: i64,
) -> Result<Connection<T>, Fault> {
    let page = asked.page(|text| cursor::created(text, Direction::Up))?;
    let children = Children { of, filter: filter.clone(), wants: wants_of_nodes(ctx), page };
    let part = ask(ctx, children, parent).await?.unwrap_or_default();
    let total = Total::Children { of, filter, parent };
    Ok(Connection::of(part, &page, total, |row: Arc<EntityRow>| {
        (Cursor::Created(row.number, Direction::Up), row.into())
    }))
}

/// A page of the whole history.
pub async fn changes(ctx: &Context<'_>, asked: Asked, filter: ChangeFilter) -> Result<Connection<Change>, Fault> {
    let page = positions(ctx, asked).await?;
    let part = read::changes(&Api::of(ctx)?.readers, &filter, &page).await?;
    if page.after.is_some() || page.before.is_some() {
        // Looked at afterwards: what was read before something was removed is whole.
        let head = head(ctx).await?;
        // What stands before a position, and not what is after it, is asked for by `before`.
        for edge in [page.after, page.before.map(|before| before - 1)].into_iter().flatten() {
            read::kept_after(&head, edge)?;
        }
    }
    told(ctx, part, &page, Total::Changes(filter))
}

/// A page of an entity's history. An entity that is kept has all of it, however old the cursor.
pub async fn history(ctx: &Context<'_>, asked: Asked, entity: i64) -> Result<Connection<Change>, Fault> {
    let page = positions(ctx, asked).await?;
    let part = ask(ctx, Histories(page), entity).await?.unwrap_or_default();
    told(ctx, part, &page, Total::History(entity))
}

/// A page of what a delivery changed.
pub async fn changes_of_delivery(
    ctx: &Context<'_>,
    asked: Asked,
    delivery: &DeliveryRow,
) -> Result<Connection<Change>, Fault> {
    let page = positions(ctx, asked).await?;
    let part = ask(ctx, OfDeliveries(page), delivery.number).await?.unwrap_or_default();
    told(ctx, part, &page, Total::Known(delivery.changes.into()))
}

/// A page of deliveries. The oldest comes first, unless said otherwise.
pub async fn deliveries(
    ctx: &Context<'_>,
    asked: Asked,
    wants: DeliveryWants,
    filter: DeliveryFilter,
    order: Option<DeliveryOrder>,
) -> Result<Connection<Delivery>, Fault> {
    let direction = order.map_or(Direction::Up, Into::into);
    let page = asked.page(|text| cursor::delivery(text, direction))?;
    let part = read::deliveries(&Api::of(ctx)?.readers, wants, &filter, direction, &page).await?;
    Ok(Connection::of(part, &page, Total::Deliveries(filter), |row: Arc<DeliveryRow>| {
        (Cursor::Delivery(row.number, direction), Delivery(row))
    }))
}

/// The position a cursor of the history names, if it is of this history and that reaches so far.
pub async fn position(ctx: &Context<'_>, text: &str) -> Result<i64, Fault> {
    let (position, generation) = cursor::change(text)?;
    if Api::of(ctx)?.feed.remembers(position, generation) {
        return Ok(position);
    }
    let head = head(ctx).await?;
    let position = here((position, generation), &head)?;
    read::kept_after(&head, position)?;
    Ok(position)
}

fn here((position, generation): (i64, i64), head: &log_head::Model) -> Result<i64, Fault> {
    match position {
        _ if generation != head.generation => Err(cursor::foreign()),
        position if position > head.position => Err(cursor::beyond(position, head.position)),
        position => Ok(position),
    }
}

/// The newest positions.
pub async fn head(ctx: &Context<'_>) -> Result<log_head::Model, Fault> {
    let head = ask(ctx, Head, ()).await?.ok_or_else(|| Fault::corrupt("there is no head"))?;
    Api::of(ctx)?.feed.is_of(head.generation);
    Ok(head)
}

async fn positions(ctx: &Context<'_>, asked: Asked) -> Result<Page<i64>, Fault> {
    let page = asked.page(cursor::change)?;
    let (after, before) = match (page.after, page.before) {
        (None, None) => (None, None),
        (after, before) => {
            let head = head(ctx).await?;
            let here = |cursor: Option<(i64, i64)>| cursor.map(|cursor| here(cursor, &head)).transpose();
            (here(after)?, here(before)?)
        }
    };
    Ok(Page { after, before, limit: page.limit, from: page.from })
}

fn told(
    ctx: &Context<'_>,
    part: Part<Arc<change::Model>>,
    page: &Page<i64>,
    total: Total,
) -> Result<Connection<Change>, Fault> {
    let generation = Api::of(ctx)?.feed.generation();
    Ok(Connection::of(part, page, total, |row: Arc<change::Model>| {
        (Cursor::Change { position: row.position, generation }, Change::read(row))
    }))
}

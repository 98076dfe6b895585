//! Anything with an id of its own.

use super::ApiContext;
use super::as_of_prefetch::prefetch_as_of;
use super::change::Change;
use super::delivery::{self, Delivery};
use super::entity::selected_columns;
use super::error::ApiError;
use super::inspection::Inspection;
use super::item::Item;
use super::job::Job;
use super::pagination;
use super::session::Session;
use crate::store::read::{self, EntityRow};
use async_graphql::{Context, ID, Interface};
use entity::{Kind, change};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Anything with an id of its own: an inspection, session, job, item, delivery or change.
#[derive(Debug, Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "The hub's id, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`. It stays the same for ever; that of a change, as long as the history does."
))]
pub enum Node {
    Inspection(Inspection),
    Session(Session),
    Job(Job),
    Item(Item),
    Delivery(Delivery),
    Change(Change),
}

impl Node {
    /// The object of an entity's row.
    pub fn of(row: Arc<EntityRow>) -> Option<Self> {
        Some(match row.kind {
            Kind::Inspection => Node::Inspection(row.into()),
            Kind::Session => Node::Session(row.into()),
            Kind::Job => Node::Job(row.into()),
            Kind::Item => Node::Item(row.into()),
            Kind::Delivery => return None,
        })
    }
}

/// Reads an id.
pub fn parse_id(id: &ID) -> Result<Uuid, ApiError> {
    Uuid::parse_str(id).map_err(|_| {
        ApiError::bad_user_input(
            format!("`{}` is not an id of this hub", truncated(id)),
            "Ids are UUIDs, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`. With a vendor's id, ask `inspectionByExternalId`, or filter by `externalId`.",
        )
    })
}

/// What the ids name, in their order.
pub async fn nodes_by_id(ctx: &Context<'_>, ids: &[ID]) -> Result<Vec<Option<Node>>, ApiError> {
    let ids = ids.iter().map(parse_id).collect::<Result<Vec<_>, _>>()?;
    let (mut numbers, mut places, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for id in &ids {
        match NodeId::of(*id) {
            NodeId::Delivery(number) => numbers.push(number),
            NodeId::Change(place) => places.push(place),
            NodeId::Entity => others.push(*id),
        }
    }
    let db = &ApiContext::of(ctx)?.readers;
    let entities = match others.is_empty() {
        true => Default::default(),
        false => read::entities_by_id(db, selected_columns(ctx.field()), &others).await?,
    };
    let deliveries = match numbers.is_empty() {
        true => Default::default(),
        false => read::deliveries_by_row_id(db, delivery::selected_columns(ctx.field()), &numbers).await?,
    };
    let changes = changes_by_id(ctx, &places).await?;
    let found = ids.iter().map(|id| match NodeId::of(*id) {
        NodeId::Delivery(number) => deliveries.get(&number).cloned().map(|row| Node::Delivery(Delivery(row))),
        NodeId::Change(place) => changes.get(&place).cloned().map(|row| Node::Change(Change::from_row(row))),
        NodeId::Entity => entities.get(id).cloned().and_then(Node::of),
    });
    Ok(found.collect())
}

/// What an id says it is of.
enum NodeId {
    Delivery(i64),
    /// Of a generation, at a position.
    Change((i64, i64)),
    Entity,
}

impl NodeId {
    fn of(id: Uuid) -> Self {
        let change = || read::change_position(id).map(NodeId::Change);
        read::delivery_row_id(id).map(NodeId::Delivery).or_else(change).unwrap_or(NodeId::Entity)
    }
}

// Those of another history are not here: at the same position something else may stand.
async fn changes_by_id(
    ctx: &Context<'_>,
    places: &[(i64, i64)],
) -> Result<HashMap<(i64, i64), Arc<change::Model>>, ApiError> {
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let positions: Vec<i64> = places.iter().map(|(_, position)| *position).collect();
    let mut rows = read::changes_by_position(&ApiContext::of(ctx)?.readers, &positions).await?;
    // Looked at afterwards: what was read before the history was replaced is of the one before.
    let generation = pagination::read_head(ctx).await?.generation;
    let here = places.iter().filter(|(of, _)| *of == generation);
    Ok(here.filter_map(|place| Some((*place, rows.remove(&place.1)?))).collect())
}

/// The entity of a kind with this id.
pub async fn entity_by_id<T: From<Arc<EntityRow>>>(
    ctx: &Context<'_>,
    kind: Kind,
    id: Uuid,
) -> Result<Option<T>, ApiError> {
    let db = &ApiContext::of(ctx)?.readers;
    let found = async { Ok(read::entities_by_id(db, selected_columns(ctx.field()), &[id]).await?) };
    let (found, ()) = tokio::try_join!(found, prefetch_as_of(ctx, id))?;
    Ok(found.into_values().find(|row| row.kind == kind).map(T::from))
}

/// Enough to recognize it, without sending pages back.
pub fn truncated(text: &str) -> String {
    text.chars().take(64).collect()
}

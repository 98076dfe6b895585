//! Anything with an id of its own.

use super::Api;
use super::change::Change;
use super::delivery::{self, Delivery};
use super::entity::wants;
use super::error::Fault;
use super::foretold::foretell;
use super::inspection::Inspection;
use super::item::Item;
use super::job::Job;
use super::lists;
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
pub fn uuid(id: &ID) -> Result<Uuid, Fault> {
    Uuid::parse_str(id).map_err(|_| {
        Fault::input(
            format!("`{}` is not an id of this hub", shortened(id)),
            "Ids are UUIDs, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`. With a vendor's id, ask `inspectionByExternalId`, or filter by `externalId`.",
        )
    })
}

/// What the ids name, in their order.
pub async fn nodes(ctx: &Context<'_>, ids: &[ID]) -> Result<Vec<Option<Node>>, Fault> {
    let ids = ids.iter().map(uuid).collect::<Result<Vec<_>, _>>()?;
    let (mut numbers, mut places, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for id in &ids {
        match Named::of(*id) {
            Named::Delivery(number) => numbers.push(number),
            Named::Change(place) => places.push(place),
            Named::Entity => others.push(*id),
        }
    }
    let db = &Api::of(ctx)?.readers;
    let entities = match others.is_empty() {
        true => Default::default(),
        false => read::entities_by_id(db, wants(ctx.field()), &others).await?,
    };
    let deliveries = match numbers.is_empty() {
        true => Default::default(),
        false => read::deliveries_by_number(db, delivery::wants(ctx.field()), &numbers).await?,
    };
    let changes = changes(ctx, &places).await?;
    let found = ids.iter().map(|id| match Named::of(*id) {
        Named::Delivery(number) => deliveries.get(&number).cloned().map(|row| Node::Delivery(Delivery(row))),
        Named::Change(place) => changes.get(&place).cloned().map(|row| Node::Change(Change::read(row))),
        Named::Entity => entities.get(id).cloned().and_then(Node::of),
    });
    Ok(found.collect())
}

/// What an id says it is of.
enum Named {
    Delivery(i64),
    /// Of a generation, at a position.
    Change((i64, i64)),
    Entity,
}

impl Named {
    fn of(id: Uuid) -> Self {
        let change = || read::change_position(id).map(Named::Change);
        read::delivery_number(id).map(Named::Delivery).or_else(change).unwrap_or(Named::Entity)
    }
}

// Those of another history are not here: at the same position something else may stand.
async fn changes(ctx: &Context<'_>, places: &[(i64, i64)]) -> Result<HashMap<(i64, i64), Arc<change::Model>>, Fault> {
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let positions: Vec<i64> = places.iter().map(|(_, position)| *position).collect();
    let mut rows = read::changes_by_position(&Api::of(ctx)?.readers, &positions).await?;
    // Looked at afterwards: what was read before the history was replaced is of the one before.
    let generation = lists::head(ctx).await?.generation;
    let here = places.iter().filter(|(of, _)| *of == generation);
    Ok(here.filter_map(|place| Some((*place, rows.remove(&place.1)?))).collect())
}

/// The entity of a kind with this id.
pub async fn entity<T: From<Arc<EntityRow>>>(ctx: &Context<'_>, kind: Kind, id: Uuid) -> Result<Option<T>, Fault> {
    let db = &Api::of(ctx)?.readers;
    let found = async { Ok(read::entities_by_id(db, wants(ctx.field()), &[id]).await?) };
    let (found, ()) = tokio::try_join!(found, foretell(ctx, id))?;
    Ok(found.into_values().find(|row| row.kind == kind).map(T::from))
}

/// Enough to recognize it, without sending pages back.
pub fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

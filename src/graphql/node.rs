//! Anything with an id of its own.

use super::Api;
use super::delivery::{self, Delivery};
use super::entity::wants;
use super::error::Fault;
use super::foretold::foretell;
use super::inspection::Inspection;
use super::item::Item;
use super::job::Job;
use super::session::Session;
use crate::store::read::{self, EntityRow};
use async_graphql::{Context, ID, Interface};
use entity::Kind;
use std::sync::Arc;
use uuid::Uuid;

/// Anything with an id of its own: an inspection, session, job, item or delivery.
#[derive(Debug, Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "The hub's id, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`. It stays the same for ever."
))]
pub enum Node {
    Inspection(Inspection),
    Session(Session),
    Job(Job),
    Item(Item),
    Delivery(Delivery),
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
            "Ids are UUIDs. With a vendor's id, ask `inspectionByExternalId`, or filter by `externalId`.",
        )
    })
}

/// What the ids name, in their order.
pub async fn nodes(ctx: &Context<'_>, ids: &[ID]) -> Result<Vec<Option<Node>>, Fault> {
    let ids = ids.iter().map(uuid).collect::<Result<Vec<_>, _>>()?;
    let numbers: Vec<i64> = ids.iter().copied().filter_map(read::delivery_number).collect();
    let others: Vec<Uuid> = ids.iter().copied().filter(|id| read::delivery_number(*id).is_none()).collect();
    let db = &Api::of(ctx)?.readers;
    let entities = match others.is_empty() {
        true => Default::default(),
        false => read::entities_by_id(db, wants(ctx.field()), &others).await?,
    };
    let deliveries = match numbers.is_empty() {
        true => Default::default(),
        false => read::deliveries_by_number(db, delivery::wants(ctx.field()), &numbers).await?,
    };
    let found = ids.iter().map(|id| match read::delivery_number(*id) {
        Some(number) => deliveries.get(&number).cloned().map(|row| Node::Delivery(Delivery(row))),
        None => entities.get(id).cloned().and_then(Node::of),
    });
    Ok(found.collect())
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

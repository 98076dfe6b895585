//! Objects with an id of their own, and how ids find them.

use super::ApiContext;
use super::api_key::{self, ApiKeyInfo};
use super::as_of_prefetch::prefetch_as_of;
use super::change::Change;
use super::command::{Command, Comment};
use super::delivery::{self, Delivery};
use super::entities::{Inspection, Item, Job, Session};
use super::entity::selected_columns;
use super::error::ApiError;
use super::pagination;
use super::rejection::{self, Rejection};
use crate::access::ApiKeyId;
use crate::store::read::{self, EntityRow};
use async_graphql::{Context, ID, Interface};
use entity::{CommandKind, Kind, change};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// An object with an id: an inspection, session, job, item, delivery, change, command, comment, API key or rejection.
#[derive(Debug, Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "The hub's id, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`. It never changes; that of a change is valid until the history is rebuilt."
))]
pub enum Node {
    Inspection(Inspection),
    Session(Session),
    Job(Job),
    Item(Item),
    Delivery(Delivery),
    Change(Change),
    Command(Command),
    Comment(Comment),
    ApiKey(ApiKeyInfo),
    Rejection(Rejection),
}

impl Node {
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

pub fn parse_id(id: &ID) -> Result<Uuid, ApiError> {
    Uuid::parse_str(id).map_err(|_| {
        ApiError::bad_user_input(
            format!("`{}` is not an id of this hub", truncated(id)),
            "Ids are UUIDs, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`. For a vendor's id, use `inspectionByExternalId`, or filter by `externalId`.",
        )
    })
}

/// The objects with these ids, in the same order.
pub async fn nodes_by_id(ctx: &Context<'_>, ids: &[ID]) -> Result<Vec<Option<Node>>, ApiError> {
    let ids = ids.iter().map(parse_id).collect::<Result<Vec<_>, _>>()?;
    let (mut row_ids, mut positions, mut entity_ids) = (Vec::new(), Vec::new(), Vec::new());
    let (mut key_ids, mut rejection_ids, mut command_ids) = (Vec::new(), Vec::new(), Vec::new());
    for id in &ids {
        match NodeId::of(*id) {
            NodeId::Delivery(row_id) => row_ids.push(row_id),
            NodeId::Change(position) => positions.push(position),
            NodeId::Command(row_id) | NodeId::Comment(row_id) => command_ids.push(row_id),
            NodeId::ApiKey(key) => key_ids.push(key),
            NodeId::Rejection => rejection_ids.push(*id),
            NodeId::Entity => entity_ids.push(*id),
        }
    }
    let db = &ApiContext::of(ctx)?.readers;
    let entities = match entity_ids.is_empty() {
        true => Default::default(),
        false => read::entities_by_id(db, selected_columns(ctx.field()), &entity_ids).await?,
    };
    let deliveries = match row_ids.is_empty() {
        true => Default::default(),
        false => read::deliveries_by_row_id(db, delivery::selected_columns(&[ctx.field()]), &row_ids).await?,
    };
    let changes = changes_by_id(ctx, &positions).await?;
    let commands = match command_ids.is_empty() {
        true => Default::default(),
        false => read::commands_by_row_id(db, &command_ids).await?,
    };
    let keys = api_key::keys_by_id(ApiContext::of(ctx)?, &key_ids).await?;
    let rejections = rejection::rejections_by_id(ctx, &rejection_ids).await?;
    let found = ids.iter().map(|id| match NodeId::of(*id) {
        NodeId::Delivery(row_id) => deliveries.get(&row_id).cloned().map(|row| Node::Delivery(Delivery(row))),
        NodeId::Change(position) => changes.get(&position).cloned().map(|row| Node::Change(Change::from_row(row))),
        NodeId::Command(row_id) => commands.get(&row_id).cloned().map(|row| Node::Command(Command(row))),
        NodeId::Comment(row_id) => {
            let comment = commands.get(&row_id).filter(|row| row.kind == CommandKind::Comment);
            comment.cloned().map(|row| Node::Comment(Comment(row)))
        }
        NodeId::ApiKey(key) => keys.iter().find(|(id, _)| *id == key).map(|(_, key)| Node::ApiKey(key.clone())),
        NodeId::Rejection => rejections.get(id).cloned().map(Node::Rejection),
        NodeId::Entity => entities.get(id).cloned().and_then(Node::of),
    });
    Ok(found.collect())
}

/// The table that an id refers to.
enum NodeId {
    Delivery(i64),
    /// Generation and position.
    Change((i64, i64)),
    ApiKey(ApiKeyId),
    Command(i64),
    /// By its command.
    Comment(i64),
    /// Random, which no other id is.
    Rejection,
    Entity,
}

impl NodeId {
    fn of(id: Uuid) -> Self {
        let change = || read::change_position(id).map(NodeId::Change);
        let key = || read::api_key_id(id).map(NodeId::ApiKey);
        let command = || read::command_row_id(id).map(NodeId::Command);
        let comment = || read::comment_row_id(id).map(NodeId::Comment);
        let other = if id.get_version_num() == 4 { NodeId::Rejection } else { NodeId::Entity };
        let delivery = read::delivery_row_id(id).map(NodeId::Delivery);
        delivery.or_else(change).or_else(command).or_else(comment).or_else(key).unwrap_or(other)
    }
}

// Changes of another generation are left out: at the same position there may be another change.
async fn changes_by_id(
    ctx: &Context<'_>,
    ids: &[(i64, i64)],
) -> Result<HashMap<(i64, i64), Arc<change::Model>>, ApiError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let positions: Vec<i64> = ids.iter().map(|(_, position)| *position).collect();
    let mut rows = read::changes_by_position(&ApiContext::of(ctx)?.readers, &positions).await?;
    // Read afterwards: changes that were read before the history was replaced belong to the previous generation.
    let generation = pagination::read_head(ctx).await?.generation;
    let current = ids.iter().filter(|(of, _)| *of == generation);
    Ok(current.filter_map(|id| Some((*id, rows.remove(&id.1)?))).collect())
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

/// The beginning of an input, for a message.
pub fn truncated(text: &str) -> String {
    text.chars().take(64).collect()
}

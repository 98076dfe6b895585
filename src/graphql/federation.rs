//! The hub as a subgraph of an Apollo Federation, version 2
//! (<https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec>).
//!
//! async-graphql has this too, but reads each entity by itself, and one that does not exist fails all others.

use super::entities::{Inspection, Job, Session};
use super::entity::selected_columns;
use super::error::ApiError;
use super::limits::check_key_count;
use super::node::{parse_id, truncated};
use super::query::QueryRoot;
use super::sdl::subgraph_sdl;
use crate::event::EntityRef;
use crate::machine::EntityType;
use crate::store::read::{self, EntityRow};
use async_graphql::{Any, Context, ID, Name, Object, SimpleObject, Union, Value};
use entity::Kind;
use std::sync::Arc;
use uuid::Uuid;

/// The fields for routers, hidden from introspection.
#[derive(Debug)]
pub struct Subgraph;

#[Object]
impl Subgraph {
    /// The entities of the representations, in the same order; null for each that does not exist.
    #[graphql(name = "_entities", visible = false)]
    async fn entities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The entities, each with `__typename` and a key. At most 100.")] representations: Vec<Any>,
    ) -> Result<Vec<Option<Result<FederatedEntity, ApiError>>>, ApiError> {
        check_key_count(representations.len(), "representations")?;
        let api = QueryRoot.begin_read(ctx).await?;
        let keys: Vec<_> = representations.iter().map(parse_representation).collect();
        let ids: Vec<Uuid> = keys.iter().flatten().map(|(_, id)| *id).collect();
        let rows = match ids.is_empty() {
            true => Default::default(),
            false => read::entities_by_id(&api.readers, selected_columns(ctx.field()), &ids).await?,
        };
        let entities = keys.into_iter().map(|key| match key {
            Ok((kind, id)) => {
                rows.get(&id).filter(|row| row.kind == kind).cloned().and_then(FederatedEntity::of).map(Ok)
            }
            Err(error) => Some(Err(error)),
        });
        Ok(entities.collect())
    }

    /// The hub as a subgraph.
    #[graphql(name = "_service", visible = false)]
    async fn service(&self) -> Service {
        Service { sdl: subgraph_sdl() }
    }
}

/// The types that other subgraphs can refer to and extend.
#[derive(Debug, Union)]
#[graphql(name = "_Entity")]
enum FederatedEntity {
    Inspection(Inspection),
    Session(Session),
    Job(Job),
}

impl FederatedEntity {
    fn of(row: Arc<EntityRow>) -> Option<Self> {
        Some(match row.kind {
            Kind::Inspection => FederatedEntity::Inspection(row.into()),
            Kind::Session => FederatedEntity::Session(row.into()),
            Kind::Job => FederatedEntity::Job(row.into()),
            Kind::Item | Kind::Delivery => return None,
        })
    }
}

/// The hub as a subgraph.
#[derive(Debug, SimpleObject)]
#[graphql(name = "_Service")]
struct Service {
    /// The schema with the federation's directives.
    sdl: &'static str,
}

// The kind and id of a representation, by one of the keys of its type.
fn parse_representation(representation: &Any) -> Result<(Kind, Uuid), ApiError> {
    const FORM: &str = "Send `{ \"__typename\": \"Inspection\", \"id\": \"…\" }`.";
    let Value::Object(fields) = &representation.0 else {
        return Err(ApiError::bad_user_input("a representation is not an object", FORM));
    };
    let text = |name: &str| match fields.get(&Name::new(name)) {
        Some(Value::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let Some(name) = text("__typename") else {
        return Err(ApiError::bad_user_input("a representation has no `__typename`", FORM));
    };
    let (kind, subject) = match name {
        "Inspection" => (Kind::Inspection, Some(EntityType::Inspection)),
        "Session" => (Kind::Session, Some(EntityType::Session)),
        "Job" => (Kind::Job, None),
        other => {
            let message = format!("`{}` is not an entity of this hub", truncated(other));
            return Err(ApiError::bad_user_input(message, "Entities are `Inspection`, `Session` and `Job`."));
        }
    };
    if let Some(id) = text("id") {
        return Ok((kind, parse_id(&ID::from(id))?));
    }
    match (subject, text("source"), text("externalId")) {
        (Some(subject), Some(source), Some(external_id)) => Ok((kind, EntityRef::new(subject, external_id).id(source))),
        (subject, ..) => {
            let hint = match subject {
                Some(_) => "The keys are `id`, and `source` with `externalId`; all are strings.",
                None => "The key is `id`, a string.",
            };
            Err(ApiError::bad_user_input(format!("a representation of `{name}` has no key"), hint))
        }
    }
}

//! How something stood, asked for while it is itself still being looked up: the two statements need not wait for each other.

use super::ApiContext;
use super::enums::Clock;
use super::error::ApiError;
use super::loaders::{AsOfLoader, Loaders};
use crate::store::read::{self, SnapshotRow};
use async_graphql::{Context, InputType, SelectionField};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// The field that is foreseen: `Entity.asOf`.
const AS_OF_FIELD: &str = "asOf";

/// How something stood; none if it was not known then.
type PrefetchedSnapshot = Option<Arc<SnapshotRow>>;

/// What one request was told in advance, until it is taken.
#[derive(Debug, Default)]
pub struct AsOfPrefetch(Mutex<HashMap<(AsOfLoader, Uuid), PrefetchedSnapshot>>);

impl AsOfPrefetch {
    /// How an entity stood, if that was asked in advance; each answer is given once.
    pub fn take(&self, asked: AsOfLoader, id: Uuid) -> Option<PrefetchedSnapshot> {
        // A panic elsewhere leaves nothing half done here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(asked, id))
    }

    fn insert(&self, asked: AsOfLoader, id: Uuid, stood: PrefetchedSnapshot) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((asked, id), stood);
    }
}

/// Fields of an operation at most for which this is done: those of many ask together.
const MAX_ROOT_FIELDS: usize = 4;

/// Asks how an entity stood, as the fields under the present one will. What fails is left to them, who can say so.
pub async fn prefetch_as_of(ctx: &Context<'_>, id: Uuid) -> Result<(), ApiError> {
    if ctx.query_env.operation.node.selection_set.node.items.len() > MAX_ROOT_FIELDS {
        return Ok(());
    }
    let (api, loaders) = (ApiContext::of(ctx)?, Loaders::of(ctx)?);
    let field = ctx.field();
    let fields = field.selection_set().filter(|field| field.name() == AS_OF_FIELD);
    let asked: HashSet<AsOfLoader> = fields.filter_map(as_of_arguments).collect();
    join_all(asked.into_iter().map(async |asked| {
        if let Ok(stood) = read::as_of_by_id(&api.readers, asked.at, asked.clock, id).await {
            loaders.as_of_prefetch.insert(asked, id, stood);
        }
    }))
    .await;
    Ok(())
}

/// What such a field asks; none if its arguments are not what they must be.
fn as_of_arguments(field: SelectionField<'_>) -> Option<AsOfLoader> {
    let mut arguments: HashMap<_, _> = field.arguments().ok()?.into_iter().collect();
    let at = DateTime::<Utc>::parse(arguments.remove("at")).ok()?;
    let clock = match arguments.remove("clock") {
        Some(clock) => Clock::parse(Some(clock)).ok()?,
        None => Clock::Received,
    };
    Some(AsOfLoader { at, clock: clock.into() })
}

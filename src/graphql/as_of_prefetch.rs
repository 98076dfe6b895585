//! Reads the past state of an entity while the entity itself is still being read: the two statements run at the same
//! time.

use super::ApiContext;
use super::error::ApiError;
use super::loaders::{AsOfLoader, Loaders};
use crate::store::read::{self, SnapshotRow, TimeAxis};
use crate::sync::lock;
use async_graphql::{Context, InputType, SelectionField};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

const AS_OF_FIELD: &str = "asOf";

/// None if the entity was not known then.
type PrefetchedSnapshot = Option<Arc<SnapshotRow>>;

/// The snapshots that one request has prefetched, until their fields take them.
#[derive(Debug, Default)]
pub struct AsOfPrefetch(Mutex<HashMap<(AsOfLoader, Uuid), PrefetchedSnapshot>>);

impl AsOfPrefetch {
    /// The snapshot of an entity, if it was prefetched. It can be taken once.
    pub fn take(&self, loader: AsOfLoader, id: Uuid) -> Option<PrefetchedSnapshot> {
        lock(&self.0).remove(&(loader, id))
    }

    fn insert(&self, loader: AsOfLoader, id: Uuid, snapshot: PrefetchedSnapshot) {
        lock(&self.0).insert((loader, id), snapshot);
    }
}

/// Operations with more root fields do not prefetch: their reads are batched.
const MAX_ROOT_FIELDS: usize = 4;

/// Prefetches the snapshots that the selected fields will load. A failed read is left to them, which report it.
pub async fn prefetch_as_of(ctx: &Context<'_>, id: Uuid) -> Result<(), ApiError> {
    if ctx.query_env.operation.node.selection_set.node.items.len() > MAX_ROOT_FIELDS {
        return Ok(());
    }
    let (api, loaders) = (ApiContext::of(ctx)?, Loaders::of(ctx)?);
    let field = ctx.field();
    let fields = field.selection_set().filter(|field| field.name() == AS_OF_FIELD);
    let wanted: HashSet<AsOfLoader> = fields.filter_map(as_of_arguments).collect();
    join_all(wanted.into_iter().map(async |loader| {
        if let Ok(snapshot) = read::as_of_by_id(&api.readers, loader.at, loader.clock, id).await {
            loaders.as_of_prefetch.insert(loader, id, snapshot);
        }
    }))
    .await;
    Ok(())
}

/// What such a field loads; none if its arguments are invalid.
fn as_of_arguments(field: SelectionField<'_>) -> Option<AsOfLoader> {
    let mut arguments: HashMap<_, _> = field.arguments().ok()?.into_iter().collect();
    let at = DateTime::<Utc>::parse(arguments.remove("at")).ok()?;
    let clock = arguments.remove("clock").map_or(Ok(TimeAxis::Received), |clock| TimeAxis::parse(Some(clock)));
    Some(AsOfLoader { at, clock: clock.ok()? })
}

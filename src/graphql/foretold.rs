//! How something stood, asked for while it is itself still being looked up: the two statements need not wait for each other.

use super::Api;
use super::error::Fault;
use super::questions::{AsOf, Batches};
use super::words::Clock;
use crate::store::read::{self, Snapshot};
use async_graphql::{Context, InputType, SelectionField};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// The field that is foreseen: `Entity.asOf`.
const FIELD: &str = "asOf";

/// How something stood; none if it was not known then.
type Stood = Option<Arc<Snapshot>>;

/// What one request was told in advance, until it is taken.
#[derive(Debug, Default)]
pub struct Foretold(Mutex<HashMap<(AsOf, Uuid), Stood>>);

impl Foretold {
    /// How an entity stood, if that was asked in advance; each answer is given once.
    pub fn take(&self, asked: AsOf, id: Uuid) -> Option<Stood> {
        // A panic elsewhere leaves nothing half done here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(asked, id))
    }

    fn keep(&self, asked: AsOf, id: Uuid, stood: Stood) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((asked, id), stood);
    }
}

/// Fields of an operation at most for which this is done: those of many ask together.
const ROOTS: usize = 4;

/// Asks how an entity stood, as the fields under the present one will. What fails is left to them, who can say so.
pub async fn foretell(ctx: &Context<'_>, id: Uuid) -> Result<(), Fault> {
    if ctx.query_env.operation.node.selection_set.node.items.len() > ROOTS {
        return Ok(());
    }
    let (api, batches) = (Api::of(ctx)?, Batches::of(ctx)?);
    let field = ctx.field();
    let fields = field.selection_set().filter(|field| field.name() == FIELD);
    let asked: HashSet<AsOf> = fields.filter_map(as_of).collect();
    join_all(asked.into_iter().map(async |asked| {
        if let Ok(stood) = read::as_of_id(&api.readers, asked.at, asked.clock, id).await {
            batches.foretold.keep(asked, id, stood);
        }
    }))
    .await;
    Ok(())
}

/// What such a field asks; none if its arguments are not what they must be.
fn as_of(field: SelectionField<'_>) -> Option<AsOf> {
    let mut arguments: HashMap<_, _> = field.arguments().ok()?.into_iter().collect();
    let at = DateTime::<Utc>::parse(arguments.remove("at")).ok()?;
    let clock = match arguments.remove("clock") {
        Some(clock) => Clock::parse(Some(clock)).ok()?,
        None => Clock::Received,
    };
    Some(AsOf { at, clock: clock.into() })
}

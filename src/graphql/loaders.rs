//! The loaders that fields of many objects load, each with what their keys have in common.

use super::as_of_prefetch::AsOfPrefetch;
use super::batch_scheduler::BatchScheduler;
use super::data_loader::{BatchLoader, BatchQueue};
use super::error::ApiError;
use crate::store::read::{
    self, ChildRelation, ChildrenQuery, DeliveryProjection, DeliveryRow, EntityFilter, EntityProjection, EntityRow,
    Identity, PageRequest, Slice, SnapshotRow, TimeAxis,
};
use crate::store::{ReadPool, StoreError};
use async_graphql::Context;
use chrono::{DateTime, Utc};
use entity::{Verdict, change, handshake, ledger, log_head};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::RwLock;

/// Declares the loaders, and where those of one request wait for each other.
macro_rules! loaders {
    ($($(#[$doc:meta])* $name:ident($question:ty): $key:ty => $answer:ty = |$this:ident, $db:ident, $keys:ident| $load:expr;)+) => {
        /// Where the loaders of one request wait for each other.
        #[derive(Debug, Default)]
        pub struct Loaders {
            pub scheduler: Arc<BatchScheduler>,
            /// Held by the field that must be read before the others.
            pub head_lock: RwLock<()>,
            pub as_of_prefetch: AsOfPrefetch,
            $($(#[$doc])* $name: BatchQueue<$question>,)+
        }

        $(
            impl BatchLoader for $question {
                type Key = $key;
                type Value = $answer;

                fn queue(loaders: &Loaders) -> &BatchQueue<Self> {
                    &loaders.$name
                }

                async fn load(&self, $db: &ReadPool, $keys: &[$key]) -> Result<HashMap<$key, $answer>, StoreError> {
                    let $this = self;
                    $load
                }
            }
        )+
    };
}

impl Loaders {
    /// Those of the present request.
    pub fn of<'a>(ctx: &Context<'a>) -> Result<&'a Loaders, ApiError> {
        ctx.data::<Loaders>().map_err(|_| ApiError::internal("the request was not prepared"))
    }
}

loaders! {
    /// Entities by number.
    entities(EntityLoader): i64 => Arc<EntityRow> = |this, db, numbers| read::entities_by_row_id(db, this.0, numbers).await;
    /// What names entities, by number.
    identities(IdentityLoader): i64 => Identity = |_this, db, numbers| read::identities(db, numbers.to_vec()).await;
    /// Children by their parent's number.
    children(ChildrenQuery): i64 => Slice<Arc<EntityRow>> = |this, db, parents| read::children(db, this, parents).await;
    /// How many children, by their parent's number.
    child_counts(ChildCountLoader): i64 => i64 = |this, db, parents| read::count_children(db, this.of, &this.filter, parents).await;
    /// Histories by the entity's number.
    histories(HistoryLoader): i64 => Slice<Arc<change::Model>> = |this, db, entities| read::histories(db, &this.0, entities).await;
    /// How long histories are, by the entity's number.
    history_counts(HistoryCountLoader): i64 => i64 = |_this, db, entities| read::count_histories(db, entities).await;
    /// The past by the entity's number.
    snapshots(AsOfLoader): i64 => Arc<SnapshotRow> = |this, db, entities| read::as_of(db, this.at, this.clock, entities).await;
    /// Deliveries by number.
    deliveries(DeliveryLoader): i64 => Arc<DeliveryRow> = |this, db, numbers| read::deliveries_by_row_id(db, this.0, numbers).await;
    /// Changes by their delivery's number.
    of_deliveries(DeliveryChangesLoader): i64 => Slice<Arc<change::Model>> = |this, db, deliveries| read::changes_of_deliveries(db, &this.0, deliveries).await;
    /// The newest position.
    head(LogHeadLoader): () => log_head::Model = |_this, db, _keys| Ok([((), read::head(db).await?)].into());
    /// The ledgers of all sources.
    ledgers(LedgerLoader): () => Arc<HashMap<String, ledger::Model>> = |_this, db, _keys| Ok([((), Arc::new(read::ledgers(db).await?))].into());
    /// The newest handshakes of all sources.
    handshakes(HandshakeLoader): () => Arc<HashMap<String, handshake::Model>> = |_this, db, _keys| Ok([((), Arc::new(read::handshakes(db).await?))].into());
    /// The newest verdicts of all sources.
    verdicts(LastVerdictLoader): () => Arc<HashMap<String, Verdict>> = |_this, db, _keys| Ok([((), Arc::new(read::last_verdicts(db).await?))].into());
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntityLoader(pub EntityProjection);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdentityLoader;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChildCountLoader {
    pub of: ChildRelation,
    pub filter: EntityFilter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HistoryLoader(pub PageRequest<i64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HistoryCountLoader;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AsOfLoader {
    pub at: DateTime<Utc>,
    pub clock: TimeAxis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryLoader(pub DeliveryProjection);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryChangesLoader(pub PageRequest<i64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogHeadLoader;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LedgerLoader;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandshakeLoader;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LastVerdictLoader;

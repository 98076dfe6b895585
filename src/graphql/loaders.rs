//! The data loaders, each with what its keys have in common.

use super::as_of_prefetch::AsOfPrefetch;
use super::batch_scheduler::BatchScheduler;
use super::data_loader::{BatchLoader, BatchQueue};
use super::error::ApiError;
use crate::store::read::{
    self, ChildRelation, ChildrenQuery, DeliveryProjection, DeliveryRow, EntityFilter, EntityProjection, EntityRow,
    Identity, LogTableName, PageRequest, Slice, SnapshotRow, TimeAxis,
};
use crate::store::{ReadPool, StoreError};
use async_graphql::Context;
use chrono::{DateTime, Utc};
use entity::{Verdict, change, command, handshake, ledger, log_head, source_rate};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::RwLock;

/// Declares the loaders and their queues. In square brackets is what the keys of one load have in common.
macro_rules! loaders {
    ($($(#[$doc:meta])* $name:ident($loader:ident $([$($fields:tt)*])?): $key:ty => $value:ty = |$this:ident, $db:ident, $keys:ident| $load:expr;)+) => {
        /// The loaders of one request.
        #[derive(Debug, Default)]
        pub struct Loaders {
            pub scheduler: Arc<BatchScheduler>,
            /// Held by the field that reads before the others: `head`.
            pub head_lock: RwLock<()>,
            pub as_of_prefetch: AsOfPrefetch,
            $($(#[$doc])* $name: BatchQueue<$loader>,)+
        }

        $(
            $(
                #[derive(Clone, Debug, PartialEq, Eq, Hash)]
                pub struct $loader $($fields)*
            )?

            impl BatchLoader for $loader {
                type Key = $key;
                type Value = $value;

                fn queue(loaders: &Loaders) -> &BatchQueue<Self> {
                    &loaders.$name
                }

                async fn load(&self, $db: &ReadPool, $keys: &[$key]) -> Result<HashMap<$key, $value>, StoreError> {
                    let $this = self;
                    $load
                }
            }
        )+
    };
}

impl Loaders {
    pub fn of<'a>(ctx: &Context<'a>) -> Result<&'a Loaders, ApiError> {
        ctx.data::<Loaders>().map_err(|_| ApiError::internal("the request was not prepared"))
    }
}

loaders! {
    /// Entities by row id.
    entities(EntityLoader [(pub EntityProjection);]): i64 => Arc<EntityRow> = |this, db, numbers| read::entities_by_row_id(db, this.0, numbers).await;
    /// Ids and names of entities, by row id.
    identities(IdentityLoader [;]): i64 => Identity = |_this, db, numbers| read::identities(db, numbers.to_vec()).await;
    /// Children by the parent's row id.
    children(ChildrenQuery): i64 => Slice<Arc<EntityRow>> = |this, db, parents| read::children(db, this, parents).await;
    /// Numbers of children, by the parent's row id.
    child_counts(ChildCountLoader [{ pub of: ChildRelation, pub filter: EntityFilter }]): i64 => i64 = |this, db, parents| read::count_children(db, this.of, &this.filter, parents).await;
    /// Histories by the entity's row id.
    histories(HistoryLoader [(pub PageRequest<i64>);]): i64 => Slice<Arc<change::Model>> = |this, db, entities| read::histories(db, &this.0, entities).await;
    /// Lengths of histories, by the entity's row id.
    history_counts(HistoryCountLoader [;]): i64 => i64 = |_this, db, entities| read::count_histories(db, entities).await;
    /// Snapshots by the entity's row id.
    snapshots(AsOfLoader [{ pub at: DateTime<Utc>, pub clock: TimeAxis }]): i64 => Arc<SnapshotRow> = |this, db, entities| read::as_of(db, this.at, this.clock, entities).await;
    /// Deliveries by row id.
    deliveries(DeliveryLoader [(pub DeliveryProjection);]): i64 => Arc<DeliveryRow> = |this, db, numbers| read::deliveries_by_row_id(db, this.0, numbers).await;
    /// Commands by row id.
    commands(CommandLoader [;]): i64 => Arc<command::Model> = |_this, db, numbers| read::commands_by_row_id(db, numbers).await;
    /// Changes by the row id of the delivery or command.
    of_records(RecordChangesLoader [{ pub table: LogTableName, pub page: PageRequest<i64> }]): i64 => Slice<Arc<change::Model>> = |this, db, records| read::changes_of_records(db, this.table, &this.page, records).await;
    /// Comments by the inspection's row id.
    comments(CommentLoader [(pub PageRequest<i64>);]): i64 => Slice<Arc<command::Model>> = |this, db, inspections| read::comments(db, &this.0, inspections).await;
    /// Numbers of comments, by the inspection's row id.
    comment_counts(CommentCountLoader [;]): i64 => i64 = |_this, db, inspections| read::count_comments(db, inspections).await;
    /// The newest position.
    head(LogHeadLoader [;]): () => log_head::Model = |_this, db, _keys| Ok([((), read::head(db).await?)].into());
    /// The ledgers of all sources.
    ledgers(LedgerLoader [;]): () => Arc<HashMap<String, ledger::Model>> = |_this, db, _keys| Ok([((), Arc::new(read::ledgers(db).await?))].into());
    /// The newest handshakes of all sources.
    handshakes(HandshakeLoader [;]): () => Arc<HashMap<String, handshake::Model>> = |_this, db, _keys| Ok([((), Arc::new(read::handshakes(db).await?))].into());
    /// The newest verdicts of all sources.
    verdicts(LastVerdictLoader [;]): () => Arc<HashMap<String, Verdict>> = |_this, db, _keys| Ok([((), Arc::new(read::last_verdicts(db).await?))].into());
    /// What all sources received, by source.
    source_rates(SourceRateLoader [{ pub seconds: i32, pub since: i64 }]): () => Arc<HashMap<String, Vec<source_rate::Model>>> = |this, db, _keys| Ok([((), Arc::new(read::source_rates(db, this.seconds, this.since).await?))].into());
    /// When the first of the running replicas started.
    replica_start(ReplicaStartLoader [;]): () => i64 = |_this, db, _keys| Ok(read::replicas(db).await?.first().map(|row| ((), row.started_at)).into_iter().collect());
}

//! The questions that fields of many objects ask, each with what their keys have in common.

use super::batch::{Batch, Question};
use super::error::Fault;
use super::foretold::Foretold;
use super::rounds::Rounds;
use crate::store::read::{
    self, Children, Clock, DeliveryRow, DeliveryWants, EntityFilter, EntityRow, Identity, Of, Page, Part, Snapshot,
    Wants,
};
use crate::store::{Readers, StoreError};
use async_graphql::Context;
use chrono::{DateTime, Utc};
use entity::{Verdict, change, handshake, ledger, log_head};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::RwLock;

/// Declares the questions, and where those of one request wait for each other.
macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident($question:ty): $key:ty => $answer:ty = |$this:ident, $db:ident, $keys:ident| $ask:expr;)+) => {
        /// Where the questions of one request wait for each other.
        #[derive(Debug, Default)]
        pub struct Batches {
            pub rounds: Arc<Rounds>,
            /// Held by the field that must be read before the others.
            pub gate: RwLock<()>,
            pub foretold: Foretold,
            $($(#[$doc])* $name: Batch<$question>,)+
        }

        $(
            impl Question for $question {
                type Key = $key;
                type Answer = $answer;

                fn waiting(batches: &Batches) -> &Batch<Self> {
                    &batches.$name
                }

                async fn ask(&self, $db: &Readers, $keys: &[$key]) -> Result<HashMap<$key, $answer>, StoreError> {
                    let $this = self;
                    $ask
                }
            }
        )+
    };
}

impl Batches {
    /// Those of the present request.
    pub fn of<'a>(ctx: &Context<'a>) -> Result<&'a Batches, Fault> {
        ctx.data::<Batches>().map_err(|_| Fault::corrupt("the request was not prepared"))
    }
}

questions! {
    /// Entities by number.
    entities(Entities): i64 => Arc<EntityRow> = |this, db, numbers| read::entities_by_number(db, this.0, numbers).await;
    /// What names entities, by number.
    identities(Identities): i64 => Identity = |_this, db, numbers| read::identities(db, numbers.to_vec()).await;
    /// Children by their parent's number.
    children(Children): i64 => Part<Arc<EntityRow>> = |this, db, parents| read::children(db, this, parents).await;
    /// How many children, by their parent's number.
    child_counts(ChildCounts): i64 => i64 = |this, db, parents| read::count_children(db, this.of, &this.filter, parents).await;
    /// Histories by the entity's number.
    histories(Histories): i64 => Part<Arc<change::Model>> = |this, db, entities| read::histories(db, &this.0, entities).await;
    /// How long histories are, by the entity's number.
    history_counts(HistoryCounts): i64 => i64 = |_this, db, entities| read::count_histories(db, entities).await;
    /// The past by the entity's number.
    snapshots(AsOf): i64 => Arc<Snapshot> = |this, db, entities| read::as_of(db, this.at, this.clock, entities).await;
    /// Deliveries by number.
    deliveries(Deliveries): i64 => Arc<DeliveryRow> = |this, db, numbers| read::deliveries_by_number(db, this.0, numbers).await;
    /// Changes by their delivery's number.
    of_deliveries(OfDeliveries): i64 => Part<Arc<change::Model>> = |this, db, deliveries| read::changes_of_deliveries(db, &this.0, deliveries).await;
    /// The newest position.
    head(Head): () => log_head::Model = |_this, db, _keys| Ok([((), read::head(db).await?)].into());
    /// The ledgers of all sources.
    ledgers(Ledgers): () => Arc<HashMap<String, ledger::Model>> = |_this, db, _keys| Ok([((), Arc::new(read::ledgers(db).await?))].into());
    /// The newest handshakes of all sources.
    handshakes(Handshakes): () => Arc<HashMap<String, handshake::Model>> = |_this, db, _keys| Ok([((), Arc::new(read::handshakes(db).await?))].into());
    /// The newest verdicts of all sources.
    verdicts(Verdicts): () => Arc<HashMap<String, Verdict>> = |_this, db, _keys| Ok([((), Arc::new(read::last_verdicts(db).await?))].into());
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entities(pub Wants);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identities;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChildCounts {
    pub of: Of,
    pub filter: EntityFilter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Histories(pub Page<i64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HistoryCounts;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AsOf {
    pub at: DateTime<Utc>,
    pub clock: Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deliveries(pub DeliveryWants);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OfDeliveries(pub Page<i64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ledgers;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handshakes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdicts;

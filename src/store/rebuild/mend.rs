//! Where few rows differ, only those are replaced, in the tables in use: in one transaction, which keeps others from writing
//! for as long as that takes. All others stay as they are, and nothing is loaded.

use super::fresh::Fresh;
use super::{LITTLE, Rebuild, Replaced, rows};
use crate::store::verify::{Differences, Differing, Stored};
use crate::store::{StoreError, raw};
use entity::{change, delivery, entity as entities, log_head, step};
use sea_orm::sea_query::{Alias, IntoTableRef};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use std::time::Instant;

/// The most rows that are replaced so: nobody can write meanwhile.
const FEW: usize = 1000;
/// Where derived columns of deliveries wait, for the length of a transaction.
const WAITING: &str = "delivery_mended";

impl Differences {
    /// How many rows differ, if they are few.
    pub fn few(&self) -> Option<usize> {
        Some(self.differing.len()).filter(|all| *all <= FEW)
    }
}

impl Rebuild {
    /// Replaces the rows that differ, and those that are found to differ meanwhile. None if they are too many.
    pub(super) async fn mend(&mut self, differing: &mut Differing) -> Result<Option<Replaced>, StoreError> {
        let mut compared = self.scratch.head().await?;
        self.compare_on(differing, &mut compared).await?;
        if differing.len() > FEW {
            return Ok(None);
        }
        let long = self.alone.connection.clone();
        let txn = Fresh::of(&long).lock(&long).await?;
        let locked = Instant::now();
        // The rest, while nobody else writes.
        self.scratch.derive(&txn, raw::newest(&txn).await?, &self.stop, |_| {}).await?;
        let stored = Stored::within(txn).await?;
        let derived = Stored::now(&self.scratch.db).await?;
        differing.extend(stored.compare_since(&derived, &compared, &self.scratch.touched).await?.differing);
        let txn = stored.at;
        let from = &self.scratch.db.readers;
        let table = |name: &'static str| Alias::new(name).into_table_ref();
        rows::renew::<change::Entity, _>(&txn, table("change"), from, &differing.of::<change::Entity>()).await?;
        rows::renew_entities(&txn, from, &differing.of::<entities::Entity>()).await?;
        rows::renew::<step::Entity, _>(&txn, table("step"), from, &differing.of::<step::Entity>()).await?;
        self.mend_deliveries(&txn, differing).await?;
        let history = !differing.of::<change::Entity>().is_empty();
        let head = self.count(&txn, history).await?;
        if self.stop.is_cancelled() {
            return Err(StoreError::Stopped);
        }
        txn.commit().await?;
        Ok(Some(Replaced { head, history, rows: Some(differing.len()), locked: locked.elapsed() }))
    }

    // What comes while the hub goes on receiving, until little is left.
    async fn compare_on(
        &mut self,
        differing: &mut Differing,
        compared: &mut log_head::Model,
    ) -> Result<(), StoreError> {
        while raw::newest(&self.db.readers).await? - compared.delivery > LITTLE && differing.len() <= FEW {
            let stored = Stored::now(&self.db).await?;
            stored.derive(&mut self.scratch, &self.stop, |_| {}).await?;
            let derived = Stored::now(&self.scratch.db).await?;
            differing.extend(stored.compare_since(&derived, compared, &self.scratch.touched).await?.differing);
            *compared = self.scratch.head().await?;
            self.scratch.touched.clear();
        }
        Ok(())
    }

    async fn mend_deliveries<C: ConnectionTrait>(&self, txn: &C, differing: &Differing) -> Result<(), StoreError> {
        let numbers = differing.of::<delivery::Entity>();
        if numbers.is_empty() {
            return Ok(());
        }
        txn.execute_unprepared(&rows::waiting_deliveries("TEMPORARY TABLE", WAITING)).await?;
        for numbers in numbers.chunks(rows::MANY) {
            let deliveries = delivery::Entity::find().filter(delivery::Column::Number.is_in(numbers.iter().copied()));
            let deliveries = deliveries.all(&self.scratch.db.readers).await?;
            rows::add_deliveries(txn, Alias::new(WAITING), deliveries).await?;
        }
        rows::update_deliveries(txn, WAITING).await?;
        txn.execute_unprepared(&format!("DROP TABLE {WAITING}")).await?;
        Ok(())
    }
}

//! Where few rows differ, only those are replaced, in the tables in use: in one transaction, which keeps others from writing
//! for as long as that takes. All others stay as they are, and nothing is loaded.

use super::fresh::Fresh;
use super::{LITTLE, Rebuild, Replaced, is_seen, rows};
use crate::store::verify::{Differences, Differing, Stored};
use crate::store::{StoreError, raw};
use entity::{change, delivery, entity as entities, log_head, step};
use sea_orm::sea_query::{Alias, IntoTableRef, TableRef};
use sea_orm::{ConnectionTrait, Iterable, ModelTrait};
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// The most rows that are replaced so: nobody can write meanwhile.
const FEW: usize = 1000;

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
        let txn = Fresh::of(&long).hold(&long).await?;
        let locked = Instant::now();
        // The rest, while nobody else writes.
        self.scratch.derive(&txn, raw::newest(&txn).await?, &self.stop, |_| {}).await?;
        let stored = Stored::within(txn).await?;
        let derived = Stored::now(&self.scratch.db).await?;
        differing.extend(stored.compare_since(&derived, &compared, &self.scratch.touched).await?.differing);
        let txn = stored.at;
        let from = &self.scratch.db.readers;
        rows::renew::<change::Entity, _>(&txn, table("change"), from, &differing.of::<change::Entity>()).await?;
        self.mend_entities(&txn, &differing.of::<entities::Entity>()).await?;
        rows::renew::<step::Entity, _>(&txn, table("step"), from, &differing.of::<step::Entity>()).await?;
        let deliveries = rows::of::<delivery::Entity, _>(from, &differing.of::<delivery::Entity>()).await?;
        rows::update::<delivery::Entity, _>(&txn, &rows::DERIVED, &deliveries).await?;
        let (head, another) = self.count(&txn, is_seen(differing)).await?;
        if self.stop.is_cancelled() {
            return Err(StoreError::Stopped);
        }
        txn.commit().await?;
        Ok(Some(Replaced { head, another, rows: Some(differing.len()), locked: locked.elapsed() }))
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

    // Of entities that are both stored and derived, only the columns that differ are written.
    async fn mend_entities<C: ConnectionTrait>(&self, txn: &C, numbers: &[i64]) -> Result<(), StoreError> {
        let from = &self.scratch.db.readers;
        let stored = rows::of::<entities::Entity, _>(txn, numbers).await?;
        let stored: HashMap<i64, entities::Model> = stored.into_iter().map(|row| (row.number, row)).collect();
        let same = |row: &entities::Model| stored.get(&row.number).filter(|stored| stored.id == row.id);
        let mut derived = rows::of::<entities::Entity, _>(from, numbers).await?;
        derived.retain(|row| same(row).is_some());
        let differs = |column: &entities::Column| {
            derived.iter().any(|row| same(row).is_some_and(|stored| stored.get(*column) != row.get(*column)))
        };
        let columns: Vec<entities::Column> = entities::Column::iter().filter(differs).collect();
        rows::update::<entities::Entity, _>(txn, &columns, &derived).await?;
        let mended: HashSet<i64> = derived.iter().map(|row| row.number).collect();
        let others: Vec<i64> = numbers.iter().copied().filter(|number| !mended.contains(number)).collect();
        rows::renew::<entities::Entity, _>(txn, table("entity"), from, &others).await
    }
}

fn table(name: &'static str) -> TableRef {
    Alias::new(name).into_table_ref()
}

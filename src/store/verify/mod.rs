//! Whether the tables are what the raw log says: every delivery is read and applied anew, into a database of its own, and the
//! outcome is compared row by row. The hub may go on meanwhile: all is read as it was at one moment.

mod difference;
pub(super) mod tables;

pub use difference::{Difference, Differences, Extent, Origin};

use super::connect::Place;
use super::read::head;
use super::{Database, Scratch, StoreError, raw};
use difference::{Alone, ByPosition};
use entity::{change, delivery, entity as entities, ledger, log_head, step};
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, EntityTrait, IsolationLevel, ModelTrait, TransactionTrait,
};
use std::cmp::Ordering;
use tables::Table;
use tokio_util::sync::CancellationToken;

/// A database as it was at one moment.
#[derive(Debug)]
pub struct Stored {
    pub(super) at: DatabaseTransaction,
    /// The number of the newest delivery.
    newest: i64,
    /// How many deliveries there are.
    pub deliveries: i64,
    /// The newest position.
    pub position: i64,
}

impl Stored {
    /// Reads a database as it is now, until this is dropped.
    ///
    /// # Errors
    /// If it cannot be read, or was never migrated.
    pub async fn now(db: &Database) -> Result<Stored, StoreError> {
        let at = match &db.place {
            Place::File(_) => db.readers.begin().await?,
            Place::Server(_) => {
                let long = db.long().await?;
                let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
                let at = long.begin_with_config(Some(isolation), Some(access)).await?;
                // Before the first look: a table that is replaced later would be empty for it.
                let tables = "LOCK TABLE delivery, change, entity, step, ledger, log_head IN ACCESS SHARE MODE";
                at.execute_unprepared(tables).await?;
                at
            }
        };
        let position = head(&at).await?.position;
        let newest = raw::newest(&at).await?;
        Ok(Stored { deliveries: newest - raw::removed(&at).await?, newest, position, at })
    }

    /// Applies all its deliveries anew.
    ///
    /// # Errors
    /// As [`Scratch::derive`].
    pub async fn derive(
        &self,
        into: &mut Scratch,
        stop: &CancellationToken,
        done: impl Fn(u64) + Send + 'static,
    ) -> Result<(), StoreError> {
        into.derive(&self.at, self.newest, stop, done).await
    }

    /// Compares what is stored with what was derived anew.
    ///
    /// # Errors
    /// If a database fails.
    pub async fn compare(&self, derived: &Stored) -> Result<Differences, StoreError> {
        let mut all = Differences::default();
        all.look::<delivery::Entity>(self, derived).await?;
        all.look::<change::Entity>(self, derived).await?;
        all.look::<entities::Entity>(self, derived).await?;
        all.look::<step::Entity>(self, derived).await?;
        all.look::<ledger::Entity>(self, derived).await?;
        all.look::<log_head::Entity>(self, derived).await?;
        Ok(all)
    }
}

impl Differences {
    // Both in the order of the key, side by side.
    async fn look<T: Table>(&mut self, stored: &Stored, derived: &Stored) -> Result<(), StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let (mut ours, mut theirs) = (Walk::<T>::over(stored), Walk::<T>::over(derived));
        let (mut one, mut other) = (ours.next().await?, theirs.next().await?);
        let mut later = ByPosition::default();
        loop {
            let order = match (&one, &other) {
                (None, None) => break,
                (Some(one), Some(other)) => T::key(one).cmp(&T::key(other)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            };
            self.rows += 1;
            match (order, &one, &other) {
                (Ordering::Equal, Some(one), Some(other)) if one == other => {}
                (Ordering::Equal, Some(one), Some(other)) => self.row::<T>(one, other, &mut later),
                (Ordering::Less, Some(one), _) => self.alone::<T>(one, Alone::Stored, &mut later),
                (_, _, Some(other)) => self.alone::<T>(other, Alone::Derived, &mut later),
                _ => {}
            }
            if order.is_le() {
                one = ours.next().await?;
            }
            if order.is_ge() {
                other = theirs.next().await?;
            }
        }
        self.find_events(T::NAME, later, &derived.at).await
    }
}

/// The rows of a table in the order of its key, page by page.
struct Walk<'a, T: Table> {
    at: &'a DatabaseTransaction,
    page: std::vec::IntoIter<T::Model>,
    last: Option<T::Key>,
    end: bool,
}

impl<'a, T: Table> Walk<'a, T> {
    fn over(stored: &'a Stored) -> Self {
        Walk { at: &stored.at, page: Vec::new().into_iter(), last: None, end: false }
    }

    async fn next(&mut self) -> Result<Option<<T as EntityTrait>::Model>, StoreError> {
        if self.page.len() == 0 && !self.end {
            let mut page = T::page(self.last.as_ref()).all(self.at).await?;
            page.sort_by_cached_key(T::key);
            self.end = page.is_empty();
            self.last = page.last().map(T::key);
            self.page = page.into_iter();
        }
        Ok(self.page.next().map(T::plain))
    }
}

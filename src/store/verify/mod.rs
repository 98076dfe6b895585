//! Whether the tables are what the raw log says: every delivery is read and applied anew, into a database of its own, and the
//! outcome is compared row by row. The hub may go on meanwhile: all is read as it was at one moment.

pub(super) mod attached;
mod difference;
pub(super) mod tables;

pub use difference::{Difference, Differences, Extent, Origin};

use super::connect::{self, Place};
use super::read::head;
use super::{Database, Scratch, StoreError, raw};
use difference::{Alone, ByPosition};
use entity::{change, delivery, entity as entities, ledger, log_head, step};
use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IsolationLevel, ModelTrait,
    QueryFilter, TransactionTrait,
};
use std::cmp::Ordering;
use std::collections::VecDeque;
use tables::Table;
use tokio_util::sync::CancellationToken;

/// Rows that differ and are read at once.
const DIFFERING: usize = 500;

/// A database as it was at one moment.
#[derive(Debug)]
pub struct Stored {
    pub(super) at: DatabaseTransaction,
    /// Where it is, if it is a file.
    file: Option<String>,
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
        let (at, file) = match &db.place {
            // Another file is attached to the connection, which goes with it.
            Place::File(path) => (connect::reading(path, db.pools).await?.begin().await?, Some(path.clone())),
            Place::Server(_) => {
                let long = db.long().await?;
                let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
                let at = long.begin_with_config(Some(isolation), Some(access)).await?;
                // Before the first look: a table that is replaced later would be empty for it.
                let tables = "LOCK TABLE delivery, change, entity, step, ledger, log_head IN ACCESS SHARE MODE";
                at.execute_unprepared(tables).await?;
                (at, None)
            }
        };
        let position = head(&at).await?.position;
        let newest = raw::newest(&at).await?;
        Ok(Stored { deliveries: newest - raw::removed(&at).await?, newest, position, at, file })
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
        if let (Some(_), Some(file)) = (&self.file, &derived.file) {
            attached::attach(&self.at, file).await?;
        }
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
        let numbers = match (T::NUMBER, &stored.file, &derived.file) {
            (Some(number), Some(_), Some(_)) => Some((number, attached::differing::<T>(&stored.at, number).await?)),
            _ => None,
        };
        let which = || match &numbers {
            Some((number, numbers)) => Which::Of(*number, numbers.chunks(DIFFERING).map(<[i64]>::to_vec).collect()),
            None => Which::After(None),
        };
        let (mut ours, mut theirs) = (Walk::<T>::over(stored, which()), Walk::<T>::over(derived, which()));
        let (mut one, mut other) = tokio::try_join!(ours.next(), theirs.next())?;
        let mut later = ByPosition::default();
        let (mut seen, mut only_stored) = (0, 0);
        loop {
            let order = match (&one, &other) {
                (None, None) => break,
                (Some(one), Some(other)) => T::key(one).cmp(&T::key(other)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            };
            seen += 1;
            only_stored += u64::from(order.is_lt());
            match (order, &one, &other) {
                (Ordering::Equal, Some(one), Some(other)) if one == other => {}
                (Ordering::Equal, Some(one), Some(other)) => self.row::<T>(one, other, &mut later),
                (Ordering::Less, Some(one), _) => self.alone::<T>(one, Alone::Stored, &mut later),
                (_, _, Some(other)) => self.alone::<T>(other, Alone::Derived, &mut later),
                _ => {}
            }
            match order {
                Ordering::Equal => (one, other) = tokio::try_join!(ours.next(), theirs.next())?,
                Ordering::Less => one = ours.next().await?,
                Ordering::Greater => other = theirs.next().await?,
            }
        }
        self.rows += match numbers {
            Some(_) => only_stored + attached::count::<T>(&stored.at).await?,
            None => seen,
        };
        self.find_events(T::NAME, later, &derived.at).await
    }
}

/// Which rows of a table are read next.
enum Which<T: Table> {
    /// Those after a key.
    After(Option<T::Key>),
    /// Those with these numbers in this column.
    Of(T::Column, VecDeque<Vec<i64>>),
}

/// The rows of a table in the order of its key, page by page.
struct Walk<'a, T: Table> {
    at: &'a DatabaseTransaction,
    page: std::vec::IntoIter<T::Model>,
    which: Which<T>,
    end: bool,
}

impl<'a, T: Table> Walk<'a, T> {
    fn over(stored: &'a Stored, which: Which<T>) -> Self {
        Walk { at: &stored.at, page: Vec::new().into_iter(), which, end: false }
    }

    async fn next(&mut self) -> Result<Option<<T as EntityTrait>::Model>, StoreError> {
        while self.page.len() == 0 && !self.end {
            let mut page = match &mut self.which {
                Which::After(last) => T::page(last.as_ref()).all(self.at).await?,
                Which::Of(number, left) => match left.pop_front() {
                    Some(numbers) => T::rows().filter(number.is_in(numbers)).all(self.at).await?,
                    None => Vec::new(),
                },
            };
            page.sort_by_cached_key(T::key);
            match &mut self.which {
                Which::After(last) => {
                    self.end = page.is_empty();
                    *last = page.last().map(T::key);
                }
                // All of these may be on the other side only.
                Which::Of(_, left) => self.end = page.is_empty() && left.is_empty(),
            }
            self.page = page.into_iter();
        }
        Ok(self.page.next().map(T::plain))
    }
}

//! Whether the tables are what the raw log says: every delivery is read and applied anew, into a database of its own, and the
//! outcome is compared row by row. The hub may go on meanwhile: all is read as it was at one moment.

pub(super) mod attached;
mod difference;
mod printed;
pub(super) mod tables;

pub use difference::{Difference, Differences, Extent, Origin};

use super::connect::{self, Place};
use super::read::head;
use super::{Database, Scratch, StoreError, raw};
pub(super) use difference::Differing;
use difference::{Alone, ByPosition};
use entity::{change, delivery, entity as entities, ledger, log_head, step};
use printed::Beside;
use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IsolationLevel, ModelTrait,
    QueryFilter, QuerySelect, TransactionTrait,
};
use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use tables::{Numbered, Table};
use tokio_util::sync::CancellationToken;

/// Rows that differ and are read at once.
const DIFFERING: usize = 500;

/// A database as it was at one moment.
#[derive(Debug)]
pub struct Stored {
    pub(super) at: DatabaseTransaction,
    /// Where it is, unless a transaction is all that is known of it.
    db: Option<Database>,
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
            // Another file is attached to the connection, which goes with it.
            Place::File(path) => connect::reading(path, db.pools).await?.begin().await?,
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
        Ok(Stored { db: Some(db.clone()), ..Stored::within(at).await? })
    }

    /// What a transaction sees, which may write, too.
    ///
    /// # Errors
    /// If it cannot be read, or was never migrated.
    pub(super) async fn within(at: DatabaseTransaction) -> Result<Stored, StoreError> {
        let position = head(&at).await?.position;
        let newest = raw::newest(&at).await?;
        Ok(Stored { deliveries: newest - raw::removed(&at).await?, newest, position, at, db: None })
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
        let mut compared = Compared::to(self, derived).await?;
        all.look_through::<delivery::Entity>(self, derived, &mut compared).await?;
        all.look_through::<change::Entity>(self, derived, &mut compared).await?;
        all.look_through::<entities::Entity>(self, derived, &mut compared).await?;
        all.look_through::<step::Entity>(self, derived, &mut compared).await?;
        all.look_at_all::<ledger::Entity>(self, derived).await?;
        all.look_at_all::<log_head::Entity>(self, derived).await?;
        Ok(all)
    }

    /// Compares what has come, or was touched, since they were compared before, when the counters were these.
    ///
    /// # Errors
    /// If a database fails.
    pub(super) async fn compare_since(
        &self,
        derived: &Stored,
        before: &log_head::Model,
        touched: &BTreeSet<i64>,
    ) -> Result<Differences, StoreError> {
        let both = [&self.at, &derived.at];
        let deliveries = numbers_after::<delivery::Entity>(both, before.delivery).await?;
        let positions = numbers_after::<change::Entity>(both, before.position).await?;
        let mut entities: BTreeSet<i64> =
            numbers_after::<entities::Entity>(both, before.entity).await?.into_iter().collect();
        entities.extend(touched);
        // Who reads deliveries otherwise may have changed others.
        entities.extend(changed_at(&self.at, &positions).await?);
        let entities: Vec<i64> = entities.into_iter().collect();
        let mut all = Differences::default();
        all.look_at::<delivery::Entity>(self, derived, &deliveries).await?;
        all.look_at::<change::Entity>(self, derived, &positions).await?;
        all.look_at::<entities::Entity>(self, derived, &entities).await?;
        all.look_at::<step::Entity>(self, derived, &entities).await?;
        Ok(all)
    }
}

// The numbers after another one, of the rows that are there: what the counters say may be what differs.
async fn numbers_after<T: Numbered>(both: [&DatabaseTransaction; 2], after: i64) -> Result<Vec<i64>, StoreError> {
    let mut numbers = BTreeSet::new();
    for at in both {
        let rows = T::find().select_only().column(T::NUMBER).filter(T::NUMBER.gt(after));
        numbers.extend(rows.into_tuple::<i64>().all(at).await?);
    }
    Ok(numbers.into_iter().collect())
}

// The entities that the history is about at some positions.
async fn changed_at<C: ConnectionTrait>(at: &C, positions: &[i64]) -> Result<Vec<i64>, StoreError> {
    use change::Column::{Entity, Position};
    let mut all = Vec::new();
    for positions in positions.chunks(DIFFERING) {
        let entities = change::Entity::find().select_only().column(Entity);
        let entities = entities.filter(Position.is_in(positions.iter().copied())).filter(Entity.is_not_null());
        all.extend(entities.into_tuple::<i64>().all(at).await?);
    }
    Ok(all)
}

/// How it is found out which rows may differ, without reading all of both as models.
enum Compared {
    /// SQLite compares two of its files.
    Attached,
    /// Both print their rows: a connection to the one, and where the other is.
    Printed(Beside, String),
    /// Not at all.
    Read,
}

impl Compared {
    async fn to(stored: &Stored, derived: &Stored) -> Result<Compared, StoreError> {
        let (Some(ours), Some(Place::File(file))) = (&stored.db, derived.db.as_ref().map(|db| &db.place)) else {
            return Ok(Compared::Read);
        };
        match &ours.place {
            Place::File(_) => {
                attached::attach(&stored.at, file).await?;
                Ok(Compared::Attached)
            }
            Place::Server(_) => Ok(Compared::Printed(Beside::open(ours, &stored.at).await?, file.clone())),
        }
    }
}

impl Differences {
    // The whole table.
    async fn look_through<T: Numbered>(
        &mut self,
        stored: &Stored,
        derived: &Stored,
        compared: &mut Compared,
    ) -> Result<(), StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let (numbers, count) = match compared {
            Compared::Attached => {
                (attached::differing::<T>(&stored.at).await?, attached::count::<T>(&stored.at).await?)
            }
            Compared::Printed(beside, file) => beside.differing::<T>(file).await?,
            Compared::Read => return self.look_at_all::<T>(stored, derived).await,
        };
        let Seen { only_stored, .. } = self.look_at::<T>(stored, derived, &numbers).await?;
        self.rows += only_stored + count;
        Ok(())
    }

    // The whole table, row by row.
    async fn look_at_all<T: Table>(&mut self, stored: &Stored, derived: &Stored) -> Result<(), StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let Seen { rows, .. } = self.look::<T>(stored, derived, || Which::After(None)).await?;
        self.rows += rows;
        Ok(())
    }

    // The rows with these numbers.
    async fn look_at<T: Numbered>(
        &mut self,
        stored: &Stored,
        derived: &Stored,
        numbers: &[i64],
    ) -> Result<Seen, StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let which = || Which::Of(T::NUMBER, numbers.chunks(DIFFERING).map(<[i64]>::to_vec).collect());
        self.look::<T>(stored, derived, which).await
    }

    // Rows of both in the order of the key, side by side.
    async fn look<T: Table>(
        &mut self,
        stored: &Stored,
        derived: &Stored,
        which: impl Fn() -> Which<T>,
    ) -> Result<Seen, StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let (mut ours, mut theirs) = (Walk::<T>::over(stored, which()), Walk::<T>::over(derived, which()));
        let (mut one, mut other) = tokio::try_join!(ours.next(), theirs.next())?;
        let mut later = ByPosition::default();
        let mut seen = Seen::default();
        loop {
            let order = match (&one, &other) {
                (None, None) => break,
                (Some(one), Some(other)) => T::key(one).cmp(&T::key(other)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            };
            seen.rows += 1;
            seen.only_stored += u64::from(order.is_lt());
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
        self.read += seen.rows;
        self.find_events(T::NAME, later, &derived.at).await?;
        Ok(seen)
    }
}

/// How many rows were looked at, and how many of them are only stored.
#[derive(Default)]
struct Seen {
    rows: u64,
    only_stored: u64,
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

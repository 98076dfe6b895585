//! Whether the tables are what the raw log says: every delivery is read and applied anew, into a database of its own, and the
//! outcome is compared row by row. The hub may go on meanwhile: all is read as it was at one moment.

pub(super) mod derived_tables;
mod difference;
mod postgres_diff;
pub(super) mod sqlite_diff;

pub use difference::{Difference, DifferenceOrigin, DifferenceSummary, Differences};

use super::{ShadowDb, raw_log};
use crate::store::read::head;
use crate::store::{self, Database, DatabaseAddress, StoreError};
use derived_tables::{DerivedTable, IntegerKeyed};
pub(super) use difference::DifferingKeys;
use difference::{OnlyIn, UnresolvedCauses};
use entity::{change, delivery, entity as entities, ledger, log_head, step};
use postgres_diff::SnapshotConnection;
use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IsolationLevel, ModelTrait,
    QueryFilter, QuerySelect, TransactionTrait,
};
use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use tokio_util::sync::CancellationToken;

/// Rows that differ and are read at once.
const ROWS_PER_STATEMENT: usize = 500;

/// A database as it was at one moment.
#[derive(Debug)]
pub struct DatabaseSnapshot {
    pub(super) txn: DatabaseTransaction,
    /// Where it is, unless a transaction is all that is known of it.
    db: Option<Database>,
    /// The number of the newest delivery.
    newest_delivery: i64,
    /// How many deliveries there are.
    pub deliveries: i64,
    /// The newest position.
    pub position: i64,
}

impl DatabaseSnapshot {
    /// Reads a database as it is now, until this is dropped.
    ///
    /// # Errors
    /// If it cannot be read, or was never migrated.
    pub async fn open(db: &Database) -> Result<DatabaseSnapshot, StoreError> {
        let at = match &db.address {
            // Another file is attached to the connection, which goes with it.
            DatabaseAddress::Sqlite(path) => store::read_only_connection(path, db.pool_settings).await?.begin().await?,
            DatabaseAddress::Postgres(_) => {
                let long = db.maintenance_connection().await?;
                let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
                let at = long.begin_with_config(Some(isolation), Some(access)).await?;
                // Before the first look: a table that is replaced later would be empty for it.
                let tables = "LOCK TABLE delivery, change, entity, step, ledger, log_head IN ACCESS SHARE MODE";
                at.execute_unprepared(tables).await?;
                at
            }
        };
        Ok(DatabaseSnapshot { db: Some(db.clone()), ..DatabaseSnapshot::from_transaction(at).await? })
    }

    /// What a transaction sees, which may write, too.
    ///
    /// # Errors
    /// If it cannot be read, or was never migrated.
    pub(super) async fn from_transaction(at: DatabaseTransaction) -> Result<DatabaseSnapshot, StoreError> {
        let position = head(&at).await?.position;
        let newest = raw_log::newest_delivery(&at).await?;
        Ok(DatabaseSnapshot {
            deliveries: newest - raw_log::purged_delivery_count(&at).await?,
            newest_delivery: newest,
            position,
            txn: at,
            db: None,
        })
    }

    /// Applies all its deliveries anew.
    ///
    /// # Errors
    /// As [`Scratch::derive`].
    pub async fn replay_into(
        &self,
        into: &mut ShadowDb,
        stop: &CancellationToken,
        done: impl Fn(u64) + Send + 'static,
    ) -> Result<(), StoreError> {
        into.replay(&self.txn, self.newest_delivery, stop, done).await
    }

    /// Compares what is stored with what was derived anew.
    ///
    /// # Errors
    /// If a database fails.
    pub async fn diff(&self, derived: &DatabaseSnapshot) -> Result<Differences, StoreError> {
        let mut all = Differences::default();
        let mut compared = DiffMethod::choose(self, derived).await?;
        all.diff_table::<delivery::Entity>(self, derived, &mut compared).await?;
        all.diff_table::<change::Entity>(self, derived, &mut compared).await?;
        all.diff_table::<entities::Entity>(self, derived, &mut compared).await?;
        all.diff_table::<step::Entity>(self, derived, &mut compared).await?;
        all.diff_all_rows::<ledger::Entity>(self, derived).await?;
        all.diff_all_rows::<log_head::Entity>(self, derived).await?;
        Ok(all)
    }

    /// Compares what has come, or was touched, since they were compared before, when the counters were these.
    ///
    /// # Errors
    /// If a database fails.
    pub(super) async fn diff_since(
        &self,
        derived: &DatabaseSnapshot,
        before: &log_head::Model,
        touched: &BTreeSet<i64>,
    ) -> Result<Differences, StoreError> {
        let both = [&self.txn, &derived.txn];
        let deliveries = keys_after::<delivery::Entity>(both, before.last_delivery_row_id).await?;
        let positions = keys_after::<change::Entity>(both, before.position).await?;
        let mut entities: BTreeSet<i64> =
            keys_after::<entities::Entity>(both, before.last_entity_row_id).await?.into_iter().collect();
        entities.extend(touched);
        // Who reads deliveries otherwise may have changed others.
        entities.extend(entities_changed_at(&self.txn, &positions).await?);
        let entities: Vec<i64> = entities.into_iter().collect();
        let mut all = Differences::default();
        all.diff_keys::<delivery::Entity>(self, derived, &deliveries).await?;
        all.diff_keys::<change::Entity>(self, derived, &positions).await?;
        all.diff_keys::<entities::Entity>(self, derived, &entities).await?;
        all.diff_keys::<step::Entity>(self, derived, &entities).await?;
        Ok(all)
    }
}

// The numbers after another one, of the rows that are there: what the counters say may be what differs.
async fn keys_after<T: IntegerKeyed>(both: [&DatabaseTransaction; 2], after: i64) -> Result<Vec<i64>, StoreError> {
    let mut numbers = BTreeSet::new();
    for at in both {
        let rows = T::find().select_only().column(T::LEADING_KEY).filter(T::LEADING_KEY.gt(after));
        numbers.extend(rows.into_tuple::<i64>().all(at).await?);
    }
    Ok(numbers.into_iter().collect())
}

// The entities that the history is about at some positions.
async fn entities_changed_at<C: ConnectionTrait>(at: &C, positions: &[i64]) -> Result<Vec<i64>, StoreError> {
    use change::Column::{EntityRowId, Position};
    let mut all = Vec::new();
    for positions in positions.chunks(ROWS_PER_STATEMENT) {
        let entities = change::Entity::find().select_only().column(EntityRowId);
        let entities = entities.filter(Position.is_in(positions.iter().copied())).filter(EntityRowId.is_not_null());
        all.extend(entities.into_tuple::<i64>().all(at).await?);
    }
    Ok(all)
}

/// How it is found out which rows may differ, without reading all of both as models.
enum DiffMethod {
    /// SQLite compares two of its files.
    Attached,
    /// Both print their rows: a connection to the one, and where the other is.
    CopyText(SnapshotConnection, String),
    /// Not at all.
    RowByRow,
}

impl DiffMethod {
    async fn choose(stored: &DatabaseSnapshot, derived: &DatabaseSnapshot) -> Result<DiffMethod, StoreError> {
        let (Some(ours), Some(DatabaseAddress::Sqlite(file))) = (&stored.db, derived.db.as_ref().map(|db| &db.address))
        else {
            return Ok(DiffMethod::RowByRow);
        };
        match &ours.address {
            DatabaseAddress::Sqlite(_) => {
                sqlite_diff::attach(&stored.txn, file).await?;
                Ok(DiffMethod::Attached)
            }
            DatabaseAddress::Postgres(_) => {
                Ok(DiffMethod::CopyText(SnapshotConnection::open(ours, &stored.txn).await?, file.clone()))
            }
        }
    }
}

impl Differences {
    // The whole table.
    async fn diff_table<T: IntegerKeyed>(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
        compared: &mut DiffMethod,
    ) -> Result<(), StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let (numbers, count) = match compared {
            DiffMethod::Attached => (
                sqlite_diff::differing_keys::<T>(&stored.txn).await?,
                sqlite_diff::count_derived_rows::<T>(&stored.txn).await?,
            ),
            DiffMethod::CopyText(beside, file) => beside.differing_keys::<T>(file).await?,
            DiffMethod::RowByRow => return self.diff_all_rows::<T>(stored, derived).await,
        };
        let DiffCounts { only_stored, .. } = self.diff_keys::<T>(stored, derived, &numbers).await?;
        self.rows_compared += only_stored + count;
        Ok(())
    }

    // The whole table, row by row.
    async fn diff_all_rows<T: DerivedTable>(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
    ) -> Result<(), StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let DiffCounts { rows, .. } = self.diff_rows::<T>(stored, derived, || RowSelection::After(None)).await?;
        self.rows_compared += rows;
        Ok(())
    }

    // The rows with these numbers.
    async fn diff_keys<T: IntegerKeyed>(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
        numbers: &[i64],
    ) -> Result<DiffCounts, StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let which =
            || RowSelection::Keys(T::LEADING_KEY, numbers.chunks(ROWS_PER_STATEMENT).map(<[i64]>::to_vec).collect());
        self.diff_rows::<T>(stored, derived, which).await
    }

    // Rows of both in the order of the key, side by side.
    async fn diff_rows<T: DerivedTable>(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
        which: impl Fn() -> RowSelection<T>,
    ) -> Result<DiffCounts, StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let (mut ours, mut theirs) = (RowCursor::<T>::new(stored, which()), RowCursor::<T>::new(derived, which()));
        let (mut one, mut other) = tokio::try_join!(ours.next(), theirs.next())?;
        let mut later = UnresolvedCauses::default();
        let mut seen = DiffCounts::default();
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
                (Ordering::Equal, Some(one), Some(other)) => self.add_changed_row::<T>(one, other, &mut later),
                (Ordering::Less, Some(one), _) => self.add_missing_row::<T>(one, OnlyIn::Stored, &mut later),
                (_, _, Some(other)) => self.add_missing_row::<T>(other, OnlyIn::Derived, &mut later),
                _ => {}
            }
            match order {
                Ordering::Equal => (one, other) = tokio::try_join!(ours.next(), theirs.next())?,
                Ordering::Less => one = ours.next().await?,
                Ordering::Greater => other = theirs.next().await?,
            }
        }
        self.rows_compared_by_value += seen.rows;
        self.resolve_causes(T::NAME, later, &derived.txn).await?;
        Ok(seen)
    }
}

/// How many rows were looked at, and how many of them are only stored.
#[derive(Default)]
struct DiffCounts {
    rows: u64,
    only_stored: u64,
}

/// Which rows of a table are read next.
enum RowSelection<T: DerivedTable> {
    /// Those after a key.
    After(Option<T::Key>),
    /// Those with these numbers in this column.
    Keys(T::Column, VecDeque<Vec<i64>>),
}

/// The rows of a table in the order of its key, page by page.
struct RowCursor<'a, T: DerivedTable> {
    txn: &'a DatabaseTransaction,
    page: std::vec::IntoIter<T::Model>,
    which: RowSelection<T>,
    finished: bool,
}

impl<'a, T: DerivedTable> RowCursor<'a, T> {
    fn new(stored: &'a DatabaseSnapshot, which: RowSelection<T>) -> Self {
        RowCursor { txn: &stored.txn, page: Vec::new().into_iter(), which, finished: false }
    }

    async fn next(&mut self) -> Result<Option<<T as EntityTrait>::Model>, StoreError> {
        while self.page.len() == 0 && !self.finished {
            let mut page = match &mut self.which {
                RowSelection::After(last) => T::page(last.as_ref()).all(self.txn).await?,
                RowSelection::Keys(number, left) => match left.pop_front() {
                    Some(numbers) => T::select_compared().filter(number.is_in(numbers)).all(self.txn).await?,
                    None => Vec::new(),
                },
            };
            page.sort_by_cached_key(T::key);
            match &mut self.which {
                RowSelection::After(last) => {
                    self.finished = page.is_empty();
                    *last = page.last().map(T::key);
                }
                // All of these may be on the other side only.
                RowSelection::Keys(_, left) => self.finished = page.is_empty() && left.is_empty(),
            }
            self.page = page.into_iter();
        }
        Ok(self.page.next().map(T::normalize))
    }
}

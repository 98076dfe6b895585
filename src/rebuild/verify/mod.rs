//! Compares the tables with what the raw log yields: every delivery is parsed and applied again, into a second database, and
//! the two are compared row by row. The hub may run: all is read as of one moment.

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

/// Differing rows that are read at once.
const ROWS_PER_STATEMENT: usize = 500;

/// A database as it was at one moment.
#[derive(Debug)]
pub struct DatabaseSnapshot {
    pub(super) txn: DatabaseTransaction,
    /// None if only a transaction is known.
    db: Option<Database>,
    /// The row id of the newest delivery.
    newest_delivery: i64,
    /// The number of deliveries.
    pub deliveries: i64,
    /// The newest position.
    pub position: i64,
}

impl DatabaseSnapshot {
    /// Reads a database as it is now, until this is dropped.
    pub async fn open(db: &Database) -> Result<DatabaseSnapshot, StoreError> {
        let txn = match &db.address {
            // A connection of its own: the file of the second database is attached to it.
            DatabaseAddress::Sqlite(path) => store::read_only_connection(path, db.pool_settings).await?.begin().await?,
            DatabaseAddress::Postgres(_) => {
                let connection = db.maintenance_connection().await?;
                let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
                let txn = connection.begin_with_config(Some(isolation), Some(access)).await?;
                // Before the first query: a table that is replaced later would look empty in this snapshot.
                let tables = "LOCK TABLE delivery, change, entity, step, ledger, log_head IN ACCESS SHARE MODE";
                txn.execute_unprepared(tables).await?;
                txn
            }
        };
        Ok(DatabaseSnapshot { db: Some(db.clone()), ..DatabaseSnapshot::from_transaction(txn).await? })
    }

    /// What a transaction sees, which may also write.
    pub(super) async fn from_transaction(txn: DatabaseTransaction) -> Result<DatabaseSnapshot, StoreError> {
        let position = head(&txn).await?.position;
        let newest_delivery = raw_log::newest_delivery(&txn).await?;
        let deliveries = newest_delivery - raw_log::purged_delivery_count(&txn).await?;
        Ok(DatabaseSnapshot { deliveries, newest_delivery, position, txn, db: None })
    }

    /// Replays all its deliveries; see [`ShadowDb::replay`].
    pub async fn replay_into(
        &self,
        into: &mut ShadowDb,
        stop: &CancellationToken,
        on_progress: impl Fn(u64) + Send + 'static,
    ) -> Result<(), StoreError> {
        into.replay(&self.txn, self.newest_delivery, stop, on_progress).await
    }

    /// Compares all that is stored with what was derived.
    pub async fn diff(&self, derived: &DatabaseSnapshot) -> Result<Differences, StoreError> {
        let mut all = Differences::default();
        let mut method = DiffMethod::choose(self, derived).await?;
        all.diff_table::<delivery::Entity>(self, derived, &mut method).await?;
        all.diff_table::<change::Entity>(self, derived, &mut method).await?;
        all.diff_table::<entities::Entity>(self, derived, &mut method).await?;
        all.diff_table::<step::Entity>(self, derived, &mut method).await?;
        all.diff_all_rows::<ledger::Entity>(self, derived).await?;
        all.diff_all_rows::<log_head::Entity>(self, derived).await?;
        Ok(all)
    }

    /// Compares what was written or touched after the previous comparison, when the counters were `before`.
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
        // An adapter that parses deliveries differently may have changed other entities.
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

// The keys after another one, of rows that exist on either side: the counters themselves may be what differs.
async fn keys_after<T: IntegerKeyed>(both: [&DatabaseTransaction; 2], after: i64) -> Result<Vec<i64>, StoreError> {
    let mut numbers = BTreeSet::new();
    for at in both {
        let rows = T::find().select_only().column(T::LEADING_KEY).filter(T::LEADING_KEY.gt(after));
        numbers.extend(rows.into_tuple::<i64>().all(at).await?);
    }
    Ok(numbers.into_iter().collect())
}

// The entities of the changes at these positions.
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

/// How to find the rows that may differ without reading all rows of both sides as models.
enum DiffMethod {
    /// SQLite compares two attached files.
    Attached,
    /// Both sides write their rows as text: a connection to the stored one, and the path of the derived one.
    CopyText(SnapshotConnection, String),
    /// Reads all rows.
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
    // A whole table.
    async fn diff_table<T: IntegerKeyed>(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
        method: &mut DiffMethod,
    ) -> Result<(), StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let (keys, count) = match method {
            DiffMethod::Attached => (
                sqlite_diff::differing_keys::<T>(&stored.txn).await?,
                sqlite_diff::count_derived_rows::<T>(&stored.txn).await?,
            ),
            DiffMethod::CopyText(connection, file) => connection.differing_keys::<T>(file).await?,
            DiffMethod::RowByRow => return self.diff_all_rows::<T>(stored, derived).await,
        };
        let DiffCounts { only_stored, .. } = self.diff_keys::<T>(stored, derived, &keys).await?;
        self.rows_compared += only_stored + count;
        Ok(())
    }

    // A whole table, row by row.
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

    // The rows with these leading keys.
    async fn diff_keys<T: IntegerKeyed>(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
        keys: &[i64],
    ) -> Result<DiffCounts, StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let chunks = || keys.chunks(ROWS_PER_STATEMENT).map(<[i64]>::to_vec).collect();
        self.diff_rows::<T>(stored, derived, || RowSelection::Keys(T::LEADING_KEY, chunks())).await
    }

    // Merges the rows of both sides in the order of the key.
    async fn diff_rows<T: DerivedTable>(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
        selection: impl Fn() -> RowSelection<T>,
    ) -> Result<DiffCounts, StoreError>
    where
        T::Model: ModelTrait<Entity = T> + PartialEq,
    {
        let mut stored_rows = RowCursor::<T>::new(stored, selection());
        let mut derived_rows = RowCursor::<T>::new(derived, selection());
        let (mut ours, mut theirs) = tokio::try_join!(stored_rows.next(), derived_rows.next())?;
        let mut unresolved = UnresolvedCauses::default();
        let mut counts = DiffCounts::default();
        loop {
            let order = match (&ours, &theirs) {
                (None, None) => break,
                (Some(ours), Some(theirs)) => T::key(ours).cmp(&T::key(theirs)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            };
            counts.rows += 1;
            counts.only_stored += u64::from(order.is_lt());
            match (order, &ours, &theirs) {
                (Ordering::Equal, Some(ours), Some(theirs)) if ours == theirs => {}
                (Ordering::Equal, Some(ours), Some(theirs)) => {
                    self.add_changed_row::<T>(ours, theirs, &mut unresolved);
                }
                (Ordering::Less, Some(ours), _) => self.add_missing_row::<T>(ours, OnlyIn::Stored, &mut unresolved),
                (_, _, Some(theirs)) => self.add_missing_row::<T>(theirs, OnlyIn::Derived, &mut unresolved),
                _ => {}
            }
            match order {
                Ordering::Equal => (ours, theirs) = tokio::try_join!(stored_rows.next(), derived_rows.next())?,
                Ordering::Less => ours = stored_rows.next().await?,
                Ordering::Greater => theirs = derived_rows.next().await?,
            }
        }
        self.rows_compared_by_value += counts.rows;
        self.resolve_causes(T::NAME, unresolved, &derived.txn).await?;
        Ok(counts)
    }
}

/// How many rows were read, and how many of them are only stored.
#[derive(Default)]
struct DiffCounts {
    rows: u64,
    only_stored: u64,
}

/// The rows of a table that are still to be read.
enum RowSelection<T: DerivedTable> {
    /// Those after a key.
    After(Option<T::Key>),
    /// Those with these values in a column.
    Keys(T::Column, VecDeque<Vec<i64>>),
}

/// The rows of a table in the order of its key, page by page.
struct RowCursor<'a, T: DerivedTable> {
    txn: &'a DatabaseTransaction,
    page: std::vec::IntoIter<T::Model>,
    selection: RowSelection<T>,
    finished: bool,
}

impl<'a, T: DerivedTable> RowCursor<'a, T> {
    fn new(snapshot: &'a DatabaseSnapshot, selection: RowSelection<T>) -> Self {
        RowCursor { txn: &snapshot.txn, page: Vec::new().into_iter(), selection, finished: false }
    }

    async fn next(&mut self) -> Result<Option<<T as EntityTrait>::Model>, StoreError> {
        while self.page.len() == 0 && !self.finished {
            let mut page = match &mut self.selection {
                RowSelection::After(last) => T::page(last.as_ref()).all(self.txn).await?,
                RowSelection::Keys(column, left) => match left.pop_front() {
                    Some(keys) => T::select_compared().filter(column.is_in(keys)).all(self.txn).await?,
                    None => Vec::new(),
                },
            };
            page.sort_by_cached_key(T::key);
            match &mut self.selection {
                RowSelection::After(last) => {
                    self.finished = page.is_empty();
                    *last = page.last().map(T::key);
                }
                // An empty page is not the end: its keys may exist only on the other side.
                RowSelection::Keys(_, left) => self.finished = page.is_empty() && left.is_empty(),
            }
            self.page = page.into_iter();
        }
        Ok(self.page.next().map(T::normalize))
    }
}

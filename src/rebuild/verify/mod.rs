//! Compares the tables with what the raw log yields: every delivery is parsed and applied again, into a second database, and
//! the two are compared row by row. The hub may run: all is read as of one moment.

pub(super) mod derived_tables;
mod difference;
mod postgres_diff;
pub(super) mod sqlite_diff;

pub use difference::{Difference, DifferenceOrigin, DifferenceSummary, Differences};

use super::update_order::missing_places;
use super::{ShadowDb, change_types, raw_log};
use crate::store::read::head;
use crate::store::{self, Database, DatabaseAddress, StoreError};
use derived_tables::DerivedTable;
pub(super) use difference::DifferingKeys;
use entity::{
    change, change_row, change_type, command, delivery, entity as entities, ledger, log_head, step, update_order,
};
use postgres_diff::SnapshotConnection;
use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IsolationLevel, PaginatorTrait,
    QueryFilter, QuerySelect, Select, TransactionTrait,
};
use std::collections::{BTreeMap, BTreeSet};
use tokio_util::sync::CancellationToken;

/// Differing rows that are read at once.
const ROWS_PER_STATEMENT: usize = 500;

/// A database as it was at one moment.
#[derive(Debug)]
pub struct DatabaseSnapshot {
    pub(super) txn: DatabaseTransaction,
    db: Database,
    /// The row id of the newest record of the raw log.
    newest_record: i64,
    /// The number of deliveries.
    pub deliveries: i64,
    /// The number of commands.
    pub commands: i64,
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
                let tables = "LOCK TABLE delivery, command, change, entity, step, update_order, ledger, log_head IN ACCESS SHARE MODE";
                txn.execute_unprepared(tables).await?;
                txn
            }
        };
        DatabaseSnapshot::from_transaction(db, txn).await
    }

    /// What a transaction sees, which may also write.
    pub(super) async fn from_transaction(
        db: &Database,
        txn: DatabaseTransaction,
    ) -> Result<DatabaseSnapshot, StoreError> {
        let position = head(&txn).await?.position;
        let newest_record = raw_log::newest_record(&txn).await?;
        let deliveries = raw_log::delivery_count(&txn).await?;
        let commands = i64::try_from(command::Entity::find().count(&txn).await?).unwrap_or(i64::MAX);
        Ok(DatabaseSnapshot { deliveries, commands, newest_record, position, txn, db: db.clone() })
    }

    /// Replays all its deliveries; see [`ShadowDb::replay`].
    pub async fn replay_into(
        &self,
        into: &mut ShadowDb,
        stop: &CancellationToken,
        on_progress: impl Fn(u64) + Send + 'static,
    ) -> Result<(), StoreError> {
        into.replay(&self.txn, self.newest_record, stop, on_progress).await
    }

    /// Compares all that is stored with what was derived into a second database.
    pub async fn diff(&self, derived: &DatabaseSnapshot) -> Result<Differences, StoreError> {
        let DatabaseAddress::Sqlite(file) = &derived.db.address else {
            return Err(StoreError::Configuration("a shadow database is a SQLite file".into()));
        };
        let mut method = match &self.db.address {
            DatabaseAddress::Sqlite(_) => {
                sqlite_diff::attach(&self.txn, file).await?;
                DiffMethod::Attached
            }
            DatabaseAddress::Postgres(_) => {
                DiffMethod::CopyText(SnapshotConnection::open(&self.db, &self.txn).await?, file)
            }
        };
        let mut all = Differences::default();
        all.diff_table::<delivery::Entity, delivery::Entity>(self, derived, &mut method).await?;
        all.diff_table::<command::Entity, command::Entity>(self, derived, &mut method).await?;
        all.diff_table::<change_row::Entity, change::Entity>(self, derived, &mut method).await?;
        all.diff_change_types(self, derived).await?;
        all.diff_table::<entities::Entity, entities::Entity>(self, derived, &mut method).await?;
        all.diff_table::<step::Entity, step::Entity>(self, derived, &mut method).await?;
        // The place of an entity that differs is replaced with it.
        let differing: BTreeSet<i64> = all.differing_keys.keys::<entities::Entity>().into_iter().collect();
        let missing = missing_places(&self.txn).await?.into_iter();
        for place in missing.filter(|place| !differing.contains(&place.entity_row_id)) {
            all.add_row::<update_order::Entity>(None, Some(&place));
        }
        all.rows_compared += all.diff_rows(self, derived, ledger::Entity::find()).await?.rows;
        all.rows_compared += all.diff_rows(self, derived, log_head::Entity::find()).await?.rows;
        all.resolve_causes(&derived.txn).await?;
        Ok(all)
    }

    /// The rows that differ of what was written or touched after the previous comparison, when the counters were `before`.
    pub(super) async fn diff_since(
        &self,
        derived: &DatabaseSnapshot,
        before: &log_head::Model,
        touched: &BTreeSet<i64>,
    ) -> Result<DifferingKeys, StoreError> {
        let both = [&self.txn, &derived.txn];
        let deliveries = keys_after::<delivery::Entity>(both, before.last_delivery_row_id).await?;
        let commands = keys_after::<command::Entity>(both, before.last_delivery_row_id).await?;
        let positions = keys_after::<change_row::Entity>(both, before.position).await?;
        let mut entities: BTreeSet<i64> =
            keys_after::<entities::Entity>(both, before.last_entity_row_id).await?.into_iter().collect();
        entities.extend(touched);
        // An adapter that parses deliveries differently may have changed other entities.
        entities.extend(raw_log::entities_changed_at(&self.txn, &positions).await?);
        let entities: Vec<i64> = entities.into_iter().collect();
        let mut all = Differences::default();
        all.diff_keys::<delivery::Entity>(self, derived, &deliveries).await?;
        all.diff_keys::<command::Entity>(self, derived, &commands).await?;
        all.diff_keys::<change::Entity>(self, derived, &positions).await?;
        all.diff_keys::<entities::Entity>(self, derived, &entities).await?;
        all.diff_keys::<step::Entity>(self, derived, &entities).await?;
        Ok(all.differing_keys)
    }
}

// The keys after another one, of rows that exist on either side: the counters themselves may be what differs.
async fn keys_after<T: DerivedTable>(both: [&DatabaseTransaction; 2], after: i64) -> Result<Vec<i64>, StoreError> {
    let mut numbers = BTreeSet::new();
    for at in both {
        let rows = T::find().select_only().column(T::LEADING_KEY).filter(T::LEADING_KEY.gt(after));
        numbers.extend(rows.into_tuple::<i64>().all(at).await?);
    }
    Ok(numbers.into_iter().collect())
}

/// How to find the rows that may differ without reading all rows of both sides as models.
enum DiffMethod<'a> {
    /// SQLite compares two attached files.
    Attached,
    /// Both sides write their rows as text: a connection to the stored one, and the path of the derived one.
    CopyText(SnapshotConnection, &'a str),
}

/// How many rows were read, and how many of them are only stored.
#[derive(Default)]
struct DiffCounts {
    rows: u64,
    only_stored: u64,
}

impl Differences {
    // A whole table. The rows that may differ are found as they are stored, in `S`, and compared as `T`.
    async fn diff_table<S: DerivedTable, T: DerivedTable>(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
        method: &mut DiffMethod<'_>,
    ) -> Result<(), StoreError> {
        let (keys, count) = match method {
            DiffMethod::Attached => sqlite_diff::differing_keys::<S>(&stored.txn).await?,
            DiffMethod::CopyText(connection, file) => connection.differing_keys::<S>(file).await?,
        };
        self.rows_compared += count + self.diff_keys::<T>(stored, derived, &keys).await?;
        Ok(())
    }

    // The types that were derived. Other stored types are of purged changes, or of deliveries that were parsed differently.
    async fn diff_change_types(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
    ) -> Result<(), StoreError> {
        let mut last = i64::MIN;
        while let Some((newest, differing)) = change_types::differing_page(&stored.txn, &derived.txn, last).await? {
            last = newest;
            for (row, known) in &differing {
                self.add_row::<change_type::Entity>(known.as_ref(), Some(row));
            }
        }
        Ok(())
    }

    // The rows with these leading keys. Returns how many are only stored.
    async fn diff_keys<T: DerivedTable>(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
        keys: &[i64],
    ) -> Result<u64, StoreError> {
        let mut only_stored = 0;
        for keys in keys.chunks(ROWS_PER_STATEMENT) {
            let rows = T::select_compared().filter(T::LEADING_KEY.is_in(keys.iter().copied()));
            only_stored += self.diff_rows(stored, derived, rows).await?.only_stored;
        }
        Ok(only_stored)
    }

    // The selected rows of both sides, in the order of the key.
    async fn diff_rows<T: DerivedTable>(
        &mut self,
        stored: &DatabaseSnapshot,
        derived: &DatabaseSnapshot,
        selection: Select<T>,
    ) -> Result<DiffCounts, StoreError> {
        let (ours, theirs) = tokio::try_join!(selection.clone().all(&stored.txn), selection.all(&derived.txn))?;
        let mut pairs = BTreeMap::<_, (Option<_>, Option<_>)>::new();
        for row in ours {
            let key = T::key(&row);
            pairs.entry(key).or_default().0 = Some(T::normalize(row));
        }
        for row in theirs {
            let key = T::key(&row);
            pairs.entry(key).or_default().1 = Some(T::normalize(row));
        }
        let mut counts = DiffCounts { rows: pairs.len() as u64, only_stored: 0 };
        for (stored, derived) in pairs.values().filter(|(stored, derived)| stored != derived) {
            counts.only_stored += u64::from(derived.is_none());
            self.add_row::<T>(stored.as_ref(), derived.as_ref());
        }
        self.rows_compared_by_value += counts.rows;
        Ok(counts)
    }
}

//! Saves the inspection index in the database, so that a start does not read all inspections again. What is saved is valid
//! for a generation, a position and a number of purged deliveries; the history after the position says what changed since.

use super::columns::{IndexVersion, InspectionColumns, SavedPages};
use super::{InspectionIndex, newest_version};
use crate::store::{Database, ReadPool, StoreError, begin_writing};
use entity::{inspection_index, inspection_index_page};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Changes after which the index is saved again. At a start they are read, which takes some tens of milliseconds.
const SAVE_AFTER_CHANGES: i64 = 5000;
/// How often it is checked whether that many have come.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// How long the end of the process may wait for the last save.
const LAST_SAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// The wait between two attempts to take SQLite's lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);

impl InspectionIndex {
    /// Loads the index, and saves it from time to time and at the end, until it is cancelled.
    pub async fn run(&self, db: &Database, stop: &CancellationToken) {
        let until_stopped = async {
            loop {
                log_failure(self.save_if_due(db, SAVE_AFTER_CHANGES).await);
                tokio::time::sleep(CHECK_INTERVAL).await;
            }
        };
        stop.run_until_cancelled(until_stopped).await.unwrap_or(());
        // If it takes longer, the next start reads more changes.
        if let Ok(saved) = tokio::time::timeout(LAST_SAVE_TIMEOUT, self.save_if_due(db, 1)).await {
            log_failure(saved);
        }
    }

    async fn save_if_due(&self, db: &Database, changes: i64) -> Result<(), StoreError> {
        if self.is_saved(newest_version(&db.read_pool).await?.1, changes) {
            return Ok(());
        }
        // The first time this loads what was saved.
        self.refresh(&db.read_pool).await?;
        let version = self.read().version;
        if self.is_saved(version, changes) { Ok(()) } else { self.save(db).await }
    }

    // Whether what is saved is of this history, and fewer than `changes` changes are missing.
    fn is_saved(&self, newest: IndexVersion, changes: i64) -> bool {
        let all = self.read();
        let is_same_history = (all.version.generation, all.version.purged) == (newest.generation, newest.purged);
        is_same_history && all.saved.position.is_some_and(|saved| (0..changes).contains(&(newest.position - saved)))
    }

    /// Saves what has changed since it was saved before. Does nothing while the index is refreshed.
    ///
    /// # Errors
    /// If the database fails. What was saved before stays valid.
    pub async fn save(&self, db: &Database) -> Result<(), StoreError> {
        let connection = db.maintenance_connection().await?;
        let txn = begin_writing(&connection, "", || tokio::time::sleep(LOCK_RETRY_INTERVAL)).await?;
        let saved = lock_version(&txn).await?;
        // The columns stay as they are until all is saved. Taken last: queries wait for it, and no writer may wait for them.
        let Ok(_refreshing) = self.refresh_lock.try_lock() else { return Ok(()) };
        let version = self.read().version;
        if !self.read().complete {
            return Ok(());
        }
        let pages = self.changed_pages(saved);
        // Otherwise another process has saved more.
        if pages.is_none() || saved.position < version.position {
            if pages.is_none() {
                inspection_index_page::Entity::delete_many().exec(&txn).await?;
            }
            for number in pages.unwrap_or_else(|| self.read().page_numbers()) {
                let content = self.read().encode_page(number);
                save_page(&txn, number, content).await?;
            }
            let IndexVersion { generation, position, purged } = version;
            let inspections = self.read().len();
            let row = inspection_index::Model { id: 1, generation, position, purged, inspections };
            inspection_index::Entity::update(row.into_active_model().reset_all()).exec(&txn).await?;
        }
        crate::failpoints::pause_at("index saved");
        txn.commit().await?;
        self.write().saved = SavedPages { position: Some(version.position), ..SavedPages::default() };
        Ok(())
    }

    // The pages that differ from what is saved; none if all may differ. Another process may have saved since: what has
    // changed since an earlier position includes what has changed since a later one.
    fn changed_pages(&self, saved: IndexVersion) -> Option<BTreeSet<usize>> {
        let all = self.read();
        let is_same_history = (saved.generation, saved.purged) == (all.version.generation, all.version.purged);
        let known = all.saved.position.filter(|known| is_same_history && *known <= saved.position);
        known.map(|_| all.saved.changed.clone())
    }
}

fn log_failure(saved: Result<(), StoreError>) {
    if let Err(error) = saved {
        tracing::warn!(%error, "the inspection index was not saved; counts are exact, but the next start takes longer");
    }
}

/// Reads the saved index. Returns none if there is none, or if it is invalid.
///
/// # Errors
/// If the database fails.
pub async fn load(db: &ReadPool) -> Result<Option<InspectionColumns>, StoreError> {
    // Read before the pages, which are at least as new.
    let Some(version) = inspection_index::Entity::find_by_id(1).one(db).await? else { return Ok(None) };
    let mut columns = InspectionColumns::default();
    let pages = inspection_index_page::Entity::find().order_by_asc(inspection_index_page::Column::Number);
    for (page, number) in pages.all(db).await?.iter().zip(0..) {
        if page.number != number || columns.append_page(&page.content).is_none() {
            tracing::warn!(
                page = page.number,
                "the saved inspection index is invalid; all inspections are read instead"
            );
            return Ok(None);
        }
    }
    if columns.len() < version.inspections {
        tracing::warn!("pages of the saved inspection index are missing; all inspections are read instead");
        return Ok(None);
    }
    columns.version = version.into();
    columns.complete = true;
    columns.saved.position = Some(columns.version.position);
    Ok(Some(columns))
}

// What is saved. No other process changes it until the transaction ends.
async fn lock_version(txn: &DatabaseTransaction) -> Result<IndexVersion, StoreError> {
    let saved = inspection_index::Entity::find_by_id(1).lock_exclusive().one(txn).await?;
    let saved = saved.ok_or_else(|| StoreError::Corrupt("inspection_index has no row".into()))?;
    Ok(saved.into())
}

async fn save_page(txn: &DatabaseTransaction, number: usize, content: String) -> Result<(), StoreError> {
    use inspection_index_page::Column::{Content, Number};
    let number = i32::try_from(number).map_err(|error| StoreError::task("saving of the inspection index", error))?;
    let page = inspection_index_page::Model { number, content }.into_active_model().reset_all();
    let replaced = OnConflict::column(Number).update_column(Content).to_owned();
    inspection_index_page::Entity::insert(page).on_conflict(replaced).exec_without_returning(txn).await?;
    Ok(())
}

impl From<inspection_index::Model> for IndexVersion {
    fn from(row: inspection_index::Model) -> Self {
        IndexVersion { generation: row.generation, position: row.position, purged: row.purged }
    }
}

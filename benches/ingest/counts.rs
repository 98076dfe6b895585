//! The hub's own counts: its batches, and the rows of its database after it has ended.

use crate::support::client::Connection;
use inspection_hub::server::Hub;
use inspection_hub::store::{Database, OpenMode, PoolSettings};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use std::time::Duration;

/// Batches written so far, and the deliveries in them.
#[derive(Clone, Copy, Debug)]
pub struct BatchStats {
    pub batches: f64,
    pub deliveries: f64,
}

impl BatchStats {
    pub async fn of(hub: &Hub) -> anyhow::Result<BatchStats> {
        let mut connection = Connection::open(hub.address()).await?;
        let metrics = std::str::from_utf8(connection.get("/metrics").await?)?;
        let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Ok(BatchStats {
            batches: value("inspection_hub_batch_deliveries_count ").unwrap_or(0.0),
            deliveries: value("inspection_hub_batch_deliveries_sum ").unwrap_or(0.0),
        })
    }

    /// Deliveries per batch since then.
    pub fn mean_since(self, earlier: BatchStats) -> f64 {
        (self.deliveries - earlier.deliveries) / (self.batches - earlier.batches).max(1.0)
    }
}

/// The outcome of all deliveries, from the tables.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct StoredCounts {
    pub deliveries: i64,
    pub duplicates: i64,
    pub changes: i64,
    /// From the ledger.
    pub received: i64,
}

impl StoredCounts {
    /// From a database that no hub has open.
    pub async fn read(address: &str) -> anyhow::Result<StoredCounts> {
        let pools = PoolSettings { statement_timeout: Duration::from_secs(120), ..PoolSettings::default() };
        let db = Database::open_with(address, OpenMode::SkipMigrations, pools).await?.read_pool;
        let text = "SELECT (SELECT count(*) FROM delivery) AS deliveries, \
            (SELECT CAST(coalesce(sum(duplicates), 0) AS BIGINT) FROM delivery) AS duplicates, \
            (SELECT count(*) FROM change) AS changes, (SELECT CAST(coalesce(sum(received), 0) AS BIGINT) FROM ledger) AS received";
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), text)).await?;
        let row = row.ok_or_else(|| anyhow::anyhow!("the database says nothing"))?;
        Ok(StoredCounts::from_query_result(&row, "")?)
    }
}

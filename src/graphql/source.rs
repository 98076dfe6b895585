//! The configured connections, and how each fares.

use super::data_loader::load;
use super::enums::Verdict;
use super::error::ApiError;
use super::loaders::{HandshakeLoader, LastVerdictLoader, LedgerLoader};
use super::scalar::Long;
use crate::store::read::datetime_from_micros;
use crate::vendor::Vendor;
use async_graphql::{Context, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::{handshake, ledger};

/// A configured connection to a vendor's account, as far as the API tells of it.
#[derive(Clone, Debug)]
pub struct SourceInfo {
    /// The last part of its URL.
    pub name: String,
    pub vendor: &'static Vendor,
    /// How its deliveries are verified, one word each.
    pub schemes: Vec<String>,
    /// Whether it takes deliveries without verifying them.
    pub open: bool,
    /// Where the vendor sends to, if it is configured.
    pub url: Option<String>,
}

#[derive(Debug)]
pub struct Source(pub SourceInfo);

/// A configured connection to a vendor's account: where the webhooks of that account come in.
#[Object]
impl Source {
    /// Its name: the last part of its URL.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The vendor's name in this API, e.g. `hover`.
    async fn vendor(&self) -> &str {
        self.0.vendor.name
    }

    /// The name the vendor gives itself.
    async fn title(&self) -> &str {
        self.0.vendor.title
    }

    /// How its deliveries are verified, e.g. `signature` or `basic`. All of them must pass.
    async fn verification(&self) -> &[String] {
        &self.0.schemes
    }

    /// Whether it takes deliveries from anybody, unverified: for trying things out.
    async fn open(&self) -> bool {
        self.0.open
    }

    /// Where the vendor sends to, if that is configured.
    async fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// When the newest delivery came, duplicates included; none if there never was one.
    async fn last_received_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>, ApiError> {
        Ok(self.row(ctx).await?.received_at.map(datetime_from_micros))
    }

    /// What became of the newest delivery that was no duplicate.
    async fn last_verdict(&self, ctx: &Context<'_>) -> Result<Option<Verdict>, ApiError> {
        let verdicts = load(ctx, LastVerdictLoader, ()).await?.unwrap_or_default();
        Ok(verdicts.get(&self.0.name).copied().map(Verdict::from))
    }

    /// How many deliveries came and what became of them.
    async fn ledger(&self, ctx: &Context<'_>) -> Result<Ledger, ApiError> {
        Ok(self.row(ctx).await?.into())
    }

    /// The vendor's newest request to prove that the hub owns its URL; none if the vendor never asked.
    async fn handshake(&self, ctx: &Context<'_>) -> Result<Option<Handshake>, ApiError> {
        let handshakes = load(ctx, HandshakeLoader, ()).await?.unwrap_or_default();
        Ok(handshakes.get(&self.0.name).cloned().map(Handshake::from))
    }
}

impl Source {
    async fn row(&self, ctx: &Context<'_>) -> Result<ledger::Model, ApiError> {
        let ledgers = load(ctx, LedgerLoader, ()).await?.unwrap_or_default();
        Ok(ledgers.get(&self.0.name).cloned().unwrap_or_default())
    }
}

/// How many deliveries a source received and what became of them. It adds up at every moment: `received` is the sum of
/// all the others.
#[derive(Debug, SimpleObject)]
pub struct Ledger {
    /// All that came and was from the vendor.
    received: Long,
    /// The same news again.
    duplicates: Long,
    /// Changed something.
    applied: Long,
    /// Changed the state over others that were never reported.
    skipped_ahead: Long,
    /// Changed the state, although the vendor's state machine has no way there.
    unexpected: Long,
    /// Older than what was known.
    stale: Long,
    /// The entity is in a final state, and no vendor time proves the event newer.
    refused: Long,
    /// Said what was known, or nothing about any inspection.
    no_change: Long,
    /// Not known here.
    unrecognized: Long,
    /// The body could not be read.
    unreadable: Long,
    /// Applied, but what it belongs to is not known yet.
    orphaned: Long,
}

impl From<ledger::Model> for Ledger {
    fn from(row: ledger::Model) -> Self {
        Ledger {
            received: Long(row.received),
            duplicates: Long(row.duplicates),
            applied: Long(row.applied),
            skipped_ahead: Long(row.skipped_ahead),
            unexpected: Long(row.unexpected),
            stale: Long(row.stale),
            refused: Long(row.refused),
            no_change: Long(row.no_change),
            unrecognized: Long(row.unrecognized),
            unreadable: Long(row.unreadable),
            orphaned: Long(row.orphaned),
        }
    }
}

/// A vendor's request to prove that the hub owns its URL, and how far the answer has come.
#[derive(Debug, SimpleObject)]
pub struct Handshake {
    /// When the vendor asked.
    requested_at: DateTime<Utc>,
    /// When the vendor took the answer; none as long as it has not.
    confirmed_at: Option<DateTime<Utc>>,
    /// How often the hub tried to answer.
    attempts: i32,
    /// Why the newest attempt failed, in words for an operator.
    last_error: Option<String>,
}

impl From<handshake::Model> for Handshake {
    fn from(row: handshake::Model) -> Self {
        Handshake {
            requested_at: datetime_from_micros(row.requested_at),
            confirmed_at: row.confirmed_at.map(datetime_from_micros),
            attempts: row.attempts,
            last_error: row.last_error,
        }
    }
}

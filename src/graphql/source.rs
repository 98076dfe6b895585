//! The configured sources, with the state of each.

use super::data_loader::load;
use super::error::ApiError;
use super::loaders::{HandshakeLoader, LastVerdictLoader, LedgerLoader};
use super::scalar::Long;
use crate::store::read::datetime_from_micros;
use crate::vendor::{Vendor, VendorLink, WaitingRules};
use async_graphql::{ComplexObject, Context, SimpleObject};
use chrono::{DateTime, Utc};
use entity::{Verdict, handshake, ledger};

/// A configured connection to a vendor's account, which receives the webhooks of that account.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "Source", complex)]
pub struct SourceInfo {
    /// Its name: the last part of its URL.
    pub name: String,
    #[graphql(skip)]
    pub vendor: &'static Vendor,
    /// The schemes that verify its deliveries, e.g. `signature` or `basic`. All of them must pass.
    #[graphql(name = "verification")]
    pub schemes: Vec<String>,
    /// Whether it accepts unverified deliveries from any sender, for evaluation.
    pub open: bool,
    /// The URL that the vendor sends to, if configured.
    pub url: Option<String>,
    /// Where an inspection is at the vendor.
    #[graphql(skip)]
    pub link: Option<VendorLink>,
    #[graphql(skip)]
    pub waiting_rules: WaitingRules,
}

impl SourceInfo {
    /// An open source, with no settings of its own.
    pub fn new(name: impl Into<String>, vendor: &'static Vendor) -> SourceInfo {
        SourceInfo {
            name: name.into(),
            vendor,
            schemes: Vec::new(),
            open: true,
            url: None,
            link: None,
            waiting_rules: WaitingRules::of(vendor),
        }
    }
}

#[ComplexObject]
impl SourceInfo {
    /// The vendor's name in this API, e.g. `hover`.
    async fn vendor(&self) -> &str {
        self.vendor.name
    }

    /// The vendor's own name.
    async fn title(&self) -> &str {
        self.vendor.title
    }

    /// When the newest delivery was received, including duplicates; null if there is none.
    async fn last_received_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>, ApiError> {
        Ok(self.row(ctx).await?.received_at.map(datetime_from_micros))
    }

    /// The verdict on the newest delivery that was not a duplicate.
    async fn last_verdict(&self, ctx: &Context<'_>) -> Result<Option<Verdict>, ApiError> {
        let verdicts = load(ctx, LastVerdictLoader, ()).await?.unwrap_or_default();
        Ok(verdicts.get(&self.name).copied())
    }

    /// The numbers of deliveries, by verdict.
    async fn ledger(&self, ctx: &Context<'_>) -> Result<Ledger, ApiError> {
        Ok(self.row(ctx).await?.into())
    }

    /// The vendor's newest request to prove that the hub owns its URL; null if there is none.
    async fn handshake(&self, ctx: &Context<'_>) -> Result<Option<Handshake>, ApiError> {
        let handshakes = load(ctx, HandshakeLoader, ()).await?.unwrap_or_default();
        Ok(handshakes.get(&self.name).cloned().map(Handshake::from))
    }
}

impl SourceInfo {
    async fn row(&self, ctx: &Context<'_>) -> Result<ledger::Model, ApiError> {
        let ledgers = load(ctx, LedgerLoader, ()).await?.unwrap_or_default();
        Ok(ledgers.get(&self.name).cloned().unwrap_or_default())
    }
}

/// Declares the numbers of a ledger.
macro_rules! ledger {
    ($($(#[$about:meta])* $count:ident,)+) => {
        /// The numbers of deliveries that a source received, by verdict. They always add up: `received` is the sum of
        /// all others.
        #[derive(Debug, SimpleObject)]
        pub struct Ledger {
            $($(#[$about])* $count: Long,)+
        }

        impl From<ledger::Model> for Ledger {
            fn from(row: ledger::Model) -> Self {
                Ledger { $($count: Long(row.$count),)+ }
            }
        }
    };
}

ledger! {
    /// All verified deliveries.
    received,
    /// Duplicates of an earlier delivery.
    duplicates,
    /// Changed a state, a fact or a link.
    applied,
    /// Changed the state and skipped states that were never reported.
    skipped_ahead,
    /// Changed the state to one that the vendor's state machine does not lead to.
    unexpected,
    /// Older than the current state.
    stale,
    /// The entity is in a final state, and no vendor time proves the event newer.
    refused,
    /// Repeated what was known, or are about no inspection.
    no_change,
    /// The event or the state is unknown to the hub.
    unrecognized,
    /// The body could not be parsed.
    unreadable,
    /// Applied, but the inspection they belong to is unknown so far.
    orphaned,
}

/// A vendor's request to prove that the hub owns its URL, and the state of the confirmation.
#[derive(Debug, SimpleObject)]
pub struct Handshake {
    /// When the vendor sent the request.
    requested_at: DateTime<Utc>,
    /// When the vendor accepted the confirmation; null until then.
    confirmed_at: Option<DateTime<Utc>>,
    /// How often the hub tried to confirm.
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

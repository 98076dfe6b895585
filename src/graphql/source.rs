//! The configured sources, with the state of each.

use super::ApiContext;
use super::data_loader::load;
use super::duration;
use super::error::ApiError;
use super::loaders::{HandshakeLoader, LastVerdictLoader, LedgerLoader};
use super::scalar::Long;
use super::source_rates::{self, SecretAge, SourceAlarm, SourceRate};
use crate::store::read::datetime_from_micros;
use crate::vendor::{Vendor, VendorLink, WaitingRules};
use async_graphql::{ComplexObject, Context, SimpleObject};
use chrono::{DateTime, Utc};
use entity::{Verdict, handshake, ledger};
use std::time::Duration;

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
    /// The most deliveries per second that each replica accepts; null if there is no limit.
    #[graphql(name = "deliveriesPerSecondLimit")]
    pub rate_limit: Option<i32>,
    #[graphql(skip)]
    pub expect_every: Option<Duration>,
    /// Of each secret the scheme, its number, and when it was issued.
    #[graphql(skip)]
    pub secret_dates: Vec<(&'static str, usize, Option<DateTime<Utc>>)>,
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
            rate_limit: None,
            expect_every: None,
            secret_dates: Vec::new(),
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

    /// The webhooks of each of the last minutes, by answer, the current minute last. They are counted by each replica, and at most
    /// five seconds late; a replica that is killed loses these seconds.
    async fn rates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many minutes, from 1 to 1440.", default = 60)] minutes: i32,
    ) -> Result<Vec<SourceRate>, ApiError> {
        source_rates::by_minute(ctx, &self.name, minutes).await
    }

    /// The requests that were refused in the last 60 minutes, for any reason: see `rates`, and `rejections` for the causes.
    async fn rejected_last_hour(&self, ctx: &Context<'_>) -> Result<i32, ApiError> {
        let rates = source_rates::by_minute(ctx, &self.name, 60).await?;
        Ok(rates.iter().map(SourceRate::refused).fold(0, i32::saturating_add))
    }

    /// How many deliveries an hour had on average: of the last 7 days, but not from before the first request, and without the
    /// current hour. Null in the first 24 hours.
    async fn usual_per_hour(&self, ctx: &Context<'_>) -> Result<Option<f64>, ApiError> {
        source_rates::usual_per_hour(ctx, &self.name).await
    }

    /// How often a delivery is expected, by the setting `expect_every`: an ISO 8601 duration, e.g. `PT6H`.
    async fn expect_every(&self) -> Option<String> {
        self.expect_every.map(duration::to_iso8601)
    }

    /// Since when it is silent, if that is longer than `expectEvery`; else null. It is when the newest delivery was received; without
    /// any, when the oldest running replica started.
    async fn silent_since(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>, ApiError> {
        let Some(expect_every) = self.expect_every else { return Ok(None) };
        let since = match self.row(ctx).await?.received_at {
            Some(received_at) => Some(received_at),
            None => source_rates::hub_started_at(ctx).await?,
        };
        let since = since.map(datetime_from_micros);
        let is_longer = |since: &DateTime<Utc>, now: DateTime<Utc>| {
            (now - *since).to_std().is_ok_and(|silence| silence > expect_every)
        };
        let now = ApiContext::of(ctx)?.now();
        Ok(since.filter(|since| is_longer(since, now)))
    }

    /// Whether it has been silent for longer than expected.
    async fn alarm(&self, ctx: &Context<'_>) -> Result<SourceAlarm, ApiError> {
        Ok(match (self.expect_every, self.silent_since(ctx).await?) {
            (None, _) => SourceAlarm::Off,
            (Some(_), None) => SourceAlarm::Ok,
            (Some(_), Some(_)) => SourceAlarm::Silent,
        })
    }

    /// Its active secrets, in the order of the settings: how old each is. The secrets themselves are nowhere in the API.
    async fn secrets(&self, ctx: &Context<'_>) -> Result<Vec<SecretAge>, ApiError> {
        let now = ApiContext::of(ctx)?.now();
        Ok(self
            .secret_dates
            .iter()
            .map(|(scheme, number, since)| SecretAge::new(scheme, *number, *since, now))
            .collect())
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

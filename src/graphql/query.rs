//! The fields of queries.

use super::ApiContext;
use super::aggregate::AggregateFields;
use super::api_key::{self, ApiKeyInfo};
use super::change::Change;
use super::connection::object_with_lists;
use super::cursor::Cursor;
use super::delivery::{self, Delivery};
use super::entity::node_selections;
use super::entity_queries::EntityQueries;
use super::enums::InspectionStatus;
use super::error::ApiError;
use super::error_code::ApiErrorCode;
use super::federation::Subgraph;
use super::filter::{ChangeFilter, DeliveryFilter, InspectionFilter, InspectionPastFilter};
use super::hub::HubInfo;
use super::limits::check_key_count;
use super::loaders::Loaders;
use super::node::{self, Node};
use super::order::DeliveryOrder;
use super::pagination;
use super::rejection::Rejection;
use super::scalar::Long;
use super::source::SourceInfo;
use super::state_machine::StateMachine;
use super::viewer::Viewer;
use crate::event::storable;
use crate::store::read::{self, RejectionFilter, TimeAxis, datetime_from_micros};
use crate::vendor;
use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::{RejectionCause, Status, log_head};
use std::collections::HashMap;

#[derive(Debug)]
pub struct QueryRoot;

/// The fields of queries.
#[Object(name = "Query")]
impl QueryRoot {
    #[graphql(flatten)]
    async fn subgraph(&self) -> Subgraph {
        Subgraph
    }

    /// The object with this id; null if there is none.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The hub's id of an inspection, session, job, item, delivery, change, command, comment, API key or rejection, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`."
        )]
        id: ID,
    ) -> Result<Option<Node>, ApiError> {
        self.begin_read(ctx).await?;
        Ok(node::nodes_by_id(ctx, &[id]).await?.pop().flatten())
    }

    /// The objects with these ids, in the same order; null for each id without an object.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The hub's ids, at most 100, e.g. `[\"018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d\"]`.")] ids: Vec<
            ID,
        >,
    ) -> Result<Vec<Option<Node>>, ApiError> {
        check_key_count(ids.len(), "ids")?;
        self.begin_read(ctx).await?;
        node::nodes_by_id(ctx, &ids).await
    }

    #[graphql(flatten)]
    async fn entity_queries(&self) -> EntityQueries {
        EntityQueries::default()
    }

    #[graphql(flatten)]
    async fn log_queries(&self) -> LogQueries {
        LogQueries
    }

    #[graphql(flatten)]
    async fn access_queries(&self) -> AccessQueries {
        AccessQueries
    }

    #[graphql(flatten)]
    async fn aggregates(&self) -> AggregateFields {
        AggregateFields
    }

    /// The number of inspections in each status. Each status occurs once, in the order in which inspections reach them.
    /// Inspections without a status are not counted.
    async fn status_counts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only inspections that match.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<StatusCount>, ApiError> {
        let api = self.begin_read(ctx).await?;
        let filter = filter.unwrap_or_default().into_store_filter(api)?;
        let counts = match api.inspection_index.counts(&api.readers, &filter).await? {
            Some(groups) => groups.into_iter().filter_map(|(group, count)| Some((group.status?, count))).collect(),
            None => read::status_counts(&api.readers, &filter).await?,
        };
        Ok(StatusCount::all(counts))
    }

    /// The number of inspections in each status as of a time in the past, like `inspectionsAsOf`. It reads every
    /// inspection that was known then, so it takes longer than `statusCounts`.
    async fn status_counts_as_of(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The time, e.g. `2024-05-01T12:00:00Z`. It cannot be in the future.")] at: DateTime<Utc>,
        #[graphql(desc = "The clock that the time refers to.", default_with = "TimeAxis::Received")] clock: TimeAxis,
        #[graphql(desc = "Only inspections that match.")] filter: Option<InspectionPastFilter>,
    ) -> Result<Vec<StatusCount>, ApiError> {
        let api = self.begin_read(ctx).await?;
        let list = pagination::as_of_list(api, at, clock, filter.unwrap_or_default().into_store_filter(api)?)?;
        Ok(StatusCount::all(list.status_counts(&api.readers).await?))
    }

    /// The principal of the request: the subject, scopes and sources of the credential that it was sent with.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer, ApiError> {
        Ok(Viewer::of(&ApiContext::of(ctx)?.principal))
    }

    /// The configured sources that you may see, with the state of each.
    async fn sources(&self, ctx: &Context<'_>) -> Result<Vec<SourceInfo>, ApiError> {
        let api = self.begin_read(ctx).await?;
        Ok(api.sources.iter().filter(|source| api.view().includes_source(&source.name)).cloned().collect())
    }

    /// The hub itself: its replicas, database and retention. Scope: `operate`.
    async fn hub(&self, ctx: &Context<'_>) -> Result<HubInfo, ApiError> {
        self.begin_read(ctx).await?;
        Ok(HubInfo)
    }

    /// The state machines that decide the verdicts of the vendors' events.
    async fn state_machines(
        &self,
        #[graphql(desc = "Only the state machines of this vendor, e.g. `hover`.")] vendor: Option<String>,
    ) -> Result<Vec<StateMachine>, ApiError> {
        let vendors = match &vendor {
            None => vendor::ALL.to_vec(),
            Some(name) => vec![vendor::by_name(name).ok_or_else(unknown_vendor)?],
        };
        let machines = |vendor: &'static vendor::Vendor| {
            vendor.machines.iter().map(move |machine| StateMachine { vendor, machine })
        };
        Ok(vendors.into_iter().flat_map(machines).collect())
    }

    /// The newest position of the history. Selected together with other fields, it is read before them: a subscription
    /// that begins after its `cursor` misses no change that they do not show yet.
    async fn head(&self, ctx: &Context<'_>) -> Result<LogHead, ApiError> {
        let loaders = Loaders::of(ctx)?;
        let _before_others = loaders.head_lock.write().await;
        let head = read::head(&ApiContext::of(ctx)?.readers).await?;
        ApiContext::of(ctx)?.feed.set_generation(head.generation);
        Ok(LogHead(head))
    }
}

impl QueryRoot {
    // Lets `head` read first, if it is selected: after one tick all fields have started, so `head` holds the lock.
    pub async fn begin_read<'a>(&self, ctx: &Context<'a>) -> Result<&'a ApiContext, ApiError> {
        let loaders = Loaders::of(ctx)?;
        loaders.scheduler.next_tick().await;
        drop(loaders.head_lock.read().await);
        ApiContext::of(ctx)
    }
}

#[derive(Debug)]
pub struct LogQueries;

object_with_lists! {
    LogQueries {
        /// The history of all entities, by position: oldest first. `last` returns the newest. Where a retention is
        /// configured, it begins after `head { oldestCursor }`; older changes of retained entities are in the `history`
        /// of each.
        fn changes(
            &self,
            ctx,
            page,
            #[graphql(desc = "Only changes that match.")] filter: Option<ChangeFilter>,
        ) -> Change {
            QueryRoot.begin_read(ctx).await?;
            pagination::changes(ctx, page, filter.unwrap_or_default().into_store_filter(ApiContext::of(ctx)?.view())?).await
        }

        /// The webhooks that vendors sent, in the order of receipt.
        #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
        fn deliveries(
            &self,
            ctx,
            page,
            #[graphql(desc = "Only deliveries that match.")] filter: Option<DeliveryFilter>,
            #[graphql(desc = "The order: by default, the first received first.")] order_by: Option<DeliveryOrder>,
        ) -> Delivery {
            QueryRoot.begin_read(ctx).await?;
            let projection = delivery::selected_columns(&node_selections(ctx));
            let filter = filter.unwrap_or_default().into_store_filter();
            pagination::deliveries(ctx, page, projection, filter, order_by).await
        }

        /// Refused webhooks, those with the newest request first: why a vendor's webhooks fail. They are no deliveries, and
        /// no body is kept. Equal requests share one record; the newest 100 records of each source and cause are kept. A
        /// request is in the list within five seconds. Scope: `operate`.
        #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
        fn rejections(
            &self,
            ctx,
            page,
            #[graphql(desc = "Only those of this source, e.g. `hover`; those of no known source if it is empty.")] source: Option<String>,
            #[graphql(desc = "Only those for one of these causes.")] cause: Option<Vec<RejectionCause>>,
        ) -> Rejection {
            QueryRoot.begin_read(ctx).await?;
            pagination::rejections(ctx, page, RejectionFilter { source: source.map(storable), causes: cause }).await
        }
    }
}

#[derive(Debug)]
pub struct AccessQueries;

object_with_lists! {
    AccessQueries {
        /// The API keys within your own scopes and sources: those of the settings file, then those of the database, oldest first.
        /// Needs the scope `ADMIN`.
        fn api_keys(
            &self,
            ctx,
            page,
            #[graphql(desc = "Whether revoked keys are listed, too.", default = false)] include_revoked: bool,
        ) -> ApiKeyInfo {
            api_key::api_keys(ctx, page, include_revoked).await
        }
    }
}

#[derive(Debug)]
pub struct LogHead(log_head::Model);

/// The end of the history.
#[Object]
impl LogHead {
    /// The newest position; 0 if there are no changes yet.
    async fn position(&self) -> Long {
        Long(self.0.position)
    }

    /// The cursor of the newest change. A subscription with `after: cursor` begins with the next change, so there is no
    /// gap between what was read before and what it receives.
    async fn cursor(&self) -> String {
        Cursor::Change { position: self.0.position, generation: self.0.generation }.encode()
    }

    /// The oldest cursor after which the history is complete. Of older changes, only those of retained entities exist.
    /// `after` with an older cursor is refused with `CURSOR_EXPIRED`.
    async fn oldest_cursor(&self) -> String {
        Cursor::Change { position: self.0.retained_from, generation: self.0.generation }.encode()
    }

    /// When the newest change was written; null if there are no changes yet.
    async fn time(&self) -> Option<DateTime<Utc>> {
        (self.0.position > 0).then(|| datetime_from_micros(self.0.updated_at))
    }
}

/// The number of inspections in a status.
#[derive(Clone, Debug, SimpleObject)]
pub struct StatusCount {
    /// The status.
    status: InspectionStatus,
    /// The number of inspections in it.
    pub(super) count: i32,
}

impl StatusCount {
    // Every status once, in the order in which inspections reach them.
    pub(super) fn all(rows: Vec<(Status, i64)>) -> Vec<StatusCount> {
        let mut counts: HashMap<Status, i64> = HashMap::new();
        for (status, count) in rows {
            *counts.entry(status).or_default() += count;
        }
        let count = |status: InspectionStatus| {
            let count = counts.get(&status.into()).copied().unwrap_or_default();
            i32::try_from(count).unwrap_or(i32::MAX)
        };
        InspectionStatus::ALL.iter().map(|status| StatusCount { status: *status, count: count(*status) }).collect()
    }
}

fn unknown_vendor() -> ApiError {
    let names: Vec<_> = vendor::ALL.iter().map(|vendor| vendor.name).collect();
    ApiError::new(ApiErrorCode::NotFound, "there is no such vendor", format!("The vendors are: {}.", names.join(", ")))
}

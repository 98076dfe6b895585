//! Everything that can be asked.

use super::ApiContext;
use super::aggregate::{AggregateCaches, AggregateFields};
use super::as_of::{self, InspectionPastFilter, JobPastFilter, SessionPastFilter};
use super::change::Change;
use super::connection::{Connection, PageArgs};
use super::delivery::{self, Delivery};
use super::entity::node_selections;
use super::enums::{Clock, InspectionStatus};
use super::error::ApiError;
use super::federation::Subgraph;
use super::filter::{ChangeFilter, DeliveryFilter, InspectionFilter, ItemFilter, JobFilter, SessionFilter};
use super::inspection::Inspection;
use super::item::Item;
use super::job::Job;
use super::key::{EntityKey, JobKey};
use super::limits::{MAX_PAGE_SIZE, cost};
use super::loaders::Loaders;
use super::log_head::LogHead;
use super::node::{self, Node, parse_id};
use super::order::{DeliveryOrder, InspectionOrder, ItemOrder, JobOrder, OrderDirection, SessionOrder};
use super::pagination;
use super::session::Session;
use super::snapshot::{InspectionSnapshot, JobSnapshot, SessionSnapshot};
use super::source::Source;
use super::state_machine::StateMachine;
use crate::event::EntityRef;
use crate::machine::EntityType;
use crate::store::read::{self, DeliveryProjection};
use crate::vendor;
use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::{Kind, Status};
use std::collections::HashMap;

#[derive(Debug)]
pub struct QueryRoot;

/// Everything that can be asked.
#[Object(name = "Query")]
impl QueryRoot {
    #[graphql(flatten)]
    async fn subgraph(&self) -> Subgraph {
        Subgraph
    }

    /// Whatever has this id; null if nothing has.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The hub's id of an inspection, session, job, item, delivery or change, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`."
        )]
        id: ID,
    ) -> Result<Option<Node>, ApiError> {
        self.begin_read(ctx).await?;
        Ok(node::nodes_by_id(ctx, &[id]).await?.pop().flatten())
    }

    /// Whatever has these ids, in their order; null for each that nothing has.
    #[graphql(complexity = "cost(i32::try_from(ids.len()).ok(), None, child_complexity)")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The hub's ids, at most 100, e.g. `[\"018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d\"]`.")] ids: Vec<
            ID,
        >,
    ) -> Result<Vec<Option<Node>>, ApiError> {
        if i32::try_from(ids.len()).is_ok_and(|number| number <= MAX_PAGE_SIZE) {
            self.begin_read(ctx).await?;
            return node::nodes_by_id(ctx, &ids).await;
        }
        Err(ApiError::bad_user_input(format!("{} ids are too many", ids.len()), "Ask for at most 100 at a time."))
    }

    /// The inspection with this id; null if there is none with this id.
    async fn inspection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The hub's id, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`.")] id: ID,
    ) -> Result<Option<Inspection>, ApiError> {
        self.begin_read(ctx).await?;
        node::entity_by_id(ctx, Kind::Inspection, parse_id(&id)?).await
    }

    /// The inspection that a vendor knows by this id; null if the hub has not heard of it.
    async fn inspection_by_external_id(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The source it came by, e.g. `hover`: see `Source.name`.")] source: String,
        #[graphql(
            desc = "The vendor's id as text, e.g. `8471920`: Truepic's inspection id, PAVE's session key, Hover's job id, Record360's transaction id."
        )]
        external_id: String,
    ) -> Result<Option<Inspection>, ApiError> {
        self.begin_read(ctx).await?;
        let id = EntityRef::new(EntityType::Inspection, external_id).id(&source);
        node::entity_by_id(ctx, Kind::Inspection, id).await
    }

    /// The inspection that a key names, the hub's or the vendor's; null if there is none.
    async fn inspection_by(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] key: EntityKey,
    ) -> Result<Option<Inspection>, ApiError> {
        self.begin_read(ctx).await?;
        node::entity_by_id(ctx, Kind::Inspection, key.id(EntityType::Inspection)?).await
    }

    /// Inspections, whichever vendor they come from.
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn inspections(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many inspections: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only inspections after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many inspections, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only inspections before this cursor: `startCursor` of the page after.")] before: Option<
            String,
        >,
        #[graphql(desc = "Only inspections that fit.")] filter: Option<InspectionFilter>,
        #[graphql(desc = "The order: what changed last comes first, unless said otherwise.")] order_by: Option<
            InspectionOrder,
        >,
    ) -> Result<Connection<Inspection>, ApiError> {
        let filter = filter.unwrap_or_default().into_store_filter(self.begin_read(ctx).await?.now())?;
        pagination::entities(ctx, PageArgs { first, after, last, before }, filter, order_by).await
    }

    /// The whole board as it was at a moment in the past: each inspection that was known then, and how it stood. By
    /// `OCCURRED`, those of which a state had been reached. Rows stay where they are while you read.
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn inspections_as_of(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The moment, e.g. `2024-05-01T12:00:00Z`. It cannot be in the future.")] at: DateTime<Utc>,
        #[graphql(desc = "By which clock the moment is meant.", default_with = "Clock::Received")] clock: Clock,
        #[graphql(desc = "The first so many inspections: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only inspections after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many inspections, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only inspections before this cursor: `startCursor` of the page after.")] before: Option<
            String,
        >,
        #[graphql(desc = "Only inspections that fit.")] filter: Option<InspectionPastFilter>,
        #[graphql(
            desc = "Which way the order goes, by when the hub first heard of them.",
            default_with = "OrderDirection::Desc"
        )]
        direction: OrderDirection,
    ) -> Result<Connection<InspectionSnapshot>, ApiError> {
        let board =
            as_of::as_of_list(self.begin_read(ctx).await?, at, clock, filter.unwrap_or_default().into_store_filter())?;
        as_of::as_of_page(ctx, PageArgs { first, after, last, before }, board, clock, direction).await
    }

    /// The session with this id; null if there is none with this id.
    async fn session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The hub's id, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`.")] id: ID,
    ) -> Result<Option<Session>, ApiError> {
        self.begin_read(ctx).await?;
        node::entity_by_id(ctx, Kind::Session, parse_id(&id)?).await
    }

    /// The session that a key names, the hub's or the vendor's; null if there is none.
    async fn session_by(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] key: EntityKey,
    ) -> Result<Option<Session>, ApiError> {
        self.begin_read(ctx).await?;
        node::entity_by_id(ctx, Kind::Session, key.id(EntityType::Session)?).await
    }

    /// Capture sessions.
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many sessions: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only sessions after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many sessions, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only sessions before this cursor: `startCursor` of the page after.")] before: Option<String>,
        #[graphql(desc = "Only sessions that fit.")] filter: Option<SessionFilter>,
        #[graphql(desc = "The order: what changed last comes first, unless said otherwise.")] order_by: Option<
            SessionOrder,
        >,
    ) -> Result<Connection<Session>, ApiError> {
        let filter = filter.unwrap_or_default().into_store_filter(self.begin_read(ctx).await?.now())?;
        pagination::entities(ctx, PageArgs { first, after, last, before }, filter, order_by).await
    }

    /// The sessions as they were at a moment in the past, like `inspectionsAsOf`.
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn sessions_as_of(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The moment, e.g. `2024-05-01T12:00:00Z`. It cannot be in the future.")] at: DateTime<Utc>,
        #[graphql(desc = "By which clock the moment is meant.", default_with = "Clock::Received")] clock: Clock,
        #[graphql(desc = "The first so many sessions: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only sessions after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many sessions, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only sessions before this cursor: `startCursor` of the page after.")] before: Option<String>,
        #[graphql(desc = "Only sessions that fit.")] filter: Option<SessionPastFilter>,
        #[graphql(
            desc = "Which way the order goes, by when the hub first heard of them.",
            default_with = "OrderDirection::Desc"
        )]
        direction: OrderDirection,
    ) -> Result<Connection<SessionSnapshot>, ApiError> {
        let board =
            as_of::as_of_list(self.begin_read(ctx).await?, at, clock, filter.unwrap_or_default().into_store_filter()?)?;
        as_of::as_of_page(ctx, PageArgs { first, after, last, before }, board, clock, direction).await
    }

    /// The job with this id; null if there is none with this id.
    async fn job(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The hub's id, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`.")] id: ID,
    ) -> Result<Option<Job>, ApiError> {
        self.begin_read(ctx).await?;
        node::entity_by_id(ctx, Kind::Job, parse_id(&id)?).await
    }

    /// The job that a key names, the hub's or the vendor's; null if there is none.
    async fn job_by(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] key: JobKey,
    ) -> Result<Option<Job>, ApiError> {
        self.begin_read(ctx).await?;
        node::entity_by_id(ctx, Kind::Job, key.id()?).await
    }

    /// Back-office work.
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many jobs: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only jobs after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many jobs, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only jobs before this cursor: `startCursor` of the page after.")] before: Option<String>,
        #[graphql(desc = "Only jobs that fit.")] filter: Option<JobFilter>,
        #[graphql(desc = "The order: what changed last comes first, unless said otherwise.")] order_by: Option<
            JobOrder,
        >,
    ) -> Result<Connection<Job>, ApiError> {
        let filter = filter.unwrap_or_default().into_store_filter(self.begin_read(ctx).await?.now())?;
        pagination::entities(ctx, PageArgs { first, after, last, before }, filter, order_by).await
    }

    /// The jobs as they were at a moment in the past, like `inspectionsAsOf`.
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn jobs_as_of(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The moment, e.g. `2024-05-01T12:00:00Z`. It cannot be in the future.")] at: DateTime<Utc>,
        #[graphql(desc = "By which clock the moment is meant.", default_with = "Clock::Received")] clock: Clock,
        #[graphql(desc = "The first so many jobs: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only jobs after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many jobs, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only jobs before this cursor: `startCursor` of the page after.")] before: Option<String>,
        #[graphql(desc = "Only jobs that fit.")] filter: Option<JobPastFilter>,
        #[graphql(
            desc = "Which way the order goes, by when the hub first heard of them.",
            default_with = "OrderDirection::Desc"
        )]
        direction: OrderDirection,
    ) -> Result<Connection<JobSnapshot>, ApiError> {
        let board =
            as_of::as_of_list(self.begin_read(ctx).await?, at, clock, filter.unwrap_or_default().into_store_filter()?)?;
        as_of::as_of_page(ctx, PageArgs { first, after, last, before }, board, clock, direction).await
    }

    /// The item with this id; null if there is none with this id.
    async fn item(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The hub's id, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`.")] id: ID,
    ) -> Result<Option<Item>, ApiError> {
        self.begin_read(ctx).await?;
        node::entity_by_id(ctx, Kind::Item, parse_id(&id)?).await
    }

    /// Photos, messages, damages, accounts, records and the like.
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn items(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many items: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only items after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many items, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor: `startCursor` of the page after.")] before: Option<String>,
        #[graphql(desc = "Only items that fit.")] filter: Option<ItemFilter>,
        #[graphql(desc = "The order: what changed last comes first, unless said otherwise.")] order_by: Option<
            ItemOrder,
        >,
    ) -> Result<Connection<Item>, ApiError> {
        let filter = filter.unwrap_or_default().into_store_filter(self.begin_read(ctx).await?.now())?;
        pagination::entities(ctx, PageArgs { first, after, last, before }, filter, order_by).await
    }

    /// The whole history, by position: oldest first. `last` gives the newest. Where old lives are forgotten, it begins after
    /// `head { oldestCursor }`; what is older of those that are kept is in the `history` of each.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many changes: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only changes after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many changes, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only changes before this cursor: `startCursor` of the page after.")] before: Option<String>,
        #[graphql(desc = "Only changes that fit.")] filter: Option<ChangeFilter>,
    ) -> Result<Connection<Change>, ApiError> {
        self.begin_read(ctx).await?;
        let asked = PageArgs { first, after, last, before };
        pagination::changes(ctx, asked, filter.unwrap_or_default().into_store_filter()?).await
    }

    /// What vendors sent, in the order it came.
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many deliveries: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only deliveries after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many deliveries, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only deliveries before this cursor: `startCursor` of the page after.")] before: Option<
            String,
        >,
        #[graphql(desc = "Only deliveries that fit.")] filter: Option<DeliveryFilter>,
        #[graphql(desc = "The order: what came first comes first, unless said otherwise.")] order_by: Option<
            DeliveryOrder,
        >,
    ) -> Result<Connection<Delivery>, ApiError> {
        self.begin_read(ctx).await?;
        let asked = PageArgs { first, after, last, before };
        let wants = node_selections(ctx).into_iter().map(delivery::selected_columns).fold(
            DeliveryProjection::default(),
            |one, other| DeliveryProjection { headers: one.headers || other.headers, body: one.body || other.body },
        );
        pagination::deliveries(ctx, asked, wants, filter.unwrap_or_default().into_store_filter(), order_by).await
    }

    /// How many inspections there are in each status, every status once, in the order of a life. Inspections that have
    /// no status yet are not counted.
    async fn status_counts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only inspections that fit.")] filter: Option<InspectionFilter>,
    ) -> Result<Vec<StatusCount>, ApiError> {
        let api = self.begin_read(ctx).await?;
        let filter = filter.unwrap_or_default().into_store_filter(api.now())?;
        let counts = match AggregateCaches::of(ctx)?.inspection_index.counts(&api.readers, &filter).await? {
            Some(groups) => groups.into_iter().filter_map(|(group, count)| Some((group.status?, count))).collect(),
            None => read::status_counts(&api.readers, &filter).await?,
        };
        Ok(StatusCount::all(counts))
    }

    /// How many inspections there were in each status at a moment in the past, like `inspectionsAsOf`. All that were there
    /// are looked at, so it takes longer than `statusCounts`.
    async fn status_counts_as_of(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The moment, e.g. `2024-05-01T12:00:00Z`. It cannot be in the future.")] at: DateTime<Utc>,
        #[graphql(desc = "By which clock the moment is meant.", default_with = "Clock::Received")] clock: Clock,
        #[graphql(desc = "Only inspections that fit.")] filter: Option<InspectionPastFilter>,
    ) -> Result<Vec<StatusCount>, ApiError> {
        let api = self.begin_read(ctx).await?;
        let board = as_of::as_of_list(api, at, clock, filter.unwrap_or_default().into_store_filter())?;
        Ok(StatusCount::all(board.status_counts(&api.readers).await?))
    }

    #[graphql(flatten)]
    async fn aggregates(&self) -> AggregateFields {
        AggregateFields
    }

    /// The configured connections to vendors, and how each fares.
    async fn sources(&self, ctx: &Context<'_>) -> Result<Vec<Source>, ApiError> {
        Ok(self.begin_read(ctx).await?.sources.iter().cloned().map(Source).collect())
    }

    /// The state machines by which the vendors' events are judged.
    async fn state_machines(
        &self,
        #[graphql(desc = "Only those of this vendor, e.g. `hover`.")] vendor: Option<String>,
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

    /// Where the history ends. Asked together with other fields, it is read before them: a subscription that begins after
    /// its `cursor` misses nothing that they do not show yet.
    async fn head(&self, ctx: &Context<'_>) -> Result<LogHead, ApiError> {
        let loaders = Loaders::of(ctx)?;
        let _first = loaders.head_lock.write().await;
        let head = read::head(&ApiContext::of(ctx)?.readers).await?;
        ApiContext::of(ctx)?.feed.set_generation(head.generation);
        Ok(LogHead(head))
    }
}

impl QueryRoot {
    // Lets `head` go first, if the query asks for it: by the time the fields come back here, all of them have come up.
    pub async fn begin_read<'a>(&self, ctx: &Context<'a>) -> Result<&'a ApiContext, ApiError> {
        let loaders = Loaders::of(ctx)?;
        loaders.scheduler.next_tick().await;
        drop(loaders.head_lock.read().await);
        ApiContext::of(ctx)
    }
}

/// How many inspections there are in a status.
#[derive(Clone, Debug, SimpleObject)]
pub struct StatusCount {
    /// The status.
    status: InspectionStatus,
    /// How many are in it.
    count: i32,
}

impl StatusCount {
    // Every status once, in the order of a life.
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

    pub(super) fn is_some(&self) -> bool {
        self.count > 0
    }
}

fn unknown_vendor() -> ApiError {
    let names: Vec<_> = vendor::ALL.iter().map(|vendor| vendor.name).collect();
    ApiError::not_found("there is no such vendor", format!("There are: {}.", names.join(", ")))
}

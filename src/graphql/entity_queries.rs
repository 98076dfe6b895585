//! The query fields of the four kinds: one by id or key, a list, and the list as of a time in the past. Query flattens
//! them.

use super::connection::object_with_lists;
use super::entities::{Inspection, Item, Job, Session};
use super::error::ApiError;
use super::filter::{
    InspectionFilter, InspectionPastFilter, ItemFilter, JobFilter, JobPastFilter, SessionFilter, SessionPastFilter,
};
use super::key::{EntityKey, JobKey};
use super::node::{entity_by_id, parse_id};
use super::order::{InspectionOrder, ItemOrder, JobOrder, SessionOrder};
use super::pagination;
use super::query::QueryRoot;
use super::snapshot::{InspectionSnapshot, JobSnapshot, SessionSnapshot};
use crate::event::EntityRef;
use crate::machine::EntityType;
use crate::store::read::{SortDirection, TimeAxis};
use async_graphql::{Context, ID, MergedObject};
use chrono::{DateTime, Utc};
use entity::Kind;

#[derive(Debug, Default, MergedObject)]
pub struct EntityQueries(InspectionQueries, SessionQueries, JobQueries, ItemQueries);

/// Declares the query fields of a kind.
macro_rules! entity_queries {
    ($queries:ident, $node:ident, $kind:literal {
        one $one:ident;
        $(by $by:ident($key:ident: $key_type:ty) $id:expr;)?
        $(own { $($own:tt)* })?
        list $list:ident($filter:ident, $order:ident), $about:literal;
        $(as_of $as_of:ident($past_filter:ident) -> $snapshot:ident, $as_of_about:literal;)?
    }) => {
        #[derive(Debug, Default)]
        pub struct $queries;

        object_with_lists! {
            #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
            $queries {
                own {
                    #[doc = concat!("The ", $kind, " with this id; null if there is none.")]
                    async fn $one(
                        &self,
                        ctx: &Context<'_>,
                        #[graphql(desc = "The hub's id, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`.")] id: ID,
                    ) -> Result<Option<$node>, ApiError> {
                        QueryRoot.begin_read(ctx).await?;
                        entity_by_id(ctx, Kind::$node, parse_id(&id)?).await
                    }

                    $(
                        #[doc = concat!("The ", $kind, " with this key, the hub's or the vendor's; null if there is none.")]
                        async fn $by(
                            &self,
                            ctx: &Context<'_>,
                            #[graphql(desc = "The key.")] $key: $key_type,
                        ) -> Result<Option<$node>, ApiError> {
                            QueryRoot.begin_read(ctx).await?;
                            entity_by_id(ctx, Kind::$node, $id?).await
                        }
                    )?

                    $($($own)*)?
                }

                #[doc = $about]
                fn $list(
                    &self,
                    ctx,
                    page,
                    #[graphql(desc = "Only rows that match.")] filter: Option<$filter>,
                    #[graphql(desc = "The order: by default, the last changed first.")] order_by: Option<$order>,
                ) -> $node {
                    let filter = filter.unwrap_or_default().into_store_filter(QueryRoot.begin_read(ctx).await?)?;
                    pagination::entities(ctx, page, filter, order_by).await
                }

                $(
                    #[doc = $as_of_about]
                    fn $as_of(
                        &self,
                        ctx,
                        page,
                        #[graphql(desc = "The time, e.g. `2024-05-01T12:00:00Z`. It cannot be in the future.")] at: DateTime<Utc>,
                        #[graphql(desc = "The clock that the time refers to.", default_with = "TimeAxis::Received")] clock: TimeAxis,
                        #[graphql(desc = "Only rows that match.")] filter: Option<$past_filter>,
                        #[graphql(
                            desc = "The direction of the order, which is by when the hub first saw them.",
                            default_with = "SortDirection::Desc"
                        )]
                        direction: SortDirection,
                    ) -> $snapshot {
                        let api = QueryRoot.begin_read(ctx).await?;
                        let list = pagination::as_of_list(api, at, clock, filter.unwrap_or_default().into_store_filter(api)?)?;
                        pagination::as_of_page(ctx, page, list, direction).await
                    }
                )?
            }
        }
    };
}

entity_queries! {
    InspectionQueries, Inspection, "inspection" {
        one inspection;
        by inspection_by(key: EntityKey) key.id(EntityType::Inspection);
        own {
            /// The inspection with this id of the vendor's; null if the hub does not know it.
            async fn inspection_by_external_id(
                &self,
                ctx: &Context<'_>,
                #[graphql(desc = "The source that receives it, e.g. `hover`: see `Source.name`.")] source: String,
                #[graphql(
                    desc = "The vendor's id as text, e.g. `8471920`: Truepic's inspection id, PAVE's session key, Hover's job id, Record360's transaction id."
                )]
                external_id: String,
            ) -> Result<Option<Inspection>, ApiError> {
                QueryRoot.begin_read(ctx).await?;
                let id = EntityRef::new(EntityType::Inspection, external_id).id(&source);
                entity_by_id(ctx, Kind::Inspection, id).await
            }
        }
        list inspections(InspectionFilter, InspectionOrder), "Inspections, of all vendors.";
        as_of inspections_as_of(InspectionPastFilter) -> InspectionSnapshot,
            "The inspections as of a time in the past: each that was known then, in its state at that time. By `OCCURRED`, each that \
             had reached a state by then. Rows keep their places while you page through the list.";
    }
}

entity_queries! {
    SessionQueries, Session, "session" {
        one session;
        by session_by(key: EntityKey) key.id(EntityType::Session);
        list sessions(SessionFilter, SessionOrder), "Capture sessions.";
        as_of sessions_as_of(SessionPastFilter) -> SessionSnapshot,
            "The sessions as of a time in the past, like `inspectionsAsOf`.";
    }
}

entity_queries! {
    JobQueries, Job, "job" {
        one job;
        by job_by(key: JobKey) key.id();
        list jobs(JobFilter, JobOrder), "Back-office work.";
        as_of jobs_as_of(JobPastFilter) -> JobSnapshot, "The jobs as of a time in the past, like `inspectionsAsOf`.";
    }
}

entity_queries! {
    ItemQueries, Item, "item" {
        one item;
        list items(ItemFilter, ItemOrder), "Photos, messages, damages, accounts, records and the like.";
    }
}

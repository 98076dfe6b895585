//! The real-world thing being inspected.

use super::change::Change;
use super::connection::{Connection, PageArgs};
use super::entity::EntityFields;
use super::enums::{InspectionStatus, ItemKind, JobKind};
use super::error::ApiError;
use super::item::{self, Item};
use super::job::{self, Job};
use super::limits::cost;
use super::pagination;
use super::session::Session;
use super::subject::Subject;
use crate::event::Summary;
use crate::store::read::{ChildRelation, EntityFilter, EntityRow};
use async_graphql::{Context, ID, Object};
use entity::Kind;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Inspection(pub EntityFields);

/// The real-world thing being inspected: a car, a roof, a claim. One object, whichever vendor reports it.
#[Object]
impl Inspection {
    #[graphql(flatten)]
    async fn common(&self) -> &EntityFields {
        &self.0
    }

    /// All that was ever reported about it, also what had no effect, oldest first. `last` gives the newest.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many changes: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor of a change: `endCursor` of the page before.")]
        after: Option<String>,
        #[graphql(desc = "The last so many changes, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor of a change: `startCursor` of the page after.")]
        before: Option<String>,
    ) -> Result<Connection<Change>, ApiError> {
        pagination::history(ctx, PageArgs { first, after, last, before }, self.0.row.row_id).await
    }

    /// The hub's word for where it stands, derived from `state`; none before the vendor reported one.
    async fn status(&self) -> Option<InspectionStatus> {
        InspectionStatus::of(self.0.row.status?)
    }

    /// What is inspected, and where; none before the vendor said anything of it.
    async fn subject(&self) -> Result<Option<Subject>, ApiError> {
        self.0.subject()
    }

    /// How it went; none before the vendor said anything of it.
    async fn summary(&self) -> Result<Option<&Summary>, ApiError> {
        Ok(self.0.facts()?.summary.as_ref())
    }

    /// The capture sessions, in the order the hub heard of them.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many sessions: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only sessions after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many sessions, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only sessions before this cursor: `startCursor` of the page after.")] before: Option<String>,
    ) -> Result<Connection<Session>, ApiError> {
        let filter = EntityFilter { kind: Some(Kind::Session), ..EntityFilter::default() };
        let asked = PageArgs { first, after, last, before };
        pagination::children(ctx, asked, ChildRelation::Inspection, filter, self.0.row.row_id).await
    }

    /// The back-office work, in the order the hub heard of it.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many jobs: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only jobs after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many jobs, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only jobs before this cursor: `startCursor` of the page after.")] before: Option<String>,
        #[graphql(desc = "Only jobs of these kinds.")] kind: Option<Vec<JobKind>>,
    ) -> Result<Connection<Job>, ApiError> {
        let filter = job::kind_filter(kind);
        let asked = PageArgs { first, after, last, before };
        pagination::children(ctx, asked, ChildRelation::Inspection, filter, self.0.row.row_id).await
    }

    /// All that hangs on it, directly or on its sessions and jobs, in the order the hub heard of it.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn items(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many items: 25 unless said otherwise, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only items after this cursor: `endCursor` of the page before.")] after: Option<String>,
        #[graphql(desc = "The last so many items, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor: `startCursor` of the page after.")] before: Option<String>,
        #[graphql(desc = "Only items of these kinds.")] kind: Option<Vec<ItemKind>>,
    ) -> Result<Connection<Item>, ApiError> {
        let filter = item::kind_filter(kind);
        let asked = PageArgs { first, after, last, before };
        pagination::children(ctx, asked, ChildRelation::Inspection, filter, self.0.row.row_id).await
    }
}

impl From<Arc<EntityRow>> for Inspection {
    fn from(row: Arc<EntityRow>) -> Self {
        Inspection(row.into())
    }
}

impl Inspection {
    /// For `Node.id`.
    pub async fn id(&self, _: &Context<'_>) -> Result<ID, ApiError> {
        Ok(self.0.row.id.into())
    }
}

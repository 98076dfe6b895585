//! One capture session by a person.

use super::change::Change;
use super::connection::{Connection, PageArgs};
use super::entity::EntityFields;
use super::enums::{ItemKind, JobKind, SessionStatus};
use super::error::ApiError;
use super::inspection::Inspection;
use super::item::{self, Item};
use super::job::{self, Job};
use super::limits::cost;
use super::node::Node;
use super::pagination;
use super::subject::Subject;
use crate::store::read::{ChildRelation, EntityRow};
use async_graphql::{Context, ID, Object};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Session(pub EntityFields);

/// One capture session by a person: a PAVE session, a Truepic app session, a Hover capture request, a Record360
/// transaction.
#[Object]
impl Session {
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
    async fn status(&self) -> Option<SessionStatus> {
        SessionStatus::of(self.0.row.status?)
    }

    /// What was to be captured, and where, as far as the vendor says it here and not of the inspection.
    async fn subject(&self) -> Result<Option<Subject>, ApiError> {
        self.0.subject()
    }

    /// The inspection it belongs to; none while that is not known, and where there is none.
    async fn inspection(&self, ctx: &Context<'_>) -> Result<Option<Inspection>, ApiError> {
        self.0.inspection(ctx).await
    }

    /// What it hangs on, where the vendor says so.
    async fn parent(&self, ctx: &Context<'_>) -> Result<Option<Node>, ApiError> {
        self.0.parent(ctx).await
    }

    /// The jobs that hang on this session itself, in the order the hub heard of them.
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
        pagination::children(ctx, asked, ChildRelation::Parent, filter, self.0.row.row_id).await
    }

    /// The items that hang on this session itself, in the order the hub heard of them.
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
        pagination::children(ctx, asked, ChildRelation::Parent, filter, self.0.row.row_id).await
    }
}

impl From<Arc<EntityRow>> for Session {
    fn from(row: Arc<EntityRow>) -> Self {
        Session(row.into())
    }
}

impl Session {
    /// For `Node.id`.
    pub async fn id(&self, _: &Context<'_>) -> Result<ID, ApiError> {
        Ok(self.0.row.id.into())
    }
}

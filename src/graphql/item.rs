//! What hangs on inspections, sessions and jobs.

use super::change::Change;
use super::connection::{Connection, PageArgs};
use super::entity::EntityFields;
use super::enums::ItemKind;
use super::error::ApiError;
use super::inspection::Inspection;
use super::limits::cost;
use super::node::Node;
use super::pagination;
use crate::event::{Account, Answer, Contact, Damage, File, Form, Lead, Message, Model, Note, Photo, Record, Video};
use crate::store::read::{ChildRelation, EntityFilter, EntityRow};
use async_graphql::{Context, ID, Object};
use entity::Kind;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Item(pub EntityFields);

/// What hangs on inspections, sessions and jobs: a photo, a message, a damage, a record. What it is stands in `kind`,
/// and the field of that name holds what is known of it; all the others are null.
#[Object]
impl Item {
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

    /// What sort of thing it is.
    async fn kind(&self) -> Result<ItemKind, ApiError> {
        let kind = entity::ItemKind::parse(&self.0.row.subkind);
        let kind = kind.ok_or_else(|| ApiError::internal(format!("item {} has no kind", self.0.row.row_id)))?;
        Ok(kind.into())
    }

    /// The inspection it belongs to; none while that is not known, and where there is none.
    async fn inspection(&self, ctx: &Context<'_>) -> Result<Option<Inspection>, ApiError> {
        self.0.inspection(ctx).await
    }

    /// What it hangs on, where the vendor says so.
    async fn parent(&self, ctx: &Context<'_>) -> Result<Option<Node>, ApiError> {
        self.0.parent(ctx).await
    }

    /// The picture.
    async fn photo(&self) -> Result<Option<&Photo>, ApiError> {
        Ok(self.0.facts()?.photo.as_ref())
    }

    /// The film.
    async fn video(&self) -> Result<Option<&Video>, ApiError> {
        Ok(self.0.facts()?.video.as_ref())
    }

    /// The answer.
    async fn answer(&self) -> Result<Option<&Answer>, ApiError> {
        Ok(self.0.facts()?.answer.as_ref())
    }

    /// The message.
    async fn message(&self) -> Result<Option<&Message>, ApiError> {
        Ok(self.0.facts()?.message.as_ref())
    }

    /// Whether the person can be reached.
    async fn contact(&self) -> Result<Option<&Contact>, ApiError> {
        Ok(self.0.facts()?.contact.as_ref())
    }

    /// The note.
    async fn note(&self) -> Result<Option<&Note>, ApiError> {
        Ok(self.0.facts()?.note.as_ref())
    }

    /// The filled form.
    async fn form(&self) -> Result<Option<&Form>, ApiError> {
        Ok(self.0.facts()?.form.as_ref())
    }

    /// The file, signature or identity document.
    async fn file(&self) -> Result<Option<&File>, ApiError> {
        Ok(self.0.facts()?.file.as_ref())
    }

    /// The 3D model.
    async fn model(&self) -> Result<Option<&Model>, ApiError> {
        Ok(self.0.facts()?.model.as_ref())
    }

    /// The damage.
    async fn damage(&self) -> Result<Option<&Damage>, ApiError> {
        Ok(self.0.facts()?.damage.as_ref())
    }

    /// Who wants to be called.
    async fn lead(&self) -> Result<Option<&Lead>, ApiError> {
        Ok(self.0.facts()?.lead.as_ref())
    }

    /// The account.
    async fn account(&self) -> Result<Option<&Account>, ApiError> {
        Ok(self.0.facts()?.account.as_ref())
    }

    /// The record, or why there is none.
    async fn record(&self) -> Result<Option<&Record>, ApiError> {
        Ok(self.0.facts()?.record.as_ref())
    }

    /// The items that hang on this item itself, e.g. the records of an account.
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
        let filter = kind_filter(kind);
        let asked = PageArgs { first, after, last, before };
        pagination::children(ctx, asked, ChildRelation::Parent, filter, self.0.row.row_id).await
    }
}

/// The items of some kinds, or all.
pub fn kind_filter(kinds: Option<Vec<ItemKind>>) -> EntityFilter {
    let words = |kinds: Vec<ItemKind>| kinds.into_iter().map(|kind| entity::ItemKind::from(kind).as_str()).collect();
    EntityFilter { kind: Some(Kind::Item), subkind: kinds.map(words), ..EntityFilter::default() }
}

impl From<Arc<EntityRow>> for Item {
    fn from(row: Arc<EntityRow>) -> Self {
        Item(row.into())
    }
}

impl Item {
    /// For `Node.id`.
    pub async fn id(&self, _: &Context<'_>) -> Result<ID, ApiError> {
        Ok(self.0.row.id.into())
    }
}

//! What hangs on inspections, sessions and jobs.

use super::change::Change;
use super::connection::{Asked, Connection};
use super::entity::Entity;
use super::error::Fault;
use super::inspection::Inspection;
use super::limits::cost;
use super::lists;
use super::node::Node;
use super::words::ItemKind;
use crate::event::{Account, Answer, Contact, Damage, File, Form, Lead, Message, Model, Note, Photo, Record, Video};
use crate::store::read::{EntityFilter, EntityRow, Of};
use async_graphql::{Context, ID, Object};
use entity::Kind;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Item(pub Entity);

/// What hangs on inspections, sessions and jobs: a photo, a message, a damage, a record. What it is stands in `kind`,
/// and the field of that name holds what is known of it; all the others are null.
#[Object]
impl Item {
    #[graphql(flatten)]
    async fn common(&self) -> &Entity {
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
    ) -> Result<Connection<Change>, Fault> {
        lists::history(ctx, Asked { first, after, last, before }, self.0.row.number).await
    }

    /// What sort of thing it is.
    async fn kind(&self) -> Result<ItemKind, Fault> {
        let kind = entity::ItemKind::parse(&self.0.row.subkind);
        let kind = kind.ok_or_else(|| Fault::corrupt(format!("item {} has no kind", self.0.row.number)))?;
        Ok(kind.into())
    }

    /// The inspection it belongs to; none while that is not known, and where there is none.
    async fn inspection(&self, ctx: &Context<'_>) -> Result<Option<Inspection>, Fault> {
        self.0.inspection(ctx).await
    }

    /// What it hangs on, where the vendor says so.
    async fn parent(&self, ctx: &Context<'_>) -> Result<Option<Node>, Fault> {
        self.0.parent(ctx).await
    }

    /// The picture.
    async fn photo(&self) -> Result<Option<&Photo>, Fault> {
        Ok(self.0.facts()?.photo.as_ref())
    }

    /// The film.
    async fn video(&self) -> Result<Option<&Video>, Fault> {
        Ok(self.0.facts()?.video.as_ref())
    }

    /// The answer.
    async fn answer(&self) -> Result<Option<&Answer>, Fault> {
        Ok(self.0.facts()?.answer.as_ref())
    }

    /// The message.
    async fn message(&self) -> Result<Option<&Message>, Fault> {
        Ok(self.0.facts()?.message.as_ref())
    }

    /// Whether the person can be reached.
    async fn contact(&self) -> Result<Option<&Contact>, Fault> {
        Ok(self.0.facts()?.contact.as_ref())
    }

    /// The note.
    async fn note(&self) -> Result<Option<&Note>, Fault> {
        Ok(self.0.facts()?.note.as_ref())
    }

    /// The filled form.
    async fn form(&self) -> Result<Option<&Form>, Fault> {
        Ok(self.0.facts()?.form.as_ref())
    }

    /// The file, signature or identity document.
    async fn file(&self) -> Result<Option<&File>, Fault> {
        Ok(self.0.facts()?.file.as_ref())
    }

    /// The 3D model.
    async fn model(&self) -> Result<Option<&Model>, Fault> {
        Ok(self.0.facts()?.model.as_ref())
    }

    /// The damage.
    async fn damage(&self) -> Result<Option<&Damage>, Fault> {
        Ok(self.0.facts()?.damage.as_ref())
    }

    /// Who wants to be called.
    async fn lead(&self) -> Result<Option<&Lead>, Fault> {
        Ok(self.0.facts()?.lead.as_ref())
    }

    /// The account.
    async fn account(&self) -> Result<Option<&Account>, Fault> {
        Ok(self.0.facts()?.account.as_ref())
    }

    /// The record, or why there is none.
    async fn record(&self) -> Result<Option<&Record>, Fault> {
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
    ) -> Result<Connection<Item>, Fault> {
        let filter = of_kinds(kind);
        let asked = Asked { first, after, last, before };
        lists::children(ctx, asked, Of::Parent, filter, self.0.row.number).await
    }
}

/// The items of some kinds, or all.
pub fn of_kinds(kinds: Option<Vec<ItemKind>>) -> EntityFilter {
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
    pub async fn id(&self, _: &Context<'_>) -> Result<ID, Fault> {
        Ok(self.0.row.id.into())
    }
}

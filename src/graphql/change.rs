//! One row of history.

use super::ApiContext;
use super::cursor::Cursor;
use super::data_loader::load;
use super::delivery::{self, Delivery};
use super::entities::{Inspection, Item, Job, Session};
use super::entity::selected_columns;
use super::enums::{EntityKind, Status, Verdict};
use super::error::ApiError;
use super::loaders::{DeliveryLoader, EntityLoader, IdentityLoader};
use super::scalar::Long;
use crate::store::read::{ChangeWithEntity, EntityRow, change_id, datetime_from_micros};
use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use entity::{Kind, change};
use std::sync::Arc;

#[derive(Debug)]
pub struct Change {
    row: ChangeRow,
    leaves_filter: bool,
}

#[derive(Debug)]
enum ChangeRow {
    /// Read from the history.
    Stored(Arc<change::Model>),
    /// Handed on by the feed, with the names of what it is about.
    Published(Arc<ChangeWithEntity>),
}

/// One row of history: what an event did, or why it did nothing. Changes are numbered without gaps and never altered.
#[Object]
impl Change {
    /// The hub's id. It is made of the history and the place in it, so it stays the same as long as the history does: one that
    /// was rebuilt is another.
    pub async fn id(&self, ctx: &Context<'_>) -> Result<ID, ApiError> {
        Ok(change_id(ApiContext::of(ctx)?.feed.generation(), self.model().position).into())
    }

    /// The change's place in the history. Pass it as `after` to go on from here, in a list or in a subscription.
    async fn cursor(&self, ctx: &Context<'_>) -> Result<String, ApiError> {
        // In the second after a rebuild it may still be the one before: then the cursor is refused, as those of before are.
        let generation = ApiContext::of(ctx)?.feed.generation();
        Ok(Cursor::Change { position: self.model().position, generation }.encode())
    }

    /// The change's number in the history: contiguous, in the order of writing.
    async fn position(&self) -> Long {
        Long(self.model().position)
    }

    /// What it is about.
    async fn kind(&self) -> EntityKind {
        self.model().kind.into()
    }

    /// The id of what it is about; none if that is only the delivery.
    async fn entity_id(&self, ctx: &Context<'_>) -> Result<Option<ID>, ApiError> {
        if let ChangeRow::Published(news) = &self.row {
            return Ok(news.entity.as_ref().map(|about| about.id.into()));
        }
        let Some(number) = self.model().entity_row_id else { return Ok(None) };
        Ok(load(ctx, IdentityLoader, number).await?.map(|about| about.id.into()))
    }

    /// What became of the event.
    async fn verdict(&self) -> Verdict {
        self.model().verdict.into()
    }

    /// Why, in words for an operator.
    async fn reason(&self) -> &str {
        &self.model().reason
    }

    /// The vendor's name of the event; none if it could not be read.
    async fn event(&self) -> Option<&str> {
        Some(self.model().event.as_str()).filter(|event| !event.is_empty())
    }

    /// The vendor's word for the state before; none if there was no state yet.
    async fn from_state(&self) -> Option<&str> {
        self.model().from_state.as_deref()
    }

    /// The vendor's word for the state after. It equals `fromState` if the change did not move the state.
    async fn to_state(&self) -> Option<&str> {
        self.model().to_state.as_deref()
    }

    /// The hub's word for the state before.
    async fn from_status(&self) -> Option<Status> {
        self.model().from_status.map(Status::from)
    }

    /// The hub's word for the state after.
    async fn to_status(&self) -> Option<Status> {
        self.model().to_status.map(Status::from)
    }

    /// The cycle after: how often it had been reopened.
    async fn cycle(&self) -> i32 {
        self.model().cycle
    }

    /// The configured connection it came by.
    async fn source(&self) -> &str {
        &self.model().source
    }

    /// The vendor it came from.
    async fn vendor(&self) -> &str {
        &self.model().vendor
    }

    /// When it happened, by the vendor's clock; none if the vendor gave no time.
    async fn occurred_at(&self) -> Option<DateTime<Utc>> {
        self.model().occurred_at.map(datetime_from_micros)
    }

    /// When the hub received it.
    async fn received_at(&self) -> DateTime<Utc> {
        datetime_from_micros(self.model().received_at)
    }

    /// Whether what it is about matched the subscription's filter by status or state before, and does not any more: take
    /// it out of your list. Always false outside subscriptions.
    async fn leaves_filter(&self) -> bool {
        self.leaves_filter
    }

    /// The inspection it belongs to, as it stands now; none if it belonged to none when it was written.
    async fn inspection(&self, ctx: &Context<'_>) -> Result<Option<Inspection>, ApiError> {
        let model = self.model();
        let own = model.entity_row_id.filter(|_| model.kind == Kind::Inspection);
        self.entity(ctx, model.inspection_row_id.or(own)).await
    }

    /// The session it is about, as it stands now; none unless `kind` is `SESSION`.
    async fn session(&self, ctx: &Context<'_>) -> Result<Option<Session>, ApiError> {
        self.about(ctx, Kind::Session).await
    }

    /// The job it is about, as it stands now; none unless `kind` is `JOB`.
    async fn job(&self, ctx: &Context<'_>) -> Result<Option<Job>, ApiError> {
        self.about(ctx, Kind::Job).await
    }

    /// The item it is about, as it stands now; none unless `kind` is `ITEM`.
    async fn item(&self, ctx: &Context<'_>) -> Result<Option<Item>, ApiError> {
        self.about(ctx, Kind::Item).await
    }

    /// The delivery that brought it.
    async fn delivery(&self, ctx: &Context<'_>) -> Result<Delivery, ApiError> {
        let number = self.model().delivery_row_id;
        let found = load(ctx, DeliveryLoader(delivery::selected_columns(ctx.field())), number).await?;
        found.map(Delivery).ok_or_else(|| ApiError::internal(format!("delivery {number} is missing")))
    }
}

impl Change {
    /// A change read from the history.
    pub fn from_row(row: Arc<change::Model>) -> Self {
        Change { row: ChangeRow::Stored(row), leaves_filter: false }
    }

    /// A change that the feed hands on.
    pub fn from_feed(news: Arc<ChangeWithEntity>, leaves_filter: bool) -> Self {
        Change { row: ChangeRow::Published(news), leaves_filter }
    }

    fn model(&self) -> &change::Model {
        match &self.row {
            ChangeRow::Stored(row) => row,
            ChangeRow::Published(news) => &news.change,
        }
    }

    async fn about<T: From<Arc<EntityRow>>>(&self, ctx: &Context<'_>, kind: Kind) -> Result<Option<T>, ApiError> {
        self.entity(ctx, self.model().entity_row_id.filter(|_| self.model().kind == kind)).await
    }

    async fn entity<T: From<Arc<EntityRow>>>(
        &self,
        ctx: &Context<'_>,
        number: Option<i64>,
    ) -> Result<Option<T>, ApiError> {
        let Some(number) = number else { return Ok(None) };
        Ok(load(ctx, EntityLoader(selected_columns(ctx.field())), number).await?.map(T::from))
    }
}

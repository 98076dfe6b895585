//! One row of history.

use super::Api;
use super::batch::ask;
use super::cursor::Cursor;
use super::delivery::{self, Delivery};
use super::entity::wants;
use super::error::Fault;
use super::inspection::Inspection;
use super::item::Item;
use super::job::Job;
use super::questions::{Deliveries, Entities, Identities};
use super::scalar::Long;
use super::session::Session;
use super::words::{EntityKind, Status, Verdict};
use crate::store::read::{Changed, EntityRow, change_id, moment};
use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use entity::{Kind, change};
use std::sync::Arc;

#[derive(Debug)]
pub struct Change {
    row: Row,
    leaving: bool,
}

#[derive(Debug)]
enum Row {
    /// Read from the history.
    Past(Arc<change::Model>),
    /// Handed on by the feed, with the names of what it is about.
    News(Arc<Changed>),
}

/// One row of history: what an event did, or why it did nothing. Changes are numbered without gaps and never altered.
#[Object]
impl Change {
    /// The hub's id. It is made of the history and the place in it, so it stays the same as long as the history does: one that
    /// was rebuilt is another.
    pub async fn id(&self, ctx: &Context<'_>) -> Result<ID, Fault> {
        Ok(change_id(Api::of(ctx)?.feed.generation(), self.model().position).into())
    }

    /// The change's place in the history. Pass it as `after` to go on from here, in a list or in a subscription.
    async fn cursor(&self, ctx: &Context<'_>) -> Result<String, Fault> {
        // In the second after a rebuild it may still be the one before: then the cursor is refused, as those of before are.
        let generation = Api::of(ctx)?.feed.generation();
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
    async fn entity_id(&self, ctx: &Context<'_>) -> Result<Option<ID>, Fault> {
        if let Row::News(news) = &self.row {
            return Ok(news.about.as_ref().map(|about| about.id.into()));
        }
        let Some(number) = self.model().entity else { return Ok(None) };
        Ok(ask(ctx, Identities, number).await?.map(|about| about.id.into()))
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
        self.model().occurred_at.map(moment)
    }

    /// When the hub received it.
    async fn received_at(&self) -> DateTime<Utc> {
        moment(self.model().received_at)
    }

    /// Whether what it is about matched the subscription's filter by status or state before, and does not any more: take
    /// it out of your list. Always false outside subscriptions.
    async fn leaving(&self) -> bool {
        self.leaving
    }

    /// The inspection it belongs to, as it stands now; none if it belonged to none when it was written.
    async fn inspection(&self, ctx: &Context<'_>) -> Result<Option<Inspection>, Fault> {
        let model = self.model();
        let own = model.entity.filter(|_| model.kind == Kind::Inspection);
        self.entity(ctx, model.inspection.or(own)).await
    }

    /// The session it is about, as it stands now; none unless `kind` is `SESSION`.
    async fn session(&self, ctx: &Context<'_>) -> Result<Option<Session>, Fault> {
        self.about(ctx, Kind::Session).await
    }

    /// The job it is about, as it stands now; none unless `kind` is `JOB`.
    async fn job(&self, ctx: &Context<'_>) -> Result<Option<Job>, Fault> {
        self.about(ctx, Kind::Job).await
    }

    /// The item it is about, as it stands now; none unless `kind` is `ITEM`.
    async fn item(&self, ctx: &Context<'_>) -> Result<Option<Item>, Fault> {
        self.about(ctx, Kind::Item).await
    }

    /// The delivery that brought it.
    async fn delivery(&self, ctx: &Context<'_>) -> Result<Delivery, Fault> {
        let number = self.model().delivery;
        let found = ask(ctx, Deliveries(delivery::wants(ctx.field())), number).await?;
        found.map(Delivery).ok_or_else(|| Fault::corrupt(format!("delivery {number} is missing")))
    }
}

impl Change {
    /// A change read from the history.
    pub fn read(row: Arc<change::Model>) -> Self {
        Change { row: Row::Past(row), leaving: false }
    }

    /// A change that the feed hands on.
    pub fn news(news: Arc<Changed>, leaving: bool) -> Self {
        Change { row: Row::News(news), leaving }
    }

    fn model(&self) -> &change::Model {
        match &self.row {
            Row::Past(row) => row,
            Row::News(news) => &news.change,
        }
    }

    async fn about<T: From<Arc<EntityRow>>>(&self, ctx: &Context<'_>, kind: Kind) -> Result<Option<T>, Fault> {
        self.entity(ctx, self.model().entity.filter(|_| self.model().kind == kind)).await
    }

    async fn entity<T: From<Arc<EntityRow>>>(
        &self,
        ctx: &Context<'_>,
        number: Option<i64>,
    ) -> Result<Option<T>, Fault> {
        let Some(number) = number else { return Ok(None) };
        Ok(ask(ctx, Entities(wants(ctx.field())), number).await?.map(T::from))
    }
}

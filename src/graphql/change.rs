//! One row of history.

use super::ApiContext;
use super::command::Command;
use super::cursor::Cursor;
use super::data_loader::load;
use super::delivery::{self, Delivery};
use super::entities::{Inspection, Item, Job, Session};
use super::entity::load_entity;
use super::error::ApiError;
use super::explanation::{RenderedWarning, stored_explanation};
use super::loaders::{CommandLoader, DeliveryLoader, IdentityLoader};
use super::scalar::Long;
use crate::event::Explanation;
use crate::store::read::{ChangeWithEntity, change_id, datetime_from_micros};
use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use entity::{Kind, ReasonCode, Status, Verdict, change};
use std::sync::Arc;

#[derive(Debug)]
pub struct Change {
    row: ChangeRow,
    leaves_filter: bool,
}

#[derive(Debug)]
enum ChangeRow {
    Stored(Arc<change::Model>),
    /// From the feed, with the identity of the entity.
    Published(Arc<ChangeWithEntity>),
}

/// One row of history: what an event or a command did, or why it had no effect. Changes are numbered without gaps and never altered.
#[Object]
impl Change {
    /// The hub's id. It is derived from the history and the position in it, so it is stable until the history is rebuilt.
    pub async fn id(&self, ctx: &Context<'_>) -> Result<ID, ApiError> {
        Ok(change_id(ApiContext::of(ctx)?.feed.generation(), self.model().position).into())
    }

    /// The change's place in the history. Pass it as `after` to resume here, in a list or in a subscription.
    async fn cursor(&self, ctx: &Context<'_>) -> Result<String, ApiError> {
        // For about a second after a rebuild it may be the old generation: then the cursor is rejected, as all old ones are.
        let generation = ApiContext::of(ctx)?.feed.generation();
        Ok(Cursor::Change { position: self.model().position, generation }.encode())
    }

    /// The change's number in the history: contiguous, in commit order.
    async fn position(&self) -> Long {
        Long(self.model().position)
    }

    /// The kind of what it is about.
    async fn kind(&self) -> Kind {
        self.model().kind
    }

    /// The id of what it is about; null if that is only the delivery.
    async fn entity_id(&self, ctx: &Context<'_>) -> Result<Option<ID>, ApiError> {
        if let ChangeRow::Published(change) = &self.row {
            return Ok(change.entity.as_ref().map(|about| about.id.into()));
        }
        let Some(row_id) = self.model().entity_row_id else { return Ok(None) };
        Ok(load(ctx, IdentityLoader, row_id).await?.map(|about| about.id.into()))
    }

    /// What became of the event.
    async fn verdict(&self) -> Verdict {
        self.model().verdict
    }

    /// Why the event has this verdict, in words for an operator, with the warnings. Programs use `reasonCode`: the words may change.
    async fn reason(&self) -> Result<String, ApiError> {
        Ok(self.explanation()?.to_string())
    }

    /// Why the event has this verdict, as a stable code.
    async fn reason_code(&self) -> ReasonCode {
        self.model().reason_code
    }

    /// What to know of the event beside the reason, e.g. that its time is not understood.
    async fn warnings(&self) -> Result<Vec<RenderedWarning>, ApiError> {
        Ok(self.explanation()?.warnings.into_iter().map(RenderedWarning::from).collect())
    }

    /// The vendor's name of the event; null if the body is unreadable, or a command made the change.
    async fn event(&self) -> Option<&str> {
        Some(self.model().event.as_str()).filter(|event| !event.is_empty())
    }

    /// The vendor's word for the state before; null if there was no state yet.
    async fn from_state(&self) -> Option<&str> {
        self.model().from_state.as_deref()
    }

    /// The vendor's word for the state after. It equals `fromState` if the change did not move the state.
    async fn to_state(&self) -> Option<&str> {
        self.model().to_state.as_deref()
    }

    /// The normalised status before.
    async fn from_status(&self) -> Option<Status> {
        self.model().from_status
    }

    /// The normalised status after.
    async fn to_status(&self) -> Option<Status> {
        self.model().to_status
    }

    /// The cycle after the change: how often the entity had been reopened.
    async fn cycle(&self) -> i32 {
        self.model().cycle
    }

    /// The configured connection that received it, or that of the entity if a command made the change.
    async fn source(&self) -> Option<&str> {
        self.model().source.as_deref()
    }

    /// The vendor that sent it, or that of the entity if a command made the change.
    async fn vendor(&self) -> Option<&str> {
        self.model().vendor.as_deref()
    }

    /// When it happened, by the vendor's clock; null if the vendor gave no time.
    async fn occurred_at(&self) -> Option<DateTime<Utc>> {
        self.model().occurred_at.map(datetime_from_micros)
    }

    /// When the hub received it.
    async fn received_at(&self) -> DateTime<Utc> {
        datetime_from_micros(self.model().received_at)
    }

    /// Whether the entity matched the subscription's filter by status or state before the change, and no longer does: remove it from
    /// your list. Always false outside subscriptions.
    async fn leaves_filter(&self) -> bool {
        self.leaves_filter
    }

    /// The inspection it belongs to, in its current state; null if it belonged to no inspection when the change was written.
    async fn inspection(&self, ctx: &Context<'_>) -> Result<Option<Inspection>, ApiError> {
        let own = || self.entity_row_id(Kind::Inspection);
        Ok(load_entity(ctx, self.model().inspection_row_id.or_else(own)).await?.map(Inspection::from))
    }

    /// The session it is about, in its current state; null unless `kind` is `SESSION`.
    async fn session(&self, ctx: &Context<'_>) -> Result<Option<Session>, ApiError> {
        Ok(load_entity(ctx, self.entity_row_id(Kind::Session)).await?.map(Session::from))
    }

    /// The job it is about, in its current state; null unless `kind` is `JOB`.
    async fn job(&self, ctx: &Context<'_>) -> Result<Option<Job>, ApiError> {
        Ok(load_entity(ctx, self.entity_row_id(Kind::Job)).await?.map(Job::from))
    }

    /// The item it is about, in its current state; null unless `kind` is `ITEM`.
    async fn item(&self, ctx: &Context<'_>) -> Result<Option<Item>, ApiError> {
        Ok(load_entity(ctx, self.entity_row_id(Kind::Item)).await?.map(Item::from))
    }

    /// The act that made it; null for what a vendor sent.
    async fn command(&self, ctx: &Context<'_>) -> Result<Option<Command>, ApiError> {
        let Some(row_id) = self.model().command_row_id else { return Ok(None) };
        match load(ctx, CommandLoader, row_id).await? {
            Some(row) => Ok(Some(Command(row))),
            None => Err(ApiError::internal(format!("command {row_id} is missing"))),
        }
    }

    /// The subject of the credential that the act was made with; null for what a vendor sent. Personal: null without the scope
    /// `READ_PERSONAL`.
    async fn actor(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        if let ChangeRow::Published(change) = &self.row {
            return Ok(change.actor.clone());
        }
        let Some(row_id) = self.model().command_row_id else { return Ok(None) };
        Ok(load(ctx, CommandLoader, row_id).await?.map(|command| command.actor.clone()))
    }

    /// The delivery that brought it; null if no delivery did.
    async fn delivery(&self, ctx: &Context<'_>) -> Result<Option<Delivery>, ApiError> {
        let Some(row_id) = self.model().delivery_row_id else { return Ok(None) };
        let found = load(ctx, DeliveryLoader(delivery::selected_columns(&[ctx.field()])), row_id).await?;
        match found {
            Some(row) => Ok(Some(Delivery(row))),
            None => Err(ApiError::internal(format!("delivery {row_id} is missing"))),
        }
    }
}

impl Change {
    pub fn from_row(row: Arc<change::Model>) -> Self {
        Change { row: ChangeRow::Stored(row), leaves_filter: false }
    }

    pub fn from_feed(change: Arc<ChangeWithEntity>, leaves_filter: bool) -> Self {
        Change { row: ChangeRow::Published(change), leaves_filter }
    }

    fn model(&self) -> &change::Model {
        match &self.row {
            ChangeRow::Stored(row) => row,
            ChangeRow::Published(row) => &row.change,
        }
    }

    fn explanation(&self) -> Result<Explanation, ApiError> {
        let row = self.model();
        stored_explanation(row.reason_code, row.reason_params.as_deref(), row.warnings.as_deref())
    }

    /// The entity that it is about, if that is of this kind.
    fn entity_row_id(&self, kind: Kind) -> Option<i64> {
        self.model().entity_row_id.filter(|_| self.model().kind == kind)
    }
}

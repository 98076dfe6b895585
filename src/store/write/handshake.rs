//! Requests to confirm a webhook URL: stored with the delivery that brought them, confirmed by the hub's own call later.

use crate::store::{Database, StoreError};
use chrono::{DateTime, Utc};
use entity::handshake::{ActiveModel, Column, Entity, Model};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder};

/// The requests and the progress of their confirmation.
#[derive(Clone, Debug)]
pub struct HandshakeStore(Database);

impl HandshakeStore {
    /// The requests in this database.
    pub fn new(db: Database) -> Self {
        HandshakeStore(db)
    }

    /// The requests that have not been confirmed, oldest first.
    pub async fn pending(&self) -> Result<Vec<Model>, StoreError> {
        let open = Entity::find().filter(Column::ConfirmedAt.is_null()).order_by_asc(Column::RequestedAt);
        Ok(open.all(&self.0.read_pool).await?)
    }

    /// The vendor has accepted the confirmation.
    pub async fn mark_confirmed(&self, request: &Model, at: DateTime<Utc>) -> Result<(), StoreError> {
        let confirmed_at = Set(Some(at.timestamp_micros()));
        let outcome = ActiveModel { confirmed_at, last_error: Set(None), ..ActiveModel::default() };
        // Also if it was requested again: the code cannot be used again.
        self.record_attempt(request, outcome, None).await
    }

    /// An attempt has failed; `why` is for an operator.
    pub async fn record_failure(&self, request: &Model, why: String) -> Result<(), StoreError> {
        let outcome = ActiveModel { last_error: Set(Some(why)), ..ActiveModel::default() };
        // Not if it was requested again: that is another request.
        self.record_attempt(request, outcome, Some(request.requested_at)).await
    }

    async fn record_attempt(
        &self,
        request: &Model,
        outcome: ActiveModel,
        requested_at: Option<i64>,
    ) -> Result<(), StoreError> {
        let requested_at = requested_at.map(|at| Column::RequestedAt.eq(at));
        let update = Entity::update_many()
            .set(outcome)
            .col_expr(Column::Attempts, sea_orm::sea_query::Expr::col(Column::Attempts).add(1))
            .filter(Column::Source.eq(request.source.as_str()))
            .filter(Column::Code.eq(request.code.as_str()))
            .filter(sea_orm::Condition::all().add_option(requested_at))
            .exec(&self.0.write_pool);
        self.0.with_timeout(update).await?;
        Ok(())
    }
}

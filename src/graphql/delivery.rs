//! One webhook as it was received.

use super::change::Change;
use super::connection::object_with_lists;
use super::entity::stored_json;
use super::error::ApiError;
use super::explanation::{RenderedWarning, stored_explanation};
use super::pagination;
use super::scalar::Long;
use crate::event::{Explanation, Json};
use crate::store::PayloadError;
use crate::store::read::{DeliveryProjection, DeliveryRow, datetime_from_micros, delivery_id};
use async_graphql::{ID, Object, SelectionField};
use chrono::{DateTime, Utc};
use entity::{ReasonCode, Verdict};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Delivery(pub Arc<DeliveryRow>);

/// One webhook exactly as it was received: the source of truth. A duplicate is counted on the original.
#[Object]
impl Delivery {
    /// The hub's id. It is in the response to the webhook.
    pub async fn id(&self) -> ID {
        delivery_id(self.0.row_id).into()
    }

    /// The configured connection that received it.
    async fn source(&self) -> &str {
        &self.0.source
    }

    /// The vendor that sent it.
    async fn vendor(&self) -> &str {
        &self.0.vendor
    }

    /// When the hub received it.
    async fn received_at(&self) -> DateTime<Utc> {
        datetime_from_micros(self.0.received_at)
    }

    /// The HTTP method: `POST` or `PUT`.
    async fn method(&self) -> &str {
        &self.0.method
    }

    /// The `Content-Type` header; null if it was not sent.
    async fn content_type(&self) -> Result<Option<String>, ApiError> {
        let Some(headers) = self.headers_as_stored()? else { return Ok(None) };
        let Some(headers) = headers.as_object() else { return Ok(None) };
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        Ok(found.and_then(|(_, value)| value.as_str()).map(str::to_owned))
    }

    /// The request's headers without credentials: name -> value.
    async fn headers(&self) -> Result<Option<Json>, ApiError> {
        Ok(self.headers_as_stored()?.map(Json))
    }

    /// The body as text; bytes that are not UTF-8 are shown as U+FFFD. It can be large: select it for few deliveries at a time.
    async fn body_text(&self) -> Result<Option<String>, ApiError> {
        Ok(self.decoded(&self.0.body)?.map(|body| String::from_utf8_lossy(body).into_owned()))
    }

    /// The size of the body in bytes.
    async fn size(&self) -> i32 {
        i32::try_from(self.0.body_size).unwrap_or(i32::MAX)
    }

    /// The vendor's name of the event; null if the body is unreadable.
    async fn event(&self) -> Option<&str> {
        Some(self.0.event.as_str()).filter(|event| !event.is_empty())
    }

    /// When it happened, by the vendor's clock; null if the vendor gave no time.
    async fn occurred_at(&self) -> Option<DateTime<Utc>> {
        self.0.occurred_at.map(datetime_from_micros)
    }

    /// What became of it as a whole. `changes` has the verdict of each of its events.
    async fn verdict(&self) -> Verdict {
        self.0.verdict
    }

    /// Why it has this verdict, in words for an operator, with the warnings. Programs use `reasonCode`: the words may change.
    async fn reason(&self) -> Result<String, ApiError> {
        Ok(self.explanation()?.to_string())
    }

    /// Why it has this verdict, as a stable code.
    async fn reason_code(&self) -> ReasonCode {
        self.0.reason_code
    }

    /// What to know of it beside the reason, e.g. that its time is not understood.
    async fn warnings(&self) -> Result<Vec<RenderedWarning>, ApiError> {
        Ok(self.explanation()?.warnings.into_iter().map(RenderedWarning::from).collect())
    }

    /// How many duplicates of it were received, without effect.
    async fn duplicates(&self) -> Long {
        Long(self.0.duplicates)
    }

    /// When the last duplicate was received; null if there is no duplicate.
    async fn last_duplicate_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_duplicate_at.map(datetime_from_micros)
    }

    #[graphql(flatten)]
    async fn lists(&self) -> DeliveryLists {
        DeliveryLists(self.0.clone())
    }
}

#[derive(Debug)]
struct DeliveryLists(Arc<DeliveryRow>);

object_with_lists! {
    DeliveryLists {
        /// The changes it caused, including those without effect, by position.
        fn changes(&self, ctx, page) -> Change {
            pagination::changes_of_delivery(ctx, page, &self.0).await
        }
    }
}

impl Delivery {
    fn explanation(&self) -> Result<Explanation, ApiError> {
        stored_explanation(self.0.reason_code, self.0.reason_params.as_deref(), self.0.warnings.as_deref())
    }

    fn headers_as_stored(&self) -> Result<Option<serde_json::Value>, ApiError> {
        let headers = self.decoded(&self.0.headers)?;
        Ok(headers.map(|headers| stored_json(headers)).transpose()?.map(|Json(headers)| headers))
    }

    // A part of the payload, if it was selected.
    fn decoded<'r, T>(&self, part: &'r Option<Result<T, PayloadError>>) -> Result<Option<&'r T>, ApiError> {
        let damaged = |error: &PayloadError| ApiError::internal(format!("delivery {} has {error}", self.0.row_id));
        part.as_ref().map(|part| part.as_ref().map_err(damaged)).transpose()
    }
}

/// The large columns that the fields selected of deliveries need.
pub fn selected_columns(selections: &[SelectionField<'_>]) -> DeliveryProjection {
    let mut projection = DeliveryProjection::default();
    for field in selections.iter().flat_map(SelectionField::selection_set) {
        projection.headers |= matches!(field.name(), "headers" | "contentType");
        projection.body |= field.name() == "bodyText";
    }
    projection
}

//! One POST as it came.

use super::change::Change;
use super::connection::object_with_lists;
use super::entity::stored_json;
use super::enums::Verdict;
use super::error::ApiError;
use super::pagination;
use super::scalar::Long;
use crate::event::Json;
use crate::store::read::{DeliveryProjection, DeliveryRow, datetime_from_micros, delivery_id};
use async_graphql::{ID, Object, SelectionField};
use chrono::{DateTime, Utc};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Delivery(pub Arc<DeliveryRow>);

/// One POST of a vendor, exactly as it came: the ground truth. A repetition of the same news is counted on the first.
#[Object]
impl Delivery {
    /// The hub's id. The vendor got it in the answer to the POST.
    pub async fn id(&self) -> ID {
        delivery_id(self.0.row_id).into()
    }

    /// The configured connection it came by.
    async fn source(&self) -> &str {
        &self.0.source
    }

    /// The vendor it came from.
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

    /// What the sender said the body is.
    async fn content_type(&self) -> Result<Option<String>, ApiError> {
        let Some(headers) = self.headers_as_stored()? else { return Ok(None) };
        let Some(headers) = headers.as_object() else { return Ok(None) };
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        Ok(found.and_then(|(_, value)| value.as_str()).map(str::to_owned))
    }

    /// The headers it came with, credentials left out: name -> value.
    async fn headers(&self) -> Result<Option<Json>, ApiError> {
        Ok(self.headers_as_stored()?.map(Json))
    }

    /// The body as text; bytes that are no UTF-8 are shown as U+FFFD. It can be large: ask for few at a time.
    async fn body_text(&self) -> Option<String> {
        self.0.body.as_deref().map(|body| String::from_utf8_lossy(body).into_owned())
    }

    /// The size of the body in bytes.
    async fn size(&self) -> i32 {
        i32::try_from(self.0.size).unwrap_or(i32::MAX)
    }

    /// The vendor's name of the event; none if it could not be read.
    async fn event(&self) -> Option<&str> {
        Some(self.0.event.as_str()).filter(|event| !event.is_empty())
    }

    /// When it happened, by the vendor's clock; none if the vendor gave no time.
    async fn occurred_at(&self) -> Option<DateTime<Utc>> {
        self.0.occurred_at.map(datetime_from_micros)
    }

    /// What became of it as a whole; `changes` tells what became of each thing it said.
    async fn verdict(&self) -> Verdict {
        self.0.verdict.into()
    }

    /// Why, in words for an operator.
    async fn reason(&self) -> &str {
        &self.0.reason
    }

    /// How often the same news came again, without effect.
    async fn duplicates(&self) -> Long {
        Long(self.0.duplicates)
    }

    /// When the same news came again the last time; none if it never did.
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
    fn headers_as_stored(&self) -> Result<Option<serde_json::Value>, ApiError> {
        Ok(self.0.headers.as_deref().map(stored_json).transpose()?.map(|Json(headers)| headers))
    }
}

/// Which large columns the fields under a delivery need.
pub fn selected_columns(field: SelectionField<'_>) -> DeliveryProjection {
    let mut wants = DeliveryProjection::default();
    for field in field.selection_set() {
        wants.headers |= matches!(field.name(), "headers" | "contentType");
        wants.body |= field.name() == "bodyText";
    }
    wants
}

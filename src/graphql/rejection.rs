//! Refused webhooks.

use super::ApiContext;
use super::entity::stored_json;
use super::error::ApiError;
use crate::access::View;
use crate::event::Json;
use crate::store::read::{self, datetime_from_micros, is_rejection_visible};
use crate::vendor::verify::WouldFit;
use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use entity::{RejectionCause, rejection};
use futures_util::stream::{self, Stream, StreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

/// Subscriptions that begin now and cannot be resumed.
const LIVE_ONLY_SUBSCRIPTIONS: &[&str] = &["rejected"];

/// Whether a subscription of this name can begin at a cursor.
pub fn is_resumable(subscription: &str) -> bool {
    !LIVE_ONLY_SUBSCRIPTIONS.contains(&subscription)
}

#[derive(Clone, Debug)]
pub struct Rejection(pub Arc<rejection::Model>);

/// Equal webhooks that were refused, and why. Equal are those with the same source, cause, scheme, method, path and client.
/// Values of headers, queries and bodies are not kept.
#[Object]
impl Rejection {
    /// The hub's id. It does not change while the record is kept.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// When the newest of them was received.
    async fn at(&self) -> DateTime<Utc> {
        datetime_from_micros(self.0.at)
    }

    /// When the first of them was received.
    async fn first_at(&self) -> DateTime<Utc> {
        datetime_from_micros(self.0.first_at)
    }

    /// The source that it was sent to; null if no such source is configured: see `path`.
    async fn source(&self) -> Option<&str> {
        Some(self.0.source.as_str()).filter(|source| !source.is_empty())
    }

    /// Why it was refused, as a stable code.
    async fn cause(&self) -> RejectionCause {
        self.0.cause
    }

    /// Why the newest of them was refused, in words for an operator. Programs use `cause`: the words may change.
    async fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The verification scheme that did not pass, e.g. `signature`; null for other causes.
    async fn scheme(&self) -> Option<&str> {
        self.0.scheme.as_deref()
    }

    /// The status of the response.
    async fn http_status(&self) -> i32 {
        self.0.http_status
    }

    /// The HTTP method.
    async fn method(&self) -> &str {
        &self.0.method
    }

    /// The path of the URL, without its query. Parts longer than 64 characters are cut.
    async fn path(&self) -> &str {
        &self.0.path
    }

    /// The names of the headers, at most 50, in alphabetical order.
    async fn header_names(&self) -> Result<Vec<String>, ApiError> {
        let Json(names) = stored_json(&self.0.header_names)?;
        serde_json::from_value(names).map_err(|error| self.corrupt("header_names", &error))
    }

    /// The size of the newest body in bytes, as it was received or announced; 0 if neither is known.
    async fn bytes(&self) -> i32 {
        i32::try_from(self.0.bytes).unwrap_or(i32::MAX)
    }

    /// The address of the client; of IPv6, its network, e.g. `2001:db8:1:2::/64`. Null if it is not known.
    async fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// With what the first of them would have passed, in words: `the URL with http instead of https`. Empty if nothing was
    /// found, or if the request was not examined: only few are.
    async fn would_fit(&self, ctx: &Context<'_>) -> Result<Vec<String>, ApiError> {
        let Json(fits) = stored_json(&self.0.would_fit)?;
        let fits: Vec<WouldFit> = serde_json::from_value(fits).map_err(|error| self.corrupt("would_fit", &error))?;
        let view = ApiContext::of(ctx)?.view();
        let is_visible = |fit: &WouldFit| fit.source.as_ref().is_none_or(|source| is_rejection_visible(view, source));
        Ok(fits.into_iter().filter(is_visible).map(|fit| fit.words).collect())
    }

    /// How many requests this record counts.
    async fn count(&self) -> i32 {
        i32::try_from(self.0.count).unwrap_or(i32::MAX)
    }
}

impl Rejection {
    fn corrupt(&self, column: &str, error: &serde_json::Error) -> ApiError {
        ApiError::internal(format!("the {column} of the rejection {} are invalid: {error}", self.0.id))
    }
}

/// Those of these ids that exist for the reader.
pub async fn rejections_by_id(ctx: &Context<'_>, ids: &[Uuid]) -> Result<HashMap<Uuid, Rejection>, ApiError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = read::rejections_by_id(&ApiContext::of(ctx)?.readers, ids).await?;
    Ok(rows.into_iter().map(|row| (row.id, Rejection(Arc::new(row)))).collect())
}

/// The rejections of a source, or of all, from now on, as far as the view shows them.
pub fn subscribe(api: &ApiContext, source: Option<String>) -> impl Stream<Item = Rejection> + use<> {
    let (events, view): (_, View) = (api.rejections.subscribe(), api.view().clone());
    let rows = stream::unfold(events, |mut events| async move {
        loop {
            match events.recv().await {
                Ok(row) => return Some((row, events)),
                // What was missed is in the list.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    rows.filter_map(move |row| {
        let is_wanted = source.as_ref().is_none_or(|source| *source == row.source);
        std::future::ready((is_wanted && is_rejection_visible(&view, &row.source)).then_some(Rejection(row)))
    })
}

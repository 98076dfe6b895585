//! The subscriptions. Changes since a cursor come first, then new ones, without a gap or a repeat. `live` runs them for many
//! subscribers.

use super::ApiContext;
use super::change::Change;
use super::error::ApiError;
use super::filter::{ChangeFilter, InspectionFilter, JobFilter, SessionFilter};
use super::matching::{self, FilterMatch};
use super::node::parse_id;
use super::pagination;
use super::rejection::{self, Rejection};
use super::subscription_progress::{StartPosition, SubscriptionProgress};
use crate::store::StoreError;
use crate::store::read::{ChangeWithEntity, EntityFilter};
use async_graphql::{Context, ID, Subscription};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug)]
pub struct SubscriptionRoot;

/// Declares the root: `changes`, and a field for each of these kinds.
macro_rules! subscription_root {
    ($($(#[$about:meta])* $field:ident($filter:ident);)+) => {
        /// The fields of subscriptions. Every subscription to changes can be resumed: keep the `cursor` of the newest change
        /// that you have processed, and subscribe again with it as `after`. You receive every change that you missed, in
        /// order, once.
        #[Subscription(name = "Subscription")]
        impl SubscriptionRoot {
            /// The history as it is written: every change, including those without effect, in the order of their
            /// positions.
            async fn changes(
                &self,
                ctx: &Context<'_>,
                #[graphql(
                    desc = "Begin after this cursor, `Change.cursor` or `LogHead.cursor`, e.g. `YzI6Nzo0Mg`; without it, begin now."
                )]
                after: Option<String>,
                #[graphql(desc = "Only changes that match.")] filter: Option<ChangeFilter>,
            ) -> Result<impl Stream<Item = Result<Change, ApiError>>, ApiError> {
                let filter = filter.unwrap_or_default().into_store_filter(ApiContext::of(ctx)?.view())?;
                let matches = move |changed: &ChangeWithEntity| {
                    if matching::match_change(&filter, changed) { FilterMatch::Yes } else { FilterMatch::No }
                };
                subscribe(ctx, after, matches).await
            }

            /// Each webhook that is refused: a new record, and a record again when it counts more requests, at most four times
            /// a second. It begins now and cannot be resumed: what was missed is in `rejections`. A slow subscriber misses
            /// some. Scope: `operate`.
            async fn rejected(
                &self,
                ctx: &Context<'_>,
                #[graphql(desc = "Only those of this source, e.g. `hover`; those of no known source if it is empty.")]
                source: Option<String>,
            ) -> Result<impl Stream<Item = Rejection>, ApiError> {
                Ok(rejection::subscribe(ApiContext::of(ctx)?, source))
            }

            $(
                $(#[$about])*
                async fn $field(
                    &self,
                    ctx: &Context<'_>,
                    #[graphql(desc = "Only the entity with this `id`, which the hub need not know yet.")] id: Option<ID>,
                    #[graphql(
                        desc = "Only entities that match. A status or state matches before or after the change: see `Change.leavesFilter`."
                    )]
                    filter: Option<$filter>,
                    #[graphql(
                        desc = "Begin after this cursor, `Change.cursor` or `LogHead.cursor`, e.g. `YzI6Nzo0Mg`; without it, begin now."
                    )]
                    after: Option<String>,
                ) -> Result<impl Stream<Item = Result<Change, ApiError>>, ApiError> {
                    let filter = filter.unwrap_or_default().into_store_filter(ApiContext::of(ctx)?)?;
                    subscribe(ctx, after, entity_matcher(id, filter)?).await
                }
            )+
        }
    };
}

subscription_root! {
    /// Each change that had an effect on an inspection. A change of its sessions, jobs or items is included only if it
    /// changes the inspection itself.
    inspection_changed(InspectionFilter);
    /// Each change that had an effect on a session.
    session_changed(SessionFilter);
    /// Each change that had an effect on a job.
    job_changed(JobFilter);
}

fn entity_matcher(
    id: Option<ID>,
    filter: EntityFilter,
) -> Result<impl Fn(&ChangeWithEntity) -> FilterMatch + Send + 'static, ApiError> {
    if filter.stalled_since.is_some() {
        return Err(ApiError::bad_user_input(
            "`stalledFor` cannot be subscribed to",
            "A lack of changes is not a change. Query `inspections(filter: { stalledFor: … })` periodically.",
        ));
    }
    if filter.overdue.is_some() {
        return Err(ApiError::bad_user_input(
            "`overdue` cannot be subscribed to",
            "The passing of time is not a change. Query `inspections(filter: { overdue: true })` periodically.",
        ));
    }
    let id: Option<Uuid> = id.as_ref().map(parse_id).transpose()?;
    Ok(move |changed: &ChangeWithEntity| {
        let is_requested = id.is_none_or(|id| changed.entity.as_ref().is_some_and(|entity| entity.id == id));
        if is_requested { matching::match_entity(&filter, changed) } else { FilterMatch::No }
    })
}

async fn subscribe(
    ctx: &Context<'_>,
    after: Option<String>,
    matches: impl Fn(&ChangeWithEntity) -> FilterMatch + Send + 'static,
) -> Result<BoxStream<'static, Result<Change, ApiError>>, ApiError> {
    let no_progress = || ApiError::internal("a subscription was executed without its progress");
    let progress = ctx.data_opt::<Arc<SubscriptionProgress>>().cloned().ok_or_else(no_progress)?;
    let position = match (&progress.start, &after) {
        (StartPosition::Position(position), _) => *position,
        (StartPosition::Cursor(cursor), _) => pagination::resolve_position(ctx, cursor).await?,
        (StartPosition::FromOperation, Some(cursor)) => pagination::resolve_position(ctx, cursor).await?,
        (StartPosition::FromOperation, None) => pagination::read_head(ctx).await?.position,
    };
    let ApiContext { feed, principal, .. } = ApiContext::of(ctx)?.clone();
    let changes = feed.subscribe(position, progress.end_at).filter_map(move |next| {
        let change = next.and_then(|changed| {
            let position = changed.change.position;
            let found = match matching::is_in_view(&principal.view, &changed) {
                true => matches(&changed),
                false => FilterMatch::No,
            };
            match found {
                FilterMatch::No => progress.skip(position).map(|()| None),
                found => {
                    progress.deliver(position)?;
                    Ok(Some(Change::from_feed(changed, found == FilterMatch::LeavesFilter)))
                }
            }
        });
        std::future::ready(change.transpose())
    });
    Ok(end_after_error(changes.boxed()).boxed())
}

// A failed subscription would fail again at once: it ends, and its client resumes from its cursor.
fn end_after_error(
    changes: BoxStream<'static, Result<Change, StoreError>>,
) -> impl Stream<Item = Result<Change, ApiError>> {
    stream::unfold(Some(changes), |changes| async move {
        let mut changes = changes?;
        match changes.next().await? {
            Ok(change) => Some((Ok(change), Some(changes))),
            Err(error) => Some((Err(error.into()), None)),
        }
    })
}

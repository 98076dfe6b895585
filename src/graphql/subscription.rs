//! The fields of subscriptions. Changes after a cursor come first, then new ones, without a gap.

use super::ApiContext;
use super::change::Change;
use super::error::ApiError;
use super::filter::{ChangeFilter, InspectionFilter, JobFilter, SessionFilter};
use super::matching::{self, FilterMatch};
use super::node::parse_id;
use super::pagination;
use super::subscription_progress::{ResumeCursor, SubscriptionProgress};
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
        /// The fields of subscriptions. Every subscription can be resumed: keep the `cursor` of the newest change that
        /// you have processed, and subscribe again with it as `after`. You receive every change that you missed, in
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
                let filter = filter.unwrap_or_default().into_store_filter()?;
                let matches = move |changed: &ChangeWithEntity| {
                    if matching::match_change(&filter, changed) { FilterMatch::Yes } else { FilterMatch::No }
                };
                subscribe(ctx, after, matches).await
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
                    let filter = filter.unwrap_or_default().into_store_filter(ApiContext::of(ctx)?.now())?;
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
            "The passing of time is not a change. Poll `inspections(filter: { stalledFor: … })`.",
        ));
    }
    let id: Option<Uuid> = id.as_ref().map(parse_id).transpose()?;
    Ok(move |changed: &ChangeWithEntity| {
        let is_entity = id.is_none_or(|id| changed.entity.as_ref().is_some_and(|entity| entity.id == id));
        if is_entity { matching::match_entity(&filter, changed) } else { FilterMatch::No }
    })
}

async fn subscribe(
    ctx: &Context<'_>,
    after: Option<String>,
    matches: impl Fn(&ChangeWithEntity) -> FilterMatch + Send + 'static,
) -> Result<BoxStream<'static, Result<Change, ApiError>>, ApiError> {
    let progress = ctx.data_opt::<Arc<SubscriptionProgress>>().cloned();
    let after = ctx.data_opt::<ResumeCursor>().map(|ResumeCursor(cursor)| cursor.to_string()).or(after);
    let position = match (progress.as_ref().and_then(|progress| progress.start_after), after) {
        (Some(position), _) => position,
        (None, Some(cursor)) => pagination::resolve_position(ctx, &cursor).await?,
        (None, None) => pagination::read_head(ctx).await?.position,
    };
    let end_at = progress.as_ref().and_then(|progress| progress.end_at);
    let changes = ApiContext::of(ctx)?.feed.subscribe(position, end_at).filter_map(move |next| {
        let change = match next {
            Ok(changed) => match (matches(&changed), &progress) {
                (FilterMatch::No, Some(progress)) => progress.skip(changed.change.position).err().map(Err),
                (FilterMatch::No, None) => None,
                (matched, progress) => {
                    let delivered =
                        progress.as_ref().map_or(Ok(()), |progress| progress.deliver(changed.change.position));
                    Some(delivered.map(|()| Change::from_feed(changed, matched == FilterMatch::LeavesFilter)))
                }
            },
            Err(error) => Some(Err(error)),
        };
        std::future::ready(change)
    });
    Ok(end_after_error(changes.boxed()).boxed())
}

// A stream that failed would fail again at once. It ends, and the client resumes from its cursor.
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

//! Everything that can be listened to. What has passed since a cursor comes first, then what happens, without a seam.

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

/// Everything that can be listened to. Every subscription can be resumed: keep the `cursor` of the newest change you have
/// dealt with, and subscribe again with it as `after`. You then get all that you missed, in order, once.
#[Subscription(name = "Subscription")]
impl SubscriptionRoot {
    /// The history as it is written: every change, also those without effect, in the order of their positions.
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Begin after this cursor of a change, `Change.cursor` or `LogHead.cursor`, e.g. `YzI6Nzo0Mg`; without it, begin now."
        )]
        after: Option<String>,
        #[graphql(desc = "Only changes that fit.")] filter: Option<ChangeFilter>,
    ) -> Result<impl Stream<Item = Result<Change, ApiError>>, ApiError> {
        let filter = filter.unwrap_or_default().into_store_filter()?;
        let fit = move |changed: &ChangeWithEntity| {
            if matching::match_change(&filter, changed) { FilterMatch::Yes } else { FilterMatch::No }
        };
        subscribe(ctx, after, fit).await
    }

    /// Each change that had an effect on an inspection. What happens to its sessions, jobs and items comes here only as
    /// far as it changes the inspection itself.
    async fn inspection_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this inspection: its `id`. It need not be known yet.")] id: Option<ID>,
        #[graphql(
            desc = "Only inspections that fit. By status and state, what fitted before the change fits too: see `Change.leavesFilter`."
        )]
        filter: Option<InspectionFilter>,
        #[graphql(
            desc = "Begin after this cursor of a change, `Change.cursor` or `LogHead.cursor`, e.g. `YzI6Nzo0Mg`; without it, begin now."
        )]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Change, ApiError>>, ApiError> {
        let filter = filter.unwrap_or_default().into_store_filter(ApiContext::of(ctx)?.now())?;
        subscribe(ctx, after, entity_matcher(id, filter)?).await
    }

    /// Each change that had an effect on a session.
    async fn session_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this session: its `id`. It need not be known yet.")] id: Option<ID>,
        #[graphql(
            desc = "Only sessions that fit. By status and state, what fitted before the change fits too: see `Change.leavesFilter`."
        )]
        filter: Option<SessionFilter>,
        #[graphql(
            desc = "Begin after this cursor of a change, `Change.cursor` or `LogHead.cursor`, e.g. `YzI6Nzo0Mg`; without it, begin now."
        )]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Change, ApiError>>, ApiError> {
        let filter = filter.unwrap_or_default().into_store_filter(ApiContext::of(ctx)?.now())?;
        subscribe(ctx, after, entity_matcher(id, filter)?).await
    }

    /// Each change that had an effect on a job.
    async fn job_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this job: its `id`. It need not be known yet.")] id: Option<ID>,
        #[graphql(
            desc = "Only jobs that fit. By status and state, what fitted before the change fits too: see `Change.leavesFilter`."
        )]
        filter: Option<JobFilter>,
        #[graphql(
            desc = "Begin after this cursor of a change, `Change.cursor` or `LogHead.cursor`, e.g. `YzI6Nzo0Mg`; without it, begin now."
        )]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Change, ApiError>>, ApiError> {
        let filter = filter.unwrap_or_default().into_store_filter(ApiContext::of(ctx)?.now())?;
        subscribe(ctx, after, entity_matcher(id, filter)?).await
    }
}

fn entity_matcher(
    id: Option<ID>,
    filter: EntityFilter,
) -> Result<impl Fn(&ChangeWithEntity) -> FilterMatch + Send + 'static, ApiError> {
    if filter.stalled_since.is_some() {
        return Err(ApiError::bad_user_input(
            "`stalledFor` cannot be subscribed to",
            "That nothing happens is no news. Ask `inspections(filter: { stalledFor: … })` from time to time.",
        ));
    }
    let id: Option<Uuid> = id.as_ref().map(parse_id).transpose()?;
    Ok(move |changed: &ChangeWithEntity| {
        let is_it = id.is_none_or(|id| changed.entity.as_ref().is_some_and(|about| about.id == id));
        if is_it { matching::match_entity(&filter, changed) } else { FilterMatch::No }
    })
}

async fn subscribe(
    ctx: &Context<'_>,
    after: Option<String>,
    fit: impl Fn(&ChangeWithEntity) -> FilterMatch + Send + 'static,
) -> Result<BoxStream<'static, Result<Change, ApiError>>, ApiError> {
    let walk = ctx.data_opt::<Arc<SubscriptionProgress>>().cloned();
    let after = ctx.data_opt::<ResumeCursor>().map(|ResumeCursor(cursor)| cursor.to_string()).or(after);
    let position = match (walk.as_ref().and_then(|walk| walk.start_after), after) {
        (Some(position), _) => position,
        (None, Some(cursor)) => pagination::resolve_position(ctx, &cursor).await?,
        (None, None) => pagination::read_head(ctx).await?.position,
    };
    let until = walk.as_ref().and_then(|walk| walk.end_at);
    let changes = ApiContext::of(ctx)?.feed.subscribe(position, until).filter_map(move |next| {
        let change = match next {
            Ok(changed) => match (fit(&changed), &walk) {
                (FilterMatch::No, Some(walk)) => walk.skip(changed.change.position).err().map(Err),
                (FilterMatch::No, None) => None,
                (fit, walk) => {
                    let handed = walk.as_ref().map_or(Ok(()), |walk| walk.deliver(changed.change.position));
                    Some(handed.map(|()| Change::from_feed(changed, fit == FilterMatch::LeavesFilter)))
                }
            },
            Err(error) => Some(Err(error)),
        };
        std::future::ready(change)
    });
    Ok(end_after_error(changes.boxed()).boxed())
}

// A listener that failed would fail again at once: it ends, and its client goes on from its cursor.
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

//! Everything that can be listened to. What has passed since a cursor comes first, then what happens, without a seam.

use super::Api;
use super::change::Change;
use super::error::Fault;
use super::filter::{ChangeFilter, InspectionFilter, JobFilter, SessionFilter};
use super::lists;
use super::matching::{self, Fit};
use super::node::uuid;
use super::walk::{Resume, Walk};
use crate::store::StoreError;
use crate::store::read::{Changed, EntityFilter};
use async_graphql::{Context, ID, Subscription};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug)]
pub struct Root;

/// Everything that can be listened to. Every subscription can be resumed: keep the `cursor` of the newest change you have
/// dealt with, and subscribe again with it as `after`. You then get all that you missed, in order, once.
#[Subscription(name = "Subscription")]
impl Root {
    /// The history as it is written: every change, also those without effect, in the order of their positions.
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Begin after this cursor of a change, `Change.cursor` or `LogHead.cursor`, e.g. `YzI6Nzo0Mg`; without it, begin now."
        )]
        after: Option<String>,
        #[graphql(desc = "Only changes that fit.")] filter: Option<ChangeFilter>,
    ) -> Result<impl Stream<Item = Result<Change, Fault>>, Fault> {
        let filter = filter.unwrap_or_default().rows()?;
        let fit = move |changed: &Changed| if matching::change(&filter, changed) { Fit::Yes } else { Fit::No };
        follow(ctx, after, fit).await
    }

    /// Each change that had an effect on an inspection. What happens to its sessions, jobs and items comes here only as
    /// far as it changes the inspection itself.
    async fn inspection_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this inspection: its `id`. It need not be known yet.")] id: Option<ID>,
        #[graphql(
            desc = "Only inspections that fit. By status and state, what fitted before the change fits too: see `Change.leaving`."
        )]
        filter: Option<InspectionFilter>,
        #[graphql(
            desc = "Begin after this cursor of a change, `Change.cursor` or `LogHead.cursor`, e.g. `YzI6Nzo0Mg`; without it, begin now."
        )]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Change, Fault>>, Fault> {
        let filter = filter.unwrap_or_default().rows(Api::of(ctx)?.now())?;
        follow(ctx, after, fits(id, filter)?).await
    }

    /// Each change that had an effect on a session.
    async fn session_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this session: its `id`. It need not be known yet.")] id: Option<ID>,
        #[graphql(
            desc = "Only sessions that fit. By status and state, what fitted before the change fits too: see `Change.leaving`."
        )]
        filter: Option<SessionFilter>,
        #[graphql(
            desc = "Begin after this cursor of a change, `Change.cursor` or `LogHead.cursor`, e.g. `YzI6Nzo0Mg`; without it, begin now."
        )]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Change, Fault>>, Fault> {
        let filter = filter.unwrap_or_default().rows(Api::of(ctx)?.now())?;
        follow(ctx, after, fits(id, filter)?).await
    }

    /// Each change that had an effect on a job.
    async fn job_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this job: its `id`. It need not be known yet.")] id: Option<ID>,
        #[graphql(
            desc = "Only jobs that fit. By status and state, what fitted before the change fits too: see `Change.leaving`."
        )]
        filter: Option<JobFilter>,
        #[graphql(
            desc = "Begin after this cursor of a change, `Change.cursor` or `LogHead.cursor`, e.g. `YzI6Nzo0Mg`; without it, begin now."
        )]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Change, Fault>>, Fault> {
        let filter = filter.unwrap_or_default().rows(Api::of(ctx)?.now())?;
        follow(ctx, after, fits(id, filter)?).await
    }
}

fn fits(id: Option<ID>, filter: EntityFilter) -> Result<impl Fn(&Changed) -> Fit + Send + 'static, Fault> {
    if filter.stalled_since.is_some() {
        return Err(Fault::input(
            "`stalledFor` cannot be subscribed to",
            "That nothing happens is no news. Ask `inspections(filter: { stalledFor: … })` from time to time.",
        ));
    }
    let id: Option<Uuid> = id.as_ref().map(uuid).transpose()?;
    Ok(move |changed: &Changed| {
        let is_it = id.is_none_or(|id| changed.about.as_ref().is_some_and(|about| about.id == id));
        if is_it { matching::entity(&filter, changed) } else { Fit::No }
    })
}

async fn follow(
    ctx: &Context<'_>,
    after: Option<String>,
    fit: impl Fn(&Changed) -> Fit + Send + 'static,
) -> Result<BoxStream<'static, Result<Change, Fault>>, Fault> {
    let walk = ctx.data_opt::<Arc<Walk>>().cloned();
    let after = ctx.data_opt::<Resume>().map(|Resume(cursor)| cursor.to_string()).or(after);
    let position = match (walk.as_ref().and_then(|walk| walk.from), after) {
        (Some(position), _) => position,
        (None, Some(cursor)) => lists::position(ctx, &cursor).await?,
        (None, None) => lists::head(ctx).await?.position,
    };
    let until = walk.as_ref().and_then(|walk| walk.until);
    let changes = Api::of(ctx)?.feed.follow(position, until).filter_map(move |next| {
        let change = match next {
            Ok(changed) => match (fit(&changed), &walk) {
                (Fit::No, Some(walk)) => walk.pass(changed.change.position).err().map(Err),
                (Fit::No, None) => None,
                (fit, walk) => {
                    let handed = walk.as_ref().map_or(Ok(()), |walk| walk.hand_out(changed.change.position));
                    Some(handed.map(|()| Change::news(changed, fit == Fit::Leaving)))
                }
            },
            Err(error) => Some(Err(error)),
        };
        std::future::ready(change)
    });
    Ok(until_failed(changes.boxed()).boxed())
}

// A listener that failed would fail again at once: it ends, and its client goes on from its cursor.
fn until_failed(changes: BoxStream<'static, Result<Change, StoreError>>) -> impl Stream<Item = Result<Change, Fault>> {
    stream::unfold(Some(changes), |changes| async move {
        let mut changes = changes?;
        match changes.next().await? {
            Ok(change) => Some((Ok(change), Some(changes))),
            Err(error) => Some((Err(error.into()), None)),
        }
    })
}

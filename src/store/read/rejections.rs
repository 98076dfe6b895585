//! Reads refused webhooks. A reader without the scope `operate` sees none, and one that is limited to sources only those of its
//! own: not those of no known source.

use super::pagination::{KeyRange, PageRequest, Slice, SortDirection};
use crate::access::View;
use crate::store::{ReadPool, StoreError};
use entity::rejection::{Column, Entity, Model};
use entity::{RejectionCause, Scope};
use sea_orm::entity::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

#[derive(Clone, Debug, Default)]
pub struct RejectionFilter {
    /// Empty for those of no known source.
    pub source: Option<String>,
    pub causes: Option<Vec<RejectionCause>>,
}

/// The key of the order: when the newest request was received, and the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectionKey {
    pub at: i64,
    pub id: Uuid,
}

/// Whether the rejections of a source, or of no known source if it is empty, are in a view.
pub fn is_rejection_visible(view: &View, source: &str) -> bool {
    let is_included = if source.is_empty() { view.sources().is_none() } else { view.includes_source(source) };
    view.has(Scope::Operate) && is_included
}

impl RejectionFilter {
    fn condition(&self, view: &View) -> Condition {
        let is_refused = !view.has(Scope::Operate);
        let sources = view.sources().map(|sources| Column::Source.is_in(sources).and(Column::Source.ne("")));
        Condition::all()
            .add_option(is_refused.then(|| Expr::cust("1 = 0")))
            .add_option(sources)
            .add_option(self.source.as_ref().map(|source| Column::Source.eq(source.as_str())))
            .add_option(self.causes.as_ref().map(|causes| Column::Cause.is_in(causes.iter().copied())))
    }
}

impl KeyRange<RejectionKey> {
    fn of_rejections(&self) -> Condition {
        let at = |key: RejectionKey| Column::At.eq(key.at);
        Condition::all()
            .add_option(self.above.map(|key| Column::At.gt(key.at).or(at(key).and(Column::Id.gt(key.id)))))
            .add_option(self.below.map(|key| Column::At.lt(key.at).or(at(key).and(Column::Id.lt(key.id)))))
    }
}

/// A page of the rejections that a filter accepts, newest first.
pub async fn rejections(
    db: &ReadPool,
    filter: &RejectionFilter,
    page: &PageRequest<RejectionKey>,
) -> Result<Slice<Model>, StoreError> {
    let range = page.key_range(SortDirection::Desc);
    let rows = Entity::find()
        .filter(filter.condition(db.view()))
        .filter(range.of_rejections())
        .order_by(Column::At, range.order.clone())
        .order_by(Column::Id, range.order.clone())
        .limit(page.fetch_limit());
    Ok(page.to_slice(rows.all(db).await?))
}

/// The number of rejections that a filter accepts.
pub async fn count_rejections(db: &ReadPool, filter: &RejectionFilter) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(filter.condition(db.view())).count(db).await?)
}

pub async fn rejections_by_id(db: &ReadPool, ids: &[Uuid]) -> Result<Vec<Model>, StoreError> {
    let condition = RejectionFilter::default().condition(db.view());
    Ok(Entity::find().filter(Column::Id.is_in(ids.iter().copied())).filter(condition).all(db).await?)
}

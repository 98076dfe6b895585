//! Reads the children of many parents at once, each with its own first rows.

use super::count_by;
use super::filter::EntityFilter;
use super::pagination::{PageRequest, Slice, SortDirection, padded_keys, top_n_per_group};
use super::projection::{EntityProjection, EntityRow, fetch_rows, select_columns};
use crate::store::{ReadPool, StoreError};
use entity::entity::{Column, Entity};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use std::collections::HashMap;
use std::sync::Arc;

/// Which children, and how many of each parent, in the order of creation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChildrenQuery {
    pub relation: ChildRelation,
    pub filter: EntityFilter,
    pub projection: EntityProjection,
    pub page: PageRequest<i64>,
}

/// The relation between a parent and its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildRelation {
    /// They belong to an inspection, directly or not.
    Inspection,
    /// They belong to it directly.
    Parent,
}

impl ChildRelation {
    fn projection(self) -> EntityProjection {
        match self {
            ChildRelation::Inspection => EntityProjection::INSPECTION,
            ChildRelation::Parent => EntityProjection::PARENT,
        }
    }

    fn column(self) -> Column {
        match self {
            ChildRelation::Inspection => Column::InspectionRowId,
            ChildRelation::Parent => Column::ParentRowId,
        }
    }
}

/// A page of the children of each parent, by the parents' row ids.
pub async fn children(
    db: &ReadPool,
    query: &ChildrenQuery,
    parents: &[i64],
) -> Result<HashMap<i64, Slice<Arc<EntityRow>>>, StoreError> {
    let (column, page) = (query.relation.column(), &query.page);
    let range = page.key_range(SortDirection::Asc);
    let all = Entity::find()
        .select_only()
        .filter(column.is_in(padded_keys(parents)))
        .filter(query.filter.condition(db.view()))
        .filter(range.condition(Column::RowId));
    let keys = top_n_per_group(all.into_query(), Column::RowId, column, range.order.clone(), page.fetch_limit());
    let projection = query.projection | query.relation.projection();
    let rows = select_columns(projection).filter(Column::RowId.in_subquery(keys)).order_by(Column::RowId, range.order);
    let rows = fetch_rows(db, rows, projection).await?.into_iter();
    Ok(page.to_slices(rows.map(|row| match query.relation {
        ChildRelation::Inspection => (row.inspection_row_id, row),
        ChildRelation::Parent => (row.parent_row_id, row),
    })))
}

/// The number of children of each parent, by the parents' row ids. Parents without children are left out.
pub async fn count_children(
    db: &ReadPool,
    of: ChildRelation,
    filter: &EntityFilter,
    parents: &[i64],
) -> Result<HashMap<i64, i64>, StoreError> {
    let column = of.column();
    let rows = Entity::find().filter(column.is_in(padded_keys(parents))).filter(filter.condition(db.view()));
    count_by(db, rows, column).await
}

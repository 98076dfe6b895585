//! What hangs on entities: of many parents at once, each with its own first rows.

use super::filter::EntityFilter;
use super::pagination::{PageRequest, Slice, padded_keys, top_n_per_group};
use super::projection::{EntityProjection, EntityRow, fetch_rows, select_columns};
use crate::store::{ReadPool, StoreError};
use entity::entity::{Column, Entity};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use std::collections::HashMap;
use std::sync::Arc;

/// Which children, and how many of each parent. They are in the order of first sight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChildrenQuery {
    pub relation: ChildRelation,
    pub filter: EntityFilter,
    pub projection: EntityProjection,
    pub page: PageRequest<i64>,
}

/// In which sense they are somebody's children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildRelation {
    /// They belong to an inspection.
    Inspection,
    /// They hang directly on it.
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

/// A page of the children of each parent, by the parents' numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn children(
    db: &ReadPool,
    query: &ChildrenQuery,
    parents: &[i64],
) -> Result<HashMap<i64, Slice<Arc<EntityRow>>>, StoreError> {
    let (column, page) = (query.relation.column(), &query.page);
    let range = Condition::all()
        .add_option(page.after.map(|number| Column::RowId.gt(number)))
        .add_option(page.before.map(|number| Column::RowId.lt(number)));
    let all = Entity::find()
        .select_only()
        .filter(column.is_in(padded_keys(parents)))
        .filter(query.filter.condition())
        .filter(range);
    let keys = top_n_per_group(all.into_query(), Column::RowId, column, page.order(), page.fetch_limit());
    let projection = query.projection | query.relation.projection();
    let rows = select_columns(projection).filter(Column::RowId.in_subquery(keys)).order_by(Column::RowId, page.order());
    let mut of_each: HashMap<i64, Vec<Arc<EntityRow>>> = HashMap::new();
    for row in fetch_rows(db, rows, projection).await? {
        let parent = match query.relation {
            ChildRelation::Inspection => row.inspection_row_id,
            ChildRelation::Parent => row.parent_row_id,
        };
        if let Some(parent) = parent {
            of_each.entry(parent).or_default().push(Arc::new(row));
        }
    }
    Ok(of_each.into_iter().map(|(parent, rows)| (parent, page.to_slice(rows))).collect())
}

/// How many children each parent has, by the parents' numbers. Parents without any are left out.
///
/// # Errors
/// If the database does not answer.
pub async fn count_children(
    db: &ReadPool,
    of: ChildRelation,
    filter: &EntityFilter,
    parents: &[i64],
) -> Result<HashMap<i64, i64>, StoreError> {
    let column = of.column();
    let rows = Entity::find()
        .select_only()
        .column(column)
        .column_as(Column::RowId.count(), "count")
        .filter(column.is_in(padded_keys(parents)))
        .filter(filter.condition())
        .group_by(column);
    let counts: Vec<(i64, i64)> = rows.into_tuple().all(db).await?;
    Ok(counts.into_iter().collect())
}

//! What hangs on entities: of many parents at once, each with its own first rows.

use super::columns::{EntityRow, Wants, read, select};
use super::filter::EntityFilter;
use super::page::{Page, Part, first_of_each, padded};
use crate::store::{Readers, StoreError};
use entity::entity::{Column, Entity};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use std::collections::HashMap;
use std::sync::Arc;

/// Which children, and how many of each parent. They are in the order of first sight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Children {
    pub of: Of,
    pub filter: EntityFilter,
    pub wants: Wants,
    pub page: Page<i64>,
}

/// In which sense they are somebody's children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// They belong to an inspection.
    Inspection,
    /// They hang directly on it.
    Parent,
}

impl Of {
    fn wants(self) -> Wants {
        match self {
            Of::Inspection => Wants::INSPECTION,
            Of::Parent => Wants::PARENT,
        }
    }

    fn column(self) -> Column {
        match self {
            Of::Inspection => Column::Inspection,
            Of::Parent => Column::Parent,
        }
    }
}

/// A page of the children of each parent, by the parents' numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn children(
    db: &Readers,
    asked: &Children,
    parents: &[i64],
) -> Result<HashMap<i64, Part<Arc<EntityRow>>>, StoreError> {
    let (column, page) = (asked.of.column(), &asked.page);
    let range = Condition::all()
        .add_option(page.after.map(|number| Column::Number.gt(number)))
        .add_option(page.before.map(|number| Column::Number.lt(number)));
    let all = Entity::find()
        .select_only()
        .filter(column.is_in(padded(parents)))
        .filter(asked.filter.condition())
        .filter(range);
    let keys = first_of_each(all.into_query(), Column::Number, column, page.order(), page.reads());
    let wants = asked.wants | asked.of.wants();
    let rows = select(wants).filter(Column::Number.in_subquery(keys)).order_by(Column::Number, page.order());
    let mut of_each: HashMap<i64, Vec<Arc<EntityRow>>> = HashMap::new();
    for row in read(db, rows, wants).await? {
        let parent = match asked.of {
            Of::Inspection => row.inspection,
            Of::Parent => row.parent,
        };
        if let Some(parent) = parent {
            of_each.entry(parent).or_default().push(Arc::new(row));
        }
    }
    Ok(of_each.into_iter().map(|(parent, rows)| (parent, page.cut(rows))).collect())
}

/// How many children each parent has, by the parents' numbers. Parents without any are left out.
///
/// # Errors
/// If the database does not answer.
pub async fn count_children(
    db: &Readers,
    of: Of,
    filter: &EntityFilter,
    parents: &[i64],
) -> Result<HashMap<i64, i64>, StoreError> {
    let column = of.column();
    let rows = Entity::find()
        .select_only()
        .column(column)
        .column_as(Column::Number.count(), "count")
        .filter(column.is_in(padded(parents)))
        .filter(filter.condition())
        .group_by(column);
    let counts: Vec<(i64, i64)> = rows.into_tuple().all(db).await?;
    Ok(counts.into_iter().collect())
}

//! Keyset pagination: reads pages of an ordered list by key, never by offset, so that rows that are added or removed between
//! two pages neither repeat nor hide others.

use async_graphql::Enum;
use sea_orm::sea_query::{self, Expr, ExprTrait, IntoColumnRef, SelectStatement, WindowStatement};
use sea_orm::{ColumnTrait, Condition};
use std::collections::HashMap;
use std::sync::Arc;

/// A page of an ordered list. The order's key is `K`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageRequest<K> {
    /// Only rows after this key.
    pub after: Option<K>,
    /// Only rows before this key.
    pub before: Option<K>,
    /// The most rows.
    pub limit: u64,
    /// The end from which the limit counts.
    pub paging: PagingDirection,
}

/// The end of the list at which a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PagingDirection {
    Forward,
    Backward,
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
#[graphql(name = "OrderDirection")]
pub enum SortDirection {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

/// The part of an ascending index that a page reads.
pub(super) struct KeyRange<K> {
    /// The order to read in.
    pub order: sea_query::Order,
    pub above: Option<K>,
    pub below: Option<K>,
}

/// The rows of a page, in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<T> {
    pub rows: Vec<T>,
    /// Whether there are more rows beyond the limit.
    pub has_more: bool,
}

impl<T> Default for Slice<T> {
    fn default() -> Self {
        Slice { rows: Vec::new(), has_more: false }
    }
}

impl KeyRange<i64> {
    /// Selects the rows in the range, where the key is one integer column.
    pub fn condition(&self, key: impl ColumnTrait) -> Condition {
        Condition::all()
            .add_option(self.above.map(|above| key.gt(above)))
            .add_option(self.below.map(|below| key.lt(below)))
    }
}

impl<K> PageRequest<K> {
    /// How many rows to read: one beyond the limit shows whether there are more.
    pub(super) fn fetch_limit(&self) -> u64 {
        self.limit.saturating_add(1)
    }

    /// The part of an ascending index to read, for a list in this direction.
    pub(super) fn key_range(self, direction: SortDirection) -> KeyRange<K> {
        let is_up = (direction == SortDirection::Asc) == (self.paging == PagingDirection::Forward);
        let order = if is_up { sea_query::Order::Asc } else { sea_query::Order::Desc };
        let (above, below) = match direction {
            SortDirection::Asc => (self.after, self.before),
            SortDirection::Desc => (self.before, self.after),
        };
        KeyRange { order, above, below }
    }

    /// Cuts rows, in the order in which they were read, down to the page.
    pub(super) fn to_slice<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        if self.paging == PagingDirection::Backward {
            rows.reverse();
        }
        Slice { rows, has_more: more }
    }

    /// As [`Self::to_slice`], for each group of the rows. Rows of no group are left out.
    pub(super) fn to_slices<T>(&self, rows: impl Iterator<Item = (Option<i64>, T)>) -> HashMap<i64, Slice<Arc<T>>> {
        let mut groups: HashMap<i64, Vec<Arc<T>>> = HashMap::new();
        for (group, row) in rows.filter_map(|(group, row)| Some((group?, row))) {
            groups.entry(group).or_default().push(Arc::new(row));
        }
        groups.into_iter().map(|(group, rows)| (group, self.to_slice(rows))).collect()
    }
}

/// Keys for an `IN` list. The last one is repeated up to a power of two: few different statements, so that prepared ones
/// stay in the connection's cache.
pub(super) fn padded_keys(keys: &[i64]) -> Vec<i64> {
    let mut padded = keys.to_vec();
    if let Some(last) = keys.last() {
        padded.resize(keys.len().next_power_of_two(), *last);
    }
    padded
}

/// The keys of the first `limit` rows of each group. `rows` selects and filters rows; it has no columns yet.
pub(super) fn top_n_per_group(
    mut rows: SelectStatement,
    key: impl IntoColumnRef + Copy,
    group: impl IntoColumnRef,
    order: sea_query::Order,
    limit: u64,
) -> SelectStatement {
    let mut window = WindowStatement::partition_by(group);
    window.order_by(key, order);
    rows.expr_as(Expr::col(key), "key");
    rows.expr_window_as(sea_query::Func::cust("ROW_NUMBER"), window, "rank");
    sea_query::Query::select()
        .column("key")
        .from_subquery(rows, "ranked")
        .and_where(Expr::col("rank").lte(i64::try_from(limit).unwrap_or(i64::MAX)))
        .take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_from_the_end_is_reversed() {
        let page = PageRequest { after: None::<i64>, before: None, limit: 2, paging: PagingDirection::Backward };
        assert_eq!(page.to_slice(vec![9, 8, 7]), Slice { rows: vec![8, 9], has_more: true });
        assert_eq!(page.to_slice(vec![9]), Slice { rows: vec![9], has_more: false });
    }

    #[test]
    fn lists_of_keys_have_few_lengths() {
        assert_eq!(padded_keys(&[]), Vec::<i64>::new());
        assert_eq!(padded_keys(&[1, 2, 3]), [1, 2, 3, 3]);
        assert_eq!(padded_keys(&[1, 2]), [1, 2]);
    }
}

//! Pages by key: which part of an ordered list is asked for, and what came of it. Never by offset, so that rows that
//! come or go in between neither repeat nor hide others.

use sea_orm::sea_query::{self, Expr, ExprTrait, IntoColumnRef, SelectStatement, WindowStatement};

/// Which part of an ordered list is asked for. The order's key is `K`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageRequest<K> {
    /// Only what comes after this key.
    pub after: Option<K>,
    /// Only what comes before this key.
    pub before: Option<K>,
    /// At most so many.
    pub limit: u64,
    /// Counted from which end.
    pub paging: PagingDirection,
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PagingDirection {
    Forward,
    Backward,
}

/// Whether an order goes up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortDirection {
    Asc,
    Desc,
}

/// Where a page is read in an index whose keys go up.
pub(super) struct KeyRange<K> {
    /// The order to read in.
    pub order: sea_query::Order,
    /// Only what is above this key.
    pub above: Option<K>,
    /// Only what is below this key.
    pub below: Option<K>,
}

/// A part of an ordered list, in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<T> {
    pub rows: Vec<T>,
    /// Whether there is more beyond the limit.
    pub has_more: bool,
}

impl<T> Default for Slice<T> {
    fn default() -> Self {
        Slice { rows: Vec::new(), has_more: false }
    }
}

impl<K> PageRequest<K> {
    /// How many rows to read: one over the limit tells whether there are more.
    pub(super) fn fetch_limit(&self) -> u64 {
        self.limit.saturating_add(1)
    }

    /// The order to read an ascending list in.
    pub(super) fn order(&self) -> sea_query::Order {
        match self.paging {
            PagingDirection::Forward => sea_query::Order::Asc,
            PagingDirection::Backward => sea_query::Order::Desc,
        }
    }

    /// Where it is read, if the list goes this way.
    pub(super) fn key_range(self, direction: SortDirection) -> KeyRange<K> {
        let is_up = (direction == SortDirection::Asc) == (self.paging == PagingDirection::Forward);
        let order = if is_up { sea_query::Order::Asc } else { sea_query::Order::Desc };
        let (above, below) = match direction {
            SortDirection::Asc => (self.after, self.before),
            SortDirection::Desc => (self.before, self.after),
        };
        KeyRange { order, above, below }
    }

    /// Cuts what was read, in the order of reading, down to the page.
    pub(super) fn to_slice<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        if self.paging == PagingDirection::Backward {
            rows.reverse();
        }
        Slice { rows, has_more: more }
    }
}

/// Keys for an `IN` list, the last one repeated up to a power of two: few different statements, so that the prepared
/// ones stay in the connection's cache.
pub(super) fn padded_keys(keys: &[i64]) -> Vec<i64> {
    let mut padded = keys.to_vec();
    if let Some(last) = keys.last() {
        padded.resize(keys.len().next_power_of_two(), *last);
    }
    padded
}

/// The keys of the first `limit` rows of each group. `rows` selects from the table and filters; nothing is selected yet.
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
    rows.expr_window_as(sea_query::Func::cust("ROW_NUMBER"), window, "place");
    sea_query::Query::select()
        .column("key")
        .from_subquery(rows, "ranked")
        .and_where(Expr::col("place").lte(i64::try_from(limit).unwrap_or(i64::MAX)))
        .take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_from_the_end_is_turned_around() {
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

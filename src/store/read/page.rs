//! Pages by key: which part of an ordered list is asked for, and what came of it. Never by offset, so that rows that
//! come or go in between neither repeat nor hide others.

use sea_orm::sea_query::{self, Expr, ExprTrait, IntoColumnRef, SelectStatement, WindowStatement};

/// Which part of an ordered list is asked for. The order's key is `K`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Page<K> {
    /// Only what comes after this key.
    pub after: Option<K>,
    /// Only what comes before this key.
    pub before: Option<K>,
    /// At most so many.
    pub limit: u64,
    /// Counted from which end.
    pub from: End,
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    First,
    Last,
}

/// Whether an order goes up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Up,
    Down,
}

/// Where a page is read in an index whose keys go up.
pub(super) struct Range<K> {
    /// The order to read in.
    pub order: sea_query::Order,
    /// Only what is above this key.
    pub above: Option<K>,
    /// Only what is below this key.
    pub below: Option<K>,
}

/// A part of an ordered list, in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<T> {
    pub rows: Vec<T>,
    /// Whether there is more beyond the limit.
    pub more: bool,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Part { rows: Vec::new(), more: false }
    }
}

impl<K> Page<K> {
    /// How many rows to read: one over the limit tells whether there are more.
    pub(super) fn reads(&self) -> u64 {
        self.limit.saturating_add(1)
    }

    /// The order to read an ascending list in.
    pub(super) fn order(&self) -> sea_query::Order {
        match self.from {
            End::First => sea_query::Order::Asc,
            End::Last => sea_query::Order::Desc,
        }
    }

    /// Where it is read, if the list goes this way.
    pub(super) fn range(self, direction: Direction) -> Range<K> {
        let is_up = (direction == Direction::Up) == (self.from == End::First);
        let order = if is_up { sea_query::Order::Asc } else { sea_query::Order::Desc };
        let (above, below) = match direction {
            Direction::Up => (self.after, self.before),
            Direction::Down => (self.before, self.after),
        };
        Range { order, above, below }
    }

    /// Cuts what was read, in the order of reading, down to the page.
    pub(super) fn cut<T>(&self, mut rows: Vec<T>) -> Part<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        if self.from == End::Last {
            rows.reverse();
        }
        Part { rows, more }
    }
}

/// Keys for an `IN` list, the last one repeated up to a power of two: few different statements, so that the prepared
/// ones stay in the connection's cache.
pub(super) fn padded(keys: &[i64]) -> Vec<i64> {
    let mut padded = keys.to_vec();
    if let Some(last) = keys.last() {
        padded.resize(keys.len().next_power_of_two(), *last);
    }
    padded
}

/// The keys of the first `limit` rows of each group. `rows` selects from the table and filters; nothing is selected yet.
pub(super) fn first_of_each(
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
        let page = Page { after: None::<i64>, before: None, limit: 2, from: End::Last };
        assert_eq!(page.cut(vec![9, 8, 7]), Part { rows: vec![8, 9], more: true });
        assert_eq!(page.cut(vec![9]), Part { rows: vec![9], more: false });
    }

    #[test]
    fn lists_of_keys_have_few_lengths() {
        assert_eq!(padded(&[]), Vec::<i64>::new());
        assert_eq!(padded(&[1, 2, 3]), [1, 2, 3, 3]);
        assert_eq!(padded(&[1, 2]), [1, 2]);
    }
}

//! Lists, page by page (<https://relay.dev/graphql/connections.htm>).

use super::Api;
use super::aggregate::Aggregations;
use super::batch::ask;
use super::cursor::Cursor;
use super::error::Fault;
use super::limits::{PAGE, PAGE_MAX};
use super::questions::{ChildCounts, HistoryCounts};
use super::rows::Rows;
use crate::store::read::{self, Board, ChangeFilter, DeliveryFilter, End, EntityFilter, Of, Page, Part};
use async_graphql::resolver_utils::ContainerType;
use async_graphql::{Context, Object, OutputType, SimpleObject, TypeName};
use std::borrow::Cow;

/// A page of a list.
#[derive(Debug)]
pub struct Connection<T> {
    edges: Vec<Edge<T>>,
    info: PageInfo,
    total: Total,
}

/// A page of a list. Go on with `after: pageInfo.endCursor` while `pageInfo.hasNextPage`.
#[Object(name_type)]
impl<T: ContainerType> Connection<T> {
    /// The page's rows, each with its cursor.
    async fn edges(&self) -> &[Edge<T>] {
        &self.edges
    }

    /// The page's rows alone.
    async fn nodes(&self) -> Rows<'_, T> {
        Rows(self.edges.iter().map(|edge| &edge.node).collect())
    }

    /// Where the page stands in the list.
    async fn page_info(&self) -> &PageInfo {
        &self.info
    }

    /// How long the whole list is, the filter applied. It is counted only when asked for.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i32, Fault> {
        Ok(i32::try_from(self.total.count(ctx).await?).unwrap_or(i32::MAX))
    }
}

impl<T: OutputType> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", T::type_name()).into()
    }
}

/// A row of a list.
#[derive(Debug)]
pub struct Edge<T> {
    cursor: Cursor,
    node: T,
}

/// A row of a list, and its place in it.
#[Object(name_type)]
impl<T: OutputType> Edge<T> {
    /// The row's place, e.g. `YzI6Nzo0Mg`: what `after` and `before` take.
    async fn cursor(&self) -> String {
        self.cursor.encode()
    }

    /// The row itself.
    async fn node(&self) -> &T {
        &self.node
    }
}

impl<T: OutputType> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", T::type_name()).into()
    }
}

/// Where a page stands in its list.
#[derive(Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether more follows.
    has_next_page: bool,
    /// Whether something comes before.
    has_previous_page: bool,
    /// The cursor of the page's first row; none if the page is empty.
    start_cursor: Option<String>,
    /// The cursor of the page's last row; none if the page is empty.
    end_cursor: Option<String>,
}

/// What is counted for `totalCount`.
#[derive(Debug)]
pub enum Total {
    Entities(EntityFilter),
    Children {
        of: Of,
        filter: EntityFilter,
        parent: i64,
    },
    Changes(ChangeFilter),
    /// Of the entity with this number.
    History(i64),
    Deliveries(DeliveryFilter),
    Known(i64),
    /// At a moment in the past.
    Board(Board),
}

impl Total {
    async fn count(&self, ctx: &Context<'_>) -> Result<i64, Fault> {
        let db = &Api::of(ctx)?.readers;
        let rows = match self {
            Total::Known(rows) => return Ok(*rows),
            Total::History(entity) => return Ok(ask(ctx, HistoryCounts, *entity).await?.unwrap_or_default()),
            Total::Children { of, filter, parent } => {
                let counts = ChildCounts { of: *of, filter: filter.clone() };
                return Ok(ask(ctx, counts, *parent).await?.unwrap_or_default());
            }
            Total::Board(board) => return Ok(board.count(db).await?),
            Total::Entities(filter) => match Aggregations::of(ctx)?.census.count(db, filter).await? {
                Some(count) => return Ok(count),
                None => read::count_entities(db, filter).await?,
            },
            Total::Changes(filter) => read::count_changes(db, filter).await?,
            Total::Deliveries(filter) => read::count_deliveries(db, filter).await?,
        };
        Ok(i64::try_from(rows).unwrap_or(i64::MAX))
    }
}

impl<T> Connection<T> {
    /// What was read, as a page. `edge` makes a row's cursor and object.
    pub fn of<K, R>(part: Part<R>, page: &Page<K>, total: Total, edge: impl Fn(R) -> (Cursor, T)) -> Self {
        let edges: Vec<_> = part.rows.into_iter().map(edge).map(|(cursor, node)| Edge { cursor, node }).collect();
        // Whoever has a cursor has seen a row on the other side of it.
        let (has_previous_page, has_next_page) = match page.from {
            End::First => (page.after.is_some(), part.more),
            End::Last => (part.more, page.before.is_some()),
        };
        let cursor_of = |edge: &Edge<T>| edge.cursor.encode();
        let info = PageInfo {
            has_next_page,
            has_previous_page,
            start_cursor: edges.first().map(cursor_of),
            end_cursor: edges.last().map(cursor_of),
        };
        Connection { edges, info, total }
    }
}

/// Which page a caller asks for, as it stands in the arguments.
#[derive(Debug, Default)]
pub struct Asked {
    pub first: Option<i32>,
    pub after: Option<String>,
    pub last: Option<i32>,
    pub before: Option<String>,
}

impl Asked {
    /// The page, its cursors read by `key`.
    pub fn page<K>(self, key: impl Fn(&str) -> Result<K, Fault>) -> Result<Page<K>, Fault> {
        let (from, name, number) = match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(Fault::input(
                    "`first` and `last` cannot both be given",
                    "Use `first` with `after` to go forward, `last` with `before` to go back.",
                ));
            }
            (None, Some(last)) => (End::Last, "last", last),
            (first, None) => (End::First, "first", first.unwrap_or(PAGE)),
        };
        if number > PAGE_MAX {
            return Err(Fault::input(
                format!("`{name}` is {number}, but a page has at most {PAGE_MAX} rows"),
                "Read page by page: `after: pageInfo.endCursor` while `pageInfo.hasNextPage`.",
            ));
        }
        let Ok(limit) = u64::try_from(number) else {
            return Err(Fault::input(format!("`{name}` is {number}"), "Ask for 0 to 100 rows."));
        };
        let read = |cursor: Option<String>| cursor.map(|cursor| key(&cursor)).transpose();
        Ok(Page { after: read(self.after)?, before: read(self.before)?, limit, from })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::cursor;
    use crate::store::read::Direction;

    fn page(first: Option<i32>, last: Option<i32>) -> Result<Page<i64>, Fault> {
        Asked { first, last, ..Asked::default() }.page(|text| cursor::created(text, Direction::Up))
    }

    #[test]
    fn a_page_has_25_rows_unless_said_otherwise() {
        assert_eq!(page(None, None).map(|page| (page.limit, page.from)), Ok((25, End::First)));
        assert_eq!(page(Some(0), None).map(|page| page.limit), Ok(0));
        assert_eq!(page(None, Some(100)).map(|page| (page.limit, page.from)), Ok((100, End::Last)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (first, last) in [(Some(1), Some(1)), (Some(-1), None), (None, Some(-1)), (Some(101), None)] {
            assert!(matches!(page(first, last), Err(Fault::Input { .. })), "{first:?} {last:?}");
        }
    }
}

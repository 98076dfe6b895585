//! Lists with pages: connections (<https://relay.dev/graphql/connections.htm>).

use super::ApiContext;
use super::cursor::Cursor;
use super::data_loader::load;
use super::error::ApiError;
use super::limits::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE};
use super::loaders::{ChildCountLoader, CommentCountLoader, HistoryCountLoader};
use super::node_list::NodeList;
use crate::store::read::{
    self, AsOfList, ChangeRowFilter, ChildRelation, DeliveryRowFilter, EntityFilter, PageRequest, PagingDirection,
    RejectionFilter, Slice,
};
use async_graphql::resolver_utils::ContainerType;
use async_graphql::{Context, Object, OutputType, SimpleObject, TypeName};
use std::borrow::Cow;

#[derive(Debug)]
pub struct Connection<T> {
    edges: Vec<Edge<T>>,
    info: PageInfo,
    total: TotalCount,
}

/// A page of a list. Continue with `after: pageInfo.endCursor` while `pageInfo.hasNextPage`.
#[Object(name_type)]
impl<T: ContainerType> Connection<T> {
    /// The page's rows, each with its cursor.
    async fn edges(&self) -> &[Edge<T>] {
        &self.edges
    }

    /// The page's rows, without cursors.
    async fn nodes(&self) -> NodeList<'_, T> {
        NodeList(self.edges.iter().map(|edge| &edge.node).collect())
    }

    /// The position of the page in the list.
    async fn page_info(&self) -> &PageInfo {
        &self.info
    }

    /// The number of rows of the whole list that match the filter. Counted only if selected.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i32, ApiError> {
        Ok(i32::try_from(self.total.count(ctx).await?).unwrap_or(i32::MAX))
    }
}

impl<T: OutputType> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", T::type_name()).into()
    }
}

#[derive(Debug)]
pub struct Edge<T> {
    cursor: Cursor,
    node: T,
}

/// A row of a list, with its cursor.
#[Object(name_type)]
impl<T: OutputType> Edge<T> {
    /// The row's cursor, e.g. `YzI6Nzo0Mg`, for `after` and `before`.
    async fn cursor(&self) -> String {
        self.cursor.encode()
    }

    /// The row.
    async fn node(&self) -> &T {
        &self.node
    }
}

impl<T: OutputType> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", T::type_name()).into()
    }
}

/// The position of a page in its list.
#[derive(Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether there are rows after this page.
    has_next_page: bool,
    /// Whether there are rows before this page.
    has_previous_page: bool,
    /// The cursor of the page's first row; null if the page is empty.
    start_cursor: Option<String>,
    /// The cursor of the page's last row; null if the page is empty.
    end_cursor: Option<String>,
}

/// What `totalCount` counts.
#[derive(Debug)]
pub enum TotalCount {
    Entities(EntityFilter),
    Children {
        of: ChildRelation,
        filter: EntityFilter,
        parent: i64,
    },
    Changes(ChangeRowFilter),
    /// Of the entity with this row id.
    History(i64),
    Deliveries(DeliveryRowFilter),
    /// On the inspection with this row id.
    Comments(i64),
    Precomputed(i64),
    AsOfList(AsOfList),
    Rejections(RejectionFilter),
}

impl TotalCount {
    async fn count(&self, ctx: &Context<'_>) -> Result<i64, ApiError> {
        let db = &ApiContext::of(ctx)?.readers;
        let rows = match self {
            TotalCount::Precomputed(rows) => return Ok(*rows),
            TotalCount::History(entity) => {
                return Ok(load(ctx, HistoryCountLoader, *entity).await?.unwrap_or_default());
            }
            TotalCount::Comments(inspection) => {
                return Ok(load(ctx, CommentCountLoader, *inspection).await?.unwrap_or_default());
            }
            TotalCount::Children { of, filter, parent } => {
                let counts = ChildCountLoader { of: *of, filter: filter.clone() };
                return Ok(load(ctx, counts, *parent).await?.unwrap_or_default());
            }
            TotalCount::AsOfList(list) => return Ok(list.count(db).await?),
            TotalCount::Entities(filter) => match ApiContext::of(ctx)?.inspection_index.count(db, filter).await? {
                Some(count) => return Ok(count),
                None => read::count_entities(db, filter).await?,
            },
            TotalCount::Changes(filter) => read::count_changes(db, filter).await?,
            TotalCount::Rejections(filter) => read::count_rejections(db, filter).await?,
            TotalCount::Deliveries(filter) => read::count_deliveries(db, filter).await?,
        };
        Ok(i64::try_from(rows).unwrap_or(i64::MAX))
    }
}

impl<T> Connection<T> {
    /// The page of a slice that was read. `edge` makes the cursor and the object of a row.
    pub fn of<K, R>(
        slice: Slice<R>,
        page: &PageRequest<K>,
        total: TotalCount,
        edge: impl Fn(R) -> (Cursor, T),
    ) -> Self {
        let edges: Vec<_> = slice.rows.into_iter().map(edge).map(|(cursor, node)| Edge { cursor, node }).collect();
        // A cursor implies at least one row beyond it in the opposite direction.
        let (has_previous_page, has_next_page) = match page.paging {
            PagingDirection::Forward => (page.after.is_some(), slice.has_more),
            PagingDirection::Backward => (slice.has_more, page.before.is_some()),
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

/// The page that a client asks for, as in the arguments.
#[derive(Debug, Default)]
pub struct PageArgs {
    pub first: Option<i32>,
    pub after: Option<String>,
    pub last: Option<i32>,
    pub before: Option<String>,
}

impl PageArgs {
    /// The page, its cursors parsed by `key`.
    pub fn page<K>(self, key: impl Fn(&str) -> Result<K, ApiError>) -> Result<PageRequest<K>, ApiError> {
        let (paging, name, rows) = match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_user_input(
                    "`first` and `last` cannot both be given",
                    "Use `first` with `after` to page forward, `last` with `before` to page backward.",
                ));
            }
            (None, Some(last)) => (PagingDirection::Backward, "last", last),
            (first, None) => (PagingDirection::Forward, "first", first.unwrap_or(DEFAULT_PAGE_SIZE)),
        };
        if rows > MAX_PAGE_SIZE {
            return Err(ApiError::bad_user_input(
                format!("`{name}` is {rows}, but a page has at most {MAX_PAGE_SIZE} rows"),
                "Read page by page: `after: pageInfo.endCursor` while `pageInfo.hasNextPage`.",
            ));
        }
        let Ok(limit) = u64::try_from(rows) else {
            return Err(ApiError::bad_user_input(format!("`{name}` is {rows}"), "Request 0 to 100 rows."));
        };
        let parse = |cursor: Option<String>| cursor.map(|cursor| key(&cursor)).transpose();
        Ok(PageRequest { after: parse(self.after)?, before: parse(self.before)?, limit, paging })
    }
}

/// Declares an object with fields that are lists (`fn`). Each takes the arguments of [`PageArgs`] before its own, and
/// its body receives them as one. `own` has the other fields. async-graphql expands no macro inside of an object, so
/// this one is around it.
macro_rules! object_with_lists {
    ($(#[$about:meta])* $object:ident {
        $(own { $($own:tt)* })?
        $($(#[$attribute:meta])* fn $field:ident(
            &$this:ident, $ctx:ident, $page:ident $(, $(#[graphql($($option:tt)*)])? $argument:ident: $type:ty)* $(,)?
        ) -> $node:ident $body:block)+
    }) => {
        $(#[$about])*
        #[async_graphql::Object]
        impl $object {
            $($($own)*)?
            $(
                $(#[$attribute])*
                async fn $field(
                    &$this,
                    $ctx: &async_graphql::Context<'_>,
                    #[graphql(desc = "The number of rows from the start, or after `after`: 25 by default, at most 100.")] first: Option<i32>,
                    #[graphql(desc = "Only rows after this cursor: `endCursor` of the previous page.")] after: Option<String>,
                    #[graphql(desc = "The number of rows from the end, or before `before`: at most 100.")] last: Option<i32>,
                    #[graphql(desc = "Only rows before this cursor: `startCursor` of the next page.")] before: Option<String>,
                    $($(#[graphql($($option)*)])? $argument: $type,)*
                ) -> Result<$crate::graphql::connection::Connection<$node>, $crate::graphql::error::ApiError> {
                    let $page = $crate::graphql::connection::PageArgs { first, after, last, before };
                    $body
                }
            )+
        }
    };
}
pub(crate) use object_with_lists;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::{ApiErrorCode, cursor};
    use crate::store::read::SortDirection;

    fn page(first: Option<i32>, last: Option<i32>) -> Result<PageRequest<i64>, ApiError> {
        PageArgs { first, last, ..PageArgs::default() }
            .page(|text| cursor::parse_created_cursor(text, SortDirection::Asc))
    }

    #[test]
    fn a_page_has_25_rows_by_default() {
        assert_eq!(page(None, None).map(|page| (page.limit, page.paging)), Ok((25, PagingDirection::Forward)));
        assert_eq!(page(Some(0), None).map(|page| page.limit), Ok(0));
        assert_eq!(page(None, Some(100)).map(|page| (page.limit, page.paging)), Ok((100, PagingDirection::Backward)));
    }

    #[test]
    fn contradictory_arguments_are_refused() {
        for (first, last) in [(Some(1), Some(1)), (Some(-1), None), (None, Some(-1)), (Some(101), None)] {
            let code = page(first, last).map_err(|error| error.code).err();
            assert_eq!(code, Some(ApiErrorCode::BadUserInput), "{first:?} {last:?}");
        }
    }
}

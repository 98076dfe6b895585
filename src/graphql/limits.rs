//! How much a caller may ask for at once, as async-graphql and the lists themselves see to it. `request::limits` has what is
//! looked at before.

/// Rows of a list where the caller names no number.
pub const DEFAULT_PAGE_SIZE: i32 = 25;
/// Rows of a list at most, and ids of `nodes`.
pub const MAX_PAGE_SIZE: i32 = 100;
/// Fields within fields. Standard introspection needs 15, the playground's ready-made queries need 5.
pub const MAX_QUERY_DEPTH: usize = 20;
/// Fields that an answer may have, lists counted with the number asked for: lists within lists within lists of 25 rows
/// each with ten fields fit in. If all of it were there, it would take about half a second of one core.
pub const MAX_QUERY_COMPLEXITY: usize = 200_000;
/// Selection sets within each other while a document is read.
pub const MAX_PARSER_RECURSION: usize = 32;
/// What an aggregate that looks at many rows counts for, in fields.
pub const AGGREGATE_COST: usize = 10_000;
/// What a body counts for, in fields: it can be megabytes.
pub const BODY_COST: usize = 4_000;

/// What a list counts for. Kept far below the range of numbers, so that sums of it do not overflow.
pub fn cost(first: Option<i32>, last: Option<i32>, of_one: usize) -> usize {
    let rows = first.or(last).unwrap_or(DEFAULT_PAGE_SIZE).clamp(0, MAX_PAGE_SIZE);
    let rows = usize::try_from(rows).unwrap_or_default();
    rows.saturating_mul(of_one).saturating_add(1).min(1_000_000_000)
}

/// What an aggregate counts for: its rows are as many as there are groups.
pub fn aggregate_cost(of_one: usize) -> usize {
    cost(Some(MAX_PAGE_SIZE), None, of_one).saturating_add(AGGREGATE_COST / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_counts_as_often_as_it_may_be_long() {
        assert_eq!(cost(None, None, 3), 76);
        assert_eq!(cost(Some(2), None, 3), 7);
        assert_eq!(cost(None, Some(10), 1), 11);
        assert_eq!(cost(Some(-5), None, 1), 1);
        assert_eq!(cost(Some(100), None, usize::MAX), 1_000_000_000);
    }
}

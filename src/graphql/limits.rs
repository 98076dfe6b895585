//! Limits of one request that the fields apply, and the weights for its cost. `request::limits` has the limits that
//! apply before execution; `request::cost` computes the cost.

/// Rows of a list by default.
pub const DEFAULT_PAGE_SIZE: i32 = 25;
/// Rows of a list, and ids of `nodes`.
pub const MAX_PAGE_SIZE: i32 = 100;
/// Nested fields. Standard introspection needs 15, the playground's own queries need 5.
pub const MAX_QUERY_DEPTH: usize = 20;
/// Points of cost: three nested lists of 25 rows each, with ten fields per row, are within. If all rows exist, that
/// takes about half a second of one core.
pub const MAX_QUERY_COST: u64 = 200_000;
/// Nested selection sets that the parser accepts.
pub const MAX_PARSER_RECURSION: usize = 32;

/// Fields that weigh more than one point: type, field, points. A body can be megabytes. An aggregate reads many rows,
/// or the rows of a table of counts.
pub const FIELD_WEIGHTS: &[(&str, &str, u64)] = &[
    ("Delivery", "bodyText", 4_000),
    ("Query", "busiestHours", 10_000),
    ("Query", "funnel", 10_000),
    ("Query", "inspectionCounts", 1_000),
    ("Query", "stalledInspections", 1_000),
    ("Query", "timeInStatus", 10_000),
];

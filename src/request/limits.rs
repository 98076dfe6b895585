//! What one document may ask for. A document beyond a limit is refused before async-graphql's validation, which visits each
//! spread of a fragment again, and some of them once more for each selection set around it.

use crate::graphql::{ApiError, MAX_PARSER_RECURSION};

/// Bytes of a document.
pub const MAX_DOCUMENT_BYTES: u64 = 100 << 10;
/// Tokens of a document. Parsing takes one to two microseconds for each.
pub const MAX_TOKENS: u64 = 10_000;
/// Tokens of a document of this length, so that a short one is refused quickly. Documents written by people and tools have a
/// token for every three to five bytes; many look-ups by key without a blank have one for every 1.6.
pub const fn max_tokens(bytes: u64) -> u64 {
    let max = 150 + bytes * 2 / 3;
    if max < MAX_TOKENS { max } else { MAX_TOKENS }
}
/// Pairs of brackets of a document of this length; they take the parser longest. Look-ups by key have one for every twelve
/// bytes.
pub const fn max_brackets(bytes: u64) -> u64 {
    24 + bytes / 9
}
/// Brackets of any kind within each other, before parsing: a field's arguments within the fields of [`MAX_DEPTH`].
pub const MAX_BRACKET_DEPTH: u64 = 64;
/// Fields within fields, apart from introspection. The playground's own queries need 5.
pub const MAX_DEPTH: u64 = 20;
/// Fields within `__schema` and `__type`. The standard query needs 15.
pub const MAX_INTROSPECTION_DEPTH: u64 = 20;
/// Lists of introspection within each other, as graphql-js' rule `MaxIntrospectionDepth` counts them.
pub const MAX_INTROSPECTION_LIST_DEPTH: u64 = 2;
/// Selection sets within each other, those of fragments included.
pub const MAX_SELECTION_SET_DEPTH: u64 = MAX_PARSER_RECURSION as u64 - 1;
/// Selections with all fragments expanded. Validating a thousand takes about half a millisecond.
pub const MAX_SELECTIONS: u64 = 1_000;
/// Fields of the operation itself: each of them may be a statement.
pub const MAX_ROOT_FIELDS: u64 = 50;
/// Aliases, counted like selections.
pub const MAX_ALIASES: u64 = 100;
/// Directives, counted like selections.
pub const MAX_DIRECTIVES: u64 = 100;
/// Arguments of one field or directive.
pub const MAX_ARGUMENTS: u64 = 50;
/// Operations of a document, of which one is executed.
pub const MAX_OPERATIONS: u64 = 50;
/// Values in the variables of a request. A list or an object counts as one, and each value in it as one.
pub const MAX_VARIABLE_VALUES: u64 = 10_000;
/// Requests of a batch, where batches are allowed.
pub const MAX_BATCH_REQUESTS: u64 = 10;
/// What a request may cost: about as many fields as its response can have, if all lists are as long as they may be. Three
/// nested lists of 25 rows each, with ten fields per row, are within; if all rows exist, they take about half a second of one
/// core.
pub const MAX_COST: u64 = 200_000;
/// What introspection may cost, counted apart: it reads no row. The standard query comes to about 200,000.
pub const MAX_INTROSPECTION_COST: u64 = 500_000;

/// # Errors
/// If a figure of a request is over its limit.
pub fn check_limit(actual: u64, max: u64, name: &'static str) -> Result<(), ApiError> {
    if actual <= max {
        return Ok(());
    }
    // A saturated sum is no number to report.
    Err(ApiError::too_costly(name, max, (actual < u64::MAX).then_some(actual)))
}

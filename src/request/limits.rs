//! How much one document may ask for. What is beyond is refused before anything else looks at it: the validation that
//! follows walks each spread of a fragment anew, some of it once more for each selection set around it.

/// Bytes of a document.
pub const MAX_DOCUMENT_BYTES: u64 = 100 << 10;
/// Tokens of a document. Parsing takes one to two microseconds for each.
pub const MAX_TOKENS: u64 = 10_000;
/// Tokens of a document of so many bytes: a short one must not take long before it is refused. What people and tools write
/// has a token for every three to five bytes; many look-ups by key without a blank, one for every 1.6.
pub const fn max_tokens(bytes: u64) -> u64 {
    let most = 150 + bytes * 2 / 3;
    if most < MAX_TOKENS { most } else { MAX_TOKENS }
}
/// Pairs of brackets of a document of so many bytes, which take the parser longest. Look-ups by key have one for every
/// twelve bytes.
pub const fn max_brackets(bytes: u64) -> u64 {
    24 + bytes / 9
}
/// Brackets of any kind within each other, before parsing: a field's arguments within the fields of [`DEPTH`].
pub const MAX_BRACKET_DEPTH: u64 = 64;
/// Fields within fields, apart from introspection.
pub const MAX_DEPTH: u64 = crate::graphql::MAX_QUERY_DEPTH as u64;
/// Fields within `__schema` and `__type`. The standard query needs 15.
pub const MAX_INTROSPECTION_DEPTH: u64 = 20;
/// Lists of introspection within each other, as graphql-js' rule `MaxIntrospectionDepth` counts them.
pub const MAX_INTROSPECTION_LIST_DEPTH: u64 = 2;
/// Selection sets within each other, those of fragments included.
pub const MAX_SELECTION_SET_DEPTH: u64 = crate::graphql::MAX_PARSER_RECURSION as u64 - 1;
/// Selections when every fragment is put in where it is spread. A thousand take validation about half a millisecond.
pub const MAX_SELECTIONS: u64 = 1_000;
/// Fields of the operation itself: each of them may be a statement.
pub const MAX_ROOT_FIELDS: u64 = 50;
/// Aliases, counted like selections.
pub const MAX_ALIASES: u64 = 100;
/// Directives, counted like selections.
pub const MAX_DIRECTIVES: u64 = 100;
/// Arguments of one field or directive, and fields of one input object.
pub const MAX_ARGUMENTS: u64 = 50;
/// Operations of a document, of which one is executed.
pub const MAX_OPERATIONS: u64 = 50;
/// Values in the variables of a request: what is in lists and objects counts each for itself.
pub const MAX_VARIABLE_VALUES: u64 = 10_000;
/// Requests of a batch, where batches are taken.
pub const MAX_BATCH_REQUESTS: u64 = 10;
/// What a request may cost: about so many fields of an answer, if all lists are as long as they may be.
pub const MAX_COST: u64 = crate::graphql::MAX_QUERY_COST;
/// What introspection may cost, for itself: it reads no row. The standard query comes to about 200,000.
pub const MAX_INTROSPECTION_COST: u64 = 500_000;

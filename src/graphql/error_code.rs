//! The codes of errors, all of them: `extensions.code`. `docs/errors.md` is made from this list.

/// What a program can tell errors apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiErrorCode {
    BadRequest,
    BadUserInput,
    CursorExpired,
    CursorInvalid,
    CursorInvalidated,
    CursorOutOfRange,
    Forbidden,
    GraphqlParseFailed,
    GraphqlValidationFailed,
    Internal,
    NotFound,
    PersistedQueryNotFound,
    QueryTooCostly,
    RateLimited,
    SlowConsumer,
    Timeout,
    Unauthenticated,
}

/// A code as it is written, what it means, and what its reader can do.
#[derive(Debug)]
pub struct ErrorCodeEntry {
    pub code: ApiErrorCode,
    pub name: &'static str,
    pub meaning: &'static str,
    pub remedy: &'static str,
}

const fn entry(code: ApiErrorCode, name: &'static str, meaning: &'static str, remedy: &'static str) -> ErrorCodeEntry {
    ErrorCodeEntry { code, name, meaning, remedy }
}

/// In the order of the alphabet.
pub const ERROR_CODES: &[ErrorCodeEntry] = &[
    entry(
        ApiErrorCode::BadRequest,
        "BAD_REQUEST",
        "What came is no GraphQL request: its method, its headers, its size or its JSON. The HTTP status says which.",
        "Send `POST` with `Content-Type: application/json` and `{\"query\": \"…\", \"variables\": {…}}`.",
    ),
    entry(
        ApiErrorCode::BadUserInput,
        "BAD_USER_INPUT",
        "An argument or a variable cannot be meant so, or no operation is named that is in the document.",
        "The message names the argument; the hint says what it takes.",
    ),
    entry(
        ApiErrorCode::CursorExpired,
        "CURSOR_EXPIRED",
        "The cursor is older than what is kept of the history: after it, something was forgotten.",
        "Read the state anew, then go on from its `head { cursor }`; or go on after `extensions.oldestCursor`, the oldest \
         cursor that nothing is missing after.",
    ),
    entry(
        ApiErrorCode::CursorInvalid,
        "CURSOR_INVALID",
        "This is no cursor, or one of another list.",
        "Pass cursors on exactly as they were given, to the field that gave them.",
    ),
    entry(
        ApiErrorCode::CursorInvalidated,
        "CURSOR_INVALIDATED",
        "The cursor is of another hub, or from before this one's history was rebuilt.",
        "Read the state anew, then go on from `head { cursor }`.",
    ),
    entry(
        ApiErrorCode::CursorOutOfRange,
        "CURSOR_OUT_OF_RANGE",
        "The cursor stands where the history has not come to: the database was set back.",
        "Read the state anew, then go on from `head { cursor }`.",
    ),
    entry(
        ApiErrorCode::Forbidden,
        "FORBIDDEN",
        "This hub takes only the operations that it was configured with.",
        "Ask its operator to add yours to `trusted_documents`.",
    ),
    entry(
        ApiErrorCode::GraphqlParseFailed,
        "GRAPHQL_PARSE_FAILED",
        "The document is not in GraphQL's language.",
        "`locations` says where it ends to be.",
    ),
    entry(
        ApiErrorCode::GraphqlValidationFailed,
        "GRAPHQL_VALIDATION_FAILED",
        "The document does not fit the schema: a field that is not there, a variable of the wrong type.",
        "`GET /schema.graphql` has the schema; `locations` says what does not fit.",
    ),
    entry(
        ApiErrorCode::Internal,
        "INTERNAL",
        "Something went wrong on our side.",
        "Try again; if it stays, tell the operator `extensions.errorId`, which stands in the log beside the cause.",
    ),
    entry(ApiErrorCode::NotFound, "NOT_FOUND", "A name of nothing that this hub knows.", "The hint lists the names."),
    entry(
        ApiErrorCode::PersistedQueryNotFound,
        "PERSISTED_QUERY_NOT_FOUND",
        "No document is known by this hash or id.",
        "Send the request again with both the document and its hash: Apollo's links do so by themselves.",
    ),
    entry(
        ApiErrorCode::QueryTooCostly,
        "QUERY_TOO_COSTLY",
        "The document asks for too much at once: too long, too deep, too wide, or too many rows. Nothing was executed.",
        "`extensions.limit` names the limit, what it allows and what was asked. Ask for fewer rows, or in several \
         requests.",
    ),
    entry(
        ApiErrorCode::RateLimited,
        "RATE_LIMITED",
        "You have used up what you may ask for in a minute. Nothing was executed.",
        "Wait for `extensions.retryAfter` seconds: over HTTP the header `Retry-After` says the same.",
    ),
    entry(
        ApiErrorCode::SlowConsumer,
        "SLOW_CONSUMER",
        "You take the changes of a subscription more slowly than they come, and were cut off.",
        "Subscribe again with `extensions.cursor` as `after`: you get all that you have missed, in order.",
    ),
    entry(
        ApiErrorCode::Timeout,
        "TIMEOUT",
        "The answer took longer than this hub allows, and was given up.",
        "Ask for fewer rows, or with a narrower filter.",
    ),
    entry(
        ApiErrorCode::Unauthenticated,
        "UNAUTHENTICATED",
        "This hub answers only who shows a token, and you have shown none that it knows. Nothing was looked at.",
        "Send the header `Authorization: Bearer …`, or over a WebSocket `{\"Authorization\": \"Bearer …\"}` as the payload of \
         `connection_init`. The hub's operator has the token.",
    ),
];

impl ApiErrorCode {
    /// As it is written.
    pub fn name(self) -> &'static str {
        ERROR_CODES.iter().find(|entry| entry.code == self).map_or("INTERNAL", |entry| entry.name)
    }
}

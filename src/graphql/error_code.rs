//! All error codes (`extensions.code`). `docs/errors.md` is generated from this list.

/// A code with its name, its meaning, and what a client can do.
#[derive(Debug)]
pub struct ErrorCodeEntry {
    pub code: ApiErrorCode,
    pub name: &'static str,
    pub meaning: &'static str,
    pub remedy: &'static str,
}

/// Declares the codes, each with its name, its meaning, and what a client can do.
macro_rules! error_codes {
    ($($code:ident $name:literal: $meaning:literal, $remedy:literal;)+) => {
        /// A stable code for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ApiErrorCode {
            $($code,)+
        }

        /// All codes, in alphabetical order.
        pub const ERROR_CODES: &[ErrorCodeEntry] = &[
            $(ErrorCodeEntry { code: ApiErrorCode::$code, name: $name, meaning: $meaning, remedy: $remedy },)+
        ];

        impl ApiErrorCode {
            /// The name, e.g. `NOT_FOUND`.
            pub fn name(self) -> &'static str {
                match self {
                    $(ApiErrorCode::$code => $name,)+
                }
            }
        }
    };
}

error_codes! {
    BadRequest "BAD_REQUEST":
        "The request is not a GraphQL request: its method, its headers, its size or its JSON. The HTTP status says which.",
        "Send `POST` with `Content-Type: application/json` and `{\"query\": \"…\", \"variables\": {…}}`.";
    BadUserInput "BAD_USER_INPUT":
        "An argument or variable has an invalid value, or `operationName` does not exist.",
        "The message names the argument; the hint says what it accepts.";
    CursorExpired "CURSOR_EXPIRED":
        "Changes after the cursor were purged.",
        "Read the state again, then continue from its `head { cursor }`; or continue after `extensions.oldestCursor`, the oldest \
        cursor after which the history is complete.";
    CursorInvalid "CURSOR_INVALID":
        "The text is not a cursor, or is a cursor of another list.",
        "Pass cursors unchanged, to the field that returned them.";
    CursorInvalidated "CURSOR_INVALIDATED":
        "The cursor is from another hub, or from before this hub's history was rebuilt.",
        "Read the state again, then continue from `head { cursor }`.";
    CursorOutOfRange "CURSOR_OUT_OF_RANGE":
        "The cursor is beyond the end of the history: the database was restored from a backup.",
        "Read the state again, then continue from `head { cursor }`.";
    Forbidden "FORBIDDEN":
        "The credential lacks the scope that the message names; or this hub accepts only the operations that it was configured with.",
        "Use a credential with that scope; or ask the operator to add the operation to `trusted_documents`.";
    GraphqlParseFailed "GRAPHQL_PARSE_FAILED":
        "The document is not valid GraphQL syntax.",
        "`locations` has the position of the error.";
    GraphqlValidationFailed "GRAPHQL_VALIDATION_FAILED":
        "The document does not match the schema: an unknown field, a variable of the wrong type.",
        "`GET /schema.graphql` returns the schema; `locations` has the position of the error.";
    IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED":
        "The idempotency key was used before, with another input. Nothing was changed.",
        "Use a new key for each act; send the same key again only with the same input.";
    Internal "INTERNAL":
        "The hub failed to answer; the request is not the cause.",
        "Try again. If it persists, report `extensions.errorId` to the operator: the log has the cause under this id.";
    NotFound "NOT_FOUND":
        "There is nothing with this name.",
        "The hint lists the names.";
    PersistedQueryNotFound "PERSISTED_QUERY_NOT_FOUND":
        "No document is registered with this hash or id.",
        "Send the request again with both the document and its hash. Apollo's links do so automatically.";
    QueryTooCostly "QUERY_TOO_COSTLY":
        "The request exceeds a limit: too long, too deep, too wide, or too many rows. Nothing was executed.",
        "`extensions.limit` has the limit's name, its maximum and the actual value. Request fewer rows, or send several \
        requests.";
    RateLimited "RATE_LIMITED":
        "The client has used its points of cost for this minute. Nothing was executed.",
        "Wait for `extensions.retryAfter` seconds; over HTTP, the header `Retry-After` has the same number.";
    SessionEnded "SESSION_ENDED":
        "The session of a person that had logged in with a browser has ended, and nothing was read.",
        "Log in again: send the browser to `/login?return_to=/…`.";
    SlowConsumer "SLOW_CONSUMER":
        "The client fell too far behind a subscription and was disconnected.",
        "Subscribe again with `extensions.cursor` as `after` to receive all missed changes, in order.";
    Timeout "TIMEOUT":
        "The response took longer than this hub allows; the request was canceled.",
        "Request fewer rows, or use a narrower filter.";
    Unauthenticated "UNAUTHENTICATED":
        "The request has no valid API key, and nothing was read; or the key of a running operation was revoked or has expired.",
        "Send the header `Authorization: Bearer …`, or over a WebSocket `{\"Authorization\": \"Bearer …\"}` as the payload of \
        `connection_init`. The hub's operator issues the key. A subscription resumes from `extensions.cursor`, if there is one.";
    Unavailable "UNAVAILABLE":
        "The act could not be confirmed: too many wait to be written, or the database failed. The hint says whether it may have been carried out.",
        "Try again in a few seconds, with the same idempotency key: it is carried out once.";
}

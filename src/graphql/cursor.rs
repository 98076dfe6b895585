//! Cursors: opaque to clients, base64url of a short text that begins with its type and version.

use super::error::ApiError;
use super::error_code::ApiErrorCode;
use crate::access::ApiKeyId;
use crate::store::read::{EntityOrder, RejectionKey, SortDirection};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// A position in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In the history of a generation.
    Change {
        position: i64,
        generation: i64,
    },
    /// Among entities: the position of the newest change, or by creation the row id.
    Entity(EntityOrder, i64),
    Delivery(i64, SortDirection),
    ApiKey(ApiKeyId),
    /// Among the comments on an inspection.
    Comment(i64),
    Rejection(RejectionKey),
}

impl Cursor {
    /// Among entities by creation.
    pub fn created(row_id: i64, direction: SortDirection) -> Cursor {
        Cursor::Entity(EntityOrder::Created(direction), row_id)
    }

    pub fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(match self {
            Cursor::Change { position, generation } => format!("c2:{generation}:{position}"),
            Cursor::Entity(EntityOrder::Created(direction), row_id) => format!("n2:{}:{row_id}", letter(direction)),
            Cursor::Entity(EntityOrder::Updated(direction), position) => format!("u3:{}:{position}", letter(direction)),
            Cursor::ApiKey(id) => format!("k1:{id}"),
            Cursor::Comment(row_id) => format!("m1:{row_id}"),
            Cursor::Delivery(row_id, direction) => format!("d2:{}:{row_id}", letter(direction)),
            Cursor::Rejection(RejectionKey { at, id }) => format!("r1:{at}:{}", id.simple()),
        })
    }

    fn decode(text: &str) -> Option<Cursor> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let natural = |key: &str| key.parse::<i64>().ok().filter(|number| *number >= 0);
        let direction =
            |name: &str| [SortDirection::Asc, SortDirection::Desc].into_iter().find(|known| letter(*known) == name);
        Some(match *text.split(':').collect::<Vec<_>>() {
            ["c2", generation, position] => {
                Cursor::Change { position: natural(position)?, generation: natural(generation)? }
            }
            ["n2", by, row_id] => Cursor::created(natural(row_id)?, direction(by)?),
            ["u3", by, position] => Cursor::Entity(EntityOrder::Updated(direction(by)?), natural(position)?),
            ["m1", row_id] => Cursor::Comment(natural(row_id)?),
            ["k1", id] => Cursor::ApiKey(id.parse().ok()?),
            ["d2", by, row_id] => Cursor::Delivery(natural(row_id)?, direction(by)?),
            ["r1", at, id] => Cursor::Rejection(RejectionKey { at: natural(at)?, id: Uuid::parse_str(id).ok()? }),
            _ => return None,
        })
    }
}

fn letter(direction: SortDirection) -> &'static str {
    match direction {
        SortDirection::Asc => "a",
        SortDirection::Desc => "d",
    }
}

/// Parses a cursor of the history: position and generation.
pub fn parse_change_cursor(text: &str) -> Result<(i64, i64), ApiError> {
    match parse_cursor(text)? {
        Cursor::Change { position, generation } => Ok((position, generation)),
        _ => Err(wrong_list(
            "This argument takes the cursor of a change: `Change.cursor`, or `LogHead.cursor` for the newest position.",
        )),
    }
}

const SAME_ORDER: &str = "Continue with the field and the `orderBy` or `direction` that returned the cursor; for another order, begin \
                          without a cursor.";

pub fn parse_entity_cursor(text: &str, order: EntityOrder) -> Result<i64, ApiError> {
    match parse_cursor(text)? {
        Cursor::Entity(of, key) if of == order => Ok(key),
        Cursor::Entity(..) => Err(wrong_order()),
        _ => Err(wrong_list(SAME_ORDER)),
    }
}

/// Parses a cursor of entities by creation, in this direction.
pub fn parse_created_cursor(text: &str, direction: SortDirection) -> Result<i64, ApiError> {
    parse_entity_cursor(text, EntityOrder::Created(direction))
}

/// Parses a cursor of deliveries, in this direction.
pub fn parse_delivery_cursor(text: &str, direction: SortDirection) -> Result<i64, ApiError> {
    match parse_cursor(text)? {
        Cursor::Delivery(row_id, of) if of == direction => Ok(row_id),
        Cursor::Delivery(..) => Err(wrong_order()),
        _ => Err(wrong_list("This argument takes the cursor of a delivery.")),
    }
}

/// Parses a cursor of API keys.
pub fn parse_api_key_cursor(text: &str) -> Result<ApiKeyId, ApiError> {
    match parse_cursor(text)? {
        Cursor::ApiKey(id) => Ok(id),
        _ => Err(wrong_list("This argument takes the cursor of an API key.")),
    }
}

/// Parses a cursor of comments.
pub fn parse_comment_cursor(text: &str) -> Result<i64, ApiError> {
    match parse_cursor(text)? {
        Cursor::Comment(row_id) => Ok(row_id),
        _ => Err(wrong_list("This argument takes the cursor of a comment.")),
    }
}

/// The error for a cursor of a key that the caller may not see.
pub fn unknown_api_key() -> ApiError {
    invalid("the cursor belongs to no API key that you may see", "Begin without a cursor.")
}

/// Parses a cursor of rejections.
pub fn parse_rejection_cursor(text: &str) -> Result<RejectionKey, ApiError> {
    match parse_cursor(text)? {
        Cursor::Rejection(key) => Ok(key),
        _ => Err(wrong_list("This argument takes the cursor of a rejection.")),
    }
}

fn wrong_order() -> ApiError {
    invalid("the cursor belongs to another order", SAME_ORDER)
}

pub fn out_of_range(position: i64, head: i64) -> ApiError {
    ApiError::new(
        ApiErrorCode::CursorOutOfRange,
        format!("the cursor is at position {position}, but the history ends at {head}"),
        "The database was restored from a backup. Read the state again, then continue from `head { cursor }`.",
    )
}

/// The error for a cursor after which changes were purged.
pub fn expired(retained_from: i64, generation: i64) -> ApiError {
    ApiError::new(
        ApiErrorCode::CursorExpired,
        format!("changes after the cursor were purged; the history is complete after position {retained_from}"),
        "Read the state again, then continue from the `head { cursor }` read with it; or continue after \
         `extensions.oldestCursor`.",
    )
    .with_extension("oldestCursor", Cursor::Change { position: retained_from, generation }.encode())
}

/// The error for a cursor of another database, or of this one before its history was replaced.
pub fn invalidated() -> ApiError {
    ApiError::new(
        ApiErrorCode::CursorInvalidated,
        "the cursor belongs to another history",
        "It is from another hub, or from before this hub's history was rebuilt. Read the state again, then continue \
         from `head { cursor }`.",
    )
}

fn parse_cursor(text: &str) -> Result<Cursor, ApiError> {
    Cursor::decode(text).ok_or_else(|| {
        invalid(
            "this is not a cursor of this hub",
            "Pass cursors unchanged, e.g. `YzI6Nzo0Mg` from `pageInfo { endCursor }`; do not construct them.",
        )
    })
}

fn wrong_list(hint: &str) -> ApiError {
    invalid("the cursor belongs to another list", hint)
}

fn invalid(message: &str, hint: &str) -> ApiError {
    ApiError::new(ApiErrorCode::CursorInvalid, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip() {
        let change = Cursor::Change { position: 0, generation: 1_700_000_000_000_000 };
        assert_eq!(Cursor::decode(&change.encode()), Some(change));
        for direction in [SortDirection::Asc, SortDirection::Desc] {
            for cursor in [
                Cursor::created(i64::MAX, direction),
                Cursor::Entity(EntityOrder::Updated(direction), 7),
                Cursor::Delivery(3, direction),
                Cursor::Comment(5),
            ] {
                assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
            }
        }
        let rejection = Cursor::Rejection(RejectionKey { at: 7, id: Uuid::from_u128(42) });
        assert_eq!(Cursor::decode(&rejection.encode()), Some(rejection));
        assert_eq!(Cursor::Change { position: 42, generation: 7 }.encode(), "YzI6Nzo0Mg");
    }

    #[test]
    fn other_texts_are_refused() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let code = |parsed: Result<_, ApiError>| parsed.err().map(|error| error.code);
        for text in [
            "",
            "42",
            "c1:42",
            "ä",
            &encode("c1:1"),
            &encode("c2:"),
            &encode("c2:1"),
            &encode("c2:1:-1"),
            &encode("u3:5"),
            &encode("u3:a:-5"),
            &encode("u2:a:1700000000000000:5"),
            &encode("n2:5"),
            &encode("n2:x:5"),
            &encode("n1:5"),
            &encode("r1:-1:00000000-0000-4000-8000-000000000000"),
            &encode("r1:5:x"),
        ] {
            assert_eq!(code(parse_change_cursor(text)), Some(ApiErrorCode::CursorInvalid), "{text}");
        }
        let of_deliveries = Cursor::Delivery(1, SortDirection::Asc).encode();
        assert_eq!(code(parse_change_cursor(&of_deliveries)), Some(ApiErrorCode::CursorInvalid));
        let of_changes = parse_entity_cursor(&encode("c2:1:1"), EntityOrder::Created(SortDirection::Asc));
        assert_eq!(of_changes.map_err(|error| error.code), Err(ApiErrorCode::CursorInvalid));
    }
}

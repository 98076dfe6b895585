//! Cursors: opaque to clients, base64url of a short text that begins with its type and version.

use super::error::ApiError;
use crate::store::read::{EntitySortKey, SortDirection};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A position in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In the history of a generation.
    Change { position: i64, generation: i64 },
    /// Among entities by creation.
    Created(i64, SortDirection),
    /// Among entities by update.
    Updated(EntitySortKey, SortDirection),
    /// Among deliveries.
    Delivery(i64, SortDirection),
}

impl Cursor {
    pub fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(match self {
            Cursor::Change { position, generation } => format!("c2:{generation}:{position}"),
            Cursor::Created(number, direction) => format!("n2:{}:{number}", direction_letter(direction)),
            Cursor::Updated(key, direction) => {
                format!("u2:{}:{}:{}", direction_letter(direction), key.updated_at, key.row_id)
            }
            Cursor::Delivery(number, direction) => format!("d2:{}:{number}", direction_letter(direction)),
        })
    }

    fn decode(text: &str) -> Option<Cursor> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (prefix, key) = text.split_once(':')?;
        let natural = |key: &str| key.parse::<i64>().ok().filter(|number| *number >= 0);
        Some(match prefix {
            "c2" => {
                let (generation, position) = key.split_once(':')?;
                Cursor::Change { position: natural(position)?, generation: natural(generation)? }
            }
            "n2" | "d2" | "u2" => {
                let (direction, key) = key.split_once(':')?;
                let direction = [SortDirection::Asc, SortDirection::Desc]
                    .into_iter()
                    .find(|candidate| direction_letter(*candidate) == direction)?;
                match prefix {
                    "n2" => Cursor::Created(natural(key)?, direction),
                    "d2" => Cursor::Delivery(natural(key)?, direction),
                    _ => {
                        let (updated_at, number) = key.split_once(':')?;
                        Cursor::Updated(
                            EntitySortKey { updated_at: updated_at.parse().ok()?, row_id: natural(number)? },
                            direction,
                        )
                    }
                }
            }
            _ => return None,
        })
    }
}

fn direction_letter(direction: SortDirection) -> &'static str {
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

/// Parses a cursor of entities by creation, in this direction.
pub fn parse_created_cursor(text: &str, direction: SortDirection) -> Result<i64, ApiError> {
    match parse_cursor(text)? {
        Cursor::Created(row_id, of) if of == direction => Ok(row_id),
        Cursor::Created(..) | Cursor::Updated(..) => Err(wrong_order()),
        _ => Err(wrong_list(SAME_ORDER)),
    }
}

/// Parses a cursor of entities by update, in this direction.
pub fn parse_updated_cursor(text: &str, direction: SortDirection) -> Result<EntitySortKey, ApiError> {
    match parse_cursor(text)? {
        Cursor::Updated(key, of) if of == direction => Ok(key),
        Cursor::Created(..) | Cursor::Updated(..) => Err(wrong_order()),
        _ => Err(wrong_list(SAME_ORDER)),
    }
}

/// Parses a cursor of deliveries, in this direction.
pub fn parse_delivery_cursor(text: &str, direction: SortDirection) -> Result<i64, ApiError> {
    match parse_cursor(text)? {
        Cursor::Delivery(row_id, of) if of == direction => Ok(row_id),
        Cursor::Delivery(..) => Err(wrong_order()),
        _ => Err(wrong_list("This argument takes the cursor of a delivery.")),
    }
}

fn wrong_order() -> ApiError {
    ApiError::cursor_invalid("the cursor belongs to another order", SAME_ORDER)
}

/// The error for a cursor beyond the newest position.
pub fn out_of_range(position: i64, head: i64) -> ApiError {
    ApiError::CursorOutOfRange {
        message: format!("the cursor is at position {position}, but the history ends at {head}"),
        hint: "The database was restored from a backup. Read the state again, then continue from `head { cursor }`."
            .to_owned(),
    }
}

/// The error for a cursor after which changes were purged.
pub fn expired(retained_from: i64, generation: i64) -> ApiError {
    ApiError::CursorExpired {
        message: format!(
            "changes after the cursor were purged; the history is complete after position {retained_from}"
        ),
        oldest_cursor: Cursor::Change { position: retained_from, generation }.encode(),
    }
}

/// The error for a cursor of another database, or of this one before its history was replaced.
pub fn invalidated() -> ApiError {
    ApiError::CursorInvalidated {
        message: "the cursor belongs to another history".to_owned(),
        hint:
            "It is from another hub, or from before this hub's history was rebuilt. Read the state again, then continue \
               from `head { cursor }`."
                .to_owned(),
    }
}

fn parse_cursor(text: &str) -> Result<Cursor, ApiError> {
    Cursor::decode(text).ok_or_else(|| {
        ApiError::cursor_invalid(
            "this is not a cursor of this hub",
            "Pass cursors unchanged, e.g. `YzI6Nzo0Mg` from `pageInfo { endCursor }`; do not construct them.",
        )
    })
}

fn wrong_list(hint: &str) -> ApiError {
    ApiError::cursor_invalid("the cursor belongs to another list", hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip() {
        let key = EntitySortKey { updated_at: 1_700_000_000_000_000, row_id: 7 };
        let change = Cursor::Change { position: 0, generation: 1_700_000_000_000_000 };
        assert_eq!(Cursor::decode(&change.encode()), Some(change));
        for direction in [SortDirection::Asc, SortDirection::Desc] {
            for cursor in
                [Cursor::Created(i64::MAX, direction), Cursor::Updated(key, direction), Cursor::Delivery(3, direction)]
            {
                assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
            }
        }
        assert_eq!(Cursor::Change { position: 42, generation: 7 }.encode(), "YzI6Nzo0Mg");
    }

    #[test]
    fn other_texts_are_refused() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for text in [
            "",
            "42",
            "c1:42",
            "ä",
            &encode("c1:1"),
            &encode("c2:"),
            &encode("c2:1"),
            &encode("c2:1:-1"),
            &encode("u2:a:5"),
            &encode("n2:5"),
            &encode("n2:x:5"),
            &encode("n1:5"),
        ] {
            assert!(matches!(parse_change_cursor(text), Err(ApiError::CursorInvalid { .. })), "{text}");
        }
        assert!(matches!(
            parse_change_cursor(&Cursor::Delivery(1, SortDirection::Asc).encode()),
            Err(ApiError::CursorInvalid { .. })
        ));
        assert!(matches!(
            parse_created_cursor(&encode("c2:1:1"), SortDirection::Asc),
            Err(ApiError::CursorInvalid { .. })
        ));
    }
}

//! Cursors: opaque to the caller, base64url of a short text that begins with its form and version.

use super::error::ApiError;
use crate::store::read::{EntitySortKey, SortDirection};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In the history of a generation: after this position.
    Change { position: i64, generation: i64 },
    /// Among entities in the order of first sight.
    Created(i64, SortDirection),
    /// Among entities in the order of their newest news.
    Updated(EntitySortKey, SortDirection),
    /// Among deliveries.
    Delivery(i64, SortDirection),
}

impl Cursor {
    pub fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(match self {
            Cursor::Change { position, generation } => format!("c2:{generation}:{position}"),
            Cursor::Created(number, way) => format!("n2:{}:{number}", direction_letter(way)),
            Cursor::Updated(key, way) => format!("u2:{}:{}:{}", direction_letter(way), key.updated_at, key.row_id),
            Cursor::Delivery(number, way) => format!("d2:{}:{number}", direction_letter(way)),
        })
    }

    fn decode(text: &str) -> Option<Cursor> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (form, key) = text.split_once(':')?;
        let whole = |key: &str| key.parse::<i64>().ok().filter(|number| *number >= 0);
        Some(match form {
            "c2" => {
                let (generation, position) = key.split_once(':')?;
                Cursor::Change { position: whole(position)?, generation: whole(generation)? }
            }
            "n2" | "d2" | "u2" => {
                let (way, key) = key.split_once(':')?;
                let way = [SortDirection::Asc, SortDirection::Desc]
                    .into_iter()
                    .find(|known| direction_letter(*known) == way)?;
                match form {
                    "n2" => Cursor::Created(whole(key)?, way),
                    "d2" => Cursor::Delivery(whole(key)?, way),
                    _ => {
                        let (updated_at, number) = key.split_once(':')?;
                        Cursor::Updated(
                            EntitySortKey { updated_at: updated_at.parse().ok()?, row_id: whole(number)? },
                            way,
                        )
                    }
                }
            }
            _ => return None,
        })
    }
}

fn direction_letter(way: SortDirection) -> &'static str {
    match way {
        SortDirection::Asc => "a",
        SortDirection::Desc => "d",
    }
}

/// Reads a cursor of the history: position and generation.
pub fn parse_change_cursor(text: &str) -> Result<(i64, i64), ApiError> {
    match parse_cursor(text)? {
        Cursor::Change { position, generation } => Ok((position, generation)),
        _ => Err(wrong_list("Here belongs the cursor of a change: `Change.cursor`, or `LogHead.cursor` for now.")),
    }
}

const SAME_ORDER: &str = "Page on with the same field and the same `orderBy` or `direction` that gave the cursor; for another \
                          order, begin without a cursor.";

/// Reads a cursor of entities in the order of first sight, one way.
pub fn parse_created_cursor(text: &str, direction: SortDirection) -> Result<i64, ApiError> {
    match parse_cursor(text)? {
        Cursor::Created(number, way) if way == direction => Ok(number),
        Cursor::Created(..) | Cursor::Updated(..) => Err(wrong_order()),
        _ => Err(wrong_list(SAME_ORDER)),
    }
}

/// Reads a cursor of entities in the order of their newest news, one way.
pub fn parse_updated_cursor(text: &str, direction: SortDirection) -> Result<EntitySortKey, ApiError> {
    match parse_cursor(text)? {
        Cursor::Updated(key, way) if way == direction => Ok(key),
        Cursor::Created(..) | Cursor::Updated(..) => Err(wrong_order()),
        _ => Err(wrong_list(SAME_ORDER)),
    }
}

/// Reads a cursor of deliveries, one way.
pub fn parse_delivery_cursor(text: &str, direction: SortDirection) -> Result<i64, ApiError> {
    match parse_cursor(text)? {
        Cursor::Delivery(number, way) if way == direction => Ok(number),
        Cursor::Delivery(..) => Err(wrong_order()),
        _ => Err(wrong_list("Here belongs the cursor of a delivery.")),
    }
}

fn wrong_order() -> ApiError {
    ApiError::cursor_invalid("the cursor belongs to another order", SAME_ORDER)
}

/// A cursor of a change that does not exist yet.
pub fn out_of_range(position: i64, head: i64) -> ApiError {
    ApiError::CursorOutOfRange {
        message: format!("the cursor stands at position {position}, but the history ends at {head}"),
        hint: "The database was set back. Read the state anew, then go on from `head { cursor }`.".to_owned(),
    }
}

/// A cursor from which the history cannot be followed any more.
pub fn expired(retained_from: i64, generation: i64) -> ApiError {
    ApiError::CursorExpired {
        message: format!(
            "the history after the cursor is not all there any more; it is from position {retained_from} on"
        ),
        oldest_cursor: Cursor::Change { position: retained_from, generation }.encode(),
    }
}

/// A cursor of another database, or of this one before its history was replaced.
pub fn invalidated() -> ApiError {
    ApiError::CursorInvalidated {
        message: "the cursor is of another history".to_owned(),
        hint:
            "It comes from another hub, or from before this one's history was rebuilt. Read the state anew, then go on \
               from `head { cursor }`."
                .to_owned(),
    }
}

fn parse_cursor(text: &str) -> Result<Cursor, ApiError> {
    Cursor::decode(text).ok_or_else(|| {
        ApiError::cursor_invalid(
            "this is not a cursor of this hub",
            "Pass cursors on exactly as they were given, e.g. `YzI6Nzo0Mg` of `pageInfo { endCursor }`; never make them.",
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
    fn a_cursor_is_read_as_it_was_written() {
        let key = EntitySortKey { updated_at: 1_700_000_000_000_000, row_id: 7 };
        let change = Cursor::Change { position: 0, generation: 1_700_000_000_000_000 };
        assert_eq!(Cursor::decode(&change.encode()), Some(change));
        for way in [SortDirection::Asc, SortDirection::Desc] {
            for cursor in [Cursor::Created(i64::MAX, way), Cursor::Updated(key, way), Cursor::Delivery(3, way)] {
                assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
            }
        }
        assert_eq!(Cursor::Change { position: 42, generation: 7 }.encode(), "YzI6Nzo0Mg");
    }

    #[test]
    fn anything_else_is_refused() {
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

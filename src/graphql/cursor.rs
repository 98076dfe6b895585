//! Cursors: opaque to the caller, base64url of a short text that begins with its form and version.

use super::error::Fault;
use crate::store::read::{Direction, Key};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In the history of a generation: after this position.
    Change { position: i64, generation: i64 },
    /// Among entities in the order of first sight.
    Created(i64, Direction),
    /// Among entities in the order of their newest news.
    Updated(Key, Direction),
    /// Among deliveries.
    Delivery(i64, Direction),
}

impl Cursor {
    pub fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(match self {
            Cursor::Change { position, generation } => format!("c2:{generation}:{position}"),
            Cursor::Created(number, way) => format!("n2:{}:{number}", spelled(way)),
            Cursor::Updated(key, way) => format!("u2:{}:{}:{}", spelled(way), key.updated_at, key.number),
            Cursor::Delivery(number, way) => format!("d2:{}:{number}", spelled(way)),
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
                let way = [Direction::Up, Direction::Down].into_iter().find(|known| spelled(*known) == way)?;
                match form {
                    "n2" => Cursor::Created(whole(key)?, way),
                    "d2" => Cursor::Delivery(whole(key)?, way),
                    _ => {
                        let (updated_at, number) = key.split_once(':')?;
                        Cursor::Updated(Key { updated_at: updated_at.parse().ok()?, number: whole(number)? }, way)
                    }
                }
            }
            _ => return None,
        })
    }
}

fn spelled(way: Direction) -> &'static str {
    match way {
        Direction::Up => "a",
        Direction::Down => "d",
    }
}

/// Reads a cursor of the history: position and generation.
pub fn change(text: &str) -> Result<(i64, i64), Fault> {
    match read(text)? {
        Cursor::Change { position, generation } => Ok((position, generation)),
        _ => Err(other("Here belongs the cursor of a change: `Change.cursor`, or `LogHead.cursor` for now.")),
    }
}

const SAME_ORDER: &str = "Page on with the same field and the same `orderBy` or `direction` that gave the cursor; for another \
                          order, begin without a cursor.";

/// Reads a cursor of entities in the order of first sight, one way.
pub fn created(text: &str, direction: Direction) -> Result<i64, Fault> {
    match read(text)? {
        Cursor::Created(number, way) if way == direction => Ok(number),
        Cursor::Created(..) | Cursor::Updated(..) => Err(of_another_order()),
        _ => Err(other(SAME_ORDER)),
    }
}

/// Reads a cursor of entities in the order of their newest news, one way.
pub fn updated(text: &str, direction: Direction) -> Result<Key, Fault> {
    match read(text)? {
        Cursor::Updated(key, way) if way == direction => Ok(key),
        Cursor::Created(..) | Cursor::Updated(..) => Err(of_another_order()),
        _ => Err(other(SAME_ORDER)),
    }
}

/// Reads a cursor of deliveries, one way.
pub fn delivery(text: &str, direction: Direction) -> Result<i64, Fault> {
    match read(text)? {
        Cursor::Delivery(number, way) if way == direction => Ok(number),
        Cursor::Delivery(..) => Err(of_another_order()),
        _ => Err(other("Here belongs the cursor of a delivery.")),
    }
}

fn of_another_order() -> Fault {
    Fault::cursor("the cursor belongs to another order", SAME_ORDER)
}

/// A cursor of a change that does not exist yet.
pub fn beyond(position: i64, head: i64) -> Fault {
    Fault::Ahead {
        message: format!("the cursor stands at position {position}, but the history ends at {head}"),
        hint: "The database was set back. Read the state anew, then go on from `head { cursor }`.".to_owned(),
    }
}

/// A cursor from which the history cannot be followed any more.
pub fn expired(kept_from: i64, generation: i64) -> Fault {
    Fault::Expired {
        message: format!("the history after the cursor is not all there any more; it is from position {kept_from} on"),
        available: Cursor::Change { position: kept_from, generation }.encode(),
    }
}

/// A cursor of another database, or of this one before its history was replaced.
pub fn foreign() -> Fault {
    Fault::Foreign {
        message: "the cursor is of another history".to_owned(),
        hint:
            "It comes from another hub, or from before this one's history was rebuilt. Read the state anew, then go on \
               from `head { cursor }`."
                .to_owned(),
    }
}

fn read(text: &str) -> Result<Cursor, Fault> {
    Cursor::decode(text).ok_or_else(|| {
        Fault::cursor(
            "this is not a cursor of this hub",
            "Pass cursors on exactly as they were given, e.g. `YzI6Nzo0Mg` of `pageInfo { endCursor }`; never make them.",
        )
    })
}

fn other(hint: &str) -> Fault {
    Fault::cursor("the cursor belongs to another list", hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let key = Key { updated_at: 1_700_000_000_000_000, number: 7 };
        let change = Cursor::Change { position: 0, generation: 1_700_000_000_000_000 };
        assert_eq!(Cursor::decode(&change.encode()), Some(change));
        for way in [Direction::Up, Direction::Down] {
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
            assert!(matches!(change(text), Err(Fault::Cursor { .. })), "{text}");
        }
        assert!(matches!(change(&Cursor::Delivery(1, Direction::Up).encode()), Err(Fault::Cursor { .. })));
        assert!(matches!(created(&encode("c2:1:1"), Direction::Up), Err(Fault::Cursor { .. })));
    }
}

//! The public ids of deliveries, commands, comments, changes and API keys. They are computed from numbers, so that no look-up is needed. All are UUIDv8
//! (RFC 9562, section 5.8), which no id of an entity is.

use crate::access::ApiKeyId;
use sea_orm::entity::prelude::Uuid;

/// `deliver` in ASCII around the version; the variant and the number follow.
const DELIVERY_PREFIX: u64 = u64::from_be_bytes(*b"delive\x80r");
/// The same for `command` and `comment`. A comment is a command, and has an id of its own.
const COMMAND_PREFIX: u64 = u64::from_be_bytes(*b"comman\x80d");
const COMMENT_PREFIX: u64 = u64::from_be_bytes(*b"commen\x80t");
const VARIANT: u64 = 0x8000_0000_0000_0000;
const ROW_ID_MASK: u64 = 0x3fff_ffff_ffff_ffff;

/// `api-key` in ASCII around the version; the variant and the 48 bits of the key's id follow.
const API_KEY_PREFIX: u64 = u64::from_be_bytes(*b"api-ke\x80y");

/// The version, within the generation at the start of a change's id.
const VERSION: u64 = 0x8000;
/// The bits of a generation that follow the version.
const GENERATION_LOW_MASK: u64 = 0xfff;
/// The largest generation: microseconds since the Unix epoch until the year 2112, so that no id begins like a delivery's.
const MAX_GENERATION: i64 = (1 << 52) - 1;
/// `c` after the variant.
const CHANGE_TAG: u64 = 0xa3 << 56;
const POSITION_MASK: u64 = (1 << 56) - 1;

/// The public id of a delivery.
pub fn delivery_id(row_id: i64) -> Uuid {
    id_of_row(DELIVERY_PREFIX, row_id)
}

/// The row id of a delivery; none if the id is not a delivery's.
pub fn delivery_row_id(id: Uuid) -> Option<i64> {
    row_of_id(DELIVERY_PREFIX, id)
}

/// The public id of a command.
pub fn command_id(row_id: i64) -> Uuid {
    id_of_row(COMMAND_PREFIX, row_id)
}

/// The row id of a command; none if the id is not a command's.
pub fn command_row_id(id: Uuid) -> Option<i64> {
    row_of_id(COMMAND_PREFIX, id)
}

/// The public id of a comment, by the row id of its command.
pub fn comment_id(row_id: i64) -> Uuid {
    id_of_row(COMMENT_PREFIX, row_id)
}

/// The row id of a comment's command; none if the id is not a comment's.
pub fn comment_row_id(id: Uuid) -> Option<i64> {
    row_of_id(COMMENT_PREFIX, id)
}

fn id_of_row(prefix: u64, row_id: i64) -> Uuid {
    Uuid::from_u64_pair(prefix, VARIANT | (row_id.cast_unsigned() & ROW_ID_MASK))
}

fn row_of_id(prefix: u64, id: Uuid) -> Option<i64> {
    let (begin, row_id) = id.as_u64_pair();
    (begin == prefix && row_id & !ROW_ID_MASK == VARIANT).then(|| (row_id & ROW_ID_MASK).cast_signed())
}

/// The public id of the change at a position of a generation.
pub fn change_id(generation: i64, position: i64) -> Uuid {
    let generation = (generation & MAX_GENERATION).cast_unsigned();
    let begin = (generation & !GENERATION_LOW_MASK) << 4 | VERSION | generation & GENERATION_LOW_MASK;
    Uuid::from_u64_pair(begin, CHANGE_TAG | position.cast_unsigned() & POSITION_MASK)
}

/// The generation and the position of a change; none if the id is not a change's.
pub fn change_position(id: Uuid) -> Option<(i64, i64)> {
    let (begin, end) = id.as_u64_pair();
    let generation = (begin >> 4 & !GENERATION_LOW_MASK | begin & GENERATION_LOW_MASK).cast_signed();
    let position = (end & POSITION_MASK).cast_signed();
    (change_id(generation, position) == id).then_some((generation, position))
}

/// The public id of an API key.
pub fn api_key_node_id(id: ApiKeyId) -> Uuid {
    Uuid::from_u64_pair(API_KEY_PREFIX, VARIANT | id.number())
}

/// The API key with this public id; none if the id is not a key's.
pub fn api_key_id(id: Uuid) -> Option<ApiKeyId> {
    let (prefix, number) = id.as_u64_pair();
    let key = ApiKeyId::from_number(number & !VARIANT)?;
    (prefix == API_KEY_PREFIX && api_key_node_id(key) == id).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_id_becomes_an_id_and_back() {
        for number in [0, 1, 42, 1 << 40, (1 << 62) - 1] {
            assert_eq!(delivery_row_id(delivery_id(number)), Some(number));
            assert_eq!(change_position(delivery_id(number)), None);
            assert_eq!(
                (command_row_id(command_id(number)), comment_row_id(comment_id(number))),
                (Some(number), Some(number))
            );
            for id in [command_id(number), comment_id(number)] {
                assert_eq!((delivery_row_id(id), change_position(id), api_key_id(id)), (None, None, None));
                assert_eq!(id.get_version_num(), 8);
            }
            assert_eq!((command_row_id(comment_id(number)), comment_row_id(command_id(number))), (None, None));
        }
        assert_eq!(delivery_id(1).to_string(), "64656c69-7665-8072-8000-000000000001");
    }

    #[test]
    fn a_position_becomes_an_id_and_back() {
        for generation in [0, 1, 0xfff, 0x1000, 1_796_000_000_123_456, MAX_GENERATION] {
            for position in [0, 1, 42, 1 << 40, (1 << 56) - 1] {
                let id = change_id(generation, position);
                assert_eq!(change_position(id), Some((generation, position)));
                assert_eq!((delivery_row_id(id), id.get_version_num()), (None, 8));
                assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            }
        }
        assert_eq!(change_id(7, 42).to_string(), "00000000-0000-8007-a300-00000000002a");
    }

    #[test]
    fn the_id_of_a_key_becomes_a_public_id_and_back() {
        for key in ["000000000000", "3f9a51c07be2", "ffffffffffff"] {
            let key: ApiKeyId = key.parse().expect("an id");
            let id = api_key_node_id(key);
            assert_eq!((api_key_id(id), id.get_version_num()), (Some(key), 8));
            assert_eq!((delivery_row_id(id), change_position(id)), (None, None));
        }
        assert_eq!(api_key_id(Uuid::from_u64_pair(API_KEY_PREFIX, VARIANT | 1 << 48)), None);
        assert_eq!((api_key_id(delivery_id(1)), api_key_id(change_id(7, 42))), (None, None));
    }

    #[test]
    fn other_ids_are_rejected() {
        for id in [Uuid::new_v5(&Uuid::NAMESPACE_URL, b"an inspection"), Uuid::nil(), Uuid::max()] {
            assert_eq!((delivery_row_id(id), change_position(id)), (None, None), "{id}");
            assert_eq!(api_key_id(id), None, "{id}");
        }
    }
}

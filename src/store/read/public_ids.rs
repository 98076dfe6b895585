//! The public ids of deliveries and changes. They are made from numbers alone, so that every surface can name them without a
//! look-up. Both are UUIDv8 (RFC 9562, section 5.8), which no id of an entity is.

use sea_orm::entity::prelude::Uuid;

/// `deliver` in ASCII around the version; the variant and the number follow.
const DELIVERY_PREFIX: u64 = u64::from_be_bytes(*b"delive\x80r");
const VARIANT: u64 = 0x8000_0000_0000_0000;
const ROW_ID_MASK: u64 = 0x3fff_ffff_ffff_ffff;

/// The version, within the generation that begins the id of a change.
const VERSION: u64 = 0x8000;
/// Bits of a generation that stand behind the version.
const GENERATION_LOW_MASK: u64 = 0xfff;
/// The largest generation: microseconds since the Unix epoch until the year 2112, so that no id begins as a delivery's does.
const MAX_GENERATION: i64 = (1 << 52) - 1;
/// `c` behind the variant.
const CHANGE_TAG: u64 = 0xa3 << 56;
const POSITION_MASK: u64 = (1 << 56) - 1;

/// The public id of the delivery with this number.
pub fn delivery_id(number: i64) -> Uuid {
    Uuid::from_u64_pair(DELIVERY_PREFIX, VARIANT | (number.cast_unsigned() & ROW_ID_MASK))
}

/// The number of the delivery with this public id; none if it is the id of something else.
pub fn delivery_row_id(id: Uuid) -> Option<i64> {
    let (mark, number) = id.as_u64_pair();
    (mark == DELIVERY_PREFIX && number & !ROW_ID_MASK == VARIANT).then(|| (number & ROW_ID_MASK).cast_signed())
}

/// The public id of the change at this position in the history of this generation.
pub fn change_id(generation: i64, position: i64) -> Uuid {
    let generation = (generation & MAX_GENERATION).cast_unsigned();
    let begin = (generation & !GENERATION_LOW_MASK) << 4 | VERSION | generation & GENERATION_LOW_MASK;
    Uuid::from_u64_pair(begin, CHANGE_TAG | position.cast_unsigned() & POSITION_MASK)
}

/// The generation and the position of the change with this public id; none if it is the id of something else.
pub fn change_position(id: Uuid) -> Option<(i64, i64)> {
    let (begin, end) = id.as_u64_pair();
    let generation = (begin >> 4 & !GENERATION_LOW_MASK | begin & GENERATION_LOW_MASK).cast_signed();
    let position = (end & POSITION_MASK).cast_signed();
    (change_id(generation, position) == id).then_some((generation, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_an_id_and_back() {
        for number in [0, 1, 42, 1 << 40, (1 << 62) - 1] {
            assert_eq!(delivery_row_id(delivery_id(number)), Some(number));
            assert_eq!(change_position(delivery_id(number)), None);
        }
        assert_eq!(delivery_id(1).to_string(), "64656c69-7665-8072-8000-000000000001");
    }

    #[test]
    fn a_place_in_the_history_becomes_an_id_and_back() {
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
    fn other_ids_are_of_something_else() {
        for id in [Uuid::new_v5(&Uuid::NAMESPACE_URL, b"an inspection"), Uuid::nil(), Uuid::max()] {
            assert_eq!((delivery_row_id(id), change_position(id)), (None, None), "{id}");
        }
    }
}

//! The public id of a delivery. It is made from its number alone, so that every surface can name it without a look-up.

use sea_orm::entity::prelude::Uuid;

/// A UUIDv8 (RFC 9562, section 5.8): `deliver` in ASCII around the version, then the variant and the number.
const MARK: u64 = u64::from_be_bytes(*b"delive\x80r");
const VARIANT: u64 = 0x8000_0000_0000_0000;
const NUMBER: u64 = 0x3fff_ffff_ffff_ffff;

/// The public id of the delivery with this number.
pub fn delivery_id(number: i64) -> Uuid {
    Uuid::from_u64_pair(MARK, VARIANT | (number.cast_unsigned() & NUMBER))
}

/// The number of the delivery with this public id; none if it is the id of something else.
pub fn delivery_number(id: Uuid) -> Option<i64> {
    let (mark, number) = id.as_u64_pair();
    (mark == MARK && number & !NUMBER == VARIANT).then(|| (number & NUMBER).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_an_id_and_back() {
        for number in [0, 1, 42, 1 << 40, (1 << 62) - 1] {
            assert_eq!(delivery_number(delivery_id(number)), Some(number));
        }
        assert_eq!(delivery_id(1).to_string(), "64656c69-7665-8072-8000-000000000001");
    }

    #[test]
    fn other_ids_are_of_something_else() {
        assert_eq!(delivery_number(Uuid::new_v5(&Uuid::NAMESPACE_URL, b"an inspection")), None);
        assert_eq!(delivery_number(Uuid::nil()), None);
    }
}

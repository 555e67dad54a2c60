//! Ids of consumers that name the cell of their group, so that every node knows whom to ask.

use std::cmp::Ordering;

use takhin_core::ConsumerId;
use uuid::Uuid;

/// An id that names a cell: its last two bytes do.
pub(super) fn naming(cell: u32) -> ConsumerId {
    let mut bytes = Uuid::new_v4().into_bytes();
    let [.., high, low] = cell.to_be_bytes();
    (bytes[14], bytes[15]) = (high, low);
    ConsumerId(Uuid::new_v8(bytes))
}

/// The cell that an id names, if it names one.
pub(super) fn named_by(consumer: ConsumerId, cells: u32) -> Option<u32> {
    let bytes = consumer.0.as_bytes();
    let cell = u32::from(bytes[14]) << 8 | u32::from(bytes[15]);
    let names = consumer.0.get_version_num() == 8 && cell.cmp(&cells) == Ordering::Less;
    names.then_some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_cell() {
        for cell in [0, 1, 63, 255, 256, 65_535] {
            assert_eq!(named_by(naming(cell), 65_536), Some(cell));
            assert_eq!(named_by(naming(cell), cell), None);
        }
        assert_ne!(naming(3), naming(3));
        assert_eq!(named_by(ConsumerId(Uuid::new_v4()), 65_536), None);
    }
}

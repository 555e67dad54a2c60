//! Zigzag variable-length integers, as in protocol buffers: seven bits a byte, the lowest first.

/// The bytes that `value` takes, 1 to 10. An `i32` takes at most 5.
pub(super) fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.push(low_byte(rest) | 0x80);
        rest >>= 7;
    }
    out.push(low_byte(rest));
}

/// Takes a 64-bit integer off the front of `bytes`; `None` if it is cut off or too long.
pub(super) fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

/// Takes a 32-bit integer off the front of `bytes`; `None` if it is cut off or out of range.
pub(super) fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    i32::try_from(take_i64(bytes)?).ok()
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[allow(clippy::cast_possible_truncation)] // the low seven bits are what is meant
fn low_byte(value: u64) -> u8 {
    (value & 0x7f) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_magnitude_comes_back_in_the_size_foretold() {
        for shift in 0..64 {
            for value in [1i64 << shift, (1i64 << shift).wrapping_sub(1), (1i64 << shift).wrapping_neg()] {
                let mut bytes = Vec::new();
                put(&mut bytes, value);
                assert_eq!(bytes.len(), size(value), "{value}");
                let mut rest = &bytes[..];
                assert_eq!((take_i64(&mut rest), rest.len()), (Some(value), 0));
            }
        }
    }

    #[test]
    fn cut_off_and_overlong_integers_are_refused() {
        assert_eq!(take_i64(&mut &[0x80, 0x80][..]), None);
        assert_eq!(take_i64(&mut &[0xff; 11][..]), None);
        assert_eq!(take_i32(&mut &[0xff, 0xff, 0xff, 0xff, 0x7f][..]), None);
    }
}

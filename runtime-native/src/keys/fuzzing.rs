//! The decoders of keys, given any bytes: for fuzzers, and for the tests beside them. They panic if a decoder does, or if
//! what it took is not what it gives back.

use super::{
    file::{decode, encode},
    secret::KeyId,
};

/// The file `keys.json`, and what somebody shows as a key.
pub fn keys(bytes: &[u8]) {
    if let Ok(keys) = decode("keys.json".as_ref(), bytes) {
        assert!(keys.len() <= bytes.len());
        let again = encode(keys.clone()).expect("keys are plain data");
        assert_eq!(decode("keys.json".as_ref(), &again).expect("what was written is read"), keys);
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(id) = KeyId::in_text(text) {
        assert!(text.starts_with(&format!("takhin_{id}_")));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        keys::{NamePattern, Right, Scopes, Wish},
        limits::Limits,
        near_misses::{changes, found_by_fuzzers, nearly},
    };

    fn some_keys() -> Vec<u8> {
        let pattern = NamePattern::of_topics("orders.*").expect("a good pattern");
        let topics = [(pattern, [Right::Read, Right::Write].into_iter().collect())].into();
        let scopes = Scopes { topics, ..Scopes::default() };
        let limits = Limits { requests_per_second: Some(7), ..Limits::default() };
        let wish = Wish { name: "for \"the\" shop".to_owned(), expires_at: Some(1 << 40), scopes, limits };
        let made = (0..3).map(|now| wish.clone().make(now).expect("randomness").1);
        encode(made.collect()).expect("plain data")
    }

    #[test]
    fn what_fuzzers_found_is_read_or_refused() {
        for bytes in found_by_fuzzers("keys") {
            keys(&bytes);
        }
    }

    #[test]
    fn right_keys_are_read() {
        let bytes = some_keys();
        keys(&bytes);
        assert_eq!(decode("keys.json".as_ref(), &bytes).expect("they are right").len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            keys(&bytes);
        }

        #[test]
        fn keys_that_are_nearly_right_are_read_or_refused(changes in changes(), cut in 0_usize..9) {
            keys(&nearly(some_keys(), &changes, cut));
        }

        #[test]
        fn what_is_nearly_a_key_is_looked_up_or_refused(changes in changes(), cut in 0_usize..90) {
            let text = format!("takhin_0123456789abcdef_{}", "7".repeat(64));
            keys(&nearly(text.into_bytes(), &changes, cut));
        }
    }
}

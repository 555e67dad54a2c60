//! What a pattern of topics says of the names that it can match: a key's rights are checked by that.

use proptest::prelude::*;
use takhin_core::{Beginning, TopicName, TopicPattern};

/// Small patterns, so that most of them match something of a small alphabet.
fn pattern() -> impl Strategy<Value = String> {
    let pieces = [
        "^",
        r"\b",
        "$",
        "|",
        "a",
        "b",
        "ab",
        "[ab]",
        "[^a]",
        ".",
        r"\.",
        "a*",
        "b?",
        "x+",
        "(a|b)*",
        "a{0,2}",
        "(?:ab)?",
        "(?i)b",
        "(?i:a)",
        "(|a)",
        "(?s-u:.)",
        r"\w",
        "a{2}",
        "(a|ab|.x)",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_name_is_matched_that_begins_otherwise(pattern in pattern(), name in "[aABbx.]{1,5}") {
        let (pattern, name) = (TopicPattern::new(&pattern), TopicName::new(&name));
        let (Ok(matcher), Ok(name), Some(beginnings)) = (pattern.compile(), name, pattern.beginnings()) else {
            return Ok(());
        };
        let covers = |it: &Beginning| if it.is_whole { *it.text == *name } else { name.starts_with(&it.text) };
        prop_assert!(!matcher.matches(&name) || beginnings.iter().any(covers), "{pattern} {name} {beginnings:?}");
    }
}

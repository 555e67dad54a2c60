//! Patterns of topic names: which topics a consumer wants that names none.
//!
//! A pattern is a regular expression that has to match a whole name. It is matched in time linear in the name's
//! length, and what it may take in memory is bounded, so that no client can hold the broker up with one. The syntax
//! is that of the crate `regex`, without Unicode classes, since names are ASCII.

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::{fmt, ops::Deref};

use regex_automata::{Input, meta::Regex};
use regex_syntax::{
    Parser, ParserBuilder,
    hir::{
        Hir, Look,
        literal::{ExtractKind, Extractor, Literal},
    },
};
use serde::{Deserialize, Serialize};

use crate::ids::TopicName;

/// A pattern as a client gave it. Whether it is one is only known once it is compiled.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicPattern(Arc<str>);

impl TopicPattern {
    /// The longest a pattern may be, in bytes.
    pub const MAX_BYTES: usize = 1_000;
    /// How large it may become when it is compiled, in bytes: enough for some hundred characters and classes.
    const MAX_COMPILED_BYTES: usize = 32 << 10;
    /// How deep groups may be nested.
    const MAX_NESTING: u32 = 50;

    /// Takes a text as a pattern.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// How the names begin that it can match, whatever topics there are: every such name begins with one of these, or is
    /// one of them. [`None`] if that can't be told, as of `.*`, or if it is no pattern.
    ///
    /// It may tell of more than there is, and never of less.
    pub fn beginnings(&self) -> Option<Vec<Beginning>> {
        let pattern = Self::parser().parse(&self.0).ok()?;
        let literals = Extractor::new().kind(ExtractKind::Prefix).extract(&pattern);
        let beginning = |literal: &Literal| {
            let text = String::from_utf8(literal.as_bytes().to_vec()).ok()?;
            Some(Beginning { text, is_whole: literal.is_exact() })
        };
        literals.literals()?.iter().map(beginning).collect()
    }

    fn parser() -> Parser {
        ParserBuilder::new().unicode(false).utf8(false).nest_limit(Self::MAX_NESTING).build()
    }

    /// Makes it ready to match.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn compile(&self) -> Result<Matcher, String> {
        if !(1..=Self::MAX_BYTES).contains(&self.0.len()) {
            return Err(alloc::format!("it has {} bytes, and may have 1 to {}", self.0.len(), Self::MAX_BYTES));
        }
        let pattern = Self::parser().parse(&self.0).map_err(|error| error.to_string())?;
        let whole = Hir::concat(vec![Hir::look(Look::Start), pattern, Hir::look(Look::End)]);
        let config = Regex::config().utf8_empty(false).nfa_size_limit(Some(Self::MAX_COMPILED_BYTES));
        let regex = Regex::builder().configure(config).build_from_hir(&whole);
        let regex = regex.map_err(|error| match error.size_limit() {
            Some(_) => "it is too large once it is compiled".into(),
            None => error.to_string(),
        })?;
        Ok(Matcher { pattern: self.clone(), regex })
    }
}

/// How names begin, or one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The beginning.
    pub text: String,
    /// Whether it is the whole name.
    pub is_whole: bool,
}

impl Deref for TopicPattern {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A pattern ready to match. It is written down as its pattern.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "TopicPattern", into = "TopicPattern")]
pub struct Matcher {
    pattern: TopicPattern,
    regex: Regex,
}

impl Matcher {
    /// Whether the pattern matches the whole name.
    pub fn matches(&self, topic: &TopicName) -> bool {
        self.regex.is_match(Input::new(topic.as_bytes()))
    }
}

impl TryFrom<TopicPattern> for Matcher {
    type Error = String;

    fn try_from(pattern: TopicPattern) -> Result<Self, String> {
        pattern.compile()
    }
}

impl From<Matcher> for TopicPattern {
    fn from(matcher: Matcher) -> Self {
        matcher.pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        let matcher = TopicPattern::new(pattern).compile().expect("a good pattern");
        matcher.matches(&TopicName::new(name).expect("a good name"))
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        assert!(matches("orders-.*", "orders-eu"));
        assert!(!matches("orders", "orders-eu"));
        assert!(!matches("orders|audits", "old-audits"), "each side of an alternative is a whole name");
        assert!(matches("(?x) orders # what we sell", "orders"));
        assert!(matches("(?i)ORDERS", "orders"));
        assert!(matches(r"\w+\.\d{4}", "logs.2024"));
    }

    #[test]
    fn what_is_no_pattern_or_too_large_is_refused_in_words() {
        for bad in ["", "(", "a)|(b", "[z-a]", r"\p{Greek}", "(?=a)b", r"(a)\1", "(a{100}){100}"] {
            assert!(TopicPattern::new(bad).compile().is_err(), "{bad}");
        }
        assert!(TopicPattern::new(&"(".repeat(60)).compile().is_err());
        assert!(TopicPattern::new(&"a".repeat(1_001)).compile().is_err());
    }

    #[test]
    fn matching_takes_no_longer_for_a_pattern_made_to_be_slow() {
        assert!(!matches("(a|a|aa)*b", &"a".repeat(TopicName::MAX_BYTES)));
    }

    fn beginnings(pattern: &str) -> Option<Vec<(String, bool)>> {
        let beginnings = TopicPattern::new(pattern).beginnings()?.into_iter();
        Some(beginnings.map(|beginning| (beginning.text, beginning.is_whole)).collect())
    }

    #[test]
    fn a_pattern_tells_how_its_names_begin() {
        let some =
            |expected: &[(&str, bool)]| Some(expected.iter().map(|(text, whole)| ((*text).into(), *whole)).collect());
        assert_eq!(beginnings(r"orders\..*"), some(&[("orders.", false)]));
        assert_eq!(beginnings("orders|audits-.+"), some(&[("orders", true), ("audits-", false)]));
        assert_eq!(beginnings("(?x) orders # what we sell"), some(&[("orders", true)]));
        assert_eq!(beginnings("orders-(eu|us)"), some(&[("orders-eu", true), ("orders-us", true)]));
        assert_eq!(beginnings("orders.*|.*"), None);
        assert_eq!(beginnings(".*orders"), None);
        assert_eq!(beginnings("(orders)?.*"), None);
        assert_eq!(beginnings("("), None);
    }
}

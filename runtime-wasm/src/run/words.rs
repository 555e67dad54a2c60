//! A broken promise in words: which promise it is, and what was seen, with names where the core has numbers.

use takhin_core::{Durable, LogId};
use takhin_simulation::Violation;

/// What the page says of a broken promise.
pub(super) fn of(violation: &Violation, durable: &Durable) -> String {
    let Violation { oracle, detail } = violation;
    format!("{oracle}: {} Here: {}.", oracle.sentence(), with_names(detail, durable))
}

/// Puts the names of topics into a detail, and leaves out what only says of what kind a number is.
fn with_names(detail: &str, durable: &Durable) -> String {
    let words = detail.split(' ').map(|word| {
        let bare = word.trim_end_matches([',', ':', ';', ')']);
        let after = &word[bare.len()..];
        match bare.parse::<LogId>().ok().and_then(|log| Some((durable.topics.get(&log.topic)?, log.partition))) {
            Some((topic, partition)) => format!("{}/{partition}{after}", topic.name),
            None => without_kinds(word),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `Offset(5)..Offset(7),` becomes `5..7,`; what else is in brackets stays.
fn without_kinds(word: &str) -> String {
    let (mut plain, mut rest) = (String::new(), word);
    while let Some(open) = rest.find('(') {
        let (before, inside) = (&rest[..open], &rest[open + 1..]);
        let kind = before.rfind(|c: char| !c.is_ascii_alphabetic()).map_or(before, |at| &before[at + 1..]);
        let digits = inside.find(|c: char| !c.is_ascii_digit()).unwrap_or(inside.len());
        if !kind.is_empty() && digits > 0 && inside[digits..].starts_with(')') {
            plain.push_str(&before[..before.len() - kind.len()]);
            plain.push_str(&inside[..digits]);
            rest = &inside[digits + 1..];
        } else {
            plain.push_str(&rest[..=open]);
            rest = inside;
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use takhin_core::{TopicConfig, TopicId, TopicName, durable::TopicRecord};
    use takhin_simulation::Oracle;

    use super::*;

    #[test]
    fn a_broken_promise_is_told_with_names_and_plain_numbers() {
        let mut durable = Durable::default();
        let name = TopicName::new("orders").expect("a good name");
        durable.topics.insert(TopicId(7), TopicRecord { name, partitions: 4, config: TopicConfig::default() });
        let told = |detail: &str| of(&Violation { oracle: Oracle::BoundsGrow, detail: detail.to_owned() }, &durable);
        assert_eq!(
            told("7/3 was Offset(5)..Offset(7), and Some(Offset(4)) after RequestId(12)"),
            "7 bounds grow: A log's start and end never go back, across restarts too. \
             Here: orders/3 was 5..7, and Some(4) after 12."
        );
        assert!(
            told("9/3: 1 (of 2) is told").ends_with("Here: 9/3: 1 (of 2) is told."),
            "who isn't known keeps its number"
        );
    }
}

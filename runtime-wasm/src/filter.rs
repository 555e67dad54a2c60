//! Filters over rows, as one types them: words, and `kind:`, `group:`, `topic:`, `client:`. All of them have to hold.

use crate::{
    observer::{LaneKind, Observer, flag},
    world::NO_ROW,
};

/// A filter.
#[derive(Clone, Debug)]
pub(crate) struct Filter(Vec<Term>);

#[derive(Clone, Debug)]
enum Term {
    Kind(String),
    Group(String),
    Topic(String),
    Client(String),
    Word(String),
}

impl Filter {
    pub(crate) fn new(text: &str) -> Self {
        let term = |word: &str| {
            let word = word.to_lowercase();
            match word.split_once(':') {
                Some(("kind", rest)) => Term::Kind(rest.to_owned()),
                Some(("group", rest)) => Term::Group(rest.to_owned()),
                Some(("topic", rest)) => Term::Topic(rest.to_owned()),
                Some(("client" | "member", rest)) => Term::Client(rest.to_owned()),
                _ => Term::Word(word),
            }
        };
        Self(text.split_whitespace().map(term).collect())
    }

    pub(crate) fn finds(&self, observer: &Observer, row: u32) -> bool {
        let text = observer.texts.get(row as usize).map(|text| text.to_lowercase()).unwrap_or_default();
        self.0.iter().all(|term| term.finds(observer, row, &text))
    }
}

impl Term {
    fn finds(&self, observer: &Observer, row: u32, text: &str) -> bool {
        let lane = observer.lane(row);
        let lane = (lane != NO_ROW).then(|| &observer.lanes.all[lane as usize]);
        match self {
            Self::Kind(kind) => {
                let flags = observer.flags(row);
                let named = |(name, bit): &(&str, u32)| name == kind && flags & bit != 0;
                observer.kind(row).name() == kind || flag::NAMES.iter().any(named)
            }
            Self::Group(name) => {
                let of = lane.filter(|lane| matches!(lane.kind, LaneKind::Consumer | LaneKind::Group));
                of.is_some_and(|lane| lane.of.to_lowercase() == *name) || has_word(text, name)
            }
            Self::Topic(name) => {
                let of = lane.filter(|lane| matches!(lane.kind, LaneKind::Partition | LaneKind::Producer));
                of.is_some_and(|lane| lane.of.to_lowercase() == *name) || has_word(text, name)
            }
            Self::Client(name) => lane.is_some_and(|lane| lane.name.to_lowercase() == *name) || has_word(text, name),
            Self::Word(word) => text.contains(word),
        }
    }
}

/// Whether a name stands in a text as a word of its own.
fn has_word(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == '.';
    text.split(|c| !is_part(c)).any(|word| word == name)
}

//! Which rights a key has, over which names.
//!
//! * A topic's rights are `read`, `write` (to produce) and `admin` (to create, change and delete it); none of them
//!   holds another.
//! * A group's are `read` (to consume as a member, and to look at it) and `admin` (to set and delete its offsets, and
//!   the group).
//! * `cluster` has `read` (metrics and the debug trace, which tell of everything, but no record) and `admin`. Who
//!   may make keys can make one that may do anything, so that is what `cluster: admin` means.
//!
//! Names are given as they are, or as how they begin, with a `*` behind. A topic has no `*` in its name; a group
//! whose name ends with one can't be named alone.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use takhin_core::{GroupName, TopicName};

/// Patterns of names that one key may have, for topics and for groups each.
pub const MAX_PATTERNS: usize = 1_000;

/// What can be done with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// To read from it, or of it.
    Read,
    /// To write to it.
    Write,
    /// To make, change and delete it.
    Admin,
}

/// What rights are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Topics, by name.
    Topics,
    /// Groups, by name.
    Groups,
    /// The server as a whole.
    Cluster,
}

/// Some rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Right>", into = "Vec<Right>")]
pub struct Rights(u8);

/// A name, or how a name begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamePattern(String);

/// All that a key may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    /// What it may do with which topics.
    #[serde(default)]
    pub topics: BTreeMap<NamePattern, Rights>,
    /// And with which groups.
    #[serde(default)]
    pub groups: BTreeMap<NamePattern, Rights>,
    /// And with the server as a whole.
    #[serde(default)]
    pub cluster: Rights,
}

/// Why scopes are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopesError {
    /// Nothing can be called so.
    #[error("{pattern:?} is neither the name of a {what} nor the beginning of one with a * behind")]
    Pattern {
        /// `topic` or `group`.
        what: &'static str,
        /// What was given.
        pattern: String,
    },
    /// There is no such right.
    #[error("{scope} have no right {right:?}: their rights are {rights}")]
    Right {
        /// Over what.
        scope: Scope,
        /// What was given.
        right: String,
        /// What could be.
        rights: &'static str,
    },
    /// There are more than may be.
    #[error("{count} patterns of {scope} are more than {MAX_PATTERNS}")]
    TooMany {
        /// Over what.
        scope: Scope,
        /// How many there are.
        count: usize,
    },
}

impl Right {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Scope {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Topics => "topics",
            Self::Groups => "groups",
            Self::Cluster => "cluster",
        }
    }

    /// The right over this that is written so.
    ///
    /// # Errors
    /// If there is none.
    pub fn right(self, text: &str) -> Result<Right, ScopesError> {
        let (rights, known): (_, &[Right]) = match self {
            Self::Topics => ("read, write and admin", &Right::ALL),
            Self::Groups | Self::Cluster => ("read and admin", &[Right::Read, Right::Admin]),
        };
        let found = known.iter().copied().find(|right| right.as_str() == text);
        found.ok_or_else(|| ScopesError::Right { scope: self, right: text.to_owned(), rights })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Rights {
    /// Whether this is one of them.
    pub fn have(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// One by one.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.have(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Self {
        rights.into_iter().collect()
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Self {
        rights.iter().collect()
    }
}

impl NamePattern {
    /// For topics.
    ///
    /// # Errors
    /// If no topic can be called so.
    pub fn of_topics(text: &str) -> Result<Self, ScopesError> {
        Self::new("topic", text, |name| TopicName::new(name).is_ok())
    }

    /// For groups.
    ///
    /// # Errors
    /// If no group can be called so.
    pub fn of_groups(text: &str) -> Result<Self, ScopesError> {
        Self::new("group", text, |name| GroupName::new(name).is_ok())
    }

    fn new(what: &'static str, text: &str, is_name: impl Fn(&str) -> bool) -> Result<Self, ScopesError> {
        let good = match text.strip_suffix('*') {
            Some("") => true,
            // A name may not be `.`, and may begin with it.
            Some(stem) => is_name(stem) || is_name(&format!("{stem}a")),
            None => is_name(text),
        };
        if good { Ok(Self(text.to_owned())) } else { Err(ScopesError::Pattern { what, pattern: text.to_owned() }) }
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the name, or the name begins so.
    pub fn covers(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(stem) => name.starts_with(stem),
            None => self.0 == name,
        }
    }

    /// Whether it covers every name that begins so.
    pub fn covers_all(&self, beginning: &str) -> bool {
        self.0.strip_suffix('*').is_some_and(|stem| beginning.starts_with(stem))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scopes {
    /// Whether this right is given over this; `name` is that of a topic or group, and of no account for the cluster.
    pub fn allow(&self, scope: Scope, right: Right, name: &str) -> bool {
        if self.cluster.have(Right::Admin) {
            return true;
        }
        let patterns = match scope {
            Scope::Topics => &self.topics,
            Scope::Groups => &self.groups,
            Scope::Cluster => return self.cluster.have(right),
        };
        patterns.iter().any(|(pattern, rights)| rights.have(right) && pattern.covers(name))
    }

    /// Whether every topic whose name begins so may be read.
    pub fn allow_reading_all(&self, beginning: &str) -> bool {
        let mut topics = self.topics.iter();
        self.cluster.have(Right::Admin)
            || topics.any(|(pattern, rights)| rights.have(Right::Read) && pattern.covers_all(beginning))
    }

    /// Checks that there are not too many.
    ///
    /// # Errors
    /// [`ScopesError::TooMany`].
    pub fn check(self) -> Result<Self, ScopesError> {
        for (scope, count) in [(Scope::Topics, self.topics.len()), (Scope::Groups, self.groups.len())] {
            if count > MAX_PATTERNS {
                return Err(ScopesError::TooMany { scope, count });
            }
        }
        Ok(self)
    }
}

//! Which engine a world's broker runs on.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a broker keeps its records, and so how storage behaves towards its core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// One server with log files of its own.
    #[default]
    Local,
    /// A cell of a cluster: records are in Kafka's topics, to which others write, too.
    Kafka,
}

impl EngineKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Local, Self::Kafka];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Kafka => "kafka",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EngineKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("no engine is named {text:?}; there are local and kafka"))
    }
}

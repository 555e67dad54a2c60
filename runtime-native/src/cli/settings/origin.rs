//! What a server would be set to, and where each value comes from.

use clap::{Arg, ArgMatches, parser::ValueSource};
use serde::Serialize;

use super::{SettingsFile, bounds, bounds::Kind, table};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum Origin {
    Default,
    File,
    Environment,
    Flag,
}

/// A setting as it holds.
#[derive(Debug)]
pub(in crate::cli) struct Found {
    pub(in crate::cli) name: String,
    pub(in crate::cli) values: Vec<String>,
    /// Whether it can have several values.
    pub(in crate::cli) several: bool,
    pub(in crate::cli) origin: Origin,
    kind: Kind,
}

/// All settings, in the table's order.
pub(in crate::cli) fn found(matches: &ArgMatches, file: Option<&SettingsFile>) -> Vec<Found> {
    table().iter().map(|arg| of(arg, matches, file)).collect()
}

fn of(arg: &Arg, matches: &ArgMatches, file: Option<&SettingsFile>) -> Found {
    let name = arg.get_long().unwrap_or_default().to_owned();
    let values = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
    let values = values.map(|value| value.to_string_lossy().into_owned()).collect();
    let origin = match matches.value_source(arg.get_id().as_str()) {
        Some(ValueSource::CommandLine) => Origin::Flag,
        Some(ValueSource::EnvVariable) => Origin::Environment,
        _ if file.is_some_and(|file| file.has(&name)) => Origin::File,
        _ => Origin::Default,
    };
    Found { several: arg.get_value_delimiter().is_some(), kind: bounds::kind(arg), name, values, origin }
}

impl Found {
    /// The value as TOML has it, or JSON; nothing if it has none.
    pub(in crate::cli) fn written(&self) -> Option<String> {
        let one = |value: &String| written(self.kind, value);
        if self.several {
            return Some(format!("[{}]", self.values.iter().map(one).collect::<Vec<_>>().join(", ")));
        }
        self.values.first().map(one)
    }
}

/// A value as TOML has it. It is the same in JSON.
pub(super) fn written(kind: Kind, value: &str) -> String {
    let bare = match kind {
        Kind::Integer | Kind::Number => true,
        // It may have been said in other words.
        Kind::Boolean => return matches!(&*value.to_lowercase(), "y" | "yes" | "t" | "true" | "on" | "1").to_string(),
        Kind::Any => value.parse::<i64>().is_ok() || value.parse::<bool>().is_ok(),
        Kind::Text => false,
    };
    if bare { value.to_owned() } else { serde_json::Value::from(value).to_string() }
}

impl Origin {
    pub(in crate::cli) fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

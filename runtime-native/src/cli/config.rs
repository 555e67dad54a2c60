//! `takhin config`: what a server would be set to, without starting it.

use std::io::{self, Write as _};

use clap::{ArgMatches, Args, Subcommand, ValueEnum};
use serde_json::json;

use super::settings::{self, ConfigFile, Found, Settings, SettingsFile};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the settings; exits with 0 if a server could start with them, 1 if a setting is wrong, 2 if the command
    /// line or the environment is
    Check(Check),
    /// Show each setting, and where its value comes from
    Show(Show),
    /// Print a file of all settings, with what they mean, to begin with
    Default,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    file: ConfigFile,

    /// How to show them
    #[arg(long, value_enum, default_value_t = Output::Table, value_name = "table|json|toml")]
    output: Output,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Table,
    Json,
    Toml,
}

impl ConfigCommand {
    pub(super) fn run(&self, matches: &ArgMatches, file: Option<&SettingsFile>) -> Result<(), String> {
        let text = match self {
            Self::Check(check) => {
                in_order(&check.settings)?;
                file.map_or_else(|| "in order\n".to_owned(), |file| format!("{}: in order\n", file.path().display()))
            }
            Self::Show(show) => {
                in_order(&show.settings)?;
                let found = settings::found(matches, file);
                match show.output {
                    Output::Table => as_table(&found),
                    Output::Json => as_json(&found)?,
                    Output::Toml => as_toml(&found),
                }
            }
            Self::Default => settings::template(),
        };
        io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
    }
}

/// # Errors
/// All that is wrong with the settings together, a line each.
pub(super) fn in_order(settings: &Settings) -> Result<(), String> {
    let conflicts = settings::conflicts(settings);
    if conflicts.is_empty() { Ok(()) } else { Err(conflicts.join("\n")) }
}

fn as_table(found: &[Found]) -> String {
    let value = |it: &Found| if it.values.is_empty() { "-".to_owned() } else { it.values.join(",") };
    let names = found.iter().map(|it| it.name.len()).max().unwrap_or(0);
    let values = found.iter().map(|it| value(it).chars().count()).max().unwrap_or(0);
    let line = |it: &Found| format!("{:names$}  {:values$}  {}\n", it.name, value(it), it.origin.word());
    found.iter().map(line).collect()
}

fn as_json(found: &[Found]) -> Result<String, String> {
    let mut all = serde_json::Map::new();
    for it in found {
        let value: serde_json::Value = match it.written() {
            Some(text) => serde_json::from_str(&text).map_err(|error| format!("{}: {error}", it.name))?,
            None => serde_json::Value::Null,
        };
        all.insert(it.name.clone(), json!({"value": value, "from": it.origin}));
    }
    serde_json::to_string_pretty(&all).map(|text| text + "\n").map_err(|error| error.to_string())
}

fn as_toml(found: &[Found]) -> String {
    let line = |it: &Found| match it.written() {
        Some(value) => format!("{} = {value} # {}\n", it.name, it.origin.word()),
        None => format!("# {} is not set\n", it.name),
    };
    found.iter().map(line).collect()
}

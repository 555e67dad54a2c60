//! A file of settings to begin with: all of them, each with what it means, as a comment with its default.

use clap::Arg;

use super::{
    bounds::{self, kind},
    origin::written,
    table,
};

/// The file.
pub(in crate::cli) fn template() -> String {
    let mut text = String::from(
        "# Settings of takhin: `takhin serve --config THIS-FILE`.\n\
         # Each key is the name of a flag. A flag goes before its variable in the environment, and that before this file.\n",
    );
    let mut heading = None;
    for arg in table() {
        let of = arg.get_help_heading().map(str::to_owned);
        if of != heading {
            text.extend(["\n\n#### ", of.as_deref().unwrap_or_default(), "\n"]);
            heading = of;
        }
        text += &entry(&arg);
    }
    text
}

fn entry(arg: &Arg) -> String {
    let name = arg.get_long().unwrap_or_default();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let bounds = bounds::of(arg).map_or_else(String::new, |range| format!(" [{} to {}]", range.least, range.most));
    let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let text = format!("\n# {help}{bounds}.\n# In the environment: {variable}\n");
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| written(kind(arg), &value.to_string_lossy())).collect();
    let several = arg.get_value_delimiter().is_some();
    let value = match (several, defaults.first()) {
        (true, _) => format!("[{}]", defaults.join(", ")),
        (false, Some(value)) => value.clone(),
        (false, None) => "\"\" # not set".to_owned(),
    };
    text + &format!("# {name} = {value}\n")
}

//! The file that settings may be written down in. What it says is put in the place of the defaults, so that it means
//! exactly what the same flags would.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use clap::{Arg, Command};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    bounds::{self, Kind},
    table,
};

/// A file of settings, every one of which is in order by itself.
#[derive(Debug)]
pub(in crate::cli) struct SettingsFile {
    path: PathBuf,
    /// The values of a setting, by its name.
    settings: BTreeMap<String, Vec<String>>,
}

/// What is wrong with a file, and where: from line and column 1.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Problem {
    path: PathBuf,
    place: Option<(usize, usize)>,
    text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.text)
    }
}

impl SettingsFile {
    /// Reads a file and checks each setting in it.
    ///
    /// # Errors
    /// All that is wrong with it, in the file's order.
    pub(in crate::cli) fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let text = fs::read_to_string(path).map_err(|error| {
            vec![Problem { path: path.to_owned(), place: None, text: format!("can't be read: {error}") }]
        })?;
        Self::parse(path, &text)
    }

    /// The same of a file that was read.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Vec<Problem>> {
        let at = |position: usize, problem: String| Problem {
            path: path.to_owned(),
            place: Some(line_and_column(text, position)),
            text: problem,
        };
        let (parsed, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let begin = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
            return Err(errors.iter().map(|error| at(begin(error), error.message().to_owned())).collect());
        }
        let table = table();
        let (mut settings, mut problems) = (BTreeMap::new(), Vec::new());
        for (key, value) in parsed.get_ref() {
            let name = key.get_ref();
            let Some(arg) = table.iter().find(|arg| arg.get_long() == Some(name)) else {
                problems.push((key.span().start, unknown(name, value.get_ref(), &table)));
                continue;
            };
            match values(arg, value) {
                Ok(values) => {
                    settings.insert(name.to_string(), values);
                }
                Err((position, problem)) => problems.push((position, format!("{name}: {problem}"))),
            }
        }
        if problems.is_empty() {
            return Ok(Self { path: path.to_owned(), settings });
        }
        problems.sort();
        Err(problems.into_iter().map(|(position, problem)| at(position, problem)).collect())
    }

    /// Whether the file says anything of the setting.
    pub(super) fn has(&self, name: &str) -> bool {
        self.settings.contains_key(name)
    }

    /// The file's path.
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    /// A command with settings, whose defaults are now what the file says.
    pub(in crate::cli) fn as_defaults_of(&self, command: Command) -> Command {
        command.mut_args(|arg| match arg.get_long().and_then(|long| self.settings.get(long)) {
            Some(values) => arg.default_values(values.clone()),
            None => arg,
        })
    }
}

/// What a setting is given, as a flag would be; or what is wrong, and where.
fn values(arg: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, (usize, String)> {
    let several = arg.get_value_delimiter().is_some();
    let given: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
        DeValue::Array(array) if several => array.iter().collect(),
        _ => vec![value],
    };
    let mut values = Vec::new();
    for value in given {
        let begins = value.span().start;
        let text = text(bounds::kind(arg), value.get_ref()).map_err(|problem| (begins, problem))?;
        bounds::check(arg, std::slice::from_ref(&text)).map_err(|problem| (begins, problem))?;
        values.push(text);
    }
    Ok(values)
}

fn text(kind: Kind, value: &DeValue<'_>) -> Result<String, String> {
    match (kind, value) {
        (Kind::Text | Kind::Any, DeValue::String(text)) => Ok(text.to_string()),
        (Kind::Integer | Kind::Any | Kind::Number, DeValue::Integer(number)) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            number.map(|number| number.to_string()).map_err(|error| error.to_string())
        }
        (Kind::Number, DeValue::Float(number)) => Ok(number.as_str().to_owned()),
        (Kind::Any | Kind::Boolean, DeValue::Boolean(yes)) => Ok(yes.to_string()),
        _ => {
            let expected = match kind {
                Kind::Integer => "an integer",
                Kind::Number => "a number",
                Kind::Boolean => "true or false",
                Kind::Text => "a string",
                Kind::Any => "a string, an integer or a boolean",
            };
            Err(format!("expected {expected}, and found {}", described(value)))
        }
    }
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {text:?}"),
        DeValue::Integer(number) => format!("the integer {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn unknown(name: &str, value: &DeValue<'_>, table: &[Arg]) -> String {
    /// What is less alike than this was not meant.
    const ALIKE: f64 = 0.75;
    if value.is_table() {
        return format!("{name} is a table: settings stand at the top of the file, in no table");
    }
    let alike = table.iter().filter_map(Arg::get_long).map(|known| (strsim::jaro_winkler(name, known), known));
    match alike.max_by(|one, other| one.0.total_cmp(&other.0)) {
        Some((score, known)) if score > ALIKE => format!("{name} is no setting; {known} is one"),
        _ => format!("{name} is no setting"),
    }
}

fn line_and_column(text: &str, position: usize) -> (usize, usize) {
    let before = text.get(..position).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

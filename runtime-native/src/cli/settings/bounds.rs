//! What values a setting takes: of what kind, and within which bounds. It is asked of the parser that judges them.

use std::any::TypeId;

use clap::{Arg, Command, error::ContextKind, error::ContextValue};

/// What is written for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Text.
    Text,
    /// Whatever its parser takes.
    Any,
}

/// The least and the most that a number may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) least: String,
    pub(super) most: String,
}

/// The kind of a setting's values.
pub(super) fn kind(arg: &Arg) -> Kind {
    let parser = arg.get_value_parser().type_id();
    let is_one_of = |types: &[TypeId]| types.iter().any(|id| parser == *id);
    if is_one_of(&[TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()]) {
        Kind::Integer
    } else if is_one_of(&[TypeId::of::<super::observing::SampleRatio>()]) {
        Kind::Number
    } else if is_one_of(&[TypeId::of::<bool>()]) {
        Kind::Boolean
    } else if is_one_of(&[
        TypeId::of::<super::broker::AutoCreateTopics>(),
        TypeId::of::<super::observing::AccessLogArgument>(),
    ]) {
        Kind::Any
    } else {
        Kind::Text
    }
}

/// The bounds of a setting that is a whole number.
pub(super) fn of(arg: &Arg) -> Option<Bounds> {
    if kind(arg) != Kind::Integer {
        return None;
    }
    let too_much = check(arg, &[i64::MAX.to_string()]).err()?;
    let (_, range) = too_much.rsplit_once(" is not in ")?;
    let (least, most) = range.split_once("..=")?;
    Some(Bounds { least: least.to_owned(), most: most.to_owned() })
}

/// Whether a setting takes these values, one after the other.
///
/// # Errors
/// Says what is wrong with the first that it doesn't take.
pub(super) fn check(arg: &Arg, values: &[String]) -> Result<(), String> {
    let Some(long) = arg.get_long() else { return Ok(()) };
    let arg = arg.clone().env(None).default_values(None::<&str>);
    let command = Command::new("takhin").no_binary_name(true).arg(arg);
    let given = values.iter().map(|value| format!("--{long}={value}"));
    let Err(error) = command.try_get_matches_from(given) else { return Ok(()) };
    Err(what_is_wrong(&error))
}

fn what_is_wrong(error: &clap::Error) -> String {
    use std::error::Error as _;
    if let Some(source) = error.source() {
        return source.to_string();
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    match (text(ContextKind::InvalidValue), text(ContextKind::ValidValue)) {
        (Some(given), Some(possible)) => format!("{given:?} is none of {possible}"),
        _ => error.kind().to_string(),
    }
}

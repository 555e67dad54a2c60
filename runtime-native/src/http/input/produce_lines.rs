//! The lines of an upload, into batches.
//!
//! A line is a record as `produce` takes it, or, if the request says so, it is a value as it stands. A line that is wrong
//! ends the batch: what stands before it is good.

use serde::de::DeserializeSeed as _;
use serde_json::value::RawValue;
use serde_path_to_error::Track;
use takhin_core::{Compression, ProducerStamp};

use super::{
    explain::{explain, not_an_object},
    lines::LineBatch,
    produce::{RecordParts, Rules, Sink},
    record::RecordSeed,
    text::Piece,
};
use crate::{driver::Bodies, http::error::ApiError};

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineFormat {
    /// A record, as an object.
    Record,
    /// A value, whatever it is.
    Text,
    /// A value that is JSON.
    Json,
}

/// How lines are taken.
#[derive(Clone, Debug)]
pub(crate) struct LineRules {
    pub(crate) format: LineFormat,
    /// What stands between key and value in a line that is a value; it may be missing from a line.
    pub(crate) key_separator: Option<String>,
    /// Where records go that name no partition.
    pub(crate) partition: Option<i64>,
    /// How they are stored, if not as the topic is set.
    pub(crate) compression: Option<Compression>,
}

/// What became of a batch of lines.
pub(crate) struct ParsedLines {
    /// The records that were wanted, by partition.
    pub(crate) bodies: Bodies,
    /// How many records are good, wanted or not.
    pub(crate) records: u64,
    /// The line that is wrong, and how. It and those behind it are not in.
    pub(crate) fault: Option<(u64, ApiError)>,
}

/// Who says whether a record of a partition is wanted, and by what a batch of it is recognised. It is asked about each
/// record in order.
pub(crate) trait Selection {
    fn wants(&mut self, partition: u32) -> Result<bool, ApiError>;
    fn stamp(&self, partition: u32) -> Option<ProducerStamp>;
}

/// Takes a batch of lines apart.
pub(crate) fn parse_lines(
    batch: &LineBatch,
    lines: &LineRules,
    rules: Rules<'_>,
    selection: &mut impl Selection,
) -> ParsedLines {
    let mut sink = Sink::of_lines(rules, batch.text.len());
    let (mut records, mut fault) = (0, None);
    for (number, line) in (batch.first_line..).zip(batch.text.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if let Err(error) = take(&mut sink, line, lines, selection) {
            fault = Some((number, error.in_line(number)));
            break;
        }
        records += 1;
    }
    let compression = lines.compression.unwrap_or(rules.topic.compression);
    let finish = |(partition, mut builder): (u32, crate::record::BatchBuilder)| {
        builder.compress(compression);
        if let Some(stamp) = selection.stamp(partition) {
            builder.stamp(stamp);
        }
        Some((partition, builder.finish()?))
    };
    let bodies = sink.builders.into_iter().filter_map(finish).collect();
    ParsedLines { bodies, records, fault }
}

fn take(sink: &mut Sink<'_>, line: &[u8], lines: &LineRules, selection: &mut impl Selection) -> Result<(), ApiError> {
    sink.scratch.clear();
    let parts = match lines.format {
        LineFormat::Record => record(sink, line, lines)?,
        LineFormat::Text => value(sink, line, lines)?,
        LineFormat::Json => {
            let (_, json) = split(line, lines);
            let json = text(json)?.trim();
            serde_json::from_str::<&RawValue>(json).map_err(|error| not_json(&error))?;
            value(sink, line, lines)?
        }
    };
    if selection.wants(parts.partition)? { sink.put(&parts) } else { Ok(()) }
}

fn record<'b>(sink: &mut Sink<'_>, line: &'b [u8], lines: &LineRules) -> Result<RecordParts<'b>, ApiError> {
    let text = text(line)?;
    if !text.trim_start().starts_with('{') {
        let what = not_an_object(text).map_err(|error| not_json(&error))?;
        let message = format!("it is {what}, and must be a JSON object");
        return Err(ApiError::malformed("not_an_object", message).with("column", 1));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let draft = RecordSeed(&mut sink.scratch).deserialize(&mut json).and_then(|draft| json.end().map(|()| draft));
    let mut draft = match draft {
        Ok(draft) => draft,
        Err(error) => {
            if let Some(fault) = sink.scratch.fault.take() {
                return Err(fault.explain(sink.named()));
            }
            return Err(if error.is_data() { explain(&locate(sink, text), &error) } else { not_json(&error) });
        }
    };
    draft.partition = draft.partition.or(lines.partition);
    sink.parts(draft)
}

/// The path of the field at which parsing fails.
fn locate(sink: &mut Sink<'_>, text: &str) -> String {
    sink.scratch.clear();
    let mut json = serde_json::Deserializer::from_str(text);
    let mut track = Track::new();
    match RecordSeed(&mut sink.scratch).deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track)) {
        Ok(_) => String::new(),
        Err(_) => track.path().to_string(),
    }
}

fn value<'b>(sink: &mut Sink<'_>, line: &'b [u8], lines: &LineRules) -> Result<RecordParts<'b>, ApiError> {
    let (key, value) = split(line, lines);
    sink.check(key.map(Piece::Body), Some(Piece::Body(value)), lines.partition, None)
}

/// Key and value of a line that is a value.
fn split<'b>(line: &'b [u8], lines: &LineRules) -> (Option<&'b [u8]>, &'b [u8]) {
    let found = lines.key_separator.as_ref().and_then(|separator| {
        let at = memchr::memmem::find(line, separator.as_bytes())?;
        Some((&line[..at], &line[at + separator.len()..]))
    });
    found.map_or((None, line), |(key, value)| (Some(key), value))
}

fn text(line: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(line).map_err(|error| {
        ApiError::malformed("malformed_json", "it is not UTF-8").with("column", error.valid_up_to() + 1)
    })
}

fn not_json(error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    let message = format!("it is not JSON: {what} (column {})", error.column());
    ApiError::malformed("malformed_json", message).with("column", error.column())
}

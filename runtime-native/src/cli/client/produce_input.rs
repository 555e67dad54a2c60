//! What `takhin produce` reads, and the records that it makes of it. Reading is done by a thread of its own, since a
//! terminal or a file can't be waited for otherwise.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read as _},
    path::PathBuf,
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::value::RawValue;
use takhin_client::{Header, Record};
use tokio::sync::mpsc;

/// How many records may have been read and not sent; then reading waits.
const RECORDS: usize = 1_024;

/// How records are made of what is read.
#[derive(Clone, Debug)]
pub(super) struct Making {
    pub(super) topic: String,
    pub(super) kind: Kind,
    pub(super) partition: Option<u32>,
    pub(super) headers: Vec<Header>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A line is a value; or a key and a value with a separator between them. What is empty may be no value.
    Lines { key_separator: Option<Vec<u8>>, is_empty_null: bool },
    /// A line is a record in JSON.
    Json,
    /// A whole file is a value, or all of stdin.
    Whole,
}

/// A record, and where it was read.
pub(super) struct Read {
    pub(super) record: Record,
    pub(super) origin: Origin,
    pub(super) bytes: usize,
}

/// A line of a file, from 1; or 0 for all of it.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) file: Option<PathBuf>,
    pub(super) line: u64,
}

/// A record as the server's JSON has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRecord<'a> {
    partition: Option<u32>,
    timestamp: Option<i64>,
    key: Option<String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    key_encoding: Option<Encoding>,
    value_encoding: Option<Encoding>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    headers_list: Vec<JsonHeader>,
    /// Where it was, if it was read elsewhere.
    #[serde(rename = "topic")]
    _topic: Option<serde::de::IgnoredAny>,
    #[serde(rename = "offset")]
    _offset: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonHeader {
    key: String,
    value: Option<String>,
    encoding: Option<Encoding>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Text,
    Base64,
}

/// Reads files (stdin for `-` and for none) until they end, something is wrong, or nobody listens.
pub(super) fn read(files: Vec<PathBuf>, making: Making) -> mpsc::Receiver<Result<Read, String>> {
    let (records, told) = mpsc::channel(RECORDS);
    thread::spawn(move || {
        let files = if files.is_empty() { vec![None] } else { files.into_iter().map(Some).collect() };
        for file in files {
            let file = file.filter(|path| path.as_os_str() != "-");
            match read_one(file.as_ref(), &making, &records) {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => {
                    // Nobody may be listening, and nobody else is.
                    let _ = records.blocking_send(Err(why));
                    return;
                }
            }
        }
    });
    told
}

/// Whether anybody still listens.
fn read_one(
    file: Option<&PathBuf>,
    making: &Making,
    records: &mpsc::Sender<Result<Read, String>>,
) -> Result<bool, String> {
    let name = file.map_or("stdin".into(), |path| path.to_string_lossy());
    let failed = |error: io::Error| format!("{name}: {error}");
    if matches!(making.kind, Kind::Whole) {
        let mut bytes = Vec::new();
        if let Some(path) = file {
            bytes = fs::read(path).map_err(failed)?;
        } else {
            io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
        }
        let (size, origin) = (bytes.len(), Origin { file: file.cloned(), line: 0 });
        let read = Read { record: making.dressed(Record::new(&making.topic).value(bytes)), origin, bytes: size };
        return Ok(records.blocking_send(Ok(read)).is_ok());
    }
    let mut input: Box<dyn BufRead> = match file {
        Some(path) => Box::new(BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?)),
        None => Box::new(io::stdin().lock()),
    };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let record = making.record(text).map_err(|why| format!("line {number} of {name}: {why}"))?;
        let Some(record) = record else { continue };
        let origin = Origin { file: file.cloned(), line: number };
        if records.blocking_send(Ok(Read { record, origin, bytes: line.len() })).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Making {
    /// The record of a line; none of an empty line of JSON.
    fn record(&self, line: &[u8]) -> Result<Option<Record>, String> {
        let record = Record::new(&self.topic);
        match &self.kind {
            Kind::Json if line.trim_ascii().is_empty() => Ok(None),
            Kind::Json => self.of_json(line).map(Some),
            Kind::Whole => Ok(Some(self.dressed(record.value(line.to_vec())))),
            Kind::Lines { key_separator, is_empty_null } => {
                let (key, value) = key_separator.as_ref().map_or((None, line), |separator| split(line, separator));
                let record = key.map_or(record.clone(), |key| record.key(key.to_vec()));
                let is_null = *is_empty_null && value.is_empty();
                Ok(Some(self.dressed(if is_null { record } else { record.value(value.to_vec()) })))
            }
        }
    }

    /// With the headers and the partition of the command line.
    fn dressed(&self, record: Record) -> Record {
        let record = self.headers.iter().fold(record, |record, header| record.header(header.clone()));
        match self.partition {
            Some(partition) => record.partition(partition),
            None => record,
        }
    }

    fn of_json(&self, line: &[u8]) -> Result<Record, String> {
        let json: JsonRecord<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let mut record = Record::new(&self.topic);
        if let Some(key) = json.key {
            record = record.key(decoded(key, json.key_encoding)?);
        }
        if let Some(value) = json.value.map(RawValue::get) {
            record = match serde_json::from_str::<Option<Cow<'_, str>>>(value) {
                Ok(None) => record,
                Ok(Some(text)) => record.value(decoded(text.into_owned(), json.value_encoding)?),
                Err(_) if json.value_encoding == Some(Encoding::Base64) => {
                    return Err("value: base64 is a string".to_owned());
                }
                // Any other JSON is stored as it was written.
                Err(_) => record.value(value.to_owned()),
            };
        }
        if let Some(partition) = json.partition {
            record = record.partition(partition);
        }
        if let Some(timestamp_ms) = json.timestamp {
            record = record.timestamp_ms(timestamp_ms);
        }
        for (name, value) in json.headers {
            record = record.header(Header::new(name, value));
        }
        for JsonHeader { key, value, encoding } in json.headers_list {
            let value = value.map(|value| decoded(value, encoding)).transpose()?;
            record = record.header(Header { name: key, value: value.map(Into::into) });
        }
        Ok(self.dressed(record))
    }
}

fn decoded(text: String, encoding: Option<Encoding>) -> Result<Vec<u8>, String> {
    match encoding {
        Some(Encoding::Base64) => BASE64_STANDARD.decode(text).map_err(|error| format!("base64: {error}")),
        None | Some(Encoding::Text) => Ok(text.into_bytes()),
    }
}

/// The key before the separator, if it is there.
fn split<'a>(line: &'a [u8], separator: &[u8]) -> (Option<&'a [u8]>, &'a [u8]) {
    match line.windows(separator.len().max(1)).position(|window| window == separator) {
        Some(at) => (Some(&line[..at]), &line[at + separator.len()..]),
        None => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_ends_the_key() {
        assert_eq!(split(b"k::v::w", b"::"), (Some(&b"k"[..]), &b"v::w"[..]));
        assert_eq!(split(b"value", b"::"), (None, &b"value"[..]));
        assert_eq!(split(b":v", b":"), (Some(&b""[..]), &b"v"[..]));
    }

    #[test]
    fn json_that_says_something_unknown_is_refused() {
        let making = Making { topic: "t".into(), kind: Kind::Json, partition: None, headers: Vec::new() };
        assert!(making.record(b" ").unwrap().is_none());
        for line in [r#"{"kee": "k"}"#, r#"{"value": "?", "value_encoding": "base64"}"#, "[]", r#"{"value": 1"#] {
            assert!(making.record(line.as_bytes()).is_err(), "{line}");
        }
        let line = r#"{"topic": "x", "offset": 5, "value": {"a": 1}, "key": null, "headers": {"h": "1"}}"#;
        assert!(making.record(line.as_bytes()).unwrap().is_some());
    }
}

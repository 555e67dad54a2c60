//! How a record is printed: by a format as kcat has them, or as the JSON that the server gives.

use std::str::FromStr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use takhin_client::{Header, Message};

/// What is printed for each record.
#[derive(Clone, Debug)]
pub(super) struct Format(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Key,
    KeyBytes,
    Value,
    ValueBytes,
    TimestampMs,
    Headers,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            let part = match char {
                '%' => directive(chars.next())?,
                '\\' => Part::Text(vec![escape(&mut chars)?]),
                other => Part::Text(other.to_string().into_bytes()),
            };
            match (parts.last_mut(), part) {
                (Some(Part::Text(text)), Part::Text(more)) => text.extend(more),
                (_, part) => parts.push(part),
            }
        }
        Ok(Self(parts))
    }
}

fn directive(char: Option<char>) -> Result<Part, String> {
    Ok(match char {
        Some('t') => Part::Topic,
        Some('p') => Part::Partition,
        Some('o') => Part::Offset,
        Some('k') => Part::Key,
        Some('K') => Part::KeyBytes,
        Some('s') => Part::Value,
        Some('S') => Part::ValueBytes,
        Some('T') => Part::TimestampMs,
        Some('h') => Part::Headers,
        Some('%') => Part::Text(vec![b'%']),
        other => {
            let given = other.map(String::from).unwrap_or_default();
            return Err(format!("there is no %{given}; there are %t %p %o %k %K %s %S %T %h and %%"));
        }
    })
}

/// What follows a backslash.
fn escape(chars: &mut impl Iterator<Item = char>) -> Result<u8, String> {
    Ok(match chars.next() {
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('0') => 0,
        Some('\\') => b'\\',
        Some('x') => {
            let digits: String = chars.take(2).collect();
            let byte = u8::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 2 && !digits.starts_with('+'));
            byte.ok_or_else(|| format!("\\x{digits} are not two hexadecimal digits"))?
        }
        other => {
            let given = other.map(String::from).unwrap_or_default();
            return Err(format!("there is no \\{given}; there are \\n \\r \\t \\0 \\\\ and \\xNN"));
        }
    })
}

/// A text with escapes as the format has them, and nothing else special.
pub(super) fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => bytes.push(escape(&mut chars)?),
            other => bytes.extend(other.to_string().into_bytes()),
        }
    }
    Ok(bytes)
}

impl Format {
    pub(super) fn write(&self, message: &Message, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Topic => out.extend_from_slice(message.topic().as_bytes()),
                Part::Partition => out.extend_from_slice(message.partition.partition.to_string().as_bytes()),
                Part::Offset => out.extend_from_slice(message.offset.to_string().as_bytes()),
                Part::Key => out.extend_from_slice(message.key.as_deref().unwrap_or_default()),
                Part::KeyBytes => out.extend_from_slice(length(message.key.as_deref()).as_bytes()),
                Part::Value => out.extend_from_slice(message.value.as_deref().unwrap_or_default()),
                Part::ValueBytes => out.extend_from_slice(length(message.value.as_deref()).as_bytes()),
                Part::TimestampMs => out.extend_from_slice(message.timestamp_ms.to_string().as_bytes()),
                Part::Headers => write_headers(&message.headers, out),
            }
        }
    }
}

/// -1 where there is none, as kcat has it.
fn length(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.len().to_string())
}

fn write_headers(headers: &[Header], out: &mut Vec<u8>) {
    for (at, header) in headers.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"" } else { b"," });
        out.extend_from_slice(header.name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(header.value.as_deref().unwrap_or(b"NULL"));
    }
}

/// The record as the server's own JSON has it, which `takhin produce --json` takes.
pub(super) fn as_json(message: &Message) -> Value {
    let mut record = Map::new();
    record.insert("topic".to_owned(), json!(message.topic()));
    record.insert("partition".to_owned(), json!(message.partition.partition));
    record.insert("offset".to_owned(), json!(message.offset));
    record.insert("timestamp".to_owned(), json!(message.timestamp_ms));
    insert_bytes(&mut record, "key", "key_encoding", message.key.as_deref());
    insert_bytes(&mut record, "value", "value_encoding", message.value.as_deref());
    let texts: Option<Map<_, _>> = message.headers.iter().map(text_header).collect();
    match texts.filter(|texts| texts.len() == message.headers.len()) {
        Some(texts) => record.insert("headers".to_owned(), Value::Object(texts)),
        // A name repeats, or a value is no text.
        None => record.insert("headers_list".to_owned(), message.headers.iter().map(listed_header).collect()),
    };
    Value::Object(record)
}

fn text_header(header: &Header) -> Option<(String, Value)> {
    Some((header.name.clone(), json!(std::str::from_utf8(header.value.as_deref()?).ok()?)))
}

fn listed_header(header: &Header) -> Value {
    let mut listed = Map::new();
    listed.insert("key".to_owned(), json!(header.name));
    insert_bytes(&mut listed, "value", "encoding", header.value.as_deref());
    Value::Object(listed)
}

fn insert_bytes(record: &mut Map<String, Value>, name: &str, encoding: &str, bytes: Option<&[u8]>) {
    let value = match bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)) {
        None => Value::Null,
        Some(Ok(text)) => json!(text),
        Some(Err(bytes)) => {
            record.insert(encoding.to_owned(), json!("base64"));
            json!(BASE64_STANDARD.encode(bytes))
        }
    };
    record.insert(name.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_not_is_said() {
        assert!("%t/%p\\t%o %% \\x41\n".parse::<Format>().is_ok());
        for (text, why) in [("%z", "there is no %z"), ("a%", "there is no %;"), ("\\q", "no \\q"), ("\\x4", "\\x4 are")]
        {
            let error = text.parse::<Format>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn escapes_are_bytes() {
        assert_eq!(unescaped("a\\t\\xff\\\\é"), Ok(vec![b'a', b'\t', 0xff, b'\\', 0xc3, 0xa9]));
    }
}

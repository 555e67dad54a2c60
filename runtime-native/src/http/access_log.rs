//! The access log: a line for each request.
//!
//! Who serves a request hands the line over and goes on; a thread writes it. Where that can't keep up, the lines that find no
//! place are counted and lost, so a full disk or a reader that sleeps costs lines, and neither memory nor time.

use std::{fmt::Write as _, io, path::PathBuf, sync::Arc};

use axum::http::StatusCode;
use prometheus_client::registry::Registry;
use serde::Serialize;
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime as _, SystemTime},
};

use super::{
    account::{Exchange, Observer},
    lines::Lines,
};

/// A path is cut off after this much of it.
const MAX_PATH_BYTES: usize = 1 << 10;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogTo {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
    /// The end of a file, which is made if it isn't there.
    File(PathBuf),
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// Words with a space between, most as `name=value`.
    Text,
    /// A JSON object.
    Json,
}

/// An access log.
#[derive(Debug)]
pub struct AccessLog {
    lines: Lines,
    format: AccessLogFormat,
}

impl AccessLog {
    /// Begins one.
    ///
    /// # Errors
    /// If the file can't be opened, or there is no thread to be had.
    pub fn start(to: AccessLogTo, format: AccessLogFormat) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { lines: Lines::start(to)?, format }))
    }

    /// Opens the file anew, since it may have been given another name.
    pub fn reopen(&self) {
        self.lines.reopen();
    }

    /// Waits for what was handed over to be written; not for long.
    pub fn flush(&self) {
        self.lines.flush();
    }
}

impl Observer for AccessLog {
    fn ended(&self, exchange: &Exchange) {
        self.lines.write(match self.format {
            AccessLogFormat::Text => text(exchange),
            AccessLogFormat::Json => json(exchange),
        });
    }

    fn register(&self, registry: &mut Registry) {
        let help = "Lines of the access log that were not written, since they could not be as fast as they came";
        registry.register("access_log_lines_lost", help, self.lines.lost().clone());
    }
}

fn now() -> String {
    let mut text = String::new();
    // A string takes everything.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

fn text(exchange: &Exchange) -> String {
    let mut line = now();
    let route = exchange.route.unwrap_or("-");
    let _ = write!(line, " {} {} {route} ", exchange.client, exchange.method);
    push_visible(&mut line, path(exchange));
    let _ = match exchange.status {
        Some(status) => write!(line, " {}", status.as_u16()),
        None => write!(line, " -"),
    };
    let Exchange { bytes_in, bytes_out, .. } = exchange;
    let _ = write!(line, " in={bytes_in} out={bytes_out} us={} id={}", exchange.took.as_micros(), id(exchange));
    if let Some(key) = exchange.key {
        let _ = write!(line, " key={key}");
    }
    if let Some(error) = exchange.error {
        let _ = write!(line, " error={error}");
    }
    line.push('\n');
    line
}

fn json(exchange: &Exchange) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        time: String,
        client: String,
        method: &'a str,
        route: Option<&'static str>,
        path: &'a str,
        status: Option<u16>,
        bytes_in: u64,
        bytes_out: u64,
        duration_us: u128,
        request_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'static str>,
    }
    let line = Line {
        time: now(),
        client: exchange.client.to_string(),
        method: exchange.method.as_str(),
        route: exchange.route,
        path: path(exchange),
        status: exchange.status.as_ref().map(StatusCode::as_u16),
        bytes_in: exchange.bytes_in,
        bytes_out: exchange.bytes_out,
        duration_us: exchange.took.as_micros(),
        request_id: id(exchange),
        key: exchange.key.map(|key| key.to_string()),
        error: exchange.error,
    };
    serde_json::to_string(&line).expect("strings and numbers always serialize") + "\n"
}

fn id(exchange: &Exchange) -> &str {
    exchange.request_id.to_str().unwrap_or("-")
}

fn path(exchange: &Exchange) -> &str {
    let end = exchange.path.floor_char_boundary(MAX_PATH_BYTES);
    &exchange.path[..end]
}

/// Adds a text so that it is one word, whatever a client put into it.
fn push_visible(line: &mut String, text: &str) {
    for letter in text.chars() {
        if letter.is_ascii_graphic() {
            line.push(letter);
        } else {
            line.extend(letter.escape_unicode());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::{HeaderValue, Method};

    use super::*;

    fn exchange(path: &str) -> Exchange {
        Exchange {
            began: std::time::SystemTime::UNIX_EPOCH,
            took: Duration::from_micros(1_500),
            client: [192, 0, 2, 7].into(),
            method: Method::POST,
            route: Some("/api/topics/{topic}/produce"),
            path: path.into(),
            status: Some(StatusCode::NOT_FOUND),
            error: Some("topic_not_found"),
            key: None,
            bytes_in: 12,
            bytes_out: 345,
            request_id: HeaderValue::from_static("a-1"),
            traceparent: None,
        }
    }

    #[test]
    fn a_line_of_text_has_its_words_in_their_places() {
        let line = text(&exchange("/api/topics/orders/produce"));
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(time.starts_with("20") && time.ends_with('Z'), "{line}");
        let expected = "192.0.2.7 POST /api/topics/{topic}/produce /api/topics/orders/produce 404 \
                        in=12 out=345 us=1500 id=a-1 error=topic_not_found\n";
        assert_eq!(rest, expected);
    }

    #[test]
    fn what_would_break_a_line_or_lie_to_a_reader_is_escaped() {
        let line = text(&exchange("/a\nb \u{202e}c\u{1b}[31m"));
        assert!(line.contains(" /a\\u{a}b\\u{20}\\u{202e}c\\u{1b}[31m 404 "), "{line}");
        let line = json(&exchange("/a\n\"b"));
        assert!(line.contains(r#""path":"/a\n\"b""#) && line.matches('\n').count() == 1, "{line}");
    }

    #[test]
    fn a_long_path_is_cut_off_between_letters() {
        let path = format!("/{}", "ä".repeat(2_000));
        let line: serde_json::Value = serde_json::from_str(&json(&exchange(&path))).expect("JSON");
        assert_eq!(line["path"].as_str().map(str::len), Some(1_023));
    }

    #[test]
    fn a_key_is_told_by_its_id() {
        let key = "0123456789abcdef".parse().ok();
        assert!(key.is_some());
        let line = text(&Exchange { key, ..exchange("/x") });
        assert!(line.contains(" id=a-1 key=0123456789abcdef error="), "{line}");
        let line: serde_json::Value = serde_json::from_str(&json(&Exchange { key, ..exchange("/x") })).expect("JSON");
        assert_eq!(line["key"], "0123456789abcdef");
    }

    #[test]
    fn who_went_before_the_answer_got_no_status() {
        let gone = Exchange { status: None, error: None, ..exchange("/x") };
        assert!(text(&gone).contains(" /x - in=12 "));
        let line: serde_json::Value = serde_json::from_str(&json(&gone)).expect("JSON");
        assert!(line["status"].is_null());
    }
}

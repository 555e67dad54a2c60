//! JSON strings that stay where they are.
//!
//! A string without escapes is used where it lies in the request's body; one with escapes is written out once,
//! into a scratch space that all records of a request share.

use std::ops::Range;

use base64::{Engine, prelude::BASE64_STANDARD};
use memchr::memchr;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where the bytes of one part of a record lie.
#[derive(Clone, Debug)]
pub(crate) enum Piece<'b> {
    /// In the body.
    Body(&'b [u8]),
    /// In the scratch space.
    Scratch(Range<usize>),
}

impl<'b> Piece<'b> {
    /// The bytes.
    pub(crate) fn bytes<'s>(&self, scratch: &'s [u8]) -> &'s [u8]
    where
        'b: 's,
    {
        match self {
            Self::Body(bytes) => bytes,
            Self::Scratch(range) => &scratch[range.clone()],
        }
    }
}

/// How a request writes bytes as a JSON string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    /// As UTF-8 text.
    #[default]
    Text,
    /// In base64 (RFC 4648, section 4, with padding).
    Base64,
}

/// An escape that stands for no character: half of a surrogate pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the string has an escape that is half of a surrogate pair")]
pub(crate) struct LoneSurrogate;

/// Puts `bytes` at the scratch's end.
pub(crate) fn store<'b>(scratch: &mut Vec<u8>, bytes: &[u8]) -> Piece<'b> {
    let start = scratch.len();
    scratch.extend_from_slice(bytes);
    Piece::Scratch(start..scratch.len())
}

/// The content of a JSON string, given as it stands in the body between its quotes. Its grammar has been checked.
pub(crate) fn unescape<'b>(raw: &'b str, scratch: &mut Vec<u8>) -> Result<Piece<'b>, LoneSurrogate> {
    if memchr(b'\\', raw.as_bytes()).is_none() {
        return Ok(Piece::Body(raw.as_bytes()));
    }
    let start = scratch.len();
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        scratch.extend_from_slice(plain.as_bytes());
        let (letter, after) = escape.split_at(1);
        rest = after;
        let character = match letter.as_bytes()[0] {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => unicode(&mut rest).ok_or(LoneSurrogate)?,
            itself => char::from(itself),
        };
        scratch.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    scratch.extend_from_slice(rest.as_bytes());
    Ok(Piece::Scratch(start..scratch.len()))
}

/// Takes what follows `\u`: four digits, or twelve characters that are a surrogate pair.
fn unicode(rest: &mut &str) -> Option<char> {
    let first = hex(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    *rest = rest.strip_prefix("\\u")?;
    let second = hex(rest).filter(|second| (0xdc00..0xe000).contains(second))?;
    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
}

fn hex(rest: &mut &str) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    u32::from_str_radix(digits, 16).ok()
}

/// What a piece of base64 stands for.
pub(crate) fn decode_base64<'b>(piece: &Piece<'b>, scratch: &mut Vec<u8>) -> Result<Piece<'b>, base64::DecodeError> {
    let start = scratch.len();
    let text = piece.bytes(scratch).to_vec();
    BASE64_STANDARD.decode_vec(text, scratch)?;
    Ok(Piece::Scratch(start..scratch.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unescaped(json: &str) -> Result<String, LoneSurrogate> {
        let raw = json.strip_prefix('"').and_then(|j| j.strip_suffix('"')).expect("a JSON string");
        let mut scratch = b"before".to_vec();
        let piece = unescape(raw, &mut scratch)?;
        Ok(String::from_utf8(piece.bytes(&scratch).to_vec()).expect("UTF-8"))
    }

    proptest! {
        #[test]
        fn what_serde_escapes_is_unescaped(text in any::<String>()) {
            let json = serde_json::to_string(&text).expect("a string");
            prop_assert_eq!(unescaped(&json).expect("no surrogates"), text);
        }

        #[test]
        fn escapes_mean_what_serde_says(codes in proptest::collection::vec(any::<u16>(), 0..8)) {
            let escapes: Vec<_> = codes.iter().map(|code| format!("\\u{code:04x}")).collect();
            let json = format!("\"{}\"", escapes.concat());
            prop_assert_eq!(unescaped(&json).ok(), serde_json::from_str::<String>(&json).ok());
        }
    }

    #[test]
    fn every_short_escape_is_known() {
        assert_eq!(unescaped(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#).expect("good"), "\"\\/\u{8}\u{c}\n\r\té😀é");
    }

    #[test]
    fn a_string_without_escapes_stays_where_it_is() {
        assert!(matches!(unescape("é", &mut Vec::new()), Ok(Piece::Body(_))));
    }
}

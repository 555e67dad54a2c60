//! Query parameters: known ones, each once, whole numbers but for those of which it is said.

use axum::http::Uri;
use percent_encoding::percent_decode_str;
use takhin_core::RecordFormat;

use crate::http::error::ApiError;

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Query {
    values: Vec<(&'static str, i64)>,
    texts: Vec<(&'static str, String)>,
}

impl Query {
    /// Parses the query of a route that knows the parameters `known`.
    pub(crate) fn parse(uri: &Uri, known: &[&'static str]) -> Result<Self, ApiError> {
        Self::parse_with(uri, known, &[])
    }

    /// The same where the parameters `texts` may be any text.
    pub(crate) fn parse_with(uri: &Uri, known: &[&'static str], texts: &[&'static str]) -> Result<Self, ApiError> {
        let mut query = Self { values: Vec::new(), texts: Vec::new() };
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (given, value) = (decode(name)?, decode(value)?);
            let mut all = known.iter().chain(texts);
            let Some(&name) = all.find(|known| **known == given) else {
                let message = format!("unknown query parameter {given:?}");
                return Err(ApiError::malformed("unknown_parameter", message)
                    .with("parameter", given)
                    .with("known", known.iter().chain(texts).copied().collect::<Vec<_>>()));
            };
            if query.get(name).is_some() || query.text(name).is_some() {
                let message = format!("query parameter {name:?} is given twice");
                return Err(ApiError::malformed("invalid_parameter", message).with("parameter", name));
            }
            if texts.contains(&name) {
                query.texts.push((name, value));
                continue;
            }
            let number = value.parse().map_err(|_| {
                let message = format!("query parameter {name:?} must be a whole number, and is {value:?}");
                ApiError::malformed("invalid_parameter", message).with("parameter", name).with("value", value)
            })?;
            query.values.push((name, number));
        }
        Ok(query)
    }

    /// The text of a parameter that may be any, if it was given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// What a parameter says that is one of some words.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, words: &[(&'static str, T)]) -> Result<Option<T>, ApiError> {
        let Some(given) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == given);
        found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| {
            let allowed: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("query parameter {name:?} must be one of {}, and is {given:?}", allowed.join(", "));
            ApiError::malformed("invalid_parameter", message)
                .with("parameter", name)
                .with("value", given)
                .with("allowed", allowed)
        })
    }

    /// How records are wanted, in the parameter `format`.
    pub(crate) fn record_format(&self) -> Result<Option<RecordFormat>, ApiError> {
        let Some(given) = self.text("format") else { return Ok(None) };
        let known = [("text", RecordFormat::Text), ("json", RecordFormat::Json), ("base64", RecordFormat::Base64)];
        let found = known.iter().find(|(word, _)| *word == given).map(|(_, format)| Some(*format));
        found.ok_or_else(|| {
            let words = known.map(|(word, _)| word);
            let message = format!("format must be one of {}, and is {given:?}", words.join(", "));
            ApiError::unacceptable("invalid_value", "format", message)
                .with("value", given)
                .with("allowed", words.to_vec())
        })
    }

    /// The value of a parameter, if it was given.
    pub(crate) fn get(&self, name: &str) -> Option<i64> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

fn decode(text: &str) -> Result<String, ApiError> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| ApiError::malformed("malformed_url", "the query is not UTF-8 when percent-decoded"))
}

/// Refuses a path or a query in which a `%` is not followed by two hexadecimal digits.
pub(crate) fn check_percent_encoding(uri: &Uri) -> Result<(), ApiError> {
    let whole = uri.path_and_query().map_or("", |path| path.as_str());
    for (at, _) in whole.match_indices('%') {
        let digits = whole.as_bytes().get(at + 1..at + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            let message = "in a URL, % is followed by two hexadecimal digits";
            return Err(ApiError::malformed("malformed_url", message).with("position", at));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Query, ApiError> {
        let uri: Uri = format!("/x?{query}").parse().expect("a URI");
        check_percent_encoding(&uri)?;
        Query::parse(&uri, &["limit", "offset"])
    }

    #[test]
    fn known_parameters_are_numbers() {
        let query = parse("limit=10&off%73et=-1").expect("good");
        assert_eq!((query.get("limit"), query.get("offset")), (Some(10), Some(-1)));
        assert_eq!(parse("").expect("good").get("limit"), None);
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (query, code, parameter) in [
            ("limti=1", "unknown_parameter", "limti"),
            ("limit=1&limit=1", "invalid_parameter", "limit"),
            ("limit=", "invalid_parameter", "limit"),
            ("limit", "invalid_parameter", "limit"),
            ("offset=1.5", "invalid_parameter", "offset"),
        ] {
            let error = parse(query).expect_err(query);
            assert_eq!((error.status().as_u16(), error.code()), (400, code), "{query}");
            assert_eq!(error.details()["parameter"], parameter, "{query}");
        }
    }

    #[test]
    fn bad_percent_encoding_is_refused() {
        for query in ["limit=%", "limit=%1", "limit=%zz", "%+1=1", "limit=%ff"] {
            assert_eq!(parse(query).expect_err(query).code(), "malformed_url", "{query}");
        }
    }
}

//! Where a server is: a scheme, a host and what stands before each path.

use std::{fmt, str::FromStr};

use hyper::{Uri, http::uri::Scheme};

use crate::Error;

/// An address as in `http://localhost:8080`; `localhost:8080` is one too.
#[derive(Clone, Debug)]
pub(crate) struct Address(String);

impl Address {
    /// The address of one route. `path_and_query` begins with a slash and is encoded.
    pub(crate) fn of(&self, path_and_query: &str) -> Result<Uri, Error> {
        let text = format!("{}{path_and_query}", self.0);
        text.parse().map_err(|error| Error::Invalid(format!("{text} is no address: {error}")))
    }
}

#[cfg(feature = "tls")]
impl Address {
    /// Whether it begins with https.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let wrong = |why: &str| Error::Invalid(format!("{text:?} is no address of a server: {why}"));
        let uri: Uri = whole.parse().map_err(|error| wrong(&format!("{error}")))?;
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(scheme) if *scheme == Scheme::HTTPS && cfg!(feature = "tls") => {}
            Some(scheme) if *scheme == Scheme::HTTPS => return Err(wrong("https needs the feature `tls`")),
            _ => return Err(wrong("it begins with http:// or https://")),
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(wrong("it has no host"));
        }
        if uri.query().is_some() {
            return Err(wrong("it has a query"));
        }
        Ok(Self(whole.trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_may_be_left_out_and_a_path_may_stand_before_all() {
        for (text, route) in [
            ("localhost:8080", "http://localhost:8080/api/topics?x=1"),
            ("http://a/", "http://a/api/topics?x=1"),
            ("http://[::1]:80/log/", "http://[::1]:80/log/api/topics?x=1"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.of("/api/topics?x=1").unwrap().to_string(), route);
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "http://", "ftp://a", "http://a/?b", "a b"] {
            assert!(matches!(text.parse::<Address>(), Err(Error::Invalid(_))), "{text}");
        }
    }
}

//! The page: the files of `web-demo/dist`, which are part of the program.
//!
//! * Files under `/assets/` bear a hash of their content in their names, and may be kept for ever; the page itself is asked for
//!   again each time, and answered with 304 if it is the same.
//! * What is large is there compressed, by brotli and gzip; who takes neither gets it unpacked.
//! * The page may load nothing from anywhere but here, and run nothing but its own scripts and wasm.

use std::{fmt::Write as _, io::Read as _};

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use flate2::read::GzDecoder;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{
    error::{ApiError, ApiResult},
    guard::Need,
    routes::{Route, Undescribed},
};

/// All of the page.
#[derive(RustEmbed)]
#[folder = "../web-demo/dist"]
#[exclude = "*.wasm"]
#[exclude = "*.js"]
#[exclude = "*.css"]
struct Files;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; \
     img-src 'self' data:; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// What is where. The root may be another's: then the page is at `/index.html` alone. Who has no key may see the page, which
/// asks for one.
pub(super) fn routes(has_root: bool) -> impl Iterator<Item = Route> {
    let index_at = |path| Undescribed::at(path).get(Need::NoKey, index);
    let others = [
        index_at("/index.html"),
        Undescribed::at("/icon.svg").get(Need::NoKey, icon),
        Undescribed::at("/assets/{file}").get(Need::NoKey, asset),
    ];
    has_root.then(|| index_at("/")).into_iter().chain(others).map(Route::from)
}

async fn index(headers: HeaderMap) -> ApiResult {
    file("index.html", ASK_AGAIN, &headers)
}

async fn icon(headers: HeaderMap) -> ApiResult {
    file("icon.svg", ASK_AGAIN, &headers)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> ApiResult {
    file(&format!("assets/{name}"), FOR_EVER, &headers)
}

fn file(path: &str, cache: HeaderValue, asked: &HeaderMap) -> ApiResult {
    let Some((found, encoding)) = find(path, asked) else {
        let message = format!("the page has no file {path}");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "route_not_found", message).with("path", path));
    };
    let etag = etag(&found);
    let common = [
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::ETAG, etag.clone()),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    if known.flat_map(|value| value.split(',')).any(|one| one.trim() == etag || one.trim() == "*") {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let mut response = match encoding {
        Encoding::Unpacked => unpacked(&found)?,
        Encoding::Plain | Encoding::As(_) => found.data.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type(path));
    if let Encoding::As(name) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    headers.extend(common);
    Ok(response)
}

/// In which form a file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// As it lies there.
    Plain,
    /// As it lies there, which is compressed.
    As(&'static str),
    /// It lies there compressed by gzip, and is not to be sent so.
    Unpacked,
}

fn find(path: &str, asked: &HeaderMap) -> Option<(EmbeddedFile, Encoding)> {
    for (name, ending) in [("br", "br"), ("gzip", "gz")] {
        if accepts(asked, name)
            && let Some(found) = Files::get(&format!("{path}.{ending}"))
        {
            return Some((found, Encoding::As(name)));
        }
    }
    if let Some(found) = Files::get(path) {
        return Some((found, Encoding::Plain));
    }
    Some((Files::get(&format!("{path}.gz"))?, Encoding::Unpacked))
}

fn accepts(asked: &HeaderMap, encoding: &str) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut choices = values.flat_map(|value| value.split(','));
    choices.any(|choice| {
        let (name, weight) = choice.split_once(';').unwrap_or((choice, "q=1"));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case(encoding) && !refused
    })
}

fn unpacked(found: &EmbeddedFile) -> ApiResult {
    let mut bytes = Vec::new();
    let read = GzDecoder::new(&found.data[..]).read_to_end(&mut bytes);
    read.map_err(|error| ApiError::bug(format!("a file of the page can't be unpacked: {error}")))?;
    Ok(bytes.into_response())
}

/// Each form of a file has its own.
fn etag(found: &EmbeddedFile) -> HeaderValue {
    let mut text = String::from("\"");
    for byte in &found.metadata.sha256_hash()[..12] {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('"');
    HeaderValue::try_from(text).expect("hexadecimal digits fit a header")
}

fn content_type(path: &str) -> HeaderValue {
    HeaderValue::from_static(match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use axum::response::Response;

    use super::*;

    fn asking(encodings: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(encodings))])
    }

    #[test]
    fn what_a_client_takes_is_what_it_gets() {
        for (encodings, brotli, gzip) in [
            ("", false, false),
            ("gzip, deflate, br, zstd", true, true),
            ("gzip;q=1.0, br;q=0", false, true),
            ("BR", true, false),
            ("brotli", false, false),
        ] {
            let asked = asking(encodings);
            assert_eq!((accepts(&asked, "br"), accepts(&asked, "gzip")), (brotli, gzip), "{encodings:?}");
        }
    }

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let index = Files::get("index.html").expect("the page is built");
        let index = String::from_utf8(index.data.into_owned()).expect("text");
        let named = index.split('"').filter_map(|word| word.strip_prefix("./"));
        let named: Vec<&str> = named.collect();
        assert!(named.iter().any(|name| name.starts_with("assets/")), "{named:?}");
        for name in named {
            for encodings in ["br", "gzip", ""] {
                let response = file(name, ASK_AGAIN, &asking(encodings)).expect("it is there");
                assert_eq!(response.status(), StatusCode::OK, "{name}");
            }
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let first: Response = file("index.html", ASK_AGAIN, &HeaderMap::new()).expect("the page is built");
        let etag = first.headers()[header::ETAG].clone();
        let asked = HeaderMap::from_iter([(header::IF_NONE_MATCH, etag)]);
        let again: Response = file("index.html", ASK_AGAIN, &asked).expect("the page is built");
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(again.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    }
}

//! JSON over HTTP, as a client in any language would speak it.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    time::Duration,
};

use serde_json::Value;
use ureq::{Agent, http};

/// What came back: the status, and the body as JSON. An empty body is `null`, and one that is not JSON is a string.
pub type Answer = (u16, Value);

/// What came back, headers and all.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body, as in [`Answer`].
    pub body: Value,
}

impl Whole {
    /// A header's value, which must be text; none is empty.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header is text"))
    }
}

/// A client of one server. Each has its own connections, which it keeps.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    agent: Agent,
    /// What every request brings as `Authorization`, if anything.
    key: Option<String>,
}

impl Client {
    /// How long a request may take in all, a long poll included.
    pub const TIMEOUT: Duration = Duration::from_mins(1);

    /// A client of the server at `base`, as in `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Self {
        Self::with_timeout(base, Self::TIMEOUT)
    }

    /// A client whose requests may take `timeout` in all.
    pub fn with_timeout(base: &str, timeout: Duration) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout)).build();
        Self { base: base.to_owned(), agent: config.into(), key: None }
    }

    /// The same client with a key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(format!("Bearer {key}")), ..self.clone() }
    }

    /// Where the server is, as in `http://127.0.0.1:8080`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET `path`.
    pub fn get(&self, path: &str) -> Answer {
        self.answer("GET", path, None)
    }

    /// POST `body` to `path`.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.answer("POST", path, Some(body))
    }

    /// PUT `body` to `path`.
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.answer("PUT", path, Some(body))
    }

    /// PATCH `path` with `body`.
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.answer("PATCH", path, Some(body))
    }

    /// DELETE `path`.
    pub fn delete(&self, path: &str) -> Answer {
        self.answer("DELETE", path, None)
    }

    fn answer(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.request(method, path, body).unwrap_or_else(|error| panic!("{method} {path} had no answer: {error}"))
    }

    /// Sends a request. Any status is an answer, 4xx and 5xx too.
    ///
    /// # Errors
    /// There was no answer: the server could not be reached, broke off, or took too long. It is not known, then,
    /// whether the request was carried out.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, ureq::Error> {
        let headers = body.map_or(&[][..], |_| &[("content-type", "application/json")]);
        let body = body.map(|body| body.to_string().into_bytes());
        let whole = self.send(method, path, headers, body)?;
        Ok((whole.status, whole.body))
    }

    /// Sends a request with these headers and any bytes as its body.
    ///
    /// # Errors
    /// As for [`Self::request`].
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Whole, ureq::Error> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", key);
        }
        let mut response = match body {
            Some(body) => self.agent.run(request.body(body)?),
            None => self.agent.run(request.body(())?),
        }?;
        let text = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
        let body =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        Ok(Whole { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }

    /// Sends a request as [`Self::send`] does, and gives the answer's body as it is.
    ///
    /// # Errors
    /// As for [`Self::request`].
    pub fn send_for_bytes(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<(u16, http::HeaderMap, Vec<u8>), ureq::Error> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response =
            if body.is_empty() { self.agent.run(request.body(())?) } else { self.agent.run(request.body(body)?) }?;
        let bytes = response.body_mut().with_config().limit(u64::MAX).read_to_vec()?;
        Ok((response.status().as_u16(), response.headers().clone(), bytes))
    }

    /// GETs `path` with these headers, and gives the body's lines as they come; or the error that is answered instead.
    ///
    /// # Errors
    /// The answer is none of 2xx.
    ///
    /// # Panics
    /// There is no answer.
    pub fn lines(&self, path: &str, headers: &[(&str, &str)]) -> Result<impl Iterator<Item = String> + use<>, Answer> {
        let mut request = http::Request::builder().uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", key);
        }
        let request = request.body(()).expect("a request");
        let mut response = self.agent.run(request).expect("an answer");
        if !response.status().is_success() {
            let text = response.body_mut().read_to_string().expect("a body");
            return Err((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))));
        }
        Ok(BufReader::new(response.into_body().into_reader()).lines().map_while(Result::ok))
    }

    /// Where the server is, for those who speak to it without this client.
    ///
    /// # Panics
    /// The server was not named by its address.
    pub fn address(&self) -> SocketAddr {
        self.base.trim_start_matches("http://").parse().expect("the server is named by its address")
    }
}

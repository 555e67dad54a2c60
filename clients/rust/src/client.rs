//! The way to a server, from which everything else is made.

use std::{sync::Arc, time::Duration};

use crate::{Admin, ConsumerBuilder, Producer, ProducerBuilder, Result, Retry, http::Http};

/// The way to a server. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: Arc<Http>,
}

/// How to reach a server.
#[derive(Clone, Debug)]
#[must_use = "`build` makes the client"]
pub struct ClientBuilder {
    urls: Vec<String>,
    api_key: Option<String>,
    retry: Retry,
}

impl Client {
    /// The server at an address, as in `http://localhost:8080`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) if it is no address.
    pub fn new(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).build()
    }

    /// As [`Client::new`], with more to be said.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder { urls: vec![url.into()], api_key: None, retry: Retry::default() }
    }

    /// A consumer of a group, still without topics.
    pub fn consumer(&self, group_id: impl Into<String>) -> ConsumerBuilder {
        ConsumerBuilder::new(self.http.clone(), group_id.into())
    }

    /// A producer as most want it.
    pub fn producer(&self) -> Producer {
        self.producer_builder().build()
    }

    /// A producer, with more to be said.
    pub fn producer_builder(&self) -> ProducerBuilder {
        ProducerBuilder::new(self.http.clone())
    }

    /// Topics, groups and single records.
    pub fn admin(&self) -> Admin {
        Admin::new(self.http.clone())
    }
}

impl ClientBuilder {
    /// One more address at which the same server can be reached. The next one is asked when one gives no answer.
    pub fn or_at(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// Sent as `Authorization: Bearer …`, where the server wants a key.
    pub fn api_key(mut self, api_key: impl Into<String>) -> Self {
        self.api_key = Some(api_key.into());
        self
    }

    /// When and for how long requests are repeated.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// For how long requests are repeated; 2 minutes. Zero is one attempt.
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.retry.give_up_after = time;
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) if an address is none, or the key can't be sent.
    pub fn build(self) -> Result<Client> {
        let addresses = self.urls.iter().map(|url| url.parse()).collect::<Result<_>>()?;
        let http = Http::new(addresses, self.api_key.as_deref(), self.retry)?;
        Ok(Client { http: Arc::new(http) })
    }
}

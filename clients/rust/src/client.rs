//! The way to a server, from which everything else is made.

use std::{sync::Arc, time::Duration};

use crate::{
    Admin, ConsumerBuilder, Producer, ProducerBuilder, Result, Retry,
    address::Address,
    http::{Http, NETWORK_TIME},
};

/// The way to a server. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: Arc<Http>,
}

/// How to reach a server.
#[derive(Clone)]
#[must_use = "`build` makes the client"]
pub struct ClientBuilder {
    urls: Vec<String>,
    api_key: Option<String>,
    retry: Retry,
    #[cfg(feature = "tls")]
    tls: crate::connector::Tls,
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
        ClientBuilder {
            urls: vec![url.into()],
            api_key: None,
            retry: Retry::default(),
            #[cfg(feature = "tls")]
            tls: crate::connector::Tls::default(),
        }
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

    /// Certificates to trust, in PEM, instead of those that the system trusts.
    #[cfg(feature = "tls")]
    pub fn trust(mut self, certificates_pem: impl Into<Vec<u8>>) -> Self {
        self.tls.roots = Some(certificates_pem.into());
        self
    }

    /// The client's own certificate with those that lead to an authority, and its private key, both in PEM: for a
    /// server that wants one.
    #[cfg(feature = "tls")]
    pub fn identity(mut self, certificates_pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        self.tls.identity = Some((certificates_pem.into(), key_pem.into()));
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) if an address is none, the key can't be sent, or an address begins with
    /// `https` and a certificate is none, or the system trusts nobody.
    pub fn build(self) -> Result<Client> {
        let addresses: Vec<Address> = self.urls.iter().map(|url| url.parse()).collect::<Result<_>>()?;
        #[cfg(feature = "tls")]
        let connector = self.tls.connector(NETWORK_TIME, addresses.iter().any(Address::is_encrypted))?;
        #[cfg(not(feature = "tls"))]
        let connector = crate::connector::plain(NETWORK_TIME, true);
        let http = Http::new(addresses, self.api_key.as_deref(), self.retry, connector)?;
        Ok(Client { http: Arc::new(http) })
    }
}

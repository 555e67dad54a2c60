//! Who a request comes from, where proxies stand between.
//!
//! A proxy says in a header on whose behalf it asks, and adds its own word after those of the proxies before it. Only what
//! trusted proxies say is believed: from the last word back, the first address that is no trusted proxy's is the client's.
//! What stands before it, anybody may have written. One header is believed and no other, since a proxy that writes one may
//! hand on another as the client sent it.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

/// The address of the client that a request comes from; an IPv4 address is never written as one of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Which proxies are believed, and by which header.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    /// Where they are.
    pub networks: Vec<Network>,
    /// The header in which they say who asks.
    pub header: ProxyHeader,
}

/// Addresses that begin alike, as in `10.0.0.0/8`; or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let network = one.or_else(|_| text.parse::<IpNet>());
        network.map(Self).map_err(|_| "expected an address or a network, as in 10.0.0.0/8 or fd00::/8".to_owned())
    }
}

/// The headers that proxies use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeader {
    /// `X-Forwarded-For: client, proxy`.
    #[default]
    XForwardedFor,
    /// `Forwarded: for=client, for=proxy` (RFC 7239).
    Forwarded,
    /// `X-Real-IP: client`.
    XRealIp,
}

impl FromStr for ProxyHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match &*text.to_ascii_lowercase() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            "x-real-ip" => Ok(Self::XRealIp),
            _ => Err("expected x-forwarded-for, forwarded or x-real-ip".to_owned()),
        }
    }
}

impl ProxyHeader {
    fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => header::FORWARDED,
            Self::XRealIp => HeaderName::from_static("x-real-ip"),
        }
    }

    /// The address that one word of the header names, if it names one.
    fn address(self, word: &str) -> Option<IpAddr> {
        let node = match self {
            Self::Forwarded => word.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
            })?,
            Self::XForwardedFor | Self::XRealIp => word.trim(),
        };
        let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
        let address = bare.parse::<IpAddr>().ok().or_else(|| node.parse::<SocketAddr>().ok().map(|it| it.ip()));
        address.map(|address| address.to_canonical())
    }
}

impl TrustedProxies {
    /// Who a request comes from that `peer` sent.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return ClientAddress(client);
        }
        let lines: Vec<&str> = headers.get_all(self.header.name()).iter().map(|it| it.to_str().unwrap_or("")).collect();
        for word in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            // What names no address hides who asked; all that is known is who says so.
            let Some(address) = self.header.address(word) else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        ClientAddress(client)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.0.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(header: ProxyHeader, peer: &str, lines: &[&'static str]) -> String {
        let networks = ["10.0.0.0/8", "::1", "2001:db8::/32"].map(|text| text.parse().expect("a network")).to_vec();
        let lines = lines.iter().map(|line| (header.name(), HeaderValue::from_static(line)));
        let proxies = TrustedProxies { networks, header };
        proxies.client(peer.parse().expect("an address"), &lines.collect()).0.to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_of_their_words_the_last_stranger() {
        use ProxyHeader::{Forwarded, XForwardedFor, XRealIp};
        for (header, peer, lines, expected) in [
            (XForwardedFor, "8.8.8.8", &["1.1.1.1"][..], "8.8.8.8"),
            (XForwardedFor, "10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            (XForwardedFor, "::ffff:10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            (XForwardedFor, "10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.2.2.2"], "1.1.1.1"),
            (XForwardedFor, "10.0.0.1", &["6.6.6.6, 1.1.1.1", "10.2.2.2"], "1.1.1.1"),
            (XForwardedFor, "10.0.0.1", &["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            (XForwardedFor, "10.0.0.1", &["6.6.6.6, unknown, 10.2.2.2"], "10.2.2.2"),
            (XForwardedFor, "10.0.0.1", &[], "10.0.0.1"),
            (XForwardedFor, "10.0.0.1", &["1.1.1.1:8080"], "1.1.1.1"),
            (XForwardedFor, "::1", &["2003::7"], "2003::7"),
            (XForwardedFor, "::1", &["[2003::7]:80, 2001:db8::1"], "2003::7"),
            (Forwarded, "10.0.0.1", &["for=6.6.6.6, proto=https;For=\"[2003::7]:4711\";by=10.0.0.9"], "2003::7"),
            (Forwarded, "10.0.0.1", &["for=1.1.1.1, for=_hidden"], "10.0.0.1"),
            (Forwarded, "10.0.0.1", &["proto=https"], "10.0.0.1"),
            (XRealIp, "10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
        ] {
            assert_eq!(client(header, peer, lines), expected, "{header:?} {peer} {lines:?}");
        }
    }

    #[test]
    fn a_header_that_is_not_the_one_is_not_believed() {
        let networks = vec!["10.0.0.0/8".parse().expect("a network")];
        let proxies = TrustedProxies { networks, header: ProxyHeader::XForwardedFor };
        let headers = HeaderMap::from_iter([(header::FORWARDED, HeaderValue::from_static("for=6.6.6.6"))]);
        let peer: IpAddr = "10.0.0.1".parse().expect("an address");
        assert_eq!(proxies.client(peer, &headers), ClientAddress(peer));
    }

    #[test]
    fn a_network_is_written_as_people_do() {
        for good in ["10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8"] {
            assert!(good.parse::<Network>().is_ok(), "{good}");
        }
        for bad in ["", "10.0.0.0/33", "localhost", "10.0.0"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}

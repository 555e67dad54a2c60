//! The usage of every address that asks, in bounded memory.
//!
//! Clients of IPv6 have 2^64 addresses each, so the first half of one stands for all. An address is remembered as long
//! as it is of any account: one that has nothing under way and owes nothing is as good as one that never came. If
//! more than [`Addresses::MOST`] are of account at a time, the next ones share one usage, and so the limits of one
//! client: a flood from many addresses gets little, and costs no more memory.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use super::{Limits, Usage};

/// What is looked for among addresses that are no longer of account, at most this often.
const SWEEP_NANOS: u64 = 1_000_000_000;

/// All addresses that are of account.
#[derive(Debug)]
pub struct Addresses {
    limits: Limits,
    most: usize,
    /// Hashed with a secret of the process, so that nobody can choose addresses that meet.
    known: Mutex<Known>,
    /// Shared by all for which there is no room.
    others: Usage,
}

#[derive(Debug, Default)]
struct Known {
    usages: HashMap<IpAddr, Usage>,
    swept_at: u64,
}

impl Addresses {
    /// How many addresses are told apart.
    pub const MOST: usize = 65_536;

    /// Each is held to these limits.
    pub fn new(limits: Limits) -> Self {
        Self::with_room_for(Self::MOST, limits)
    }

    fn with_room_for(most: usize, limits: Limits) -> Self {
        Self { limits, most, known: Mutex::default(), others: Usage::new(limits) }
    }

    /// What the client at this address has used up.
    pub fn usage(&self, address: IpAddr, now: u64) -> Usage {
        let address = client(address);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = known.usages.get(&address) {
            return usage.clone();
        }
        if known.usages.len() >= self.most && now >= known.swept_at.saturating_add(SWEEP_NANOS) {
            known.usages.retain(|_, usage| !usage.is_untouched(now));
            known.swept_at = now;
        }
        if known.usages.len() >= self.most {
            return self.others.clone();
        }
        let usage = Usage::new(self.limits);
        known.usages.insert(address, usage.clone());
        usage
    }
}

/// What stands for all addresses that one client is likely to have.
fn client(address: IpAddr) -> IpAddr {
    /// The second half of an address of IPv6.
    const HOST: u128 = u64::MAX as u128;
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !HOST).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn one_each(room: usize) -> Addresses {
        Addresses::with_room_for(room, Limits { requests_per_second: Some(1), ..Limits::default() })
    }

    fn passes(addresses: &Addresses, text: &str, now: u64) -> bool {
        addresses.usage(address(text), now).begin(now, Some(0)).is_ok()
    }

    #[test]
    fn each_address_has_limits_of_its_own() {
        let addresses = one_each(9);
        assert!(passes(&addresses, "192.0.2.1", 0) && passes(&addresses, "192.0.2.2", 0));
        assert!(!passes(&addresses, "192.0.2.1", 0) && !passes(&addresses, "::ffff:192.0.2.1", 0));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let addresses = one_each(9);
        assert!(passes(&addresses, "2001:db8::1", 0) && !passes(&addresses, "2001:db8::2:3:4:5", 0));
        assert!(passes(&addresses, "2001:db8:0:1::1", 0));
    }

    #[test]
    fn beyond_the_bound_newcomers_share_and_those_before_them_do_not() {
        let addresses = one_each(2);
        assert!(passes(&addresses, "192.0.2.1", 0) && passes(&addresses, "192.0.2.2", 0));
        assert!(passes(&addresses, "192.0.2.3", 0), "the first of the others");
        assert!(!passes(&addresses, "192.0.2.4", 0), "and what they share is used up");
        assert_eq!(addresses.known.lock().expect("nobody panicked").usages.len(), 2);
    }

    #[test]
    fn who_is_of_no_account_any_more_makes_room() {
        let addresses = one_each(2);
        assert!(passes(&addresses, "192.0.2.1", 0) && passes(&addresses, "192.0.2.2", 0));
        let later = 5 * SECOND;
        assert!(passes(&addresses, "192.0.2.3", later) && passes(&addresses, "192.0.2.4", later));
        assert!(!passes(&addresses, "192.0.2.3", later), "they are told apart again");
    }

    #[test]
    fn who_has_something_under_way_is_not_forgotten() {
        let limits = Limits { concurrent_requests: Some(1), ..Limits::default() };
        let addresses = Addresses::with_room_for(1, limits);
        let waits = addresses.usage(address("192.0.2.1"), 0).begin(0, Some(0)).expect("free");
        let later = 5 * SECOND;
        assert!(passes(&addresses, "192.0.2.2", later), "there is no room, and it shares with nobody yet");
        assert!(!passes(&addresses, "192.0.2.1", later), "its one request is still under way");
        drop(waits);
        assert!(passes(&addresses, "192.0.2.1", 2 * later));
    }
}

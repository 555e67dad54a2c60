//! Names and numbers by which things are called.
//!
//! None of them is drawn by the core: a runtime gives request ids, consumer ids and the boot number, and all
//! other ids follow from those. So deleting one line of a trace renumbers nothing in the lines after it.

use alloc::{borrow::Cow, string::String, sync::Arc};
use core::{
    borrow::Borrow,
    fmt,
    ops::{Deref, RangeInclusive},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Which start of the broker this is: 0 for the first, growing by at least one with each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boot(pub u32);

/// One request, from the runtime's acceptance of it to its one reply.
///
/// Unique over the whole life of the data: a runtime makes it with [`RequestId::new`] from the boot number and a
/// counter. It is also the handle under which the runtime keeps what the core never sees, the request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

impl RequestId {
    const COUNTER_BITS: u32 = 40;

    /// The `counter`-th request of a boot. A boot has room for 2^40 requests.
    pub fn new(boot: Boot, counter: u64) -> Self {
        debug_assert!(counter < 1 << Self::COUNTER_BITS, "a boot has room for 2^40 requests");
        debug_assert!(boot.0 < 1 << (64 - Self::COUNTER_BITS), "there is room for 2^24 boots");
        Self(u64::from(boot.0) << Self::COUNTER_BITS | counter)
    }
}

/// One life of a topic name: the id of the request that created it, so a topic that was deleted and created
/// again under its old name is another topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(pub u64);

impl From<RequestId> for TopicId {
    fn from(request: RequestId) -> Self {
        Self(request.0)
    }
}

/// One partition of one topic: a log.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The topic.
    pub topic: TopicId,
    /// The partition's number, from 0.
    pub partition: u32,
}

impl LogId {
    /// All logs that a topic may have.
    pub(crate) fn of_topic(topic: TopicId) -> RangeInclusive<Self> {
        Self { topic, partition: 0 }..=Self { topic, partition: u32::MAX }
    }
}

/// A record's place in its log. Offsets only grow; on a shared cluster they may have gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

/// One append: the request that brought the records, and which of its partitions they are for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendId {
    /// The request that produces.
    pub request: RequestId,
    /// The partition appended to; a request has at most one append to each.
    pub partition: u32,
}

/// One fetch: the request that reads, and the how-manieth fetch it is of that request (a poll that waits for
/// `min_bytes` may need several).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId {
    /// The request that reads.
    pub request: RequestId,
    /// From 0.
    pub attempt: u32,
}

/// A consumer: one session with one position for each of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConsumerId(pub Uuid);

impl fmt::Display for ConsumerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One response of one consumer that told something new (records, or a change of assignment).
///
/// Made from the boot number and a count per consumer, so that ids handed out before a crash are never handed
/// out again. 0 is "nothing yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub u64);

impl BatchId {
    /// What stands before a consumer's first batch.
    pub const NONE: Self = Self(0);

    /// The id that follows `self` in boot `boot`.
    #[must_use]
    pub fn next(self, boot: Boot) -> Self {
        let first = u64::from(boot.0) << 32;
        Self(self.0.max(first) + 1)
    }
}

/// How often a group's assignment has been decided. A member is told the generation in which its own partitions
/// last changed. Never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// The place of a fact in the order in which the core decided them, from 1. 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FactSeq(pub u64);

impl FactSeq {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A pair of numbers is written `a/b`, in traces and facts too: short, and fit to be the key of a JSON map.
macro_rules! pair {
    ($name:ident { $first:ident: $first_type:ident, $second:ident }) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.$first.0, self.$second)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = PairError;
            fn from_str(text: &str) -> Result<Self, PairError> {
                let (first, second) = text.split_once('/').ok_or(PairError)?;
                let $first = $first_type(first.parse().map_err(|_| PairError)?);
                let $second = second.parse().map_err(|_| PairError)?;
                Ok(Self { $first, $second })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pair!(LogId { topic: TopicId, partition });
pair!(AppendId { request: RequestId, partition });
pair!(FetchId { request: RequestId, attempt });

/// The text is not two numbers with a slash between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected two numbers with a slash between them, as in 7/0")]
pub struct PairError;

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NameError {
    /// It has no characters.
    #[error("a name must not be empty")]
    Empty,
    /// It has too many bytes.
    #[error("a name has at most {max} bytes, this one has {bytes}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// It has a character outside the allowed set.
    #[error("a topic name is made of ASCII letters, digits, '.', '_' and '-', and this one has {0:?}")]
    BadCharacter(char),
    /// It is `.` or `..`.
    #[error("a topic can't be named '.' or '..'")]
    Dots,
    /// It has a control character.
    #[error("an id must not have control characters, and this one has {0:?}")]
    Control(char),
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(&name)
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// A topic's name, by Kafka's rule: 1 to 249 of `[A-Za-z0-9._-]`, and neither `.` nor `..`.
    TopicName
}

impl TopicName {
    /// The longest a topic name may be, in bytes.
    pub const MAX_BYTES: usize = 249;

    /// Checks a name and takes it.
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_length(name, Self::MAX_BYTES)?;
        if let Some(bad) = name.chars().find(|&c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
            return Err(NameError::BadCharacter(bad));
        }
        if name == "." || name == ".." {
            return Err(NameError::Dots);
        }
        Ok(Self(name.into()))
    }
}

name! {
    /// A consumer group's id: 1 to 255 bytes without control characters.
    GroupName
}

name! {
    /// What a client calls itself, for whoever looks at its group: 1 to 255 bytes without control characters.
    ClientId
}

name! {
    /// Which of a group's workers a client is, whatever its consumer's id: 1 to 255 bytes without control characters.
    InstanceId
}

/// Ids that clients choose freely.
macro_rules! free_name {
    ($name:ident) => {
        impl $name {
            /// The longest it may be, in bytes.
            pub const MAX_BYTES: usize = 255;

            /// Checks a text and takes it.
            ///
            /// # Errors
            /// Says what is wrong with it.
            pub fn new(name: &str) -> Result<Self, NameError> {
                check_length(name, Self::MAX_BYTES)?;
                if let Some(bad) = name.chars().find(|c| c.is_control()) {
                    return Err(NameError::Control(bad));
                }
                Ok(Self(name.into()))
            }
        }
    };
}

free_name!(GroupName);
free_name!(ClientId);
free_name!(InstanceId);

fn check_length(name: &str, max: usize) -> Result<(), NameError> {
    match name.len() {
        0 => Err(NameError::Empty),
        bytes if bytes > max => Err(NameError::TooLong { bytes, max }),
        _ => Ok(()),
    }
}

//! Where to begin in a partition, as the command line has it.

use std::{
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// `beginning`, `end`, `N`, `-N` (so many before the end), `@MS` (a time, in milliseconds since the epoch) or `@-AGE`
/// (so long ago, as in `@-15m`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartAt {
    Beginning,
    End,
    Offset(u64),
    BeforeEnd(u64),
    TimestampMs(u64),
    Ago(Duration),
}

impl FromStr for StartAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| digits.parse::<u64>().ok();
        let parsed = match text {
            "beginning" | "earliest" | "start" => Some(Self::Beginning),
            "end" | "latest" => Some(Self::End),
            _ => match (text.strip_prefix("@-"), text.strip_prefix('@'), text.strip_prefix('-')) {
                (Some(age), ..) => duration(age).map(Self::Ago),
                (_, Some(timestamp_ms), _) => number(timestamp_ms).map(Self::TimestampMs),
                (.., Some(records)) => number(records).map(Self::BeforeEnd),
                _ => number(text).map(Self::Offset),
            },
        };
        parsed.ok_or_else(|| "it is beginning, end, N, -N, @MILLISECONDS or @-AGE (as in @-15m)".to_owned())
    }
}

impl StartAt {
    /// The time that it names, if it is one.
    pub(super) fn timestamp_ms(self) -> Option<u64> {
        match self {
            Self::TimestampMs(timestamp_ms) => Some(timestamp_ms),
            Self::Ago(age) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(now.saturating_sub(age).as_millis()).ok()
            }
            _ => None,
        }
    }
}

/// `90s`, `15m`, `2h`, `7d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let seconds = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_it() {
        for (text, at) in [
            ("beginning", StartAt::Beginning),
            ("end", StartAt::End),
            ("17", StartAt::Offset(17)),
            ("-5", StartAt::BeforeEnd(5)),
            ("@1704537600000", StartAt::TimestampMs(1_704_537_600_000)),
            ("@-2h", StartAt::Ago(Duration::from_hours(2))),
        ] {
            assert_eq!(text.parse(), Ok(at), "{text}");
        }
        for text in ["", "-", "@", "@-", "@-5", "x", "1.5", "--1", "@-5µ"] {
            assert!(text.parse::<StartAt>().is_err(), "{text}");
        }
    }
}

//! Oracles: what must hold, always, each with a number and a name by which a violation calls it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes the enum and its tables from one list.
macro_rules! oracles {
    ($($number:literal $name:ident $text:literal $sentence:literal;)+) => {
        /// A promise that the simulator holds the broker to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Oracle {
            $(#[doc = $sentence] $name = $number,)+
        }

        impl Oracle {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name, in a few words.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// What must hold.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence),+ }
            }
        }
    };
}

oracles! {
    1 AcknowledgedSurvives "acknowledged survives" "An acknowledged record survives every crash.";
    2 OffsetsDense "offsets dense" "Offsets are dense and unique, and an offset is never given twice.";
    3 ReadsAgree "reads agree" "Every read of an offset gives the same record.";
    4 ReadsWithinBounds "reads within bounds" "Nothing is read beyond what is durable, or before the log's start.";
    5 ReadsContinuous "reads continuous" "What is fetched from N on is N, N+1 and so on, without a skip or a repeat.";
    6 FailedUnseen "failed unseen" "Nothing of a failed append is ever seen.";
    7 BoundsGrow "bounds grow" "A log's start and end never go back, across restarts too.";
    8 OneReply "one reply" "Each request is answered once, and not after its client hung up.";
    9 NothingLeaks "nothing leaks" "At rest no operation, body, waiter or timer is left.";
    10 NoSleeper "no sleeper" "Nobody waits for records that are there.";
    11 PollsEnd "polls end" "A long poll ends by its deadline.";
    12 NoDueTimer "no due timer" "No due timer remains after a step.";
    13 GenerationsGrow "generations grow" "Generations strictly grow, across crashes too.";
    14 OneOwner "one owner" "A partition has one owner in its group, and only that one is delivered it.";
    15 FencedNeverCommits "fenced never commits" "Who does not hold a partition, or no longer is a member, never commits.";
    16 CommitsReadBack "commits read back" "An acknowledged commit is read back, across crashes too.";
    17 CommitsInLog "commits in log" "A commit is not beyond the log's end.";
    18 AssignmentTold "assignment told" "A live member learns its assignment at once, and a silent one loses it in time.";
    19 RetriesRecognized "retries recognized" "What is sent again is recognized: never a duplicate, nor an acknowledged gap.";
    20 NoFalseWait "no false wait" "A slow or failed log delays nobody who did not ask for it.";
    21 RecoveryEqual "recovery equal" "Snapshot and facts make up the state that did not crash.";
    22 ReplayEqual "replay equal" "The same events give the same commands.";
    23 Bounded "bounded" "Every queue keeps its bound.";
    24 DeliveredOnce "delivered once" "A group gets each record, and again only if its commit was not acknowledged.";
    25 AllEnds "all ends" "When faults stop, every request ends and every group becomes stable.";
    26 Linearizable "linearizable" "Produce, read and commit of a log look as if each happened at one moment.";
    27 PauseKept "pause kept" "A paused partition stays assigned and is not delivered.";
    28 SharesFair "shares fair" "Shares are even, of what members subscribe to, and whoever comes back has its share again.";
}

impl Oracle {
    /// Its number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The oracle that a rule of [`Core::check`](takhin_core::Core::check) belongs to.
    pub(crate) fn of_rule(rule: &str) -> Self {
        match rule {
            "no due timer remains after a step" => Self::NoDueTimer,
            "partitions are counted" => Self::Bounded,
            "a parked poll ends by its deadline" | "a parked poll is timed" => Self::PollsEnd,
            "an open poll is its consumer's poll" | "a consumer's poll is open" => Self::OneReply,
            "no reply waits for a fact that is durable" => Self::NoFalseWait,
            "a log starts before it ends" => Self::BoundsGrow,
            "a position is not beyond the end" => Self::ReadsWithinBounds,
            "what is counted is from the position on" => Self::ReadsContinuous,
            "no member is ahead of its group" => Self::GenerationsGrow,
            "a partition has one owner in its group"
            | "a partition is meant for one member, who is indexed"
            | "a partition is owned by a member" => Self::OneOwner,
            "no partition meant for somebody lies idle"
            | "exactly what is held beyond the target is being given up"
            | "what is being given up was told or is to be told"
            | "a partition is given up within a bound"
            | "a session without a poll is timed"
            | "exactly the members that are there have to poll"
            | "who is away neither polls nor keeps others waiting" => Self::AssignmentTold,
            "what is paused is held" | "a pause is recorded" => Self::PauseKept,
            "what is to expire is empty since then" | "every empty group is to expire" => Self::CommitsReadBack,
            "a static place is a consumer's that asked for it"
            | "a pattern has a subscriber"
            | "what matches a pattern can be used"
            | "who is listed for a pattern subscribes with it" => Self::SharesFair,
            "every consumer has a session and every session a consumer"
            | "what a session has is what its record holds"
            | "a session is of its group"
            | "a position that is not durable is known as outdated" => Self::RecoveryEqual,
            "what was delivered and is not committed is known" => Self::Linearizable,
            "a consumer waits on exactly the logs of which it has seen all"
            | "what has something is ready"
            | "what has no position is known"
            | "nobody woken is left unheard"
            | "a poll fetches or is parked"
            | "no poll sleeps while there is news"
            | "no poll sleeps while its data is there" => Self::NoSleeper,
            // What is parked, held or waiting for nobody.
            _ => Self::NothingLeaks,
        }
    }
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.name())
    }
}

/// An oracle's verdict: what it saw that must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("oracle {oracle}: {detail}")]
pub struct Violation {
    /// Whose verdict.
    pub oracle: Oracle,
    /// What it saw.
    pub detail: String,
}

impl Violation {
    pub(crate) fn new(oracle: Oracle, detail: impl Into<String>) -> Self {
        Self { oracle, detail: detail.into() }
    }

    /// What the core says of itself.
    pub fn of_core(broken: &takhin_core::Violation) -> Self {
        Self::new(Oracle::of_rule(broken.rule), broken.to_string())
    }
}

/// Ends a check with a violation unless something holds.
macro_rules! must {
    ($holds:expr, $oracle:ident, $($detail:tt)+) => {
        if !$holds {
            return Err($crate::oracle::Violation::new($crate::oracle::Oracle::$oracle, format!($($detail)+)));
        }
    };
}
pub(crate) use must;

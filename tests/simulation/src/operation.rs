//! What can happen in a step: the operations that a word is drawn from, and the faults that they belong to.
//!
//! One more operation is one more line here and one more arm in [`World::operate`](crate::world::World::operate).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::engine_kind::EngineKind;

/// Makes the enum of operations and its tables from one list: how often at most, and which fault, if it is one.
macro_rules! operations {
    ($($name:ident $weight:literal $($fault:ident)?: $doc:literal;)+) => {
        /// Something that happens in a step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Operation { $(#[doc = $doc] $name,)+ }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// How often it happens at most, against the others.
            pub(crate) fn weight(self) -> u16 {
                match self { $(Self::$name => $weight),+ }
            }

            /// The fault that it is, if it is one.
            pub fn fault(self) -> Option<Fault> {
                match self { $(Self::$name => operations!(@fault $($fault)?)),+ }
            }
        }
    };
    (@fault) => { None };
    (@fault $fault:ident) => { Some(Fault::$fault) };
}

operations! {
    Complete 400: "The engine carries out something that waits.";
    CompleteAll 30: "The engine carries out all that waits.";
    Poll 60: "A client polls, and does not wait.";
    LongPoll 60: "A client polls, and waits.";
    Commit 40: "A client commits what it received, of all partitions or of one.";
    CommitAll 20: "A client commits all that was delivered, without saying what.";
    CommitStale 4: "A client commits and names a generation that is over.";
    CommitAnywhere 8: "A client that does as it likes commits any offset.";
    Seek 12: "A client that does as it likes seeks.";
    SeekPlace 8: "A client seeks to the committed offset, or as it likes to a log's beginning or end.";
    Assign 4: "A client that does as it likes takes partitions by hand.";
    Resubscribe 5: "A client subscribes to something else.";
    PausePartitions 6: "A client wants some of its partitions no longer.";
    ResumePartitions 10: "A client wants all of its partitions again.";
    Describe 12: "A client asks about itself.";
    AskCommitted 16: "A client asks what its group has committed.";
    Subscribe 8: "A client subscribes, or repeats that.";
    Close 3: "A client says goodbye.";
    Die 2 Zombie: "A client goes and says nothing.";
    Sleep 3 Zombie: "A client is silent for longer than its session lasts, and goes on as if nothing had been.";
    Haunt 4 Zombie: "Who a client was before polls or commits.";
    Pause 6: "A client processes what it got for a while.";
    HangUp 8 HangUp: "A client does not wait for its answer any longer.";
    Produce 90: "Records for one partition.";
    ProduceMany 20: "Records for several partitions in one request.";
    ProduceNumbered 30: "A producer sends its next records, or again those of which it does not know.";
    ProduceOutOfOrder 3: "A producer leaves records out.";
    ProduceFenced 3 Zombie: "A producer goes on in an epoch that is over.";
    BeginEpoch 2: "A producer begins anew.";
    ProduceKeyed 8: "Records with an idempotency key, sent again at times, and at times others with the same key.";
    ProduceExpecting 8: "Records for a log that has to end at a certain offset.";
    Read 10: "Reads a partition without a consumer.";
    LongRead 10: "Reads a partition without a consumer, from its end.";
    CreateTopic 10: "Creates a topic.";
    AddPartitions 3 Topics: "Gives a topic more partitions.";
    DeleteTopic 1 Topics: "Deletes a topic.";
    ConfigureTopic 3 Topics: "Changes how a topic is kept, or gives it more partitions.";
    SetOffsets 4: "Sets a group's offsets from outside, or asks what that would do.";
    DeleteOffsets 2: "Deletes offsets, or a whole group, from outside.";
    DescribeTopics 4: "Asks about topics.";
    DescribeGroups 6: "Asks about groups.";
    PassLittle 30: "Some milliseconds pass.";
    PassMuch 10: "Seconds pass.";
    PassToDeadline 20: "It is the very moment at which something falls due.";
    TellDate 10: "The broker is told the date.";
    SetDate 2 Clock: "The date is set.";
    JumpForward 2 Clock: "The clock jumps ahead over everything that is due.";
    JumpBack 3 Clock: "The clock goes back.";
    Delay 20 Late: "The engine carries something out and says so later.";
    Report 30 Late: "The engine says what it did not say.";
    Repeat 6 Late: "The engine says something twice.";
    Block 4 Slow: "A log becomes slow.";
    Unblock 4 Slow: "A slow log is as before.";
    FailAppend 10 Appends: "An append fails and does nothing.";
    FailRead 6 Reads: "A read fails, or a date can't be looked up.";
    ShortRead 10 Reads: "A read brings less than was asked for.";
    FailCreate 3 Appends: "A log can't be made.";
    Corrupt 2 Corrupt: "Some records can't be read any more.";
    Trim 5 Trim: "Retention drops records.";
    Compact 8 Trim: "Compaction drops records in the midst of a log.";
    FillDisk 2 Full: "The disk is full.";
    MakeRoom 4 Full: "The disk has room again.";
    FailSync 1 Sync: "A sync fails: nothing is known of what the disk holds.";
    Snapshot 4: "A snapshot is taken.";
    Crash 3 Crash: "The broker dies and is started anew.";
    Drain 1 Drain: "The broker is told to stop, and is started anew some time later.";
    Garbage 3 Garbage: "An event that makes no sense, or no sense any more.";
    Hear 80: "A node hears how far a log reaches by now, or that it reaches further.";
    WriteOutside 30: "Another client of Kafka writes, begins a transaction or ends one.";
    LoseAppend 8 Appends: "An append is given up: all, some or nothing of it is there, now or later.";
    Drift 8 Appends: "Something arrives that was given up.";
    LookAtTopics 12: "A node looks what topics there are.";
    ChangeTopicsOutside 4 Topics: "Another client of Kafka makes, changes, deletes or replaces a topic.";
}

impl Operation {
    /// The engine without which it makes no sense.
    pub fn engine(self) -> Option<EngineKind> {
        match self {
            Self::ProduceNumbered
            | Self::ProduceOutOfOrder
            | Self::ProduceFenced
            | Self::BeginEpoch
            | Self::ProduceKeyed
            | Self::ProduceExpecting
            | Self::FailCreate
            | Self::FillDisk
            | Self::MakeRoom
            | Self::FailSync => Some(EngineKind::Local),
            Self::Hear
            | Self::WriteOutside
            | Self::LoseAppend
            | Self::Drift
            | Self::LookAtTopics
            | Self::ChangeTopicsOutside => Some(EngineKind::Kafka),
            _ => None,
        }
    }
}

/// Makes the enum of faults and its names from one list.
macro_rules! faults {
    ($($name:ident $text:literal $doc:literal;)+) => {
        /// A kind of trouble.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Fault { $(#[doc = $doc] $name,)+ }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name on a command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

faults! {
    Crash "crash" "The broker dies between two steps.";
    Late "late" "Completions come late, in another order, and twice.";
    Slow "slow" "Single logs are slow.";
    Reads "reads" "Reads fail or are short.";
    Corrupt "corrupt" "Stored records can't be read any more.";
    Appends "appends" "Appends and the making of logs fail.";
    Sync "sync" "A sync fails.";
    Full "full" "The disk is full for a while.";
    Trim "trim" "Retention and compaction drop records.";
    Topics "topics" "Topics grow, go and come again.";
    Clock "clock" "The clock jumps.";
    Lost "lost" "Answers get lost.";
    HangUp "hangup" "Clients do not wait for their answers.";
    Zombie "zombie" "Clients die without goodbye, or wake after their session ended.";
    Limits "limits" "The broker's bounds are so small that they are reached.";
    Drain "drain" "The broker is told to stop.";
    Garbage "garbage" "Events that make no sense.";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|fault| fault.name() == text);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|fault| fault.name()).collect();
            format!("no fault is named {text:?}; there are {}", names.join(", "))
        })
    }
}

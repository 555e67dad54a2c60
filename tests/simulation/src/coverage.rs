//! Rare states: what a run must meet at times, or else its silence says little.

use crate::engine_kind::EngineKind;

/// Makes the enum and its names from one list.
macro_rules! rare {
    ($($name:ident $text:literal;)+) => {
        /// A state that is seldom met, and where bugs like to be.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Rare { $(#[doc = $text] $name,)+ }

        impl Rare {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// What it is, in a few words.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

rare! {
    CrashBetweenFactAndReply "crash while an answer waits for its facts";
    CrashUnderParkedPoll "crash under a parked poll";
    CrashBeforeReport "crash after something was done and before it was said";
    CrashWhileDraining "crash while the broker is draining";
    RecoversFromSnapshot "recovery from a snapshot and later facts";
    SupersedesPoll "poll superseded by a newer one";
    HangsUpOnHeldAnswer "client hangs up while its answer waits for facts";
    LossSeenLate "loss of an answer seen late";
    AnswerForFormerSelf "answer to who a client was before";
    HearsThatItExpired "client hears that its session ended";
    BatchComesTwice "batch handed out twice";
    PollMeetsDamage "poll meets records that can't be read";
    PartOfProduceFails "part of a produce request fails";
    ProduceRepeated "produce repeated after a lost answer";
    NoRoomForConsumer "no room for one more consumer or group";
    CommitInStepOfExpiry "commit in the very step in which a session ends";
    CommitAfterExpiry "commit of a consumer that is no more";
    CommitOutOfDate "commit from a generation that is over";
    RebalanceDuringFetch "shares change while the engine reads for a member";
    SupersededDuringFetch "poll superseded while the engine reads for it";
    SeekDuringFetch "seek while the engine reads";
    TopicDeletedUnderParkedPoll "topic deleted under a parked poll";
    TopicGrowsUnderParkedPoll "topic grows under a parked poll";
    TopicComesAgain "topic created again under its old name";
    PositionTrimmed "position trimmed away before it was read";
    FormerBootsBatchAgain "batch of a former boot handed out again";
    PollWaitsForMore "poll reads, finds too little and waits on";
    PollMeetsNoOffset "poll without a committed offset to begin at";
    BatchUnknown "poll names a batch that nobody remembers";
    DrainUnderParkedPoll "drain under a parked poll";
    NoRoomToPark "no room for one more parked poll";
    StorageFailsUnderHeldAnswer "storage fails while an answer waits for its facts";
    FencedForHoldingOn "member removed because it held on to a revoked partition";
    TakesByHandFromGroup "member takes partitions by hand and leaves the subscription";
    CrashWithOpenBatch "crash with a batch of which nobody knows whether it arrived";
    CrashLosesDecisions "crash loses decisions";
    UncertainAppendSurvives "append of unknown fate is there after a restart";
    UncertainAppendLost "append of unknown fate is gone after a restart";
    ClockGoesBack "clock goes back";
    TimersFireLate "several timers fire late, in one step";
    ComesBackToItsPlace "static member takes its place again";
    TakesPlaceOfTheLiving "static member takes the place of one that still is there";
    GhostIsRefused "call of who a client was before";
    DeliveryPaused "partition paused while the engine reads";
    ResumedUnderParkedPoll "partition resumed under a parked poll";
    ResubscribesUnderPoll "subscription changed under a poll";
    PatternMeetsTopic "topic comes that a pattern matches";
    NoRoomForPattern "no room for one more pattern";
    MixedAssignors "members want different assignors";
    RemovedForNotPolling "member removed because it did not poll";
    SubscribeRepeated "subscription repeated";
    SeeksPlace "seek to a place";
    LookupFails "date can't be looked up";
    CrashDuringLookup "crash while a date is looked up";
    MetadataReadBack "metadata of a commit read back";
    DuplicateRecognized "records sent again recognized";
    DuplicateAcrossCrash "records sent again recognized across a crash";
    GapRefused "producer that left records out refused";
    ProducerFenced "producer of an older epoch refused";
    KeyReused "idempotency key of other records refused";
    ExpectationFails "log does not end where it should";
    OffsetsSetFromOutside "offsets set from outside";
    GroupInUse "offsets of a group that somebody is in left as they are";
    GroupExpires "group forgotten after a while";
    ReadsOverGap "read over records that were compacted away";
    OthersGoOnBesideSlowLog "others go on beside a slow log";
    HearsLate "node hears late that a log was written to";
    HearsAStepOnly "node hears of a part of what was written";
    RecordsScattered "others' records between those of one request";
    TransactionTakenBack "transaction of another client taken back";
    WaitsForTransaction "acknowledged record behind a transaction that is open";
    TrimmedBeyondHeard "log trimmed beyond the end that a node knows of";
    ReadsOnlyAPlace "read finds no record, and a place to go on from";
    UnknownAppendInPart "append of unknown fate is there in part";
    UnknownAppendArrives "append of unknown fate arrives later";
    TopicReplacedOutside "topic replaced by another client";
    TopicGoneUnheard "request about a topic that is gone, and nobody has heard of it";
    FrontOutlivesCell "cell taken over while its former node goes on";
}

impl Rare {
    /// The engine without which it can't be met.
    pub fn engine(self) -> Option<EngineKind> {
        match self {
            Self::StorageFailsUnderHeldAnswer
            | Self::UncertainAppendSurvives
            | Self::UncertainAppendLost
            | Self::DuplicateRecognized
            | Self::DuplicateAcrossCrash
            | Self::GapRefused
            | Self::ProducerFenced
            | Self::KeyReused
            | Self::ExpectationFails => Some(EngineKind::Local),
            state if state as u8 >= Self::HearsLate as u8 => Some(EngineKind::Kafka),
            _ => None,
        }
    }

    /// Those that can be met on an engine.
    pub fn on(engine: EngineKind) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |state| state.engine().is_none_or(|of| of == engine))
    }
}

/// How often each rare state was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage([u64; Rare::ALL.len()]);

impl Default for Coverage {
    fn default() -> Self {
        Self([0; Rare::ALL.len()])
    }
}

impl Coverage {
    pub(crate) fn reached(&mut self, state: Rare) {
        self.0[state as usize] += 1;
    }

    /// How often a state was met.
    pub fn count(&self, state: Rare) -> u64 {
        self.0[state as usize]
    }

    /// The states of an engine that were never met.
    pub fn missing(&self, engine: EngineKind) -> impl Iterator<Item = Rare> + '_ {
        Rare::on(engine).filter(|state| self.count(*state) == 0)
    }

    /// How often each state of an engine was met, a line for each.
    pub fn table(&self, engine: EngineKind) -> String {
        let line = |state: Rare| format!("{:>12}  {}", self.count(state), state.name());
        Rare::on(engine).map(line).collect::<Vec<_>>().join("\n")
    }

    /// Adds what another run met.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }
}

//! Bugs to be switched on, each of which breaks one promise: they show that the simulator's oracles see what they are
//! for. Without the feature `planted` none of this is compiled, and with it nothing happens until a core is planted.

/// A bug. Those of storage are carried out by the simulator's engine, which is where they can be.
#[cfg(feature = "planted")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bug {
    /// A crash takes the last record of a log along.
    CrashTakesLastRecord,
    /// A producer is told the end of its records for their beginning.
    EndToldAsOffset,
    /// A log that was trimmed is read as if it still began at 0.
    ReadsShiftedByTrim,
    /// Records are shown as soon as they are on their way.
    ShownBeforeDurable,
    /// A poll is said to bring all that was asked for, whatever was read.
    ShortReadTakenAsWhole,
    /// The first record of an append that failed is written with the next one.
    FailedAppendLeftBehind,
    /// A restart makes logs start at 0.
    StartForgottenByRestart,
    /// A completion that is said twice is answered twice.
    RepeatedCompletionAnswered,
    /// What was read for a poll that is over is kept.
    ReadForNobodyKept,
    /// Who waits to read a log is not woken when it grows.
    ReadersNotWoken,
    /// No long poll ends by its deadline.
    DeadlinesIgnored,
    /// Only one timer is fired in a step.
    OneTimerAStep,
    /// A rebalance keeps the generation.
    GenerationKept,
    /// A partition is granted while another still holds it.
    GrantedWhileHeld,
    /// Whoever asks may commit.
    AnybodyCommits,
    /// A commit is acknowledged before it is durable.
    CommitAcknowledgedEarly,
    /// A commit may be beyond the end.
    CommitBeyondEnd,
    /// Nobody is too silent to be a consumer.
    SilenceIgnored,
    /// A producer waits for facts that it has nothing to do with.
    ProducersWaitForFacts,
    /// Positions are changed without a fact.
    PositionsWithoutFact,
    /// What is taken as durable of a batch whose receipt isn't known stays so when that is known.
    BatchKeptAsOpen,
    /// What is read depends on something that no trace holds.
    HiddenInput,
    /// There is room for any number of consumers.
    ConsumersUnbounded,
    /// What was lost on its way counts as delivered.
    LossIgnored,
    /// Who asked for logs that can't be made hears nothing.
    FailedCreationUnanswered,
    /// A commit that is refused as out of date is applied all the same.
    StaleCommitApplied,
    /// What a client wants to remember with a commit is told to be remembered, and is not.
    MetadataForgotten,
    /// Records are appended wherever the log ends.
    ExpectationIgnored,
    /// Producers are not recognised.
    StampDropped,
    /// Who subscribes a second time because no answer came is refused.
    RepeatedSubscribeRefused,
    /// A paused partition is read for a poll all the same.
    PausedIsRead,
    /// All that a group shares goes to its first member.
    FirstTakesAll,
    /// A static member that says goodbye has its share handed on.
    PlaceNotKept,
    /// A pattern does not see topics that come later.
    PatternKeepsItsTopics,
    /// A seek ends behind the record that was meant.
    SeekLandsBehind,
    /// Members need not poll.
    PollIntervalIgnored,
    /// Whatever date is looked up, it is said to be at the end.
    LookedUpAsEnd,
    /// Offsets of an empty group are forgotten in half the time.
    OffsetsExpireEarly,
    /// Offsets of a group are set though somebody is in it.
    OffsetsSetUnderMembers,
    /// A dry run does what it is to tell.
    DryRunIsReal,
    /// A poll is said to bring records that were compacted away.
    GapsCounted,
    /// Nobody who waits hears that others wrote to a log.
    MovesUnheard,
    /// What a transaction wrote is read before it ended.
    OpenTransactionsShown,
    /// A request's records are said to lie one behind the other, though others' came between.
    ScatteredToldAsDense,
    /// Of an append that was given up nothing is said.
    UnknownNeverSaid,
    /// An append that was given up is said not to have been done.
    UnknownToldAsNothing,
    /// It is answered without asking Kafka how far logs reach.
    EndsNotAsked,
    /// While one log is slow, nothing is appended to any.
    SlowLogHoldsOthers,
    /// A read that goes over a gap leaves out a record.
    RecordLeftOutAtGap,
    /// The owner of a cell does not look at what lies between its own entries.
    JournalGapsIgnored,
    /// An append of which the outcome isn't known counts as done.
    UnsureTakenForDone,
    /// Who takes a cell over applies what its former owners appended after they were overtaken.
    StaleFactsApplied,
    /// Who takes a cell over applies facts before which others of the same owner are missing.
    FactsBehindGapApplied,
    /// The owner of a cell serves for as long as it believes to be one.
    LeaseForgotten,
    /// Who takes a cell over does not wait for the lease of whoever had it.
    TakenOverAtOnce,
    /// Who takes a cell over waits from when it sent its announcement, and not from when it knows that it lies there.
    WaitFromSending,
    /// Who takes a cell over goes by when it saw the journal's end, though others appended since.
    SightingOutlived,
    /// Who takes a cell over begins to serve when anybody resigns.
    AnyResignationCounts,
    /// An owner of a cell that has nothing to append does not show that it is there.
    NeverShown,
    /// An owner of a cell numbers its facts from before the last ones on.
    FactsNumberedAgain,
    /// A lease begins when an append is acknowledged, and not when it was sent.
    LeaseFromAcknowledgement,
}

/// Whether a core has a bug. Never, without the feature.
macro_rules! planted {
    ($core:expr, $bug:ident) => {{
        #[cfg(feature = "planted")]
        let planted = $core.planted == Some($crate::planted::Bug::$bug);
        #[cfg(not(feature = "planted"))]
        let planted = false;
        planted
    }};
}
pub(crate) use planted;

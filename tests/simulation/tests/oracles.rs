//! Each oracle catches what it is for: with a bug planted, seeds are run until that oracle speaks, and what it found is
//! small once shrunk.
#![cfg(feature = "planted")]

use std::collections::BTreeSet;

use takhin_core::planted::Bug;
use takhin_simulation::{EngineKind, Fault, Found, Oracle, Simulation};

/// Steps of one run.
const STEPS: u32 = 2_000;
/// Seeds tried at most.
const SEEDS: u64 = 2_000;
/// Lines of a shrunk trace at most, its header not counted.
const LINES: usize = 20;
/// The same where a core is told how far logs reach before each request.
const LINES_IN_CLUSTER: usize = 25;
/// Catches of which the smallest counts: some runs leave less room to be made small than others.
const CATCHES: usize = 8;

/// Runs seeds until an oracle catches a bug. Gives the steps that took, and the violation made small.
fn hunt(engine: EngineKind, bug: Bug, oracle: Oracle) -> (u64, Found) {
    let faults: BTreeSet<Fault> = Fault::ALL.iter().copied().collect();
    let most = lines_at_most(engine);
    let (mut steps, mut catches, mut best): (u64, usize, Option<(u64, Found)>) = (0, 0, None);
    for seed in 0..SEEDS {
        let mut simulation = Simulation::on(engine, seed, &faults);
        simulation.planted = Some(bug);
        simulation.options.twin |= bug == Bug::HiddenInput;
        let report = simulation.run(seed, STEPS);
        if catches == 0 {
            steps += report.steps;
        }
        if report.violation.as_ref().is_some_and(|violation| violation.oracle == oracle) {
            let found = simulation.shrink(seed, &report).expect("the same violation again");
            assert_eq!(found.violation.oracle, oracle);
            catches += 1;
            if best.as_ref().is_none_or(|(_, best)| lines(&found) < lines(best)) {
                best = Some((steps, found));
            }
        }
        if catches == CATCHES || best.as_ref().is_some_and(|(_, best)| lines(best) <= most) {
            break;
        }
    }
    best.unwrap_or_else(|| panic!("{bug:?} was not caught by oracle {oracle} in {steps} steps"))
}

fn lines_at_most(engine: EngineKind) -> usize {
    if engine == EngineKind::Kafka { LINES_IN_CLUSTER } else { LINES }
}

fn lines(found: &Found) -> usize {
    found.trace.lines().count() - 1
}

/// Makes a test for each line.
macro_rules! caught {
    ($engine:ident: $($test:ident $bug:ident $oracle:ident;)+) => {
        $(#[test]
        fn $test() {
            let (steps, found) = hunt(EngineKind::$engine, Bug::$bug, Oracle::$oracle);
            let lines = lines(&found);
            println!("| {} | {:?} | {steps} | {lines} |", found.violation.oracle, Bug::$bug);
            println!("{}", found.violation);
            assert!(lines <= lines_at_most(EngineKind::$engine), "{lines} lines:\n{}\n{}", found.violation, found.trace);
        })+

        #[test]
        fn every_oracle_has_a_bug_that_it_catches() {
            let caught: BTreeSet<Oracle> = [$(Oracle::$oracle),+].into();
            assert_eq!(caught, Oracle::ALL.iter().copied().collect());
        }
    };
}

/// One server.
mod local {
    use super::*;

    caught! {
        Local:
        an_acknowledged_record_that_a_crash_took_is_missed CrashTakesLastRecord AcknowledgedSurvives;
        an_offset_told_wrongly_is_noticed EndToldAsOffset OffsetsDense;
        an_offset_that_is_read_as_another_record_is_noticed ReadsShiftedByTrim ReadsAgree;
        a_read_of_what_is_not_durable_is_noticed ShownBeforeDurable ReadsWithinBounds;
        an_answer_that_skips_records_is_noticed ShortReadTakenAsWhole ReadsContinuous;
        a_record_of_a_failed_append_is_recognized FailedAppendLeftBehind FailedUnseen;
        a_start_that_goes_back_is_noticed StartForgottenByRestart BoundsGrow;
        a_second_answer_is_noticed RepeatedCompletionAnswered OneReply;
        what_nobody_drops_is_found_at_rest ReadForNobodyKept NothingLeaks;
        a_reader_that_sleeps_beside_its_data_is_noticed ReadersNotWoken NoSleeper;
        a_poll_that_waits_beyond_its_deadline_is_noticed DeadlinesIgnored PollsEnd;
        a_timer_that_is_left_is_noticed OneTimerAStep NoDueTimer;
        a_generation_given_twice_is_noticed GenerationKept GenerationsGrow;
        a_second_owner_is_noticed GrantedWhileHeld OneOwner;
        a_commit_by_who_must_not_is_noticed AnybodyCommits FencedNeverCommits;
        a_commit_acknowledged_before_it_is_durable_is_noticed CommitAcknowledgedEarly CommitsReadBack;
        a_commit_beyond_the_end_is_noticed CommitBeyondEnd CommitsInLog;
        a_silent_consumer_that_stays_is_noticed SilenceIgnored AssignmentTold;
        a_producer_that_waits_for_others_is_noticed ProducersWaitForFacts NoFalseWait;
        a_change_without_a_fact_is_noticed PositionsWithoutFact RecoveryEqual;
        a_position_that_facts_leave_out_is_noticed BatchKeptAsOpen RecoveryEqual;
        an_input_that_no_trace_holds_is_noticed HiddenInput ReplayEqual;
        a_bound_that_is_not_kept_is_noticed ConsumersUnbounded Bounded;
        a_lost_answer_that_loses_records_is_noticed LossIgnored DeliveredOnce;
        a_request_without_an_answer_is_noticed FailedCreationUnanswered AllEnds;
        a_refusal_that_was_none_is_noticed StaleCommitApplied Linearizable;
        metadata_that_is_not_remembered_is_noticed MetadataForgotten Linearizable;
        records_where_they_should_not_be_are_noticed ExpectationIgnored Linearizable;
        records_that_are_written_twice_are_noticed StampDropped RetriesRecognized;
        a_repeated_subscription_that_is_refused_is_noticed RepeatedSubscribeRefused RetriesRecognized;
        a_paused_partition_that_is_read_is_noticed PausedIsRead PauseKept;
        shares_that_are_not_even_are_noticed FirstTakesAll SharesFair;
        a_place_that_is_not_kept_is_noticed PlaceNotKept SharesFair;
        a_topic_that_a_pattern_misses_is_noticed PatternKeepsItsTopics DeliveredOnce;
        a_seek_that_misses_is_noticed SeekLandsBehind ReadsContinuous;
        a_member_that_does_not_poll_and_stays_is_noticed PollIntervalIgnored AssignmentTold;
        a_date_that_is_not_found_is_noticed LookedUpAsEnd DeliveredOnce;
        offsets_forgotten_too_early_are_noticed OffsetsExpireEarly CommitsReadBack;
        offsets_set_under_members_are_noticed OffsetsSetUnderMembers FencedNeverCommits;
        a_dry_run_that_is_none_is_noticed DryRunIsReal FencedNeverCommits;
        records_that_are_not_there_and_counted_are_noticed GapsCounted ReadsContinuous;
    }
}

/// A cell of a cluster.
mod kafka {
    use super::*;

    caught! {
        Kafka:
        an_acknowledged_record_that_a_crash_took_is_missed CrashTakesLastRecord AcknowledgedSurvives;
        an_offset_told_wrongly_is_noticed EndToldAsOffset OffsetsDense;
        records_that_do_not_lie_where_it_is_said_are_noticed ScatteredToldAsDense OffsetsDense;
        an_offset_that_is_read_as_another_record_is_noticed ReadsShiftedByTrim ReadsAgree;
        a_read_of_what_is_not_durable_is_noticed ShownBeforeDurable ReadsWithinBounds;
        a_read_of_what_may_be_taken_back_is_noticed OpenTransactionsShown ReadsWithinBounds;
        an_answer_that_skips_records_is_noticed ShortReadTakenAsWhole ReadsContinuous;
        a_record_left_out_at_a_gap_is_noticed RecordLeftOutAtGap ReadsContinuous;
        records_that_are_not_there_and_counted_are_noticed GapsCounted ReadsContinuous;
        a_seek_that_misses_is_noticed SeekLandsBehind ReadsContinuous;
        a_record_of_a_failed_append_is_recognized FailedAppendLeftBehind FailedUnseen;
        a_record_of_unknown_fate_is_not_said_to_be_none UnknownToldAsNothing FailedUnseen;
        a_start_that_goes_back_is_noticed StartForgottenByRestart BoundsGrow;
        a_second_answer_is_noticed RepeatedCompletionAnswered OneReply;
        what_nobody_drops_is_found_at_rest ReadForNobodyKept NothingLeaks;
        a_reader_that_sleeps_beside_its_data_is_noticed ReadersNotWoken NoSleeper;
        a_poll_that_waits_beyond_its_deadline_is_noticed DeadlinesIgnored PollsEnd;
        a_timer_that_is_left_is_noticed OneTimerAStep NoDueTimer;
        a_generation_given_twice_is_noticed GenerationKept GenerationsGrow;
        a_second_owner_is_noticed GrantedWhileHeld OneOwner;
        a_commit_by_who_must_not_is_noticed AnybodyCommits FencedNeverCommits;
        offsets_set_under_members_are_noticed OffsetsSetUnderMembers FencedNeverCommits;
        a_dry_run_that_is_none_is_noticed DryRunIsReal FencedNeverCommits;
        a_commit_acknowledged_before_it_is_durable_is_noticed CommitAcknowledgedEarly CommitsReadBack;
        offsets_forgotten_too_early_are_noticed OffsetsExpireEarly CommitsReadBack;
        a_commit_beyond_the_end_is_noticed CommitBeyondEnd CommitsInLog;
        a_silent_consumer_that_stays_is_noticed SilenceIgnored AssignmentTold;
        a_member_that_does_not_poll_and_stays_is_noticed PollIntervalIgnored AssignmentTold;
        a_repeated_subscription_that_is_refused_is_noticed RepeatedSubscribeRefused RetriesRecognized;
        a_slow_log_that_holds_others_is_noticed SlowLogHoldsOthers NoFalseWait;
        a_change_without_a_fact_is_noticed PositionsWithoutFact RecoveryEqual;
        a_position_that_facts_leave_out_is_noticed BatchKeptAsOpen RecoveryEqual;
        an_input_that_no_trace_holds_is_noticed HiddenInput ReplayEqual;
        a_bound_that_is_not_kept_is_noticed ConsumersUnbounded Bounded;
        a_lost_answer_that_loses_records_is_noticed LossIgnored DeliveredOnce;
        a_topic_that_a_pattern_misses_is_noticed PatternKeepsItsTopics DeliveredOnce;
        a_date_that_is_not_found_is_noticed LookedUpAsEnd DeliveredOnce;
        records_that_nobody_hears_of_are_noticed MovesUnheard DeliveredOnce;
        an_append_that_never_ends_is_noticed UnknownNeverSaid AllEnds;
        a_refusal_that_was_none_is_noticed StaleCommitApplied Linearizable;
        metadata_that_is_not_remembered_is_noticed MetadataForgotten Linearizable;
        an_end_that_is_out_of_date_is_noticed EndsNotAsked Linearizable;
        a_paused_partition_that_is_read_is_noticed PausedIsRead PauseKept;
        shares_that_are_not_even_are_noticed FirstTakesAll SharesFair;
        a_place_that_is_not_kept_is_noticed PlaceNotKept SharesFair;
    }
}

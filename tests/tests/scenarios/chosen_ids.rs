//! A client that chose its consumer's id may repeat a subscribe of which the answer was lost.

use takhin_core::{ClientId, ConsumerOptions, LeaveReason, Refusal};
use takhin_tests::script::{Script, Work, consumer, earliest, wait};

fn named(client_id: &str) -> ConsumerOptions {
    ConsumerOptions { client_id: Some(ClientId::new(client_id).expect("a good id")), ..earliest() }
}

#[test]
fn a_repeated_subscribe_is_answered_again_and_changes_nothing() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.hold(Work::Persist);
    let lost = script.subscribe(1, "billing", &["orders"], named("till-3"));
    let again = script.subscribe(1, "billing", &["orders"], named("till-3"));
    assert!(script.is_open(lost) && script.is_open(again), "nothing is told before it is durable");
    script.release(Work::Persist);
    assert_eq!(script.answer(lost), script.answer(again));
    assert_eq!(script.generation("billing"), 1);
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_same_id_with_other_parameters_is_refused() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.create("audits", 2);
    script.subscribe(1, "billing", &["orders"], named("till-3"));
    for other in [
        script.subscribe(1, "shipping", &["orders"], named("till-3")),
        script.subscribe(1, "billing", &["audits"], named("till-3")),
        script.subscribe(1, "billing", &["orders"], named("till-4")),
    ] {
        assert_eq!(script.refusal(other), Refusal::ConsumerExists { consumer: consumer(1) });
    }
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_id_of_a_consumer_that_was_removed_is_refused() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.subscribe(1, "billing", &["orders"], earliest());
    script.pass(30_000);
    script.crash();
    let late = script.subscribe(1, "billing", &["orders"], earliest());
    let reason = LeaveReason::SessionTimeout;
    assert_eq!(script.refusal(late), Refusal::ConsumerEnded { consumer: consumer(1), reason });
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_id_of_a_consumer_that_said_goodbye_is_free() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.subscribe(1, "billing", &["orders"], earliest());
    script.close(1);
    script.subscribe(1, "billing", &["orders"], earliest());
    assert_eq!(script.held_by(1), [0, 1]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn who_uses_the_id_of_a_former_life_does_not_get_its_batches_again() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 5);
    script.subscribe(1, "billing", &["orders"], earliest());
    let poll = script.consume(1, wait(0));
    let former = script.consumed(poll).batch;
    script.close(1);
    script.produce("orders", 0, 5);
    script.subscribe(1, "billing", &["orders"], earliest());
    let poll = script.consume(1, wait(0));
    let batch = script.consumed(poll).batch;
    assert!(batch > former, "{batch:?} after {former:?}");
    let late = script.consume_after(1, former.0, wait(0));
    assert!(
        matches!(script.refusal(late), Refusal::BatchUnknown { .. }),
        "a poll of the former life says nothing of this one's records"
    );
    insta::assert_snapshot!(script.story());
}

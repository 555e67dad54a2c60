//! A produce that says where the log has to end for it: an append that happens there, or not at all.

use takhin_core::{Offset, Refusal, Request, Response};
use takhin_tests::script::{Script, Work, topic};

#[test]
fn it_is_appended_exactly_at_the_end() {
    let mut script = Script::default();
    script.create("orders", 1);
    let first = script.produce_at("orders", 0, 2);
    assert_eq!(script.produced(first), (0, false));
    for wrong in [0, 1, 3] {
        let refused = script.produce_at("orders", wrong, 1);
        assert!(
            matches!(script.refusal(refused), Refusal::OffsetMismatch { expected, end: Offset(2), .. } if expected.0 == wrong)
        );
    }
    let second = script.produce_at("orders", 2, 1);
    assert_eq!(script.produced(second), (2, false));
    insta::assert_snapshot!(script.story());
}

#[test]
fn of_two_at_the_same_offset_exactly_one_is_appended() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.hold(Work::Append);
    let plain = script.produce("orders", 0, 1);
    let first = script.produce_at("orders", 1, 1);
    let second = script.produce_at("orders", 1, 1);
    assert!(script.is_open(plain) && script.is_open(first) && script.is_open(second), "all are under way");
    script.release(Work::Append);
    assert_eq!(script.produced(first), (1, false));
    assert!(matches!(script.refusal(second), Refusal::OffsetMismatch { end: Offset(2), .. }));
    insta::assert_snapshot!(script.story());
}

#[test]
fn nobody_is_woken_by_what_was_not_appended() {
    let mut script = Script::default();
    script.create("orders", 1);
    let read = script.read("orders", 0, 0, takhin_tests::script::wait(1_000));
    let refused = script.produce_at("orders", 7, 1);
    assert!(matches!(script.refusal(refused), Refusal::OffsetMismatch { end: Offset(0), .. }));
    assert!(script.is_open(read));
    let Response::Topic(described) = script.get(Request::DescribeTopic { name: topic("orders") }) else {
        panic!("a topic")
    };
    assert_eq!(described.partitions[0].end, Offset(0));
    script.pass(1_000);
    insta::assert_snapshot!(script.story());
}

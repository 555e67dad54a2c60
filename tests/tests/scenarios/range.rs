//! Groups whose members want the assignor `range`.

use takhin_core::{Assignor, ConsumerOptions, Request, Response};
use takhin_tests::script::{Script, group, manual, wait};

fn range() -> ConsumerOptions {
    ConsumerOptions { assignor: Assignor::Range, ..manual() }
}

fn assignor(script: &mut Script) -> Assignor {
    let Response::Group(told) = script.get(Request::DescribeGroup { group: group("billing") }) else { panic!() };
    told.assignor
}

#[test]
fn members_have_runs_of_neighbouring_partitions() {
    let mut script = Script::default();
    script.create("orders", 5);
    script.subscribe(1, "billing", &["orders"], range());
    script.subscribe(2, "billing", &["orders"], range());
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0, 1, 2], vec![3, 4]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_most_members_want_is_done() {
    let mut script = Script::default();
    script.create("orders", 6);
    script.subscribe(1, "billing", &["orders"], range());
    assert_eq!(assignor(&mut script), Assignor::Range);
    script.subscribe(2, "billing", &["orders"], manual());
    assert_eq!(assignor(&mut script), Assignor::Uniform, "as many want the one as the other");
    script.subscribe(3, "billing", &["orders"], range());
    assert_eq!(assignor(&mut script), Assignor::Range);
    for n in 1..=3 {
        script.consume(n, wait(0));
        script.consume(n, wait(0));
    }
    assert_eq!([1, 2, 3].map(|n| script.held_by(n)), [vec![0, 1], vec![2, 3], vec![4, 5]]);
    insta::assert_snapshot!(script.story());
}

//! What a client wants to remember with an offset that it commits.

use takhin_core::{CommitOffset, Refusal, Request, RequestId, Response};
use takhin_tests::script::{Script, consumer, manual, topic, wait};

fn delivered() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 3);
    script.produce("orders", 1, 3);
    script.subscribe(1, "billing", &["orders"], manual());
    script.consume(1, wait(0));
    script
}

fn commit(script: &mut Script, entries: &[(u32, i64, Option<&str>)]) -> RequestId {
    let entry = |(partition, offset, metadata): &(u32, i64, Option<&str>)| CommitOffset {
        topic: topic("orders"),
        partition: *partition,
        offset: *offset,
        metadata: metadata.map(Into::into),
    };
    let offsets = Some(entries.iter().map(entry).collect());
    script.ask(Request::Commit { consumer: consumer(1), offsets, generation: None })
}

/// The committed offsets of the two partitions, with what is remembered of them.
fn committed(script: &mut Script) -> Vec<(Option<u64>, Option<String>)> {
    let Response::Committed(told) = script.get(Request::Committed { consumer: consumer(1) }) else { panic!() };
    told.iter().map(|it| (it.offset.map(|at| at.0), it.metadata.as_deref().map(str::to_owned))).collect()
}

#[test]
fn it_stays_until_the_next_commit_of_its_partition() {
    let mut script = delivered();
    commit(&mut script, &[(0, 1, Some("a")), (1, 1, Some("b"))]);
    commit(&mut script, &[(0, 2, None)]);
    assert_eq!(committed(&mut script), [(Some(2), None), (Some(1), Some("b".into()))]);
    script.crash();
    assert_eq!(committed(&mut script), [(Some(2), None), (Some(1), Some("b".into()))]);
    script.consume(1, wait(0));
    script.commit_all(1);
    assert_eq!(committed(&mut script), [(Some(3), None), (Some(3), None)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn too_much_of_it_commits_nothing() {
    let mut script = delivered();
    let most = "x".repeat(4_096);
    let refused = commit(&mut script, &[(0, 1, Some("a")), (1, 1, Some(&format!("{most}x")))]);
    let field = "metadata".to_owned();
    assert_eq!(script.refusal(refused), Refusal::OutOfRange { field, value: 4_097, min: 0, max: 4_096 });
    assert_eq!(committed(&mut script), [(None, None), (None, None)]);
    commit(&mut script, &[(1, 1, Some(&most))]);
    assert_eq!(committed(&mut script), [(None, None), (Some(1), Some(most))]);
}

//! The directory, from the records of the cluster's topic.

use std::collections::BTreeMap;

use takhin_core::{Timestamp, cell::CellOffset};
use uuid::Uuid;

use super::super::directory::{CellPlace, Directory, Folding, Node, Notice, Reading, Settings};

const FIRST: Uuid = Uuid::from_u128(1);
const SECOND: Uuid = Uuid::from_u128(2);

fn took(folding: &mut Folding, now: u64, notice: &Notice) {
    let reading = Reading { now: Timestamp(now), date: None };
    assert_eq!(folding.take(notice.key.as_bytes(), notice.value.as_deref(), reading), Ok(()));
}

fn node(id: Uuid) -> Notice {
    Notice::node(id, &format!("http://{id}"), 1_000)
}

fn place(epoch: u64, node: Uuid) -> CellPlace {
    CellPlace { epoch: CellOffset(epoch), node, address: format!("http://{node}") }
}

#[test]
fn the_highest_epoch_says_where_a_cell_is_as_long_as_its_node_is_there() {
    let mut folding = Folding::new(SECOND, 2);
    for notice in [node(FIRST), node(SECOND), Notice::cell(1, CellOffset(7), SECOND)] {
        took(&mut folding, 0, &notice);
    }
    assert_eq!(folding.directory(Timestamp(0)).cells, [None, Some(place(7, SECOND))]);
    // Written late, by somebody who was overtaken: whoever knows better says so again.
    took(&mut folding, 0, &Notice::cell(1, CellOffset(5), FIRST));
    assert_eq!(folding.directory(Timestamp(0)).cells, [None, Some(place(7, SECOND))]);
    assert_eq!(folding.take_again(), [Notice::cell(1, CellOffset(7), SECOND)]);
    assert_eq!(folding.take_again(), []);
    took(&mut folding, 0, &Notice::cell(1, CellOffset(9), FIRST));
    assert_eq!(folding.directory(Timestamp(0)).cells, [None, Some(place(9, FIRST))]);
    took(&mut folding, 0, &Notice::node_stopped(FIRST));
    let nodes = BTreeMap::from([(SECOND, Node { address: format!("http://{SECOND}") })]);
    assert_eq!(folding.directory(Timestamp(0)), Directory { nodes, cells: vec![None, None] });
}

#[test]
fn a_node_that_is_not_heard_of_for_a_minute_is_forgotten() {
    let mut folding = Folding::new(SECOND, 1);
    took(&mut folding, 1_000, &node(FIRST));
    took(&mut folding, 1_000, &Notice::cell(0, CellOffset(1), FIRST));
    assert_eq!(folding.directory(Timestamp(60_999)).nodes.len(), 1);
    assert_eq!(folding.directory(Timestamp(61_000)), Directory { nodes: BTreeMap::new(), cells: vec![None] });
    took(&mut folding, 70_000, &node(FIRST));
    assert_eq!(folding.directory(Timestamp(70_000)).cells, [Some(place(1, FIRST))], "it is there again");
}

#[test]
fn nodes_of_long_ago_are_not_taken_for_nodes_that_are_there() {
    let mut folding = Folding::new(SECOND, 1);
    let written = node(FIRST);
    let at = |date| Reading { now: Timestamp(100_000), date: Some(date) };
    let mut take = |date| {
        folding.take(written.key.as_bytes(), written.value.as_deref(), at(date)).expect("a record of a node");
        folding.directory(Timestamp(100_000)).nodes.len()
    };
    assert_eq!(take(61_000), 0, "shown a minute ago");
    assert_eq!(take(60_999), 1);
    assert_eq!(folding.directory(Timestamp(100_001)).nodes.len(), 0, "its minute has begun before it was read");
    // A clock that is behind the node's.
    folding.take(written.key.as_bytes(), written.value.as_deref(), at(0)).expect("a record of a node");
    assert_eq!(folding.directory(Timestamp(100_000)).nodes.len(), 1);
}

#[test]
fn the_first_settings_count_and_are_what_compaction_leaves() {
    let [first, second] = ["one", "two"].map(|secret| Settings::new(secret.to_owned(), String::new()));
    let mut folding = Folding::new(FIRST, 1);
    took(&mut folding, 0, &Notice::settings(&first));
    assert_eq!(folding.take_again(), []);
    took(&mut folding, 0, &Notice::settings(&second));
    assert_eq!(folding.settings(), Some(&first));
    assert_eq!(folding.take_again(), [Notice::settings(&first)]);
    took(&mut folding, 0, &Notice::settings(&second));
    took(&mut folding, 0, &Notice::settings(&first));
    assert_eq!(folding.take_again(), [], "somebody else wrote them again already");
}

#[test]
fn a_node_takes_the_place_of_who_was_reached_there_before() {
    let mut folding = Folding::new(FIRST, 1);
    let address = "http://10.0.0.1:9080";
    took(&mut folding, 0, &Notice::node(FIRST, address, 1_000));
    took(&mut folding, 0, &Notice::node(FIRST, address, 2_000));
    assert!(folding.directory(Timestamp(0)).nodes.contains_key(&FIRST));
    took(&mut folding, 0, &Notice::node(SECOND, address, 3_000));
    assert_eq!(folding.directory(Timestamp(0)).nodes.into_keys().collect::<Vec<_>>(), [SECOND]);
}

#[test]
fn records_that_make_no_sense_change_nothing() {
    let mut folding = Folding::new(FIRST, 1);
    let reading = Reading { now: Timestamp(0), date: None };
    let later = br#"{"v":2,"epoch":9,"node":"00000000-0000-0000-0000-000000000001"}"#;
    let records: [(&[u8], Option<&[u8]>); 7] = [
        (b"", None),
        (b"\xff", None),
        (b"cell-1", Some(br#"{"v":1,"epoch":9,"node":"00000000-0000-0000-0000-000000000001"}"#)),
        (b"cell-0", Some(later)),
        (b"cell-0", None),
        (b"node-x", Some(b"{}")),
        (b"settings", None),
    ];
    for (key, value) in records {
        assert!(folding.take(key, value, reading).is_err(), "{key:?}");
    }
    assert_eq!(folding.directory(Timestamp(0)), Directory { nodes: BTreeMap::new(), cells: vec![None] });
    assert_eq!(folding.settings(), None);
}

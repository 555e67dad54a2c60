//! Who owns what, and that nothing is lost on the way.

use std::{thread, time::Duration};

use takhin_core::cell::StepDown;

use super::site::{Site, config, prefix};

#[test]
#[ignore = "needs brokers"]
fn a_node_alone_owns_all_cells_and_is_in_the_directory() {
    let config = config(&prefix("alone"), 5);
    let address = config.address.clone();
    let site = Site::start(config);
    assert_eq!(site.cells.count(), 5);
    site.owns_all();
    assert!((0..5).all(|cell| site.cells.serves(cell)), "it serves what it owns");
    assert!(!site.cells.serves(5), "there is no such cell");
    site.keep(3, "a fact");
    let mut directory = site.cells.directory();
    while directory.borrow_and_update().cells.iter().any(Option::is_none) {
        thread::sleep(Duration::from_millis(10));
    }
    let now = directory.borrow().clone();
    assert_eq!(now.nodes.keys().copied().collect::<Vec<_>>(), [site.cells.node()]);
    for place in &now.cells {
        let place = place.as_ref().expect("a place");
        assert_eq!((place.node, &place.address), (site.cells.node(), &address));
    }
    assert_eq!(site.cells.stats().read().owned, 5);
    site.cells.stop();
}

#[test]
#[ignore = "needs brokers"]
fn what_a_node_kept_is_there_when_another_takes_over_without_a_word() {
    let prefix = prefix("vanishes");
    let first = Site::start(config(&prefix, 3));
    first.owns_all();
    for fact in 0..40 {
        first.decide(fact % 3, &format!("fact {fact}"));
    }
    (0..3).for_each(|cell| first.keep(cell, "the last one"));
    let facts: Vec<_> = (0..3).map(|cell| first.facts(cell)).collect();
    let boot = first.on(0, |state| state.boot);
    drop(first);
    let second = Site::start(config(&prefix, 3));
    second.owns_all();
    assert_eq!((0..3).map(|cell| second.facts(cell)).collect::<Vec<_>>(), facts);
    assert!(second.on(0, |state| state.boot) > boot, "another core has another number");
    second.keep(1, "goes on");
    second.cells.stop();
}

#[test]
#[ignore = "needs brokers"]
fn a_second_node_gets_its_share_and_gives_it_back_with_all_facts_and_without_waiting_for_leases() {
    let prefix = prefix("hand-over");
    let slow = || {
        let mut config = config(&prefix, 4);
        // Whoever waited for it would be found out.
        config.lease = Duration::from_mins(5);
        config
    };
    let first = Site::start(slow());
    first.owns_all();
    (0..4).for_each(|cell| first.keep(cell, &format!("of {cell}")));
    let second = Site::start(slow());
    while second.cells.stats().read().owned < 2 {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(first.cells.stats().read().owned, 2);
    let moved: Vec<u32> = (0..4).filter(|cell| second.cells.serves(*cell)).collect();
    assert_eq!(moved.len(), 2);
    for cell in moved {
        assert_eq!(second.facts(cell), [format!("of {cell}")]);
        assert!(!first.cells.serves(cell));
        assert_eq!(first.on(cell, |state| state.step_downs.clone()), [StepDown::Revoked]);
        second.keep(cell, "elsewhere");
    }
    second.cells.clone().stop();
    assert!((0..4).all(|cell| !second.cells.serves(cell)));
    first.owns_all();
    let all: Vec<_> = (0..4).flat_map(|cell| first.facts(cell)).collect();
    assert_eq!(all.iter().filter(|fact| *fact == "elsewhere").count(), 2);
    assert_eq!(all.len(), 6);
    let mut directory = first.cells.directory();
    while directory.borrow_and_update().nodes.len() != 1 {
        thread::sleep(Duration::from_millis(10));
    }
    first.cells.stop();
}

#[test]
#[ignore = "needs brokers"]
fn nodes_that_make_the_cluster_at_once_agree_on_all() {
    let prefix = prefix("race");
    let starts: Vec<_> = [3, 5, 4]
        .map(|cells| {
            let config = config(&prefix, cells);
            thread::spawn(move || Site::start(config))
        })
        .into_iter()
        .map(|start| start.join().expect("it starts"))
        .collect();
    let first = &starts[0].cells;
    assert!([3, 4, 5].contains(&first.count()));
    for site in &starts {
        assert_eq!((site.cells.count(), site.cells.secret()), (first.count(), first.secret()));
    }
    let owned = || starts.iter().map(|site| site.cells.stats().read().owned).sum::<i64>();
    while owned() != i64::from(first.count()) {
        thread::sleep(Duration::from_millis(10));
    }
    let later = Site::start(config(&prefix, 9));
    assert_eq!((later.cells.count(), later.cells.secret()), (first.count(), first.secret()));
    later.cells.stop();
    for site in starts {
        site.cells.stop();
    }
}

#[test]
#[ignore = "needs brokers"]
fn decisions_that_wait_are_appended_together_and_none_is_lost() {
    let prefix = prefix("joined");
    let first = Site::start(config(&prefix, 1));
    first.owns(0);
    for fact in 0..20_000 {
        first.decide(0, &format!("fact {fact}"));
    }
    let last = first.decide(0, "the last one");
    first.wait(0, |state| state.persisted >= last);
    let appends = first.cells.stats().read().appends;
    assert!(appends < 20_000, "{appends} entries");
    let facts = first.facts(0);
    first.cells.stop();
    let second = Site::start(config(&prefix, 1));
    second.owns(0);
    assert!(second.facts(0) == facts, "as they were decided");
    assert!(second.on(0, |state| state.applied) < 20_000);
    second.cells.stop();
}

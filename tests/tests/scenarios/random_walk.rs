//! Chance drives a small world for thousands of steps: whatever happens, the promises hold.

use std::ops::Range;

use takhin_tests::world::World;

const STEPS: u32 = 2_000;

fn walk(seeds: Range<u64>) {
    for seed in seeds {
        eprintln!("seed {seed}");
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.settle();
    }
}

#[test]
fn whatever_happens_the_promises_hold() {
    walk(0..20);
}

/// `FROM=17 TO=18 cargo test -p takhin-tests --test scenarios random_walk -- --ignored` walks other seeds, or one again.
#[test]
#[ignore = "walks the seeds that the environment names"]
fn the_promises_hold_for_other_seeds() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
    let seeds = number("FROM")..number("TO");
    assert!(!seeds.is_empty(), "FROM and TO name the seeds");
    walk(seeds);
}

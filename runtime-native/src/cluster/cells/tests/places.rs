//! Where a snapshot belongs.

use takhin_core::{
    FactSeq,
    cell::{CellOffset, Replay},
};

use super::super::boundary::{Boundaries, Place};

fn at(through: u64, next: u64) -> Place {
    Place::At(Replay::starting_with(FactSeq(through)), CellOffset(next))
}

fn stands(boundaries: &mut Boundaries, through: u64, next: u64) {
    boundaries.stands(&Replay::starting_with(FactSeq(through)), CellOffset(next));
}

#[test]
fn a_snapshot_belongs_behind_the_entry_that_its_last_fact_ends() {
    let mut boundaries = Boundaries::default();
    assert_eq!(boundaries.place(FactSeq(5)), Place::Later);
    stands(&mut boundaries, 5, 2);
    stands(&mut boundaries, 9, 3);
    assert_eq!(boundaries.place(FactSeq(5)), at(5, 2));
    assert_eq!(boundaries.place(FactSeq(9)), at(9, 3));
    assert_eq!(boundaries.place(FactSeq(10)), Place::Later, "it does not apply yet");
    assert_eq!(boundaries.place(FactSeq(7)), Place::Unknown, "it lies within an entry");
    assert_eq!(boundaries.place(FactSeq(4)), Place::Unknown, "it lies before all that was seen");
    stands(&mut boundaries, 9, 4);
    assert_eq!(boundaries.place(FactSeq(9)), at(9, 4), "an entry without facts changes nothing but the place");
}

#[test]
fn places_are_kept_up_to_a_bound() {
    let mut boundaries = Boundaries::default();
    (1..=10_000).for_each(|fact| stands(&mut boundaries, fact, fact));
    assert_eq!(boundaries.place(FactSeq(1)), Place::Unknown);
    assert_eq!(boundaries.place(FactSeq(9_999)), at(9_999, 9_999));
}

//! Who stands in for whom.

use std::collections::BTreeMap;

use takhin_core::cell::CellOffset;
use uuid::Uuid;

use super::super::{
    directory::{CellPlace, Directory, Node},
    watcher::stands_in_for,
};

const CELLS: u32 = 64;

/// Nodes 0, 1, ..., of which each has every n-th cell.
fn directory(nodes: u32) -> Directory {
    let address = "http://127.0.0.1:1".to_owned();
    let place = |cell| {
        Some(CellPlace { epoch: CellOffset(1), node: node(cell % nodes), address: "http://127.0.0.1:1".to_owned() })
    };
    let nodes: BTreeMap<Uuid, Node> =
        (0..nodes).map(|number| (node(number), Node { address: address.clone() })).collect();
    Directory { nodes, cells: (0..CELLS).map(place).collect() }
}

fn node(number: u32) -> Uuid {
    Uuid::from_u128(0x6f1c_8a52_0b7d_4d11_9b62_1c44_52a0_0000 + u128::from(number) * 0x9e37_79b9_7f4a_7c15)
}

#[test]
fn the_nodes_that_stand_in_for_a_cell_do_so_one_behind_the_other() {
    let directory = directory(5);
    let mut ranks = vec![Vec::new(); CELLS as usize];
    for number in 0..5 {
        let stands_in: Vec<(u32, u32)> = stands_in_for(node(number), &directory).collect();
        assert!(stands_in.iter().all(|(cell, _)| cell % 5 != number), "of its own cells: {stands_in:?}");
        let first = stands_in.iter().filter(|(_, behind)| *behind == 0).count();
        assert!((6..=20).contains(&first), "shared out evenly enough: {first}");
        for (cell, behind) in stands_in {
            ranks[cell as usize].push(behind);
        }
    }
    for (cell, mut ranks) in ranks.into_iter().enumerate() {
        ranks.sort_unstable();
        assert_eq!(ranks, [0, 1, 2], "of cell {cell}");
    }
}

#[test]
fn a_node_alone_stands_in_for_nobody_and_nobody_for_a_cell_without_a_place() {
    assert_eq!(stands_in_for(node(0), &directory(1)).count(), 0);
    let mut two = directory(2);
    two.cells[1] = None;
    assert!(stands_in_for(node(0), &two).all(|(cell, _)| cell != 1));
}

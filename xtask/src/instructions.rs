//! What requests cost: their instructions, counted under valgrind and held against what was recorded.

use std::io;

use crate::{
    apt,
    place::{cargo, root, server},
    step::Step,
};

pub(crate) fn steps() -> Vec<Step> {
    let mut count = cargo("run --quiet -p takhin-bench -- instructions --server");
    count.arg(server()).arg("--expect").arg(root().join("bench/instructions.json"));
    vec![Step::new("instructions", count).after(provide_valgrind)]
}

fn provide_valgrind() -> io::Result<()> {
    apt::provide("valgrind", "valgrind", || apt::runs("vgdb", &["--help"]))
}

//! `cargo xtask test`: all that has to pass before a change is merged.
//!
//! The order is from quick to slow, so that a slip is seen soon. A further step (the browser's build, the page,
//! the client libraries) is one more entry in [`steps`].

use std::{fs, io};

use crate::{
    api, instructions, javascript, kafka,
    place::{cargo, root, server, target},
    python,
    step::Step,
    web,
};

pub(crate) fn steps() -> Vec<Step> {
    let mut no_std = cargo("build --manifest-path tests/no-std/Cargo.toml --target-dir");
    no_std.arg(target().join("no-std"));
    let mut tests = cargo("test --workspace --all-features");
    tests.env("TAKHIN_BIN", server());
    let mut docs = cargo("doc --no-deps --workspace");
    docs.env("RUSTDOCFLAGS", "-Dwarnings");

    let rust = vec![
        Step::new("formatting", cargo("fmt --all --check")),
        Step::new("lints", cargo("clippy --workspace --all-targets --all-features -- -D warnings")),
        Step::new("no std", no_std).after(lock_no_std),
        // As the README has it: `cargo run --release` from the root, without a package's name.
        Step::new("server", cargo("run --release -- --version")),
        Step::new("tests", tests),
        Step::new("documents", docs),
    ];
    let others =
        [kafka::share(), javascript::steps(), python::steps(), api::steps(), instructions::steps(), web::steps()];
    [rust].into_iter().chain(others).flatten().collect()
}

/// Gives the crate that proves that the core needs no std the versions that the workspace has. It is no member of
/// the workspace, since nothing else could be built along with its panic handler.
fn lock_no_std() -> io::Result<()> {
    fs::copy(root().join("Cargo.lock"), root().join("tests/no-std/Cargo.lock")).map(drop)
}

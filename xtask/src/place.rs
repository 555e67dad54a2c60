//! Where a task works: the workspace, what cargo builds into, and cargo itself.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Cargo with these words, in the workspace.
pub(crate) fn cargo(arguments: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments.split(' ')).current_dir(root());
    cargo
}

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// What cargo builds into.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The server as `cargo build --release` leaves it.
pub(crate) fn server() -> PathBuf {
    target().join("release").join(format!("takhin{}", env::consts::EXE_SUFFIX))
}

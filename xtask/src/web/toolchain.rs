//! The compiler for wasm32: rustup's, if the target is there or can be added; otherwise Debian's, unpacked under `target/`.
//!
//! `TAKHIN_WASM_COMPILER=debian` takes Debian's in any case: that is how this way is tried where the other one is open.

use std::{
    env, fs,
    io::{self, Error},
    path::{Path, PathBuf},
    process::Command,
};

use super::{WASM, run};
use crate::place::target;

/// What Debian 12 has of Rust for the web; what else these need of Rust and LLVM bears a version in its name, and is asked for.
const DEBIAN: [&str; 2] = ["rustc-web", "rust-web-src"];

/// A compiler.
pub(super) struct Toolchain {
    pub(super) sysroot: PathBuf,
    /// Where Debian's is unpacked, if it is that one.
    debian: Option<PathBuf>,
}

impl Toolchain {
    /// Finds one, or fetches one and says so.
    pub(super) fn find() -> io::Result<Self> {
        let sysroot = sysroot("rustc")?;
        if env::var_os("TAKHIN_WASM_COMPILER").is_none_or(|wanted| wanted != "debian") && rustup_has(&sysroot) {
            return Ok(Self { sysroot, debian: None });
        }
        let place = target().join("rustc-web");
        unpack(&place)?;
        Ok(Self { sysroot, debian: Some(place) })
    }

    /// Its name and version.
    pub(super) fn version(&self) -> io::Result<String> {
        let mut rustc = Command::new("rustc");
        if let Some(place) = &self.debian {
            rustc = Command::new(place.join("usr/bin/rustc"));
            rustc.env("LD_LIBRARY_PATH", place.join("usr/lib/x86_64-linux-gnu"));
        }
        Ok(String::from_utf8_lossy(&rustc.arg("--version").output()?.stdout).into_owned())
    }

    /// Makes a call of cargo use it.
    pub(super) fn prepare(&self, cargo: &mut Command) {
        let Some(place) = &self.debian else { return };
        let linker = self.sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
        cargo
            .env("LD_LIBRARY_PATH", place.join("usr/lib/x86_64-linux-gnu"))
            .env("RUSTC", place.join("usr/bin/rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
            .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"]);
    }
}

fn sysroot(rustc: &str) -> io::Result<PathBuf> {
    let said = Command::new(rustc).args(["--print", "sysroot"]).output()?;
    Ok(PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()))
}

/// Whether the target is there, or could be added.
fn rustup_has(sysroot: &Path) -> bool {
    if has_target(sysroot) {
        return true;
    }
    println!("adding the target {WASM} with rustup");
    let added = Command::new("rustup").args(["target", "add", WASM]).status();
    added.is_ok_and(|status| status.success()) && has_target(sysroot)
}

fn has_target(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib").join(WASM).join("lib").is_dir()
}

fn unpack(place: &Path) -> io::Result<()> {
    if place.join("usr/bin/rustc").exists() {
        return Ok(());
    }
    let wanted = packages()?;
    println!("fetching Debian's compiler for wasm32 into {}: {}", place.display(), wanted.join(" "));
    let packages = place.join("packages");
    fs::create_dir_all(&packages)?;
    let mut fetch = Command::new("apt-get");
    fetch.arg("download").args(wanted).current_dir(&packages);
    run(fetch)?;
    for package in fs::read_dir(&packages)? {
        let mut unpack = Command::new("dpkg");
        unpack.arg("-x").arg(package?.path()).arg(place);
        run(unpack)?;
    }
    fs::remove_dir_all(&packages)?;
    if place.join("usr/bin/rustc").exists() {
        return Ok(());
    }
    Err(Error::other("Debian's packages have no compiler in them"))
}

/// The packages by name: the compiler's own and, of what it depends on, the parts of Rust and LLVM.
fn packages() -> io::Result<Vec<String>> {
    let mut needed = needs()?;
    if needed.is_empty() {
        // A machine that was just set up does not know yet what there is.
        let mut update = Command::new("apt-get");
        update.args(["update", "-qq"]);
        run(update)?;
        needed = needs()?;
    }
    if needed.is_empty() {
        return Err(Error::other("Debian has no package rustc-web here, and rustup can't add the target"));
    }
    Ok(DEBIAN.into_iter().map(ToOwned::to_owned).chain(needed).collect())
}

fn needs() -> io::Result<Vec<String>> {
    let flags = ["--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces"];
    let said = Command::new("apt-cache").arg("depends").args(flags).arg("rustc-web").output()?;
    let names = String::from_utf8_lossy(&said.stdout).into_owned();
    let is_part = |name: &&str| name.starts_with("libstd-rust-web") || name.starts_with("libllvm");
    Ok(names.lines().filter(is_part).map(ToOwned::to_owned).collect())
}

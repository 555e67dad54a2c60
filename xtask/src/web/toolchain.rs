//! The compiler for wasm32: rustup's, if the target is there or can be added; otherwise Debian's, unpacked under `target/`.

use std::{
    fs,
    io::{self, Error},
    path::{Path, PathBuf},
    process::Command,
};

use super::{WASM, run};
use crate::place::target;

/// What Debian 12 has of Rust for the web.
const DEBIAN: [&str; 5] = ["rustc-web", "libstd-rust-web-dev", "libstd-rust-web-1.96", "rust-web-src", "libllvm22"];

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
        if has_target(&sysroot) {
            return Ok(Self { sysroot, debian: None });
        }
        println!("adding the target {WASM} with rustup");
        let added = Command::new("rustup").args(["target", "add", WASM]).status();
        if added.is_ok_and(|status| status.success()) && has_target(&sysroot) {
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

fn has_target(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib").join(WASM).join("lib").is_dir()
}

fn unpack(place: &Path) -> io::Result<()> {
    if place.join("usr/bin/rustc").exists() {
        return Ok(());
    }
    println!("fetching Debian's compiler for wasm32 into {}: {}", place.display(), DEBIAN.join(" "));
    let packages = place.join("packages");
    fs::create_dir_all(&packages)?;
    let mut fetch = Command::new("apt-get");
    fetch.arg("download").args(DEBIAN).current_dir(&packages);
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

//! The digest of a trace: one number for all that a core did, the same on every platform.
//!
//! Two runs with the same digest gave the same commands, step by step. It is FNV-1a of 64 bits over the
//! commands of each step as JSON: quick, and without any word that is 32 bits here and 64 there. It finds differences, and is no
//! protection against somebody who makes them.

use core::fmt;

use crate::{
    command::Command,
    trace::{self, Line, Restart, Step, TraceError, line},
};

/// A digest in the making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// That of a trace as it was recorded.
    ///
    /// # Errors
    /// It can't be read.
    pub fn of(trace: &str) -> Result<Self, TraceError> {
        let (_, lines) = trace::read(trace)?;
        let mut digest = Self::default();
        for line in lines {
            digest.line(&line?);
        }
        Ok(digest)
    }

    /// Takes in a line of a trace.
    pub fn line(&mut self, line: &Line) {
        match line {
            Line::Step(Step { commands, .. }) => self.step(commands),
            Line::Restart(restart) => self.restart(restart),
        }
    }

    /// Takes in what a step gave.
    pub fn step(&mut self, commands: &[Command]) {
        self.bytes(line(&commands).as_bytes());
    }

    /// Takes in what a restart found.
    pub fn restart(&mut self, restart: &Restart) {
        self.bytes(line(&restart.restart).as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// As 16 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

//! The client against the real server, which is taken from `TAKHIN_BIN` or the target directory.

mod admin;
mod all_at_once;
mod breaking_way;
mod consuming;
mod encrypted;
mod faults;
mod losing_way;
mod producing;
mod readme;
mod server;
mod unnumbered;

//! The server over real sockets, with clients of every kind.

mod accounts;
mod certificates;
mod cors;
mod delivery;
mod errors;
mod limits;
mod openapi;
mod seed;
mod starting;
mod stop;
mod tls;
mod world;

//! The server over real sockets, with clients of every kind.

mod delivery;
mod errors;
mod limits;
mod openapi;
mod seed;
mod stop;
mod world;

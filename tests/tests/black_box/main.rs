//! What a client sees of the real server, started as a process of its own and spoken to over HTTP.

mod cleanup;
mod crash;
mod damage;
mod errors;
mod full_disk;
mod groups;
mod harness;
mod long_poll;
mod produce_and_read;
mod producers;
mod seed_workflow;
mod stop;
mod topics;

//! What a client sees of the real server, started as a process of its own and spoken to over HTTP.

mod cleanup;
mod crash;
mod damage;
mod errors;
mod full_disk;
mod groups;
mod harness;
mod long_poll;
mod metrics;
mod produce_and_read;
mod producers;
mod seed_workflow;
mod settings;
mod stop;
mod stream;
mod topics;
mod traces;
mod wrong_bodies;

//! What a client sees of the real server, started as a process of its own and spoken to over HTTP.

mod cleanup;
mod commits;
mod consumer_ids;
mod crash;
mod damage;
mod errors;
mod full_disk;
mod group_offsets;
mod groups;
mod harness;
mod long_poll;
mod metrics;
mod pause;
mod poll_interval;
mod produce_and_read;
mod producers;
mod seed_workflow;
mod seek;
mod settings;
mod static_members;
mod stop;
mod stream;
mod subscription;
mod topics;
mod traces;
mod wrong_bodies;

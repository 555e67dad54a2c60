//! What a client sees of the real server, started as a process of its own and spoken to over HTTP.

mod by_duration;
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
mod pause;
mod poll_interval;
mod produce_and_read;
mod seed_workflow;
mod seek;
mod static_members;
mod stop;
mod subscription;

//! What the core does, told as scripts: clients' requests in, every command out.
//!
//! A file per behaviour. Each story is compared whole, with a snapshot beside it.

mod auto_commit;
mod by_duration;
mod chosen_ids;
mod commit_metadata;
mod commit_rules;
mod expected_offset;
mod fencing;
mod first_message;
mod gaps;
mod group_offsets;
mod handover;
mod idempotence;
mod long_poll;
mod lost_response;
mod membership;
mod old_data;
mod patterns;
mod pause;
mod poll_interval;
mod range;
mod refusals;
mod reset_policies;
mod restart;
mod resubscribe;
mod seek;
mod seek_place;
mod session;
mod sharing;
mod static_members;
mod storage_failure;
mod told_after_crash;
mod topic_config;
mod topics;
mod traces;

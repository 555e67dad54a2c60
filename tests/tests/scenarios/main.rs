//! What the core does, told as scripts: clients' requests in, every command out.
//!
//! A file per behaviour. Each story is compared whole, with a snapshot beside it.

mod auto_commit;
mod commit_rules;
mod fencing;
mod first_message;
mod handover;
mod long_poll;
mod lost_response;
mod membership;
mod refusals;
mod reset_policies;
mod restart;
mod seek;
mod session;
mod sharing;
mod storage_failure;
mod topics;
mod traces;

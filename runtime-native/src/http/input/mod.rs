//! Requests in: from bytes to the core's vocabulary, or to an error that says where the fault lies.

pub(super) mod body;
pub(super) mod conditions;
pub(super) mod consumers;
pub(super) mod duration;
pub(super) mod explain;
pub(super) mod groups;
pub(super) mod headers;
pub(super) mod json;
pub(super) mod keys;
pub(super) mod lines;
pub(super) mod media;
pub(super) mod offsets;
pub(super) mod one_of;
pub(super) mod path;
pub(super) mod produce;
mod produce_body;
pub(super) mod produce_lines;
pub(super) mod query;
pub(super) mod record;
pub(super) mod seek;
pub(super) mod subscribe;
pub(super) mod text;
pub(super) mod topics;

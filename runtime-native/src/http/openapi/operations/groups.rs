//! Groups and their offsets.

use serde_json::json;

use crate::http::{
    input::groups::{Forget, Reset},
    openapi::{
        codes,
        operation::{Answer, Operation},
    },
    output::groups::{Deleted, GroupView, Groups, OffsetChanges},
};

const TAG: &str = "Groups";

pub(crate) fn list() -> Operation {
    Operation::new("listGroups", TAG, "List all groups")
        .answer(Answer::json::<Groups>(200, "All groups."))
        .errors(codes::QUERY)
        .errors(codes::ASKS)
}

pub(crate) fn describe() -> Operation {
    Operation::new("describeGroup", TAG, "Look at a group")
        .of_group()
        .answer(Answer::json::<GroupView>(200, "The group, its members, and how far it is."))
        .errors(codes::QUERY)
        .errors(&[(404, "group_not_found")])
}

pub(crate) fn delete() -> Operation {
    Operation::new("deleteGroup", TAG, "Delete a group with its offsets")
        .of_group()
        .answer(Answer::json::<Deleted>(200, "It is gone."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(&[(404, "group_not_found"), (409, "group_active")])
}

pub(crate) fn set_offsets() -> Operation {
    Operation::new("setGroupOffsets", TAG, "Set the offsets of a group that nobody is in")
        .about("All are set or none. Makes a group that isn't there, so that its first consumer begins where you want.")
        .of_group()
        .body::<Reset>(&[
            ("All to the start", json!({"to": "earliest", "topics": ["orders"], "dry_run": true})),
            ("Ten records back", json!({"by": -10})),
            ("Each its own", json!({"offsets": {"orders": {"0": 0}}, "metadata": {"orders": {"0": "invoice 17"}}})),
        ])
        .answer(Answer::json::<OffsetChanges>(200, "What each offset was, and what it is."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(codes::PARTITION_MAP)
        .errors(&[
            (400, "missing_field"),
            (400, "conflicting_fields"),
            (404, "group_not_found"),
            (409, "group_active"),
            (409, "no_committed_offset"),
            (422, "empty"),
            (422, "invalid_value"),
            (422, "invalid_partition"),
            (422, "metadata_without_offset"),
            (422, "out_of_range"),
            (422, "offset_out_of_range"),
            (429, "too_many"),
        ])
}

pub(crate) fn delete_offsets() -> Operation {
    Operation::new("deleteGroupOffsets", TAG, "Forget offsets of a group that nobody is in")
        .of_group()
        .optional_body::<Forget>(&[("Of one topic", json!({"topics": ["orders"]})), ("All", json!({}))])
        .answer(Answer::json::<OffsetChanges>(200, "What each offset was."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(codes::PARTITION_MAP)
        .errors(&[
            (400, "conflicting_fields"),
            (404, "group_not_found"),
            (409, "group_active"),
            (422, "empty"),
            (422, "out_of_range"),
        ])
}

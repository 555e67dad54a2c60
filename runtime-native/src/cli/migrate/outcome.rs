//! What a migration has done, as it is printed, and what it has not.

use takhin::migrate::{Became, GroupReport, Report, TopicReport};

use super::{
    super::client::{Output, Table, print},
    Failure,
};

/// What stays behind in any case.
const LEFT: &str = "not moved: consumers with their sessions and assignments, what is known of producers and idempotency \
                    keys, and API keys (keys.json is to be copied to each node)\n";

/// Prints it.
///
/// # Errors
/// If a group was refused; all else is done then.
pub(super) fn tell(report: &Report, output: Output) -> Result<(), Failure> {
    output.print(report, &table(report))?;
    if output == Output::Table {
        print(&summary(report))?;
    }
    let groups = report.groups.iter().flatten();
    let refused = groups.filter_map(|it| match &it.became {
        Became::Refused(why) => Some(format!("{}: {why}", it.group)),
        Became::Set | Became::Unchanged => None,
    });
    let refused: Vec<String> = refused.collect();
    match refused.len() {
        0 => Ok(()),
        1 => Err(Failure::new(format!("a group was left as it is: {}", refused[0]))),
        count => Err(Failure::new(format!("{count} groups were left as they are:\n  {}", refused.join("\n  ")))),
    }
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(["what", "name", "partitions", "records", "bytes", "offsets"]);
    for TopicReport { topic, partitions, .. } in &report.topics {
        let (records, bytes) =
            partitions.iter().fold((0, 0), |(records, bytes), it| (records + it.records, bytes + it.bytes));
        let is_same = partitions.iter().all(|it| it.same_offsets);
        let offsets = if is_same { "same" } else { "mapped" };
        let numbers = [partitions.len().to_string(), records.to_string(), bytes.to_string()];
        table.row(["topic".to_owned(), topic.clone()].into_iter().chain(numbers).chain([offsets.to_owned()]));
    }
    for GroupReport { group, became, offsets } in report.groups.iter().flatten() {
        let became = match became {
            Became::Set => "set",
            Became::Unchanged => "were set",
            Became::Refused(_) => "left",
        };
        let cells = ["group", group, &offsets.len().to_string(), "-", "-", became];
        table.row(cells.map(str::to_owned));
    }
    table
}

fn summary(report: &Report) -> String {
    let (records, bytes) = report.records();
    let state = report.state_dir.display().to_string();
    let mut text =
        format!("\n{}, {}, {bytes} bytes", count(report.topics.len() as u64, "topic"), count(records, "record"));
    match &report.groups {
        Some(groups) => {
            let offsets = groups.iter().map(|it| it.offsets.len() as u64).sum();
            text.extend(["; ", &count(groups.len() as u64, "group"), " with ", &count(offsets, "offset"), "\n"]);
        }
        None => text += "; groups are not moved yet: the same command with --server moves them\n",
    }
    let partitions = || report.topics.iter().flat_map(|topic| &topic.partitions);
    if partitions().all(|it| it.same_offsets) {
        text += "each record has the offset that it had\n";
    } else {
        text.extend(["where offsets are mapped, ", &state, "/offsets says which became which\n"]);
    }
    let damaged: usize = partitions().map(|it| it.damaged.len()).sum();
    if damaged > 0 {
        text.extend([&*count(damaged as u64, "range"), " of damaged records left out\n"]);
    }
    for topic in report.topics.iter().filter(|topic| !topic.settings_left.is_empty()) {
        text.extend([
            &*topic.topic,
            ": ",
            &topic.settings_left.join(", "),
            " is not a setting of a topic in a cluster
",
        ]);
    }
    text += LEFT;
    text.extend(["all of it: ", &state, "/report.json\n"]);
    text
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

//! What a start says: what listens where, what was found, and what to try first.

use std::{fmt::Write as _, net::SocketAddr, path::Path, time::Duration};

use takhin::{
    driver::Health,
    engine::local::{Durability, RecoveryReport},
};

pub(super) struct Banner<'a> {
    /// Whether TLS is spoken there, and where.
    pub(super) addresses: &'a [(bool, SocketAddr)],
    pub(super) page_path: &'static str,
    pub(super) data_dir: &'a Path,
    pub(super) durability: Durability,
    pub(super) report: &'a RecoveryReport,
    pub(super) health: &'a Health,
    pub(super) took: Duration,
}

impl Banner<'_> {
    pub(super) fn text(&self) -> String {
        let mut text = format!("Takhin {}\n", env!("CARGO_PKG_VERSION"));
        for address in self.addresses {
            let _ = writeln!(text, "  listening   {}", url(*address));
        }
        if let Some(address) = self.addresses.first() {
            let _ = writeln!(text, "  page        {}{}", url(*address), self.page_path);
        }
        let _ = writeln!(text, "  data        {}, {}", self.data_dir.display(), durability(self.durability));
        let _ = writeln!(text, "  recovered   {}", self.recovered());
        for note in &self.report.notes {
            let _ = writeln!(text, "              {note}");
        }
        if let Some(address) = self.addresses.first() {
            let _ = writeln!(text, "\nTry it:\n  {}", first_command(*address));
        }
        text
    }

    fn recovered(&self) -> String {
        let RecoveryReport { boot, logs, facts, reapplied_batches, .. } = self.report;
        if boot.0 == 0 {
            return "nothing, this is the first start".to_owned();
        }
        format!(
            "{} topics with {logs} partitions and {} consumers in {} ms \
             ({facts} facts and {reapplied_batches} batches from the journal), start {}",
            self.health.topics,
            self.health.consumers,
            self.took.as_millis(),
            boot.0 + 1,
        )
    }
}

fn durability(durability: Durability) -> String {
    match durability {
        Durability::Fsync => "synced to disk before each answer (fsync)".to_owned(),
        Durability::Interval(span) => format!("synced to disk every {} ms (interval)", span.as_millis()),
        Durability::Os => "synced to disk when the system sees fit (os)".to_owned(),
    }
}

/// Where a listener is, given whether it speaks TLS.
fn url((tls, address): (bool, SocketAddr)) -> String {
    format!("{}://{address}", if tls { "https" } else { "http" })
}

fn first_command(address: (bool, SocketAddr)) -> String {
    format!("curl {}/api/topics -d '{{\"name\": \"orders\", \"partitions\": 3}}'", url(address))
}

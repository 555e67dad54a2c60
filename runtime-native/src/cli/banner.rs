//! What a start says: what listens where, what was found, and what to try first.

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use takhin::engine::local::{Durability, RecoveryReport};

use super::running::Running;

pub(super) struct Banner<'a> {
    /// Whether TLS is spoken there, and where.
    pub(super) addresses: &'a [(bool, SocketAddr)],
    pub(super) page_path: &'static str,
    pub(super) running: &'a Running,
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
        match self.running {
            Running::Local { report, data_dir, durability: synced, .. } => {
                let _ = writeln!(text, "  data        {}, {}", data_dir.display(), durability(*synced));
                let _ = writeln!(text, "  recovered   {}", self.recovered(report));
                for note in &report.notes {
                    let _ = writeln!(text, "              {note}");
                }
            }
            #[cfg(feature = "kafka")]
            Running::Node { brokers, address, .. } => {
                let _ = writeln!(text, "  data        in Kafka at {brokers}");
                let _ = writeln!(text, "  node        {address}, started in {} ms", self.took.as_millis());
            }
        }
        if let Some(address) = self.addresses.first() {
            let _ = writeln!(text, "\nTry it:\n  {}", first_command(*address));
        }
        text
    }

    fn recovered(&self, report: &RecoveryReport) -> String {
        let RecoveryReport { boot, logs, facts, reapplied_batches, .. } = report;
        if boot.0 == 0 {
            return "nothing, this is the first start".to_owned();
        }
        let health = self.running.broker().health();
        format!(
            "{} topics with {logs} partitions and {} consumers in {} ms \
             ({facts} facts and {reapplied_batches} batches from the journal), start {}",
            health.topics,
            health.consumers,
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

//! What the broker counts, and what it is asked for when somebody looks.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use takhin_core::{Fact, LeaveReason, fact::RebalanceReason};
use takhin_simulation::Violation;

use super::{Driver, Fetched, Health};

/// Counters, since the start.
#[derive(Debug)]
pub(crate) struct DriverStats {
    pub(super) wake_seconds: Histogram,
    produced_records: Counter,
    produced_bytes: Counter,
    fetched_records: Counter,
    fetched_bytes: Counter,
    commits: Counter,
    rebalances: Family<Reason, Counter>,
    consumers_created: Counter,
    consumers_ended: Family<Reason, Counter>,
    violations: Family<Broken, Counter>,
}

/// Which promise was broken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Broken {
    oracle: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl Default for DriverStats {
    fn default() -> Self {
        Self {
            // From a task that is woken on the spot to a machine that has too much to do.
            wake_seconds: Histogram::new([0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]),
            produced_records: Counter::default(),
            produced_bytes: Counter::default(),
            fetched_records: Counter::default(),
            fetched_bytes: Counter::default(),
            commits: Counter::default(),
            rebalances: Family::default(),
            consumers_created: Counter::default(),
            consumers_ended: Family::default(),
            violations: Family::default(),
        }
    }
}

impl DriverStats {
    pub(super) fn produced(&self, records: u64, bytes: u64) {
        self.produced_records.inc_by(records);
        self.produced_bytes.inc_by(bytes);
    }

    pub(super) fn answered_with(&self, records: &Fetched) {
        let (count, bytes) = records.size();
        self.fetched_records.inc_by(count);
        self.fetched_bytes.inc_by(bytes);
    }

    pub(super) fn decided(&self, fact: &Fact) {
        match fact {
            Fact::Committed { .. } => {
                self.commits.inc();
            }
            Fact::ConsumerCreated { .. } => {
                self.consumers_created.inc();
            }
            Fact::ConsumerEnded { reason, .. } => {
                let reason = match reason {
                    LeaveReason::Closed => "closed",
                    LeaveReason::SessionTimeout => "session_timeout",
                    LeaveReason::RebalanceTimeout => "rebalance_timeout",
                    LeaveReason::PollInterval => "poll_interval",
                    LeaveReason::Replaced => "replaced",
                };
                self.consumers_ended.get_or_create(&Reason { reason }).inc();
            }
            Fact::Rebalanced { reason, .. } => {
                let reason = match reason {
                    RebalanceReason::Joined(_) => "joined",
                    RebalanceReason::Left(..) => "left",
                    RebalanceReason::Unsubscribed(_) => "unsubscribed",
                    RebalanceReason::Resubscribed(_) => "resubscribed",
                    RebalanceReason::Recovered => "recovered",
                    RebalanceReason::TopicsChanged(_) => "topics_changed",
                };
                self.rebalances.get_or_create(&Reason { reason }).inc();
            }
            _ => {}
        }
    }

    pub(super) fn broken(&self, violation: &Violation) {
        self.violations.get_or_create(&Broken { oracle: violation.oracle.number().into() }).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let counters = [
            ("produced_records", "Records appended", &self.produced_records),
            ("produced_bytes", "Bytes of batches appended, as stored", &self.produced_bytes),
            ("fetched_records", "Records handed out by polls and reads", &self.fetched_records),
            ("fetched_bytes", "Bytes of records handed out, as stored", &self.fetched_bytes),
            ("commits", "Commits, automatic ones too", &self.commits),
            ("consumers_created", "Consumers that subscribed", &self.consumers_created),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register("rebalances", "Assignments of a group, by what brought them about", self.rebalances.clone());
        let help = "Promises that the audit found to be broken, by the number of the oracle";
        registry.register("audit_violations", help, self.violations.clone());
        registry.register("consumers_ended", "Consumers that are no more, by reason", self.consumers_ended.clone());
        let help = "From the moment at which a parked poll may go on until it does";
        registry.register_with_unit("poll_wake", help, Unit::Seconds, self.wake_seconds.clone());
    }
}

impl Driver {
    /// Shows the broker's counters, and the engine's, under their names; and whenever somebody looks, how it is.
    pub fn register(&self, registry: &mut Registry) {
        self.shared.stats.register(registry);
        self.shared.figures.register(registry);
        let shared = Arc::downgrade(&self.shared);
        let driver = move || shared.upgrade().map(|shared| Self { shared }).into_iter().collect();
        registry.register_collector(Box::new(AtThisMoment::of(driver)));
    }
}

/// Figures that are looked up and not counted: of one core, or of all cores of a node, of which the first knows all topics.
pub(crate) struct AtThisMoment(Box<dyn Fn() -> Vec<Driver> + Send + Sync>);

impl AtThisMoment {
    pub(crate) fn of(drivers: impl Fn() -> Vec<Driver> + Send + Sync + 'static) -> Self {
        Self(Box::new(drivers))
    }
}

impl fmt::Debug for AtThisMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtThisMoment")
    }
}

impl Collector for AtThisMoment {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let drivers = (self.0)();
        let Some(first) = drivers.first() else { return Ok(()) };
        let Health { storage, topics, .. } = first.health();
        let (mut consumers, mut parked) = (0, 0);
        for health in drivers.iter().map(Driver::health) {
            consumers += health.consumers;
            parked += health.parked_polls;
        }
        let gauges = [
            ("storage_writable", "1 if records and facts can be written, else 0.", usize::from(storage.is_ok())),
            ("topics", "Topics that exist.", topics),
            ("consumers", "Consumers that exist.", consumers),
            ("parked_polls", "Polls and reads that wait for records.", parked),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let figures: Vec<_> = drivers.iter().map(|driver| driver.lock().core.figures()).collect();
        let logs = figures.first().into_iter().flat_map(|figures| &figures.logs).map(|log| {
            let labels = [("topic", log.topic.to_string()), ("partition", log.partition.to_string())];
            (labels, log.bounds)
        });
        let starts = logs.clone().map(|(labels, bounds)| (labels, bounds.start.0));
        series(&mut encoder, ("log_start_offset", "The first offset that can be read of a partition."), starts)?;
        let ends = logs.map(|(labels, bounds)| (labels, bounds.end.0));
        series(&mut encoder, ("log_end_offset", "The next offset to be written to a partition."), ends)?;
        let groups = figures.iter().flat_map(|figures| &figures.groups);
        let members = groups.clone().map(|group| ([("group", group.group.to_string())], u64::from(group.members)));
        series(&mut encoder, ("group_members", "Consumers that are members of a group."), members)?;
        let behind = groups.flat_map(|group| {
            group.lags.iter().map(|(topic, partition, lag)| {
                let group = ("group", group.group.to_string());
                ([group, ("topic", topic.to_string()), ("partition", partition.to_string())], *lag)
            })
        });
        series(&mut encoder, ("group_lag", "Records from what a group committed to the end of a partition."), behind)
    }
}

fn series<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    values: impl Iterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

//! What a node counts, and how it is whenever somebody looks.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};

use super::{Cluster, Node};
use crate::driver::stats::AtThisMoment;

impl Cluster {
    /// Shows the node's counters under their names; and whenever somebody looks, how its cores are.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let home = &self.node.home;
        home.stats.register(registry);
        home.records.stats().register(registry);
        if let Some(cells) = self.node.cells() {
            cells.stats().register(registry);
        }
        registry.register_collector(Box::new(Served(Arc::downgrade(&self.node))));
        let home = Arc::downgrade(home);
        registry.register_collector(Box::new(AtThisMoment::of(move || {
            let home = home.upgrade();
            home.map(|home| {
                let cells = home.places.all().into_iter().map(|(_, driver)| driver);
                std::iter::once(home.front.clone()).chain(cells).collect()
            })
            .unwrap_or_default()
        })));
    }
}

/// How many cells are served by this node at this moment.
struct Served(Weak<Node>);

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Served")
    }
}

impl Collector for Served {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(node) = self.0.upgrade() else { return Ok(()) };
        let served = node.home.places.all().into_iter().filter(|(cell, _)| node.serves(*cell)).count();
        let gauge = ConstGauge::new(i64::try_from(served).unwrap_or(i64::MAX));
        let help = "Cells that this node answers for.";
        gauge.encode(encoder.encode_descriptor("cells_served", help, None, MetricType::Gauge)?)
    }
}

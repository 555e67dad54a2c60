//! What a node counts, and how it is whenever somebody looks.

use prometheus_client::registry::Registry;

use super::Cluster;
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
        let home = std::sync::Arc::downgrade(home);
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

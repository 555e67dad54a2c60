//! Who is told of each request: the access log, and whoever sends traces.

use std::sync::Arc;

use takhin::http::{AccessLog, Observer};
#[cfg(feature = "otel")]
use takhin::otel::Traces;

use super::settings::Observing;

/// Those that are wanted.
pub(super) struct Observers {
    pub(super) access_log: Option<Arc<AccessLog>>,
    #[cfg(feature = "otel")]
    traces: Option<Arc<Traces>>,
}

impl Observers {
    /// Begins what the settings want. To be called within a tokio runtime.
    pub(super) fn start(observing: &Observing) -> Result<Self, String> {
        Ok(Self {
            access_log: observing.access_log()?,
            #[cfg(feature = "otel")]
            traces: observing.traces()?,
        })
    }

    pub(super) fn all(&self) -> Arc<[Arc<dyn Observer>]> {
        let access_log = self.access_log.iter().map(|log| Arc::clone(log) as Arc<dyn Observer>);
        #[cfg(feature = "otel")]
        let traces = self.traces.iter().map(|traces| Arc::clone(traces) as Arc<dyn Observer>);
        #[cfg(not(feature = "otel"))]
        let traces = std::iter::empty();
        access_log.chain(traces).collect()
    }

    /// Writes and sends what waits, and waits for that; not for long.
    pub(super) fn end(self) {
        if let Some(access_log) = self.access_log {
            access_log.flush();
        }
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.stop();
        }
    }
}

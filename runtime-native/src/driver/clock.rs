//! The driver's clock: the one that the core is told, and the alarm for its next deadline.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use takhin_core::{Date, Event, Timestamp};

use super::Driver;

/// Milliseconds since the broker started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    pub(crate) fn now(self) -> Timestamp {
        Timestamp(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn instant(self, at: Timestamp) -> tokio::time::Instant {
        (self.started + Duration::from_millis(at.0)).into()
    }
}

/// How often the core is told the date, since the system's clock may be set.
const DATE_INTERVAL: Duration = Duration::from_mins(10);

/// What the system's clock says.
fn today() -> Date {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Date(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Driver {
    pub(super) fn bring_date(&self) {
        self.bring(Event::Date { now: today() });
    }

    /// Tells the core the date now and then, for as long as there is somebody else who has the driver.
    pub(super) fn keep_date(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::downgrade(&self.shared);
        async move {
            loop {
                tokio::time::sleep(DATE_INTERVAL).await;
                let Some(shared) = shared.upgrade() else { return };
                let driver = Self { shared };
                if driver.lock().over {
                    return;
                }
                driver.bring_date();
            }
        }
    }

    /// Brings a tick whenever a deadline has come. Sleeps otherwise: no deadline, no wake-up.
    pub(super) async fn run_clock(self) {
        loop {
            let next = {
                let mut state = self.lock();
                if state.over {
                    return;
                }
                state.armed = state.core.next_deadline();
                state.armed
            };
            let sooner = self.shared.sooner.notified();
            match next {
                None => sooner.await,
                Some(at) if at <= self.shared.clock.now() => self.bring(Event::Tick),
                Some(at) => {
                    tokio::select! {
                        () = sooner => {}
                        () = tokio::time::sleep_until(self.shared.clock.instant(at)) => {}
                    }
                }
            }
        }
    }
}

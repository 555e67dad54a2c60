//! The cores of cells that run on this node.

use std::sync::{PoisonError, RwLock};

use tokio::sync::Notify;

use crate::driver::Driver;

/// A place for each cell.
#[derive(Debug, Default)]
pub(super) struct Places {
    drivers: RwLock<Vec<Option<Driver>>>,
    changed: Notify,
}

impl Places {
    /// The core of a cell, if it runs here.
    pub(super) fn driver(&self, cell: u32) -> Option<Driver> {
        self.drivers.read().unwrap_or_else(PoisonError::into_inner).get(cell as usize).cloned().flatten()
    }

    /// All that run here, with their cells.
    pub(super) fn all(&self) -> Vec<(u32, Driver)> {
        let drivers = self.drivers.read().unwrap_or_else(PoisonError::into_inner);
        let here = (0..).zip(drivers.iter()).filter_map(|(cell, driver)| Some((cell, driver.clone()?)));
        here.collect()
    }

    /// The core of a cell runs here from now on.
    pub(super) fn set(&self, cell: u32, driver: Driver) {
        {
            let mut drivers = self.drivers.write().unwrap_or_else(PoisonError::into_inner);
            let cell = cell as usize;
            if drivers.len() <= cell {
                drivers.resize(cell + 1, None);
            }
            drivers[cell] = Some(driver);
        }
        self.changed.notify_waiters();
    }

    /// The core of a cell runs here no longer.
    pub(super) fn clear(&self, cell: u32) {
        if let Some(place) = self.drivers.write().unwrap_or_else(PoisonError::into_inner).get_mut(cell as usize) {
            *place = None;
        }
    }

    /// Waits until a core has begun here.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

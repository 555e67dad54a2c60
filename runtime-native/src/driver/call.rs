//! A request under way, and what it hears.

use takhin_core::{ConsumerId, Event, RequestId};
use tokio::sync::oneshot::Receiver;

use super::{
    Driver,
    state::{Letter, Message},
};

/// What a request hears next. It lives on the stack for a moment, and there is one at a time.
#[allow(clippy::large_enum_variant)]
pub(super) enum Next {
    Now(Message),
    Wait(Receiver<Letter>),
}

/// A request under way. Dropped before its end, it tells the core that the client hung up.
pub(super) struct Call {
    pub(super) driver: Driver,
    pub(super) request: RequestId,
    /// Whose poll it is, if it is one.
    pub(super) poll_of: Option<ConsumerId>,
    /// Whether it is to see to it that what was submitted is written.
    pub(super) unwritten: bool,
    pub(super) ended: bool,
}

impl Call {
    pub(super) fn write(&mut self) {
        if std::mem::take(&mut self.unwritten) {
            self.driver.shared.writing.write();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.write();
        if self.ended {
            return;
        }
        self.driver.bring(Event::Disconnected { request: self.request });
        // The reply may have been on its way already: the core takes it for delivered, and nobody will read it.
        if let Some(consumer) = self.poll_of {
            self.driver.undelivered(self.request, consumer);
        }
    }
}

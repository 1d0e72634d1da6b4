//! Tells events to the log, and to a view where one is near.

use std::sync::Mutex;

use crate::events::{EVENT_VERSION, Event, EventKind, EventSink};
use crate::host::clock::RunClock;
use crate::model::RunId;
use crate::store::EventLog;

/// What a view does with an event.
pub type ViewFn = Box<dyn FnMut(&Event) + Send>;

/// Tells events to the log, and to a view.
pub struct Narrator {
    run: RunId,
    log: EventLog,
    clock: RunClock,
    view: Mutex<ViewFn>,
}

impl Narrator {
    /// A narrator of one run.
    pub fn new(run: RunId, log: EventLog, clock: RunClock, view: ViewFn) -> Self {
        Self { run, log, clock, view: Mutex::new(view) }
    }
}

impl EventSink for Narrator {
    fn emit(&self, kind: EventKind) {
        let event = Event { v: EVENT_VERSION, run: self.run.clone(), at: self.clock.now(), kind };
        self.log.append(&event);
        if let Ok(mut view) = self.view.lock() {
            view(&event);
        }
    }
}

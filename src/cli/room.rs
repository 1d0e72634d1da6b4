//! Room for the run itself, before it begins: a coordinator that cannot write down what it does must not do it.

use crate::error::{Failure, FailureKind};
use crate::host::System;

/// The record, the reports and the events of one run; what work prints is its own affair.
const STATE: u64 = 2 << 20;
/// systemd's files of a service that is started, and the holds.
const RUN: u64 = 1 << 20;

/// Refuses where there is no room for the state, or below `/run`. What cannot be asked is found by whoever writes.
pub(super) async fn refuse_without(system: &dyn System, state: &str) -> Result<(), Failure> {
    // It is created by the first run.
    let places: Vec<&str> = std::path::Path::new(state).ancestors().filter_map(|path| path.to_str()).collect();
    let nearest = match system.free_space(&places).await {
        Ok(free) => places.iter().find_map(|place| Some((*place, *free.get(*place)?))),
        Err(_) => None,
    };
    let run = system.free_space(&["/run"]).await.ok().and_then(|free| free.get("/run").copied());
    let asked = [nearest.map(|(place, free)| (place, free, STATE)), run.map(|free| ("/run", free, RUN))];
    match asked.into_iter().flatten().find(|(_, free, needed)| free < needed) {
        None => Ok(()),
        Some((place, free, needed)) => {
            let message = format!(
                "there is no room for a run: {place} has {} KiB free, and {} KiB are needed; nothing was touched",
                free >> 10,
                needed >> 10
            );
            Err(Failure::new(FailureKind::Refused, message).hint(format!("df -h {place}")))
        }
    }
}

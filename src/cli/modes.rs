//! The ways of shortening the time without services, each with what it would take here.

use super::app::App;
use super::look::Look;
use crate::config::{Ahead, Settings, StopOrder};
use crate::model::{RunOptions, UpgradePlan};
use crate::ui::plan::Mode;

/// What is saved below this is not worth a word.
const WORTH: i64 = 1;

/// What each mode would take; none where nothing could come ahead of a stop.
pub(super) fn compare(app: &App, settings: &Settings, options: &RunOptions, look: &Look) -> Vec<Mode> {
    let Some(choice) = look.ahead.as_ref().filter(|_| !settings.services.is_empty()) else { return Vec::new() };
    let set = (settings.upgrade.ahead, settings.upgrade.order);
    let mut modes: Vec<Mode> = [
        ("stop-first", Ahead::Nothing, StopOrder::StopFirst),
        ("kernel", Ahead::Kernel, StopOrder::StopFirst),
        ("unrelated", Ahead::Unrelated, StopOrder::StopFirst),
        ("late-stop", set.0, StopOrder::LateStop),
    ]
    .into_iter()
    .map(|(name, ahead, order)| {
        let mut tried = settings.clone();
        (tried.upgrade.ahead, tried.upgrade.order) = (ahead, order);
        let ahead = tried.upgrade.chooses_ahead().then(|| choice.clone());
        let plan = UpgradePlan { ahead, ..look.upgrade.clone() };
        let estimate = app.estimate(&tried, options, &plan, look.reboots, &look.outlook);
        let is_set = (tried.upgrade.ahead, tried.upgrade.order) == set;
        Mode { name, downtime: estimate.downtime(), is_set, is_recommended: false }
    })
    .collect();
    // Never `late-stop`, under which services run what changes under them: that is for people to decide.
    let mut best = 0;
    for at in 1..=2 {
        if (modes[best].downtime - modes[at].downtime).as_secs() >= WORTH {
            best = at;
        }
    }
    modes[best].is_recommended = true;
    modes
}

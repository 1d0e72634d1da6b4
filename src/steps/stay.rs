//! Whether a run reboots.

use super::StepContext;
use crate::config::RebootWhen;

/// Why no reboot is asked for; none if one is.
pub(super) fn reason_to_stay(ctx: &StepContext<'_>) -> Option<&'static str> {
    if ctx.run().reboot_reasons.is_empty() {
        return Some("no reboot is needed");
    }
    if ctx.run().options.no_reboot {
        return Some("--no-reboot was asked for; a reboot is still needed");
    }
    let is_never = ctx.settings.reboot.when == RebootWhen::Never;
    is_never.then_some("[reboot] when = \"never\"; a reboot is still needed")
}

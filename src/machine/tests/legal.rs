//! Which facts are legal where.

/// Phase, open attempt, and every fact that may follow with the phase that it leads to. `=` stands for the same phase.
pub(super) const LEGAL: [(&str, &str, &str); 42] = [
    (
        "planned",
        "-",
        "step began =, given up failed, boot changed failed, soft-rebooted failed, resumed =, clock anchored =, abort requested aborted",
    ),
    (
        "planned",
        "preflight",
        "step ended preflight passed, given up failed, checks answered =, boot changed failed, soft-rebooted failed, resumed =, clock anchored =",
    ),
    (
        "preflight passed",
        "-",
        "step began =, given up failed, boot changed failed, soft-rebooted failed, resumed =, clock anchored =, abort requested aborted",
    ),
    (
        "preflight passed",
        "fetch",
        "step ended packages fetched, given up failed, upgrade planned =, batch prepared =, nothing found nothing to do, \
         boot changed failed, soft-rebooted failed, resumed =, clock anchored =",
    ),
    (
        "packages fetched",
        "-",
        "step began =, given up failed, boot changed failed, soft-rebooted failed, resumed =, clock anchored =, abort requested aborted",
    ),
    (
        "packages fetched",
        "baseline",
        "step ended baseline taken, given up failed, baseline taken =, boot changed failed, soft-rebooted failed, resumed =, clock anchored =",
    ),
    (
        "baseline taken",
        "-",
        "step began =, given up failed, window missed failed, boot changed failed, soft-rebooted failed, resumed =, clock anchored =, \
         abort requested aborted",
    ),
    (
        "baseline taken",
        "stop:api.service",
        "step ended =, given up failed, change intended =, proof expected =, service stopped =, boot changed failed, soft-rebooted failed, resumed =, clock anchored =",
    ),
    (
        "baseline taken",
        "hook:before-stop:1",
        "step ended =, given up failed, boot changed failed, soft-rebooted failed, resumed =, clock anchored =, hook began =",
    ),
    (
        "baseline taken",
        "notify-start",
        "step ended =, given up failed, boot changed failed, soft-rebooted failed, resumed =, clock anchored =, notified =",
    ),
    (
        "baseline taken",
        "stop:mongod.service",
        "step ended services stopped, given up failed, change intended =, proof expected =, service stopped =, boot changed failed, \
         soft-rebooted failed, resumed =, clock anchored =",
    ),
    (
        "services stopped",
        "-",
        "step began =, given up failed, window missed failed, boot changed failed, soft-rebooted failed, resumed =, clock anchored =, \
         abort requested aborted",
    ),
    (
        "services stopped",
        "upgrade",
        "step ended packages upgraded, given up failed, stood still =, boot owes =, boot changed failed, soft-rebooted failed, resumed =, clock anchored =",
    ),
    (
        "services stopped",
        "repair",
        "step ended =, given up failed, stood still =, boot owes =, boot changed failed, soft-rebooted failed, resumed =, clock anchored =",
    ),
    (
        "packages upgraded",
        "-",
        "step began =, given up failed, window missed =, boot changed failed, soft-rebooted failed, resumed =, clock anchored =, abort requested aborted",
    ),
    (
        "packages upgraded",
        "build-kernel",
        "step ended kernel built, given up failed, stood still =, boot owes =, boot changed failed, soft-rebooted failed, resumed =, clock anchored =",
    ),
    (
        "kernel built",
        "-",
        "step began =, given up failed, boot changed failed, soft-rebooted failed, resumed =, clock anchored =, abort requested aborted",
    ),
    (
        "kernel built",
        "stage-check",
        "step ended staged, given up failed, reboot wanted =, boot owes =, kernel expected =, boot changed failed, soft-rebooted failed, resumed =, clock anchored =, failed meanwhile =",
    ),
    (
        "staged",
        "-",
        "step began =, given up failed, window missed =, boot changed rebooted, soft-rebooted failed, resumed =, clock anchored =, abort requested aborted",
    ),
    (
        "staged",
        "reboot",
        "step ended =, given up failed, reboot requested reboot requested, boot changed rebooted, soft-rebooted failed, resumed =, clock anchored =, failed meanwhile =",
    ),
    (
        "staged",
        "restore",
        "step ended =, given up failed, change undone =, boot changed rebooted, soft-rebooted =, resumed =, clock anchored =",
    ),
    (
        "staged",
        "verify",
        "step ended verified, given up failed, boot owes =, boot changed rebooted, soft-rebooted =, resumed =, clock anchored =, recovery intended =, restart intended =, judged =",
    ),
    (
        "reboot requested",
        "reboot",
        "step ended failed, given up failed, reboot forced =, boot changed rebooted, soft-rebooted failed, resumed =, clock anchored =, failed meanwhile =",
    ),
    (
        "reboot requested",
        "revert",
        "step ended failed, given up failed, reboot forced =, boot changed rebooted, soft-rebooted failed, resumed =, clock anchored =",
    ),
    // Past the point of no return there is nothing to abort.
    ("rebooted", "-", "step began =, given up failed, boot changed =, soft-rebooted =, resumed =, clock anchored ="),
    (
        "rebooted",
        "verify",
        "step ended verified, given up failed, boot owes =, boot changed =, soft-rebooted =, resumed =, clock anchored =, recovery intended =, restart intended =, judged =",
    ),
    // A final phase stays, whatever happens; but for a verdict, which is of one boot.
    ("only fetched", "-", "step began =, boot changed =, soft-rebooted =, resumed =, clock anchored =, closed ="),
    (
        "only fetched",
        "report",
        "step ended =, boot owes =, boot changed =, soft-rebooted =, resumed =, clock anchored =",
    ),
    ("nothing to do", "-", "step began =, boot changed =, soft-rebooted =, resumed =, clock anchored =, closed ="),
    (
        "nothing to do",
        "report",
        "step ended =, boot owes =, boot changed =, soft-rebooted =, resumed =, clock anchored =",
    ),
    (
        "verified",
        "-",
        "step began =, boot changed rebooted, soft-rebooted rebooted, resumed =, clock anchored =, closed =",
    ),
    (
        "verified",
        "hook:after-verify:1",
        "step ended =, boot changed rebooted, soft-rebooted rebooted, resumed =, clock anchored =, hook ended =",
    ),
    (
        "verified",
        "report",
        "step ended =, boot owes =, boot changed rebooted, soft-rebooted rebooted, resumed =, clock anchored =",
    ),
    (
        "verified",
        "notify-end",
        "step ended =, boot changed rebooted, soft-rebooted rebooted, resumed =, clock anchored =, notified =",
    ),
    ("failed", "-", "step began =, boot changed =, soft-rebooted =, resumed =, clock anchored =, closed ="),
    (
        "failed",
        "repair",
        "step ended =, stood still =, boot owes =, boot changed =, soft-rebooted =, resumed =, clock anchored =",
    ),
    (
        "failed",
        "restore",
        "step ended =, change undone =, boot changed =, soft-rebooted =, resumed =, clock anchored =",
    ),
    ("failed", "report", "step ended =, boot owes =, boot changed =, soft-rebooted =, resumed =, clock anchored ="),
    (
        "failed",
        "revert",
        "step ended =, reboot requested reboot requested, boot changed rebooted, soft-rebooted rebooted, resumed =, clock anchored =",
    ),
    ("aborted", "-", "step began =, boot changed =, soft-rebooted =, resumed =, clock anchored =, closed ="),
    (
        "aborted",
        "restore",
        "step ended =, change undone =, boot changed =, soft-rebooted =, resumed =, clock anchored =",
    ),
    ("aborted", "report", "step ended =, boot owes =, boot changed =, soft-rebooted =, resumed =, clock anchored ="),
];

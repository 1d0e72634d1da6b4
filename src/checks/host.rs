//! The host, and who else wants something from it.

use super::check;
use crate::host::Inhibitor;

check!(
    SHUTDOWN_SCHEDULED,
    Host,
    "shutdown-scheduled",
    Blocker,
    30,
    "nobody has scheduled a shutdown",
    "A shutdown that comes while dpkg works breaks packages. Let it pass, or cancel it.",
    |check, inputs| {
        let Some((kind, at)) = inputs.host.power.scheduled_shutdown().await? else { return Ok(None) };
        let finding = check.found(format!("a {kind} is scheduled for {at}"));
        Ok(Some(finding.remedy("let it pass, or cancel it", "shutdown -c")))
    }
);

check!(
    SHUTDOWN_INHIBITED,
    Host,
    "shutdown-inhibited",
    Warning,
    30,
    "nobody inhibits a shutdown",
    "Since systemd 257 a lock stops the reboot; before, the reboot tramples on what the lock protects.",
    |check, inputs| {
        let holders = inputs.host.power.inhibitors().await?;
        let evidence: Vec<String> =
            holders.iter().filter(|holder| holder.blocks_shutdown()).map(Inhibitor::to_string).collect();
        if evidence.is_empty() {
            return Ok(None);
        }
        let mut finding = check.found("somebody inhibits a shutdown now");
        finding.evidence = evidence;
        Ok(Some(finding.remedy("it must be gone before the reboot", "systemd-inhibit --list")))
    }
);

check!(
    CPU_VULNERABLE,
    Kernel,
    "cpu-vulnerable",
    Info,
    10,
    "which CPU vulnerabilities are unmitigated now",
    "What the running kernel leaves open, to compare with after the reboot.",
    |check, inputs| {
        let all = &inputs.kernels().await?.vulnerabilities;
        let open = all.iter().filter(|one| one.state.starts_with("Vulnerable"));
        let evidence: Vec<String> = open.map(|one| format!("{}: {}", one.name, one.state)).collect();
        if evidence.is_empty() {
            return Ok(None);
        }
        let mut finding = check.found("the running kernel leaves CPUs vulnerable");
        finding.evidence = evidence;
        Ok(Some(finding.hint("a newer kernel or microcode may mitigate them; the report compares")))
    }
);

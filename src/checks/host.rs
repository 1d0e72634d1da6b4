//! The host, and who else wants something from it.

use super::{Check, check};
use crate::host::Inhibitor;
use crate::model::{Finding, Severity};

check!(SHUTDOWN_SCHEDULED, "shutdown-scheduled", Blocker, "nobody has scheduled a shutdown", |inputs| {
    let Some((kind, at)) = inputs.host.power.scheduled_shutdown().await? else { return Ok(None) };
    let finding = Finding::new("shutdown-scheduled", Severity::Blocker, format!("a {kind} is scheduled for {at}"));
    Ok(Some(finding.remedy("let it pass, or cancel it", "shutdown -c")))
});

check!(SHUTDOWN_INHIBITED, "shutdown-inhibited", Warning, "nobody inhibits a shutdown", |inputs| {
    let holders = inputs.host.power.inhibitors().await?;
    let evidence: Vec<String> =
        holders.iter().filter(|holder| holder.blocks_shutdown()).map(Inhibitor::to_string).collect();
    if evidence.is_empty() {
        return Ok(None);
    }
    let mut finding = Finding::new("shutdown-inhibited", Severity::Warning, "somebody inhibits a shutdown now");
    finding.evidence = evidence;
    Ok(Some(finding.remedy("it must be gone before the reboot", "systemd-inhibit --list")))
});

check!(CPU_VULNERABLE, "cpu-vulnerable", Info, "which CPU vulnerabilities are unmitigated now", |inputs| {
    let all = inputs.host.kernels.facts().await?.vulnerabilities;
    let open = all.iter().filter(|one| one.state.starts_with("Vulnerable"));
    let evidence: Vec<String> = open.map(|one| format!("{}: {}", one.name, one.state)).collect();
    if evidence.is_empty() {
        return Ok(None);
    }
    let mut finding = Finding::new("cpu-vulnerable", Severity::Info, "the running kernel leaves CPUs vulnerable");
    finding.evidence = evidence;
    Ok(Some(finding.hint("a newer kernel or microcode may mitigate them; the report compares")))
});

//! Who listens where.

use super::{Difference, Now, known};
use crate::model::{Baseline, Finding, ListeningSocket, Severity, UnitName};

/// From here on the kernel gives ports away: whoever has one now has another one after the next start.
const FIRST_PASSING_PORT: u16 = 32768;

/// Sockets of programs that run in a service: those of logins and of one-off programs come and go.
fn is_service(socket: &ListeningSocket) -> bool {
    let unit = socket.unit.as_ref().map(UnitName::as_str).unwrap_or_default();
    let passing = ["user@", "run-", "patchday"].iter().any(|start| unit.starts_with(start));
    (unit.ends_with(".service") || unit.ends_with(".socket") || unit == "init.scope") && !passing
}

fn port(socket: &ListeningSocket) -> Option<u16> {
    socket.address.rsplit_once(':')?.1.parse().ok()
}

/// Whether the other socket takes what came to this one: it is the same, or it listens on every address, IPv4 too.
fn takes_over(other: &ListeningSocket, socket: &ListeningSocket) -> bool {
    let family = |protocol: &str| protocol.trim_end_matches('6').to_owned();
    let is_wildcard = other.address.starts_with("[::]:");
    other.protocol == socket.protocol && other.address == socket.address
        || is_wildcard && family(&other.protocol) == family(&socket.protocol) && port(other) == port(socket)
}

pub(super) fn compare(before: &Baseline, now: &Now, differences: &mut Vec<Difference>) {
    let Some(sockets) = known("listening sockets", "socket-missing", &now.sockets, differences) else { return };
    for socket in before.sockets.iter().filter(|socket| is_service(socket)) {
        let ListeningSocket { protocol, address, program, unit } = socket;
        let unit_name = unit.as_ref().map(UnitName::as_str).unwrap_or_default();
        let holders: Vec<&ListeningSocket> = sockets.iter().filter(|other| takes_over(other, socket)).collect();
        let what = format!("{protocol} {address}");
        let see = format!("ss -lnp | grep {address}");
        if holders.is_empty() {
            if port(socket).is_some_and(|port| port >= FIRST_PASSING_PORT) {
                let rule = "ports from 32768 on are given away by the kernel, anew at each start";
                differences.push(Difference::expected(format!("nobody listens on {what}; {program} did"), rule));
                continue;
            }
            let title = format!("nobody listens on {what}; {program} did");
            let finding = Finding::new("socket-missing", Severity::Warning, title).about(&what);
            let finding = finding.evidence(format!("it was a socket of {unit_name}"));
            differences.push(finding.remedy("see whether its service is up", see).into());
            continue;
        }
        // Two services may run the same interpreter: the program tells only where no service is named.
        let is_same = |other: &&ListeningSocket| {
            other.unit == *unit || other.program == *program && !(is_service(other) && is_service(socket))
        };
        if holders.iter().any(is_same) {
            continue;
        }
        // systemd opens the socket of a service that has not been asked for anything yet.
        let by_systemd = |unit: &Option<UnitName>, program: &str| {
            program == "systemd" || unit.as_ref().is_some_and(|unit| unit.as_str() == "init.scope")
        };
        if by_systemd(unit, program) || holders.iter().any(|other| by_systemd(&other.unit, &other.program)) {
            let rule = "systemd listens for a service that is started when it is asked for something";
            differences.push(Difference::expected(format!("{what} is with another program"), rule));
            continue;
        }
        let Some(holder) = holders.first() else { continue };
        let holder_unit = holder.unit.as_ref().map(UnitName::as_str);
        let who = match holder_unit {
            Some(unit) => format!("{} of {unit}", holder.program),
            None => holder.program.clone(),
        };
        let title = format!("{what} is held by {who}; it was {program} of {unit_name}");
        let mut finding = Finding::new("socket-moved", Severity::Warning, title).about(holder_unit.unwrap_or(&what));
        finding.evidence.push(format!("before: {program} of {unit_name}; now: {who}"));
        let hint = match holder_unit {
            Some(unit) => format!("stop {unit}, then start {unit_name}"),
            None => format!("stop {}, then start {unit_name}", holder.program),
        };
        differences.push(finding.remedy(hint, see).into());
    }
}

//! Who listens where.

use super::{Difference, Now, known};
use crate::model::{Baseline, Finding, FindingKey, ListeningSocket, Severity, Subject, UnitName};

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

/// Who listens on a socket now.
pub(in crate::verify) enum Listener<'a> {
    /// Its program, or its unit.
    Same,
    /// systemd, for a service that has not been asked for anything yet.
    Systemd,
    Other(&'a ListeningSocket),
    Nothing,
}

pub(in crate::verify) fn listener<'a>(socket: &ListeningSocket, now: &'a [ListeningSocket]) -> Listener<'a> {
    let holders: Vec<&ListeningSocket> = now.iter().filter(|other| takes_over(other, socket)).collect();
    let Some(first) = holders.first().copied() else { return Listener::Nothing };
    // Two services may run the same interpreter: the program counts only where no service is named.
    let is_same = |other: &&ListeningSocket| {
        other.unit == socket.unit || other.program == socket.program && !(is_service(other) && is_service(socket))
    };
    let is_of_systemd = |one: &ListeningSocket| {
        one.program == "systemd" || one.unit.as_ref().is_some_and(|unit| unit.as_str() == "init.scope")
    };
    if holders.iter().any(is_same) {
        Listener::Same
    } else if is_of_systemd(socket) || holders.into_iter().any(is_of_systemd) {
        Listener::Systemd
    } else {
        Listener::Other(first)
    }
}

/// What the finding about a socket that was taken is about: who took it, as far as is known.
pub(in crate::verify) fn subject_of(holder: &ListeningSocket, socket: &ListeningSocket) -> Subject {
    holder.unit.as_ref().map_or_else(|| Subject::socket(socket), Subject::from)
}

pub(super) fn compare(before: &Baseline, now: &Now, differences: &mut Vec<Difference>) {
    let Some(sockets) = known("listening sockets", FindingKey::SocketMissing, &now.sockets, differences) else {
        return;
    };
    for socket in before.sockets.iter().filter(|socket| is_service(socket)) {
        let ListeningSocket { protocol, address, program, unit } = socket;
        let unit_name = unit.as_ref().map(UnitName::as_str).unwrap_or_default();
        let what = format!("{protocol} {address}");
        let see = format!("ss -lnp | grep {address}");
        let holder = match listener(socket, sockets) {
            Listener::Same => continue,
            Listener::Systemd => {
                let rule = "systemd listens for a service that is started when it is asked for something";
                differences.push(Difference::expected(format!("{what} is with another program"), rule));
                continue;
            }
            Listener::Nothing if port(socket).is_some_and(|port| port >= FIRST_PASSING_PORT) => {
                let rule = "ports from 32768 on are given away by the kernel, anew at each start";
                differences.push(Difference::expected(format!("nothing listens on {what}; {program} did"), rule));
                continue;
            }
            Listener::Nothing => {
                let title = format!("nothing listens on {what}; {program} did");
                let finding = Finding::new(FindingKey::SocketMissing, Severity::Warning, title);
                let finding =
                    finding.about(Subject::socket(socket)).evidence(format!("it was a socket of {unit_name}"));
                differences.push(finding.remedy("see whether its service is up", see).into());
                continue;
            }
            Listener::Other(holder) => holder,
        };
        let (who, in_the_way) = match &holder.unit {
            Some(unit) => (format!("{} of {unit}", holder.program), unit.to_string()),
            None => (holder.program.clone(), holder.program.clone()),
        };
        let title = format!("{what} is held by {who}; it was {program} of {unit_name}");
        let finding = Finding::new(FindingKey::SocketMoved, Severity::Warning, title);
        let finding = finding.about(subject_of(holder, socket));
        let finding = finding.evidence(format!("before: {program} of {unit_name}; now: {who}"));
        differences.push(finding.remedy(format!("stop {in_the_way}, then start {unit_name}"), see).into());
    }
}

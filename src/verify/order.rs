//! Whether services became ready in their order, as the boot went.

use super::watch::Watched;
use crate::model::{
    DependencyGraph, EdgeReturn, Finding, FindingKey, OrderKept, OrderUnknown, ReadinessProbe, Severity,
};

/// Types of service that tell systemd when they are ready, so that "active" means it.
const TELLING_TYPES: [&str; 4] = ["notify", "notify-reload", "forking", "dbus"];

/// Each configured edge, judged.
pub(super) fn edges(watched: &[Watched]) -> Vec<EdgeReturn> {
    let pairs = watched.iter().flat_map(|one| {
        let on = watched.iter().filter(|other| one.service.after.contains(other.unit()));
        on.map(move |on| (one, on))
    });
    pairs
        .map(|(one, on)| {
            let (order, why) = order(one, on);
            EdgeReturn { unit: one.unit().clone(), on: on.unit().clone(), order, why }
        })
        .collect()
}

/// A readiness that was seen lies between the last look that found it missing and the first that found it. Only what
/// holds for both ends is said.
fn order(one: &Watched, on: &Watched) -> (OrderKept, Option<OrderUnknown>) {
    let active = |watched: &Watched| watched.state.as_ref().and_then(|state| state.active_since_usec);
    let (Some(ready), Some(on_ready), Some(became_active)) = (one.ready_usec, on.ready_usec, active(one)) else {
        return (OrderKept::Unknown, Some(OrderUnknown::NotReady));
    };
    // Before it was active it was not ready, whoever looked.
    let not_ready = |watched: &Watched, ready: u64| watched.not_ready_usec.max(active(watched)).unwrap_or(0).min(ready);
    let seen =
        Seen { became_active, ready: (not_ready(one, ready), ready), on_ready: (not_ready(on, on_ready), on_ready) };
    let order = seen.order();
    let why = match (one.not_ready_usec, on.not_ready_usec) {
        (Some(_), Some(_)) => OrderUnknown::Together,
        _ => OrderUnknown::NotSeen,
    };
    (order, (order == OrderKept::Unknown).then_some(why))
}

/// When one service became ready, and the one that it depends on: after the first moment, and at the second at the latest.
struct Seen {
    became_active: u64,
    ready: (u64, u64),
    on_ready: (u64, u64),
}

impl Seen {
    fn order(&self) -> OrderKept {
        let on_was_ready = self.on_ready.1;
        if self.ready.1 < self.on_ready.0 {
            OrderKept::Broken
        } else if self.became_active >= on_was_ready {
            OrderKept::Kept
        // To be active earlier is not to have waited: it must have been not ready when the other one was ready.
        } else if self.ready.0 >= on_was_ready {
            OrderKept::Waited
        } else {
            OrderKept::Unknown
        }
    }
}

/// A service that was ready before what it depends on was serving without it.
pub(super) fn findings(edges: &[EdgeReturn], watched: &[Watched], graph: &DependencyGraph) -> Vec<Finding> {
    let find = |unit| watched.iter().find(|one| one.unit() == unit);
    let millis = |one: &Watched| one.ready_usec.unwrap_or_default() / 1000;
    let mut findings = Vec::new();
    for edge in edges.iter().filter(|edge| edge.order == OrderKept::Broken) {
        let (Some(one), Some(on)) = (find(&edge.unit), find(&edge.on)) else { continue };
        let service_type = graph.relations(one.unit()).map_or("", |known| known.service_type.as_str());
        let tells = one.service.readiness != ReadinessProbe::Unit || TELLING_TYPES.contains(&service_type);
        let is_ordered = graph.relations(one.unit()).is_some_and(|known| known.after.contains(on.unit()));
        // Such a service is active as soon as its program runs, which says nothing: only that it waits for nobody is
        // known, and that only where systemd does not make it wait.
        if !tells && is_ordered {
            continue;
        }
        let (unit, on_unit) = (one.unit(), on.unit());
        let title = format!("{unit} was ready before {on_unit}, on which it depends");
        let evidence = format!("{unit} at {} ms, {on_unit} at {} ms since the boot", millis(one), millis(on));
        let hint = format!("let {unit} be ready only when {on_unit} answers, and order it after {on_unit}");
        let finding = Finding::new(FindingKey::Order, Severity::Warning, title).about(unit).evidence(evidence);
        findings.push(finding.remedy(hint, format!("systemctl edit {unit}")));
    }
    findings
}

/// A service that systemd had to start again and again before it stayed.
pub(super) fn restarts(watched: &[Watched]) -> Vec<Finding> {
    let restarted = watched.iter().filter(|one| one.is_ready());
    let restarted = restarted.filter_map(|one| Some((one, one.state.as_ref()?.restarts))).filter(|(_, n)| *n > 0);
    let finding = |(one, restarts): (&Watched, u32)| {
        let unit = one.unit();
        let began = one.state.as_ref().and_then(|state| state.activation_began_usec);
        let late = watched.iter().filter(|other| one.service.after.contains(other.unit()));
        // Its last start held; the one that it waited for became ready shortly before or after that.
        let late = late.filter(|other| other.not_ready_usec.is_some()).max_by_key(|other| other.ready_usec);
        let title = match late {
            Some(late) => format!("{unit} was restarted {restarts} times before it stayed: {} was late", late.unit()),
            None => format!("{unit} was restarted {restarts} times before it stayed"),
        };
        let mut finding = Finding::new(FindingKey::Restarted, Severity::Warning, title).about(unit);
        if let (Some(late), Some(began)) = (late, began) {
            let ready = late.ready_usec.unwrap_or_default() / 1000;
            let line = format!("{} was ready at {ready} ms, its last start began at {} ms", late.unit(), began / 1000);
            finding = finding.evidence(line);
        }
        finding.remedy("let it wait for what it needs, or order it after it", format!("journalctl -b -u {unit}"))
    };
    restarted.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In milliseconds: when it became active, between what looks it became ready, and the same of the other one.
    #[test]
    fn nothing_is_said_of_an_order_that_nobody_saw() {
        for (case, became_active, ready, on_ready, expected) in [
            ("started when the other one was ready", 900, (900, 1000), (700, 800), OrderKept::Kept),
            ("seen not ready when the other one was", 500, (900, 1000), (700, 800), OrderKept::Waited),
            ("seen ready while the other one was not", 500, (500, 600), (700, 800), OrderKept::Broken),
            // A database that answers late: one long look lies between "not yet" and "ready".
            ("ready long before the other one was seen", 500, (500, 700), (600, 5800), OrderKept::Unknown),
            ("both became ready between the same two looks", 500, (700, 1000), (700, 1000), OrderKept::Unknown),
            ("it may have been ready first", 500, (500, 1000), (700, 800), OrderKept::Unknown),
            ("it became active between two looks at the other one", 750, (900, 1000), (700, 800), OrderKept::Waited),
            ("ready as the other one was", 500, (800, 900), (700, 800), OrderKept::Waited),
            ("active as the other one was ready", 800, (800, 805), (700, 800), OrderKept::Kept),
            ("ready when the other one was last seen not ready", 500, (600, 700), (700, 800), OrderKept::Unknown),
        ] {
            let seen = Seen { became_active, ready, on_ready };
            assert_eq!(seen.order(), expected, "{case}");
        }
    }
}

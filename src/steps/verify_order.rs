//! Whether services became ready in their order, as the boot went.

use super::verify_watch::Watched;
use crate::model::{DependencyGraph, EdgeReturn, Finding, OrderKept, ReadinessProbe, Severity};

/// Types of service that tell systemd when they are ready, so that "active" means it.
const TELLING_TYPES: [&str; 4] = ["notify", "notify-reload", "forking", "dbus"];

/// Each configured edge, judged.
pub(super) fn edges(watched: &[Watched]) -> Vec<EdgeReturn> {
    let pairs = watched.iter().flat_map(|one| {
        let on = watched.iter().filter(|other| one.service.after.contains(other.unit()));
        on.map(move |on| (one, on))
    });
    pairs
        .map(|(one, on)| EdgeReturn { unit: one.unit().clone(), on: on.unit().clone(), order: order(one, on) })
        .collect()
}

/// A readiness that was seen lies between the last look that found it missing and the first that found it. Only what
/// holds for both ends is said.
fn order(one: &Watched, on: &Watched) -> OrderKept {
    let active = |watched: &Watched| watched.state.as_ref().and_then(|state| state.active_since_usec);
    let (Some(ready), Some(on_ready), Some(became_active)) = (one.ready_usec, on.ready_usec, active(one)) else {
        return OrderKept::Unknown;
    };
    // Before it was active it was not ready, whoever looked.
    let on_not_ready = on.not_ready_usec.max(active(on)).map_or(on_ready, |usec| usec.min(on_ready));
    if ready < on_not_ready {
        OrderKept::Broken
    } else if became_active >= on_ready {
        OrderKept::Kept
    } else if became_active < on_not_ready {
        OrderKept::Waited
    } else {
        OrderKept::Unknown
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
        let finding = Finding::new("order", Severity::Warning, title).about(unit.as_str()).evidence(evidence);
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
        let mut finding = Finding::new("restarted", Severity::Warning, title).about(unit.as_str());
        if let (Some(late), Some(began)) = (late, began) {
            let ready = late.ready_usec.unwrap_or_default() / 1000;
            let line = format!("{} was ready at {ready} ms, its last start began at {} ms", late.unit(), began / 1000);
            finding = finding.evidence(line);
        }
        finding.remedy("let it wait for what it needs, or order it after it", format!("journalctl -b -u {unit}"))
    };
    restarted.map(finding).collect()
}

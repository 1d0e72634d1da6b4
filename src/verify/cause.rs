//! First cause first: which finding explains which.

use std::collections::BTreeMap;

use super::compare::{self, Listener};
use crate::host::Host;
use crate::model::{Baseline, DependencyGraph, Finding, FindingKey, ListeningSocket, Severity, Subject, UnitName};

/// Lines of the journal that a first cause comes with.
const LINES: usize = 10;
/// More causes than this are told without their journal: whoever has that many begins with these.
const WITH_JOURNAL: usize = 3;

/// Findings that say that a unit is not as it should be.
fn is_down(finding: &Finding) -> bool {
    use FindingKey::{MountChanged, MountMissing, ServiceNotReady, UnitFailed, UnitGone};
    matches!(finding.key, ServiceNotReady | UnitFailed | UnitGone | MountMissing | MountChanged)
}

fn unit_of(finding: &Finding) -> Option<UnitName> {
    finding.subject.as_ref()?.unit()
}

/// A mount that a service needs is more than a mount: systemd starts a service without it where its unit is masked or
/// gone, and a database on the empty directory below it is worse than none.
pub(super) fn weigh_mounts(findings: &mut [Finding], graph: &DependencyGraph, services: &[UnitName]) {
    for finding in findings.iter_mut().filter(|finding| finding.key == FindingKey::MountMissing) {
        let unit = unit_of(finding);
        let Some(Subject::Path(point)) = finding.subject.clone() else { continue };
        let is_below =
            |path: &String| path.strip_prefix(&point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let needs = |service: &&UnitName| {
            let known = graph.relations(service);
            known.is_some_and(|known| {
                known.mounts_for.iter().any(is_below) || unit.as_ref().is_some_and(|unit| known.needs.contains(unit))
            })
        };
        for service in services.iter().filter(needs) {
            finding.severity = Severity::Blocker;
            finding.evidence.push(format!("{service} needs it"));
        }
    }
}

/// Adds why a database is down. Where that was not recognised, what was seen belongs to the finding that says so
/// already: two of them would only be longer.
pub(super) fn explain(findings: &mut Vec<Finding>, unit: &UnitName, why: Vec<Finding>) {
    for reason in why {
        let same = findings.iter_mut().find(|one| is_down(one) && one.is_about(unit));
        match same.filter(|_| reason.key == FindingKey::MongodUnknown) {
            Some(down) => down.evidence.extend(reason.evidence),
            None => findings.push(reason.about(unit)),
        }
    }
}

/// Says of each finding which other one explains it, gives a cause the weight of what it causes, and puts the gravest
/// first: causes before their consequences.
pub(super) fn first(
    mut findings: Vec<Finding>,
    graph: &DependencyGraph,
    baseline: &Baseline,
    now: &[ListeningSocket],
) -> Vec<Finding> {
    let broken: BTreeMap<UnitName, usize> = findings
        .iter()
        .enumerate()
        .filter(|(_, finding)| is_down(finding))
        .filter_map(|(at, finding)| Some((unit_of(finding)?, at)))
        .collect();
    let causes: Vec<Option<usize>> =
        findings.iter().map(|finding| cause(finding, &findings, &broken, graph, (baseline, now))).collect();
    for at in 0..findings.len() {
        let Some(of) = causes[at] else { continue };
        let (severity, subject) = (findings[at].severity, findings[of].subject.clone());
        findings[of].severity = findings[of].severity.max(severity);
        findings[at].because_of = subject;
    }
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.because_of.is_some()));
    findings
}

fn cause(
    finding: &Finding,
    all: &[Finding],
    broken: &BTreeMap<UnitName, usize>,
    graph: &DependencyGraph,
    (baseline, now): (&Baseline, &[ListeningSocket]),
) -> Option<usize> {
    let sockets_of = |unit: &UnitName| {
        let unit = unit.clone();
        baseline.sockets.iter().filter(move |socket| socket.unit.as_ref() == Some(&unit))
    };
    if is_down(finding) {
        let unit = unit_of(finding)?;
        let of = graph.first_cause(&unit, |other| broken.contains_key(other)).and_then(|cause| broken.get(&cause));
        if let Some(of) = of.filter(|of| all.get(**of).is_some_and(|other| !std::ptr::eq(other, finding))) {
            return Some(*of);
        }
        // Another program has its port.
        return sockets_of(&unit).find_map(|socket| {
            let Listener::Other(holder) = compare::listener(socket, now) else { return None };
            let subject = Some(compare::subject_of(holder, socket));
            all.iter().position(|other| other.key == FindingKey::SocketMoved && other.subject == subject)
        });
    }
    if finding.key == FindingKey::SocketMissing {
        let is_its =
            |unit: &UnitName| sockets_of(unit).any(|socket| finding.subject.as_ref() == Some(&Subject::socket(socket)));
        return broken.iter().find(|(unit, _)| is_its(unit)).map(|(_, at)| *at);
    }
    None
}

/// Adds the last lines of the journal to the first causes.
pub(super) async fn add_journals(host: &Host, findings: &mut [Finding]) {
    let causes = findings.iter_mut().filter(|finding| {
        finding.because_of.is_none()
            && finding.severity > Severity::Info
            && matches!(finding.key, FindingKey::ServiceNotReady | FindingKey::UnitFailed)
    });
    for finding in causes.take(WITH_JOURNAL) {
        let Some(unit) = unit_of(finding) else { continue };
        match host.journal.last_lines(&unit, LINES).await {
            Ok(lines) => finding.journal = lines,
            Err(error) => finding.evidence.push(format!("its journal could not be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnitRelations;

    #[test]
    fn a_reason_that_is_not_recognised_makes_no_finding_of_its_own() {
        let unit: UnitName = "mongod.service".parse().unwrap();
        let down =
            || Finding::new(FindingKey::ServiceNotReady, Severity::Blocker, "is not back").about("mongod.service");
        let why = |key: &str| vec![Finding::new(FindingKey::labelled(key), Severity::Blocker, "why").evidence("seen")];
        for (before, key, after) in
            [(true, "mongod-unknown", 1), (false, "mongod-unknown", 1), (true, "mongod-port", 2)]
        {
            let mut findings: Vec<Finding> = before.then(down).into_iter().collect();
            explain(&mut findings, &unit, why(key));
            assert_eq!(findings.len(), after, "{key}");
            assert!(findings.iter().any(|finding| finding.evidence == ["seen"]), "{findings:?}");
            assert!(findings.iter().all(|finding| finding.subject.is_some()), "{findings:?}");
        }
    }

    #[test]
    fn a_missing_mount_weighs_as_much_as_the_service_that_needs_it() {
        let service: UnitName = "mongod.service".parse().unwrap();
        let by_path = |path: &str| UnitRelations { mounts_for: vec![path.to_owned()], ..UnitRelations::default() };
        let by_unit = UnitRelations { needs: vec!["srv-data.mount".parse().unwrap()], ..UnitRelations::default() };
        for (relations, severity) in [
            (by_path("/srv/data"), Severity::Blocker),
            (by_path("/srv/data/mongodb"), Severity::Blocker),
            (by_unit, Severity::Blocker),
            (by_path("/srv/database"), Severity::Warning),
            (by_path("/srv"), Severity::Warning),
        ] {
            let told = format!("{relations:?}");
            let graph = DependencyGraph::new([], BTreeMap::from([(service.clone(), relations)]));
            let mut findings = [Finding::new(FindingKey::MountMissing, Severity::Warning, "gone").about("/srv/data")];
            weigh_mounts(&mut findings, &graph, std::slice::from_ref(&service));
            assert_eq!(findings[0].severity, severity, "{told}");
            assert_eq!(findings[0].evidence.is_empty(), severity == Severity::Warning, "{told}");
        }
    }
}

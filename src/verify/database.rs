//! Prove that a database came back as it was: clean, caught up, and with what it held.

use jiff::SignedDuration;

use super::Verifying;
use crate::checks::server_of;
use crate::config::ServiceSettings;
use crate::doctor::diagnose;
use crate::events::EventKind;
use crate::model::spoken::{exactly, running};
use crate::model::{
    Canary, DatabaseAccess, DatabaseFacts, DatabaseReturn, DatabaseStartEvidence, Finding, FindingKey, ReplicaSet,
    Severity, Step, StopProof,
};

const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// Looks at a database that is ready. A member of a replica set is waited for until it has caught up.
pub(super) async fn look(
    with: &Verifying<'_>,
    service: &ServiceSettings,
    access: &DatabaseAccess,
) -> (DatabaseReturn, Vec<Finding>) {
    let unit = service.unit.clone();
    let mut back = DatabaseReturn {
        unit: unit.clone(),
        facts: None,
        start: DatabaseStartEvidence::default(),
        replica_set: None,
        compatibility: None,
        canary: None,
        caught_up_after: None,
    };
    let facts = match with.host.database.facts(access).await {
        Ok(facts) => facts,
        Err(error) => {
            let title = format!("{unit} cannot be asked how it ended and came back");
            return (
                back,
                vec![Finding::new(FindingKey::DatabaseUnclean, Severity::Warning, title).evidence(error.to_string())],
            );
        }
    };
    let before = with.stops.iter().rev().find(|proof| proof.unit == unit).cloned();
    let mut findings = Vec::new();
    // Where its files are not to be found, its log tells nothing.
    let facts = match server_of(with.host, service, facts.clone()).await {
        Ok((_, facts)) => facts,
        Err(_) => DatabaseFacts { db_path: None, log_path: None, ..facts },
    };
    back.start = with.host.forensics.start_evidence(&facts).await;
    if back.start.unclean_shutdown_seen == Some(true) {
        let title = format!("{unit} recovered from an unclean shutdown");
        let hint = "see why it was killed; its log says what was recovered";
        findings.push(Finding::new(FindingKey::DatabaseUnclean, Severity::Warning, title).hint(hint));
    }
    if facts.set_name.is_some() {
        findings.extend(until_caught_up(with, service, access, (&facts, &mut back)).await);
    }
    back.compatibility = with.host.insight.condition(access).await.ok().and_then(|condition| condition.compatibility);
    findings.extend(compatibility_finding(&back, before.as_ref()));
    if let Some(collection) = &service.mongodb.canary {
        let canary = with.host.insight.canary(access, collection).await;
        let known = before.and_then(|proof| proof.canary);
        match canary {
            Ok(canary) => {
                findings.extend(known.and_then(|known| canary_finding(&unit.to_string(), &known, &canary)));
                back.canary = Some(canary);
            }
            Err(error) => {
                let title = format!("the canary of {unit} could not be compared");
                findings.push(
                    Finding::new(FindingKey::DatabaseCanary, Severity::Warning, title).evidence(error.to_string()),
                );
            }
        }
    }
    back.facts = Some(facts);
    (back, findings)
}

/// Why a database is not back, as far as its own log, its exit and the host tell.
pub(super) async fn why_not(with: &Verifying<'_>, service: &ServiceSettings) -> Vec<Finding> {
    if service.database.is_none() {
        return Vec::new();
    }
    match with.host.forensics.symptoms(&service.unit).await {
        Ok(symptoms) => diagnose(&symptoms),
        Err(error) => {
            let message = format!("cannot tell why {} is not back: {error}", service.unit);
            with.events.emit(EventKind::Noted { message });
            Vec::new()
        }
    }
}

/// Waits until the member is primary, or a secondary that has what its primary has; tells the lag meanwhile.
async fn until_caught_up(
    with: &Verifying<'_>,
    service: &ServiceSettings,
    access: &DatabaseAccess,
    (facts, back): (&DatabaseFacts, &mut DatabaseReturn),
) -> Option<Finding> {
    let unit = &service.unit;
    let may_lag = service.mongodb.max_lag + facts.delay.unwrap_or_default();
    let began = with.host.clock.now();
    let mut told = String::new();
    loop {
        let set = with.host.insight.replica_set(access).await;
        let waited = with.host.clock.now().duration_since(began);
        let missing = match &set {
            Ok(Some(set)) => missing(set, may_lag),
            Ok(None) => Some("it is in no replica set any more".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        back.replica_set = set.ok().flatten();
        let Some(missing) = missing else {
            back.caught_up_after = Some(waited);
            return None;
        };
        if waited >= service.start_timeout {
            let title =
                format!("{unit} is not back in its replica set after {}: {missing}", exactly(service.start_timeout));
            let hint = "see how far it is; verify again when it has caught up";
            return Some(
                Finding::new(FindingKey::DatabaseMember, Severity::Blocker, title).remedy(hint, "patchday verify"),
            );
        }
        if missing != told {
            let message = format!("waiting for {unit}: {missing}");
            let step = Step::Verify;
            with.events.emit(EventKind::StepProgressed { step, fraction: None, remaining: None, message });
            told = missing;
        }
        with.host.clock.sleep(LOOK_EVERY).await;
    }
}

/// What keeps this member from being back.
fn missing(set: &ReplicaSet, may_lag: SignedDuration) -> Option<String> {
    let Some(own) = set.own() else { return Some("its set does not know it".to_owned()) };
    match (own.state.as_str(), own.lag) {
        ("PRIMARY" | "ARBITER", _) => None,
        ("SECONDARY", None) => Some("its set has no primary".to_owned()),
        ("SECONDARY", Some(lag)) if lag <= may_lag => None,
        ("SECONDARY", Some(lag)) => Some(format!("it is {} behind its primary", running(lag))),
        (state, _) => Some(format!("it is {state}")),
    }
}

fn compatibility_finding(back: &DatabaseReturn, before: Option<&StopProof>) -> Option<Finding> {
    let (was, is) = (before?.compatibility.as_ref()?, back.compatibility.as_ref());
    if is == Some(was) {
        return None;
    }
    let now = is.map_or("unknown", String::as_str);
    let title = format!("the feature compatibility version of {} was {was} and is {now}", back.unit);
    Some(
        Finding::new(FindingKey::DatabaseCompatibility, Severity::Warning, title)
            .hint("see who changed it; Patchday never does"),
    )
}

fn canary_finding(unit: &str, was: &Canary, is: &Canary) -> Option<Finding> {
    let same_sum = was.checksum.is_none() || was.checksum == is.checksum;
    if was.documents == is.documents && same_sum {
        return None;
    }
    let sum = |canary: &Canary| canary.checksum.clone().unwrap_or_else(|| "not summed".to_owned());
    let title = format!("{} of {unit} does not hold what it held", was.collection);
    let finding = Finding::new(FindingKey::DatabaseCanary, Severity::Blocker, title)
        .evidence(format!("before: {} documents, {}", was.documents, sum(was)))
        .evidence(format!("after: {} documents, {}", is.documents, sum(is)));
    Some(finding.hint("see whether a person or a program wrote to it; if not, data was lost"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReplicaMember;

    const LAG: SignedDuration = SignedDuration::from_secs(10);

    #[test]
    fn a_member_is_back_when_it_has_what_its_primary_has() {
        for (state, lag, expected) in [
            ("PRIMARY", Some(0), None),
            ("ARBITER", None, None),
            ("SECONDARY", Some(10), None),
            ("SECONDARY", Some(90), Some("it is 1 min 30 s behind its primary")),
            ("SECONDARY", None, Some("its set has no primary")),
            ("RECOVERING", Some(0), Some("it is RECOVERING")),
        ] {
            let lag = lag.map(SignedDuration::from_secs);
            let own = ReplicaMember { is_self: true, state: state.into(), lag, ..ReplicaMember::default() };
            let set = ReplicaSet { members: vec![own], ..ReplicaSet::default() };
            assert_eq!(missing(&set, LAG).as_deref(), expected, "{state}");
        }
        assert!(missing(&ReplicaSet::default(), LAG).is_some());
    }

    #[test]
    fn a_canary_that_lost_or_changed_something_is_a_blocker() {
        let canary = |documents, sum: Option<&str>| Canary {
            collection: "patchday.canary".into(),
            documents,
            checksum: sum.map(str::to_owned),
        };
        let was = canary(3, Some("aa"));
        assert_eq!(canary_finding("m", &was, &was), None);
        for is in [canary(2, Some("aa")), canary(3, Some("bb")), canary(3, None)] {
            assert_eq!(canary_finding("m", &was, &is).map(|finding| finding.severity), Some(Severity::Blocker));
        }
        assert_eq!(canary_finding("m", &canary(3, None), &canary(3, None)), None);
    }
}

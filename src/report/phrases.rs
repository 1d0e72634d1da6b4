//! What every face of a report says in the same words.

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::words::{between, count, duration, one_line, time_of_day};
use super::{Ending, Mark, PackageCertainty, PackageLine, Paint, Report, ServiceStory, TimeAway, VulnerabilityStory};
use crate::model::{
    DatabaseReturn, DatabaseStopEvidence, EdgeReturn, EndEvidence, HookPolicy, HookRun, InnodbEnd, Latency,
    Notification, OrderKept, OrderUnknown, Outcome, PackageAction, RedisEnd, ServiceReturn, Step, StopProof, Trigger,
    Verdict, summary_of_clients,
};

/// Who started a run.
pub(super) const fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Operator => "by an operator",
        Trigger::Unattended => "unattended",
    }
}

/// How good the run looks as a whole.
pub(crate) fn grade(ending: Ending, verdict: Option<Verdict>) -> (Mark, Paint) {
    match (ending, verdict) {
        (Ending::Failed, _) | (_, Some(Verdict::Failed)) => (Mark::Failed, Paint::Bad),
        (Ending::Aborted, _) | (_, Some(Verdict::Degraded)) => (Mark::Warning, Paint::Warn),
        (Ending::Open, _) => (Mark::Current, Paint::Accent),
        (Ending::Judged | Ending::NothingToDo, _) => (Mark::Done, Paint::Good),
        // Unknown is never healthy.
        (Ending::Done, _) => (Mark::Note, Paint::Strong),
    }
}

/// How long no service was there, and how long it was to be.
pub(super) fn away_words(away: &TimeAway) -> String {
    if away.still_down {
        let estimated =
            away.estimated.map(|estimated| format!("; the estimate before the stop was {}", duration(estimated)));
        return format!("without end: a service is still down{}", estimated.unwrap_or_default());
    }
    match (away.measured, away.estimated) {
        (Some(measured), Some(estimated)) => {
            format!("for {}; the estimate before the stop was {}", duration(measured), duration(estimated))
        }
        (Some(measured), None) => format!("for {}; nothing was estimated", duration(measured)),
        (None, Some(estimated)) => {
            format!("not measured to the end; the estimate before the stop was {}", duration(estimated))
        }
        (None, None) => "neither measured nor estimated".to_owned(),
    }
}

/// One message in words.
pub(super) fn notification(told: &Notification, zone: &TimeZone) -> String {
    let outcome = match &told.problem {
        None => format!("sent at {}", time_of_day(told.at, zone)),
        Some(why) => format!("did not arrive, tried {}: {why}", count(told.tries as usize, "time")),
    };
    one_line(&format!("{}, {}: {outcome}", told.occasion.name(), told.channel))
}

/// One call in words.
pub(super) fn call_words(call: &HookRun) -> String {
    let place = match &call.step {
        Step::Hook(hook) => hook.point.name().to_owned(),
        step => step.title(),
    };
    let Some(end) = &call.end else { return format!("{place}: {}: at work", call.program) };
    let took = between(call.began, end.at).map(|took| format!(" in {}", duration(took))).unwrap_or_default();
    let ended = match (end.outcome, &end.why) {
        (Outcome::Succeeded, _) => format!("succeeded{took}"),
        (_, Some(why)) => one_line(why),
        (_, None) => "did not succeed".to_owned(),
    };
    let policy = match call.policy {
        _ if end.outcome == Outcome::Succeeded => "",
        HookPolicy::MustSucceed => " (it must succeed)",
        HookPolicy::Warn => "",
        HookPolicy::Ignore => " (not minded)",
    };
    format!("{place}: {}: {ended}{policy}", call.program)
}

/// Whether the services came back on another boot; otherwise their times since the boot say nothing about the run.
pub(super) fn was_rebooted(report: &Report) -> bool {
    report.reboot.as_ref().is_some_and(|reboot| reboot.first_boot != reboot.last_boot)
}

/// Whoever looked last did not find it ready.
pub(super) fn is_still_down(service: &ServiceStory) -> bool {
    service.returned.as_ref().is_some_and(|returned| returned.problem.is_some())
}

/// The mark of a service, and how long it was away.
pub(super) fn impact(service: &ServiceStory, zone: &TimeZone) -> (Mark, String) {
    let is_back = service.returned.as_ref().map(|returned| returned.problem.is_none() && returned.ready_usec.is_some());
    let Some(downtime) = &service.downtime else {
        let mark = match is_back {
            Some(true) => Mark::Done,
            Some(false) => Mark::Failed,
            None => Mark::Note,
        };
        return (mark, "not stopped by Patchday".to_owned());
    };
    let from = time_of_day(downtime.from, zone);
    match (downtime.took, downtime.until) {
        (Some(took), Some(until)) => {
            let mark = if is_back == Some(false) { Mark::Failed } else { Mark::Done };
            let most = if downtime.proven { "down" } else { "down at most" };
            (mark, format!("{most} {}, {from} to {}", duration(took), time_of_day(until, zone)))
        }
        (None, Some(until)) => {
            (Mark::Warning, format!("ready at {}, the clock was set back", time_of_day(until, zone)))
        }
        (_, None) if is_back == Some(false) => (Mark::Failed, format!("down from {from}, still down")),
        (_, None) if is_back == Some(true) => (Mark::Done, format!("down from {from}, ready, not timed")),
        (_, None) if downtime.proven => (Mark::Failed, format!("down from {from}, not seen ready since")),
        (_, None) => (Mark::Warning, format!("stop begun at {from}, not proven")),
    }
}

/// The proof of a stop in words.
pub(super) fn stop_words(proof: &StopProof) -> String {
    let evidence = proof.end_evidence.as_ref().map(end_words);
    if !proof.was_running {
        return ["was down already".to_owned()].into_iter().chain(evidence).collect::<Vec<_>>().join(", ");
    }
    let mut words = vec![format!("in {}", duration(proof.took))];
    // Less than a second is nobody's wait.
    let drained = proof.drained.filter(|drained| drained.as_secs() > 0);
    words.extend(drained.map(|drained| format!("{} of it for its clients", duration(drained))));
    if proof.ended_by_signal {
        words.push("by SIGTERM, since it refused its command".to_owned());
    }
    words.extend(proof.result.as_ref().map(|result| format!("result {}", one_line(result))));
    words.extend(proof.exit_status.map(|status| format!("exit status {status}")));
    words.push(match proof.processes_left {
        0 => "no process left".to_owned(),
        1 => "1 process left".to_owned(),
        left => format!("{left} processes left"),
    });
    if proof.restarts > 0 {
        words.push(count(proof.restarts as usize, "restart"));
    }
    if let Some(evidence) = &proof.database_evidence {
        words.extend(evidence_words(evidence));
    }
    words.extend(evidence);
    if proof.database.is_some() {
        words.push(match proof.clients_left.len() {
            0 => "no client left".to_owned(),
            left => {
                let named: Vec<_> = summary_of_clients(&proof.clients_left).iter().map(|line| one_line(line)).collect();
                format!("{} still connected ({})", count(left, "client"), named.join("; "))
            }
        });
    }
    words.join(", ")
}

/// What another server than MongoDB left behind. What is no proof is in no report: its run ended there.
fn end_words(evidence: &EndEvidence) -> String {
    if let Some(why) = evidence.objection() {
        return one_line(&why);
    }
    one_line(&match evidence {
        EndEvidence::Postgresql { directory, state } => {
            format!("cluster in {directory} {}", state.as_deref().unwrap_or_default())
        }
        EndEvidence::Mariadb { log, innodb: InnodbEnd::Complete(number) } => {
            format!("InnoDB shut down at log sequence number {number}, by {log}")
        }
        EndEvidence::Mariadb { log, .. } => format!("shutdown complete, by {log}"),
        EndEvidence::Redis { log, end: RedisEnd::Saved } => format!("data saved, and ready to exit, by {log}"),
        EndEvidence::Redis { log, .. } => format!("ready to exit, nothing saved, by {log}"),
        EndEvidence::Command { program, said, .. } => {
            let said = said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
            format!("proven by {program}{said}")
        }
    })
}

fn evidence_words(evidence: &DatabaseStopEvidence) -> Vec<String> {
    let mut words = vec![
        match evidence.lock_file_bytes {
            Some(0) => "lock file empty".to_owned(),
            Some(bytes) => {
                format!("lock file not empty ({})", count(usize::try_from(bytes).unwrap_or(usize::MAX), "byte"))
            }
            None => "lock file not readable".to_owned(),
        },
        match evidence.logged_exit_code {
            Some(code) => format!("exit code {code} logged"),
            None => "no exit code logged".to_owned(),
        },
    ];
    words.extend(evidence.storage_closed.map(|closed| {
        if closed { "storage closed".to_owned() } else { "the log does not say that its storage was closed".to_owned() }
    }));
    words
}

/// How a database came back, in words.
pub(super) fn database_words(back: &DatabaseReturn) -> String {
    let mut words = Vec::new();
    if let Some(facts) = &back.facts {
        words.push(format!("{} {}", one_line(&facts.described()), one_line(&facts.version)));
    }
    words.extend(back.start.unclean_shutdown_seen.map(|unclean| {
        if unclean { "recovered from an unclean shutdown".to_owned() } else { "no recovery was needed".to_owned() }
    }));
    words.extend(back.start.ready_after.map(|took| format!("open {} after its start", duration(took))));
    if let Some(lag) = back.replica_set.as_ref().and_then(|set| set.own()?.lag) {
        words.push(format!("{} behind its primary", duration(lag)));
    }
    words.extend(back.caught_up_after.map(|took| format!("caught up after {}", duration(took))));
    words.extend(back.compatibility.as_ref().map(|version| format!("data of {}", one_line(version))));
    words.extend(back.canary.as_ref().map(|canary| {
        let documents = usize::try_from(canary.documents).unwrap_or(usize::MAX);
        format!("{} in {}", count(documents, "document"), one_line(&canary.collection))
    }));
    words.join(", ")
}

/// How fast a service answers, and how fast it did.
pub(super) fn latency_words(service: &ServiceStory) -> Option<String> {
    let now = service.returned.as_ref()?.latency?;
    let before =
        service.latency_before.map_or("not measured before".to_owned(), |before| format!("before: {}", pace(&before)));
    Some(format!("{}; {before}", pace(&now)))
}

/// A latency in words.
pub(super) fn pace(latency: &Latency) -> String {
    format!("half within {}, 95 % within {}", duration(latency.p50), duration(latency.p95))
}

/// One edge of the order, in words.
pub(super) fn order_words(edge: &EdgeReturn) -> (Mark, &'static str) {
    match edge.order {
        OrderKept::Kept => (Mark::Done, "kept: it became active when the other was ready"),
        OrderKept::Waited => (Mark::Done, "waited: it became active earlier, and ready when the other was"),
        OrderKept::Broken => (Mark::Warning, "broken: it said that it was ready before the other was"),
        OrderKept::Unknown => (Mark::Note, why_unknown(edge.why)),
    }
}

fn why_unknown(why: Option<OrderUnknown>) -> &'static str {
    match why {
        Some(OrderUnknown::NotReady) => "unknown: one of them never was ready",
        Some(OrderUnknown::NotSeen) => "unknown: one of them was ready when somebody first looked",
        Some(OrderUnknown::Together) => "unknown: both became ready between the same two looks",
        // A run of before says no more.
        None => "unknown: both were ready at the first look, or one never was",
    }
}

/// The return of a service in words.
pub(super) fn return_words(returned: &ServiceReturn, position: Option<u32>, since: Option<&str>) -> String {
    let after = |usec: u64| {
        // Microseconds since boot fit into an i64 for 290,000 years.
        duration(SignedDuration::from_micros(i64::try_from(usec).unwrap_or(i64::MAX)))
    };
    let mut words = Vec::new();
    words.extend(position.map(|position| format!("as no. {position}")));
    if let Some(since) = since {
        words.extend(returned.active_usec.map(|usec| format!("active {} after {since}", after(usec))));
        words.extend(returned.ready_usec.map(|usec| format!("ready {} after {since}", after(usec))));
    } else if returned.ready_usec.is_some() {
        words.push("ready".to_owned());
    }
    if returned.ready_usec.is_none() {
        words.push("never seen ready".to_owned());
    }
    if returned.restarts > 0 {
        words.push(count(returned.restarts as usize, "restart"));
    }
    words.extend(returned.problem.as_ref().map(|problem| one_line(problem)));
    words.extend(returned.because_of.as_ref().map(|cause| format!("because of {cause}")));
    words.join(", ")
}

/// The kernels in one sentence; none if nothing is known.
pub(super) fn kernel(report: &Report) -> Option<String> {
    let kernel = &report.kernel;
    let text = match (kernel.before.as_deref(), kernel.expected.as_deref(), kernel.after.as_deref()) {
        // What ran before is no news while nothing is known of what follows.
        (_, None, None) => return None,
        (Some(before), Some(expected), Some(after)) if before == after && expected == after => {
            format!("{after}, as before and as expected")
        }
        (Some(before), Some(expected), Some(after)) if expected == after => {
            format!("{after} runs, as expected; before: {before}")
        }
        (before, Some(expected), Some(after)) => {
            let before = before.map(|before| format!("; before: {before}")).unwrap_or_default();
            if expected == after {
                format!("{after} runs, as expected{before}")
            } else if !was_rebooted(report) {
                format!("{after} runs, {expected} is expected at the next boot")
            } else {
                format!("{after} runs, but {expected} was expected{before}")
            }
        }
        (Some(before), None, Some(after)) if before == after => format!("{after}, as before"),
        (before, None, Some(after)) => {
            let before = before.map(|before| format!("; before: {before}")).unwrap_or_default();
            format!("{after} runs{before}")
        }
        (before, Some(expected), None) => {
            let before = before.map(|before| format!("; before the run: {before}")).unwrap_or_default();
            format!("{expected} is expected at the next boot{before}")
        }
    };
    Some(one_line(&text))
}

/// One vulnerability in words.
pub(super) fn vulnerability(story: &VulnerabilityStory, arrow: &str) -> String {
    let states = match (&story.before, &story.after) {
        (Some(before), Some(after)) if before == after => after.clone(),
        (Some(before), Some(after)) => format!("{before} {arrow} {after}"),
        (None, Some(after)) => format!("{after}, not known to the kernel before"),
        (Some(before), None) => format!("{before}, before the run"),
        (None, None) => "unknown".to_owned(),
    };
    one_line(&format!("{}: {states}", story.name))
}

/// The heading says what is known about the changes below it.
pub(super) fn packages_title(report: &Report) -> String {
    let (number, security) =
        (report.packages.changes.len(), report.packages.changes.iter().filter(|line| line.security).count());
    let known = match report.packages.certainty {
        PackageCertainty::Installed => "Packages changed",
        PackageCertainty::Unproven => "Packages that may or may not be in place",
        PackageCertainty::Planned | PackageCertainty::NotPlanned => "Packages planned, not installed",
    };
    match security {
        0 => format!("{known}: {number}"),
        _ => format!("{known}: {number}, {security} of them security"),
    }
}

/// Old and new version in words.
pub(super) fn versions(line: &PackageLine, arrow: &str) -> String {
    let change = &line.change;
    let version = |version: &Option<String>| one_line(version.as_deref().unwrap_or("unknown"));
    match change.action {
        PackageAction::Upgrade => format!("{} {arrow} {}", version(&change.from), version(&change.to)),
        PackageAction::Install => format!("new, {}", version(&change.to)),
        PackageAction::Remove => format!("removed, was {}", version(&change.from)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_told_by_what_it_rests_on() {
        let log = || "the journal".to_owned();
        let directory = "/srv/pg".to_owned();
        let redis = |end| EndEvidence::Redis { log: log(), end };
        let mariadb = |innodb| EndEvidence::Mariadb { log: log(), innodb };
        let command = |said: Option<&str>| EndEvidence::Command {
            program: "/bin/proof".into(),
            exit_status: Some(0),
            said: said.map(str::to_owned),
        };
        let state = Some("shut down in recovery".to_owned());
        for (evidence, words) in [
            (EndEvidence::Postgresql { directory, state }, "cluster in /srv/pg shut down in recovery"),
            (mariadb(InnodbEnd::Complete(7)), "InnoDB shut down at log sequence number 7, by the journal"),
            (mariadb(InnodbEnd::ServerOnly), "shutdown complete, by the journal"),
            (mariadb(InnodbEnd::Untold), "the journal does not say that InnoDB was shut down"),
            (redis(RedisEnd::Saved), "data saved, and ready to exit, by the journal"),
            (redis(RedisEnd::WithoutSaving), "ready to exit, nothing saved, by the journal"),
            (command(Some("3 tables")), "proven by /bin/proof: 3 tables"),
            (command(None), "proven by /bin/proof"),
        ] {
            assert_eq!(end_words(&evidence), words);
        }
    }
}

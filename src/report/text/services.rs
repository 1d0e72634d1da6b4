//! How the services went and came back.

use jiff::SignedDuration;

use super::Page;
use crate::model::{
    DatabaseReturn, DatabaseStopEvidence, EdgeReturn, Latency, OrderKept, ServiceReturn, StopProof, summary_of_clients,
};
use crate::report::words::{count, duration, one_line, time_of_day};
use crate::report::{Mark, Paint, Report, ServiceStory};

/// One block for each service, in the order in which they came back; those that did not come back last.
pub(super) fn section(report: &Report, page: &Page<'_>) -> Vec<String> {
    let mut services: Vec<&ServiceStory> = report.services.iter().filter(|service| has_a_story(service)).collect();
    services.sort_by_key(|service| service.ready_position.unwrap_or(u32::MAX));
    let rebooted = was_rebooted(report);
    services.into_iter().flat_map(|service| block(service, rebooted, page)).collect()
}

/// Whether the services came back on another boot; otherwise their times since the boot say nothing about the run.
pub(in crate::report) fn was_rebooted(report: &Report) -> bool {
    report.reboot.as_ref().is_some_and(|reboot| reboot.first_boot != reboot.last_boot)
}

fn has_a_story(service: &ServiceStory) -> bool {
    service.stopped.is_some() || service.returned.is_some() || service.downtime.is_some()
}

fn block(service: &ServiceStory, rebooted: bool, page: &Page<'_>) -> Vec<String> {
    let (mark, impact) = impact(service);
    let head = format!("{}  {impact}", page.style.fit(service.unit.as_str(), 26));
    let mut lines = vec![format!("  {} {head}", page.style.mark(mark))];
    if let Some(proof) = &service.stopped {
        lines.extend(detail("stopped", &stop_words(proof), page));
    }
    if let Some(returned) = &service.returned {
        lines.extend(detail("returned", &return_words(returned, service.ready_position, rebooted), page));
    }
    lines.extend(latency_words(service).iter().flat_map(|words| detail("answers", words, page)));
    if let Some(database) = &service.database {
        lines.extend(detail("database", &database_words(database), page));
    }
    lines
}

fn detail(name: &str, words: &str, page: &Page<'_>) -> Vec<String> {
    let mut lines = page.style.wrap(words, 15);
    if let Some(first) = lines.first_mut() {
        let name = page.style.paint(Paint::Dim, &format!("    {name:<11}"));
        *first = format!("{name}{}", first.trim_start());
    }
    lines
}

/// Whoever looked last did not find it ready.
pub(in crate::report) fn is_still_down(service: &ServiceStory) -> bool {
    service.returned.as_ref().is_some_and(|returned| returned.problem.is_some())
}

/// The mark of a service, and how long it was away.
pub(in crate::report) fn impact(service: &ServiceStory) -> (Mark, String) {
    let is_back = service.returned.as_ref().map(|returned| returned.problem.is_none() && returned.ready_usec.is_some());
    let Some(downtime) = &service.downtime else {
        let mark = match is_back {
            Some(true) => Mark::Done,
            Some(false) => Mark::Failed,
            None => Mark::Note,
        };
        return (mark, "not stopped by Patchday".to_owned());
    };
    let from = time_of_day(downtime.from);
    match (downtime.took, downtime.until) {
        (Some(took), Some(until)) => {
            let mark = if is_back == Some(false) { Mark::Failed } else { Mark::Done };
            let most = if downtime.proven { "down" } else { "down at most" };
            (mark, format!("{most} {}, {from} to {}", duration(took), time_of_day(until)))
        }
        (None, Some(until)) => (Mark::Warning, format!("ready at {}, the clock was set back", time_of_day(until))),
        (_, None) if is_back == Some(false) => (Mark::Failed, format!("down from {from}, still down")),
        (_, None) if is_back == Some(true) => (Mark::Done, format!("down from {from}, ready, not timed")),
        (_, None) if downtime.proven => (Mark::Failed, format!("down from {from}, not seen ready since")),
        (_, None) => (Mark::Warning, format!("stop begun at {from}, not proven")),
    }
}

/// The proof of a stop in words.
pub(in crate::report) fn stop_words(proof: &StopProof) -> String {
    if !proof.was_running {
        return "was down already".to_owned();
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
pub(in crate::report) fn database_words(back: &DatabaseReturn) -> String {
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
pub(in crate::report) fn latency_words(service: &ServiceStory) -> Option<String> {
    let now = service.returned.as_ref()?.latency?;
    let before =
        service.latency_before.map_or("not measured before".to_owned(), |before| format!("before: {}", pace(&before)));
    Some(format!("{}; {before}", pace(&now)))
}

/// A latency in words.
pub(in crate::report) fn pace(latency: &Latency) -> String {
    format!("half within {}, 95 % within {}", duration(latency.p50), duration(latency.p95))
}

/// One edge of the order, in words.
pub(in crate::report) fn order_words(edge: &EdgeReturn) -> (Mark, &'static str) {
    match edge.order {
        OrderKept::Kept => (Mark::Done, "kept: it became active when the other was ready"),
        OrderKept::Waited => (Mark::Done, "waited: it became active earlier, and ready later"),
        OrderKept::Broken => (Mark::Warning, "broken: it said that it was ready before the other was"),
        OrderKept::Unknown => (Mark::Note, "unknown: both were ready when somebody first looked, or one never was"),
    }
}

/// The return of a service in words.
pub(in crate::report) fn return_words(returned: &ServiceReturn, position: Option<u32>, rebooted: bool) -> String {
    let after = |usec: u64| {
        // Microseconds since boot fit into an i64 for 290,000 years.
        duration(SignedDuration::from_micros(i64::try_from(usec).unwrap_or(i64::MAX)))
    };
    let mut words = Vec::new();
    words.extend(position.map(|position| format!("as no. {position}")));
    if rebooted {
        words.extend(returned.active_usec.map(|usec| format!("active {} after the boot", after(usec))));
        words.extend(returned.ready_usec.map(|usec| format!("ready {} after the boot", after(usec))));
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

//! How a run stands or ended, in one sentence.

use jiff::SignedDuration;

use super::ending::{is_judged, is_settled};
use super::words::{count, duration, one_line};
use super::{PackageCertainty, PackageStory, RebootStory, Summary, owed, phrases, telling};
use crate::model::{FindingKey, HookPoint, Outcome, PackageAction, Phase, Restart, Run, Severity, Step};

/// The sentence. It says what is recorded, and nothing else.
pub(super) fn summary(run: &Run, packages: &PackageStory, reboot: Option<&RebootStory>) -> Summary {
    match &run.phase {
        _ if is_judged(run) => ended(run, packages, reboot),
        Phase::Failed { step, reason } => {
            let what = format!("{}: {}", step.title(), one_line(reason));
            Summary { more: cut_short(run, packages), ..Summary::new("failed", what) }
        }
        Phase::Aborted { by } => {
            Summary { more: cut_short(run, packages), ..Summary::new(format!("aborted by {}", one_line(by)), "") }
        }
        Phase::NothingToDo => nothing_to_do(run, packages),
        Phase::OnlyFetched => only_fetched(packages),
        _ if run.is_open() => open(run),
        _ => ended(run, packages, reboot),
    }
}

/// What became of a run that did not go through.
fn cut_short(run: &Run, packages: &PackageStory) -> Vec<String> {
    let mut parts: Vec<String> = upgraded(packages).into_iter().chain(judged_afterwards(run)).collect();
    parts.extend(owed::sentence(&run.owed));
    parts.push(safety(run));
    parts
}

fn open(run: &Run) -> Summary {
    let at_work = match &run.attempt {
        Some(attempt) => format!("{} has begun", attempt.step.title()),
        None => "between two steps".to_owned(),
    };
    let more = vec![format!("so far: {}", run.phase.name())];
    Summary { more, ..Summary::new("not finished", at_work) }
}

fn nothing_to_do(run: &Run, packages: &PackageStory) -> Summary {
    let mut summary = match owed::sentence(&run.owed) {
        None => Summary::new("nothing to do", "nothing to upgrade, to build or to reboot for"),
        Some(owed) => Summary::new(format!("nothing done, and {owed}"), "nothing to upgrade or to build"),
    };
    if !packages.kept_back.is_empty() {
        summary.what.push_str(&format!(", {} kept back", count(packages.kept_back.len(), "package")));
    }
    if !packages.left_out.is_empty() {
        summary.what.push_str(&format!(", {} left out", count(packages.left_out.len(), "package")));
    }
    match packages.left_out(true).len() {
        0 => {}
        holes => summary.what.push_str(&format!(", {holes} of them for security")),
    }
    if !run.has_begun_a_stop() {
        summary.what.push_str(", no service was stopped");
    }
    summary
}

fn only_fetched(packages: &PackageStory) -> Summary {
    match packages.changes.len() {
        0 => Summary::new("nothing to fetch", "no package to upgrade"),
        changes => Summary::new("", format!("{} fetched, and nothing installed", count(changes, "change"))),
    }
}

fn ended(run: &Run, packages: &PackageStory, reboot: Option<&RebootStory>) -> Summary {
    // What is not in force is said before what was done.
    let mut parts: Vec<String> = owed::sentence(&run.owed).into_iter().chain(upgraded(packages)).collect();
    if let Some(reboot) = reboot {
        match reboot.back_after {
            Some(after) => parts.push(back(run, after)),
            None if reboot.restarted == Some(Restart::Soft) => parts.push("soft-rebooted".to_owned()),
            None if reboot.restarted == Some(Restart::Kexec) => parts.push("rebooted by kexec".to_owned()),
            None if reboot.noticed.is_some() => parts.push("rebooted".to_owned()),
            None => parts.push(match run.last_record(&Step::Reboot).and_then(|record| record.note.as_deref()) {
                Some(why) => format!("not rebooted ({})", one_line(why)),
                None => "not rebooted".to_owned(),
            }),
        }
        if reboot.unplanned > 0 {
            parts.push(count(reboot.unplanned as usize, "unplanned reboot"));
        }
        if reboot.soft > 0 {
            parts.push(count(reboot.soft as usize, "soft-reboot"));
        }
    }
    let Some(verification) = &run.verification else {
        if parts.is_empty() {
            parts.push(format!("so far: {}", run.phase.name()));
        }
        return Summary::new("done, not judged", parts.join(", "));
    };
    let (grave, notes): (Vec<_>, Vec<_>) =
        verification.findings.iter().partition(|finding| finding.severity > Severity::Info);
    match grave.as_slice() {
        [] => parts.push("nothing found".to_owned()),
        // The first cause comes first.
        [only] => parts.insert(0, only.title.clone()),
        [first, rest @ ..] => parts.insert(0, format!("{} (and {})", first.title, count(rest.len(), "more finding"))),
    }
    if !notes.is_empty() {
        parts.push(count(notes.len(), "note"));
    }
    if !run.changes.is_empty() {
        parts.push(format!("not undone: {}", telling::changes(&run.changes)));
    }
    let spoilt = run.hooks.iter().filter(|call| call.step.hook_point() == Some(HookPoint::AfterVerify));
    parts.extend(spoilt.filter(|call| call.is_fatal()).map(phrases::call_words));
    Summary::new(verification.verdict.name(), one_line(&parts.join(", ")))
}

/// What the reboot cost: the services' time is what people had to wait for, and the host's only where that is unknown.
fn back(run: &Run, host: SignedDuration) -> String {
    match run.measured_downtime() {
        Some(away) => format!("services away for {}", duration(away)),
        None => format!("back after {}", duration(host)),
    }
}

/// What became of the packages; none if nothing is worth a word.
fn upgraded(packages: &PackageStory) -> Option<String> {
    let number_of =
        |wanted: &[PackageAction]| packages.changes.iter().filter(|line| wanted.contains(&line.change.action)).count();
    match packages.certainty {
        PackageCertainty::Installed if packages.changes.is_empty() => None,
        PackageCertainty::Installed => {
            let new = number_of(&[PackageAction::Install]);
            let removed = number_of(&[PackageAction::Remove]);
            let mut words = format!("{} upgraded", count(number_of(&[PackageAction::Upgrade]), "package"));
            if new > 0 {
                words.push_str(&format!(", {new} new"));
            }
            if removed > 0 {
                words.push_str(&format!(", {removed} removed"));
            }
            Some(words)
        }
        PackageCertainty::Unproven => Some("the upgrade was begun and did not end well".to_owned()),
        PackageCertainty::Planned | PackageCertainty::NotPlanned => None,
    }
}

fn judged_afterwards(run: &Run) -> Option<String> {
    run.verification.as_ref().map(|verification| format!("judged afterwards: {}", verification.verdict.name()))
}

/// Where a run that did not go through left the host.
fn safety(run: &Run) -> String {
    if !is_settled(run) {
        return "bringing the host to safety is not finished".to_owned();
    }
    if !run.changes.is_empty() {
        return format!("not undone: {}", telling::changes(&run.changes));
    }
    if let Some(look) = &run.last_look
        && let Some(down) = look.findings.iter().find(|finding| finding.key == FindingKey::ServiceNotReady)
    {
        return one_line(&down.title);
    }
    let restored = run.last_record(&Step::Restore).map(|record| record.outcome);
    match restored {
        Some(Outcome::Succeeded) => "the services were brought back".to_owned(),
        Some(_) => "bringing the services back did not succeed".to_owned(),
        None if run.has_touched_packages() => "nothing is held".to_owned(),
        None if run.has_begun_a_stop() => "nothing is held".to_owned(),
        None => "nothing was touched".to_owned(),
    }
}

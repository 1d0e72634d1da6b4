//! Every kind of ending, in every face.

mod brief;
mod downtime;

use insta::assert_snapshot;

use super::sample::{self, Story, at, back, secs, unit};
use super::{Ending, PackageCertainty, Report, Style, advice, html, json, markdown, text};
use crate::events::EventKind;
use crate::model::{
    Abort, Change, CheckResult, Finding, FindingKey, HookEnd, HookPolicy, HookRun, Outcome, Phase, ServiceReturn,
    Severity, Step, Verdict,
};

/// Stories with a name, each with its own ending.
pub(super) fn stories() -> Vec<(&'static str, Story)> {
    vec![
        ("healthy", Story::healthy()),
        ("nothing_to_do", nothing_to_do()),
        ("only_fetched", only_fetched()),
        ("blocked", blocked()),
        ("stop_failed", stop_failed()),
        ("upgrade_interrupted", upgrade_interrupted()),
        ("aborted", aborted()),
        ("not_rebooted", not_rebooted()),
        ("no_reboot_asked", no_reboot_asked()),
        ("api_broken", api_broken()),
        ("open", open()),
        ("failing", failing()),
        ("settled", settled()),
    ]
}

fn nothing_to_do() -> Story {
    let mut story = Story::new();
    story.step(Step::Preflight, 0.4, "12 checks");
    story.step(Step::Fetch, 2.2, "nothing to upgrade");
    story.run.upgrade = Some(Default::default());
    story.run.phase = Phase::NothingToDo;
    story.close(0);
    story
}

fn only_fetched() -> Story {
    let mut whole = Story::new();
    whole.prepare();
    let mut story = Story::new();
    story.run.options.fetch_only = true;
    story.run.steps = vec![Step::Fetch];
    story.run.services.clear();
    story.step(Step::Fetch, 8.2, "3 packages, 2 security");
    story.run.upgrade = whole.run.upgrade;
    story.run.phase = Phase::OnlyFetched;
    story.close(0);
    story
}

fn blocked() -> Story {
    let mut story = Story::new();
    let finding = Finding::new(FindingKey::DpkgClean, Severity::Blocker, "dpkg was interrupted")
        .evidence("iF libc6")
        .remedy("finish what dpkg began", "dpkg --configure -a");
    story.run.checks = vec![crate::model::CheckResult { label: "dpkg-clean".into(), finding: Some(finding) }];
    story.fail(Step::Preflight, 0.4, "1 blocker: dpkg was interrupted");
    story.close(20);
    story
}

fn stop_failed() -> Story {
    let mut story = Story::new();
    story.prepare();
    let reason = "sample-api.service did not stop within 10 s: 1 process is left in its control group";
    story.fail(Step::stop(unit("sample-api.service")), 10.0, reason);
    story.restore(&["sample-api.service"]);
    story.close(21);
    story
}

fn upgrade_interrupted() -> Story {
    let mut story = Story::new();
    story.prepare();
    story.stop("sample-api.service", 0.3);
    story.stop("mongod.service", 1.1);
    story.begin(Step::Upgrade);
    story.now += 60.0;
    story.run.boot = sample::boot(2);
    story.run.unplanned_reboots = 1;
    story.run.rebooted = Some(at(story.now));
    story.tell(EventKind::BootChanged { boot: sample::boot(2), down: secs(48.0), planned: false });
    story.end(0.0, Outcome::Interrupted, "the host went down");
    story.step(Step::Repair, 9.0, "2 packages configured");
    story.run.phase = Phase::Failed { step: Step::Upgrade, reason: "the host went down during the upgrade".into() };
    story.restore(&["mongod.service", "sample-api.service"]);
    story.close(21);
    story
}

fn aborted() -> Story {
    let mut story = Story::new();
    story.prepare();
    story.stop("sample-api.service", 0.3);
    story.run.abort = Some(Abort { by: "root on pts/0".into(), at: at(story.now) });
    story.tell(EventKind::AbortRequested { by: "root on pts/0".into() });
    story.run.phase = Phase::Aborted { by: "root on pts/0".into() };
    story.restore(&["sample-api.service"]);
    story.close(21);
    story
}

fn not_rebooted() -> Story {
    let mut story = Story::patched();
    story.begin(Step::Reboot);
    story.run.reboots = 1;
    story.run.reboot_requested = Some(at(story.now));
    story.run.reboot_reasons = vec!["libc6 was upgraded".into()];
    let (reasons, restart) = (story.run.reboot_reasons.clone(), story.run.restart.clone());
    story.tell(EventKind::RebootRequested { reasons, restart });
    let reason = "the host is still on its old boot after 5 min; still stopping: nfs-client.target";
    story.end(300.0, Outcome::Failed, reason);
    story.run.phase = Phase::Failed { step: Step::Reboot, reason: reason.into() };
    story.run.changes = vec![Change::Held(unit("sample-api.service"))];
    story.close(22);
    story
}

fn no_reboot_asked() -> Story {
    let mut story = Story::patched();
    story.run.options.no_reboot = true;
    story.run.reboot_reasons = vec!["libc6 was upgraded".into()];
    story.begin(Step::Reboot);
    let phase = story.run.phase.clone();
    story.end(0.0, Outcome::Skipped, "--no-reboot was asked for; a reboot is still needed");
    story.run.phase = phase;
    story.restore(&["mongod.service", "sample-api.service"]);
    let pending = Finding::new(FindingKey::RebootPending, Severity::Info, "a reboot is still needed")
        .evidence("libc6 was upgraded")
        .remedy("reboot at the next opportunity", "patchday run");
    let returns = vec![back("mongod.service", 4.1, 4.9), back("sample-api.service", 5.2, 5.8)];
    story.verify(Verdict::Healthy, vec![pending], returns);
    story.close(0);
    story
}

/// As the coordinator builds it: settled, and not yet closed.
fn settled() -> Story {
    let mut story = Story::healthy();
    let attempt = story.run.history.pop().unwrap().attempt;
    story.run.attempt = Some(attempt);
    story.run.closed = None;
    story
}

fn api_broken() -> Story {
    let mut story = Story::patched();
    story.reboot();
    let broken = ServiceReturn {
        active_usec: None,
        ready_usec: None,
        ready_at: None,
        restarts: 5,
        problem: Some("failed: exit-code, exit status 1".into()),
        because_of: Some(unit("mongod.service")),
        latency: None,
        ..back("sample-api.service", 5.2, 5.8)
    };
    let mongod = ServiceReturn {
        ready_usec: None,
        ready_at: None,
        problem: Some("active, but the server does not answer ping".into()),
        latency: None,
        ..back("mongod.service", 4.1, 4.9)
    };
    let mut first = Finding::new(FindingKey::ServiceNotReady, Severity::Blocker, "mongod.service is not ready")
        .about("mongod.service")
        .evidence("connection refused at 127.0.0.1:27017")
        .remedy("read what it says", "journalctl -b -u mongod.service");
    first.journal = vec!["mongod: cannot open /var/lib/mongodb/WiredTiger: permission denied".into()];
    let mut second = Finding::new(
        FindingKey::ServiceNotReady,
        Severity::Blocker,
        "sample-api.service failed because of mongod.service",
    );
    second.because_of = Some("mongod.service".into());
    let findings = vec![first, second];
    story.verify(Verdict::Failed, findings, vec![mongod, broken]);
    story.close(23);
    story
}

fn open() -> Story {
    let mut story = Story::new();
    story.prepare();
    story.stop("sample-api.service", 0.3);
    story.run.changes = vec![Change::Held(unit("sample-api.service")), Change::Stopped(unit("sample-api.service"))];
    story.begin(Step::stop(unit("mongod.service")));
    story.now += 30.0;
    story
}

/// Failed, and not yet brought to safety.
fn failing() -> Story {
    let mut story = Story::new();
    story.prepare();
    story.fail(Step::stop(unit("sample-api.service")), 10.0, "sample-api.service did not stop within 10 s");
    story.run.changes = vec![Change::Held(unit("sample-api.service"))];
    story.begin(Step::Restore);
    story
}

#[test]
fn every_ending_reads_naturally_on_a_terminal() {
    sample::snapshots(|| {
        for (name, story) in stories() {
            let text = text::render(&story.report(), &Style::plain());
            let too_wide = text.lines().find(|line| console::measure_text_width(line) > 80);
            assert_eq!(too_wide, None, "{name}");
            assert_snapshot!(format!("text_{name}"), text);
        }
    });
}

/// Names and words are the administrator's: told in every face, with what the program said.
#[test]
fn hooks_are_told_and_what_had_to_succeed_is_no_good_end() {
    let mut story = Story::healthy();
    let call = |step: &str, program: &str, policy, outcome, why: Option<&str>| HookRun {
        step: step.parse().unwrap(),
        program: program.into(),
        policy,
        began: at(10.0),
        end: Some(HookEnd { at: at(12.0), outcome, why: why.map(str::to_owned), lines: vec!["<b>503</b>".into()] }),
    };
    let failed = Outcome::Failed;
    story.run.hooks = vec![
        call("hook:before-stop:1", "/sbin/leave", HookPolicy::MustSucceed, Outcome::Succeeded, None),
        call("hook:after-stop:1", "/sbin/snapshot", HookPolicy::Ignore, failed, Some("exit status 4")),
        call("hook:after-verify:1", "/sbin/smoke-test", HookPolicy::MustSucceed, failed, Some("exit status 1")),
    ];
    let report = story.report();
    assert_eq!(report.exit_code, Some(23));
    assert!(report.summary.to_string().contains("after-verify: /sbin/smoke-test: exit status 1"), "{}", report.summary);
    let text = text::render(&report, &Style::plain());
    for wanted in ["before-stop: /sbin/leave: succeeded in 2.0 s", "/sbin/snapshot: exit status 4 (not minded)"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let markdown = markdown::render(&report);
    let wrong = markdown.split_once("## What went wrong").unwrap().1;
    assert!(wrong.contains("/sbin/smoke-test") && !wrong.contains("/sbin/snapshot"), "{wrong}");
    let page = html::render(&report);
    assert!(page.contains("/sbin/leave") && page.contains("&lt;b&gt;503") && !page.contains("<b>503"));
}

#[test]
fn every_ending_reads_as_a_post_mortem() {
    sample::snapshots(|| {
        for (name, story) in stories() {
            assert_snapshot!(format!("markdown_{name}"), markdown::render(&story.report()));
        }
    });
}

#[test]
fn the_summary_says_what_is_recorded() {
    let all: String =
        stories().into_iter().map(|(name, story)| format!("{name}: {}\n", story.report().summary)).collect();
    sample::snapshots(|| assert_snapshot!("summaries", all));
}

#[test]
fn the_report_of_a_settled_run_is_that_of_a_closed_one() {
    let (settled, closed) = (settled().report(), Story::healthy().report());
    assert_eq!(settled, closed);
}

#[test]
fn a_failed_verdict_is_told_as_a_verdict_and_not_as_a_failed_step() {
    let report = api_broken().report();
    assert_eq!((report.ending, report.verdict, report.failure), (Ending::Judged, Some(Verdict::Failed), None));
}

#[test]
fn the_json_report_keeps_its_shape_and_reads_back() {
    let schema = serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for (name, story) in stories() {
        let report = story.report();
        let text = json::render(&report).unwrap();
        assert!(text.ends_with("}\n"), "{name}");
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report, "{name}");
        schema.validate(&serde_json::from_str(&text).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        if name == "healthy" {
            sample::snapshots(|| assert_snapshot!("json_healthy", text));
        }
    }
}

#[test]
fn what_is_not_over_has_no_length_in_any_face() {
    let report = api_broken().report();
    assert!(report.away.unwrap().still_down);
    let faces = [text::render(&report, &Style::plain()), markdown::render(&report), html::render(&report)];
    for face in &faces {
        assert!(face.contains("still down"), "{face}");
    }
    assert!(!faces[0].contains("no services for"), "{}", faces[0]);
    assert_eq!(report.longest_downtime(), None);
    // Seen ready again, and nobody judged: it was measured all the same.
    let away = aborted().report().away.unwrap();
    assert!(away.measured.is_some() && !away.still_down, "{away:?}");
    assert!(!Story::healthy().report().away.unwrap().still_down);
}

/// A report of a run that is open says nothing of what is still to come.
#[test]
fn an_open_run_has_no_exit_code() {
    let report = failing().report();
    assert_eq!((report.ended, report.exit_code), (None, None));
    let text = text::render(&report, &Style::plain());
    assert!(!text.contains("exit code") && text.contains("bringing the host to safety is not finished"), "{text}");
}

#[test]
fn advice_of_the_preflight_ends_with_it() {
    let finding = Finding::new(FindingKey::labelled("apt-lock"), Severity::Warning, "another process is using apt")
        .remedy("let it end", "ps");
    let checks = vec![CheckResult { label: "apt-lock".into(), finding: Some(finding) }];
    let told = |mut story: Story| {
        story.run.checks = checks.clone();
        advice::to_do(&story.report()).iter().any(|advice| advice.text.contains("let it end"))
    };
    assert!(!told(Story::healthy()) && !told(aborted()));
    let mut blocked = Story::new();
    blocked.fail(Step::Preflight, 1.0, "apt-lock: another process is using apt");
    blocked.close(20);
    assert!(told(blocked));
}

#[test]
fn an_ascii_report_is_ascii() {
    for (name, story) in stories() {
        let text = text::render(&story.report(), &Style { unicode: false, ..Style::plain() });
        assert!(text.is_ascii(), "{name}: {text}");
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    for (name, story) in stories() {
        let plain = text::render(&story.report(), &Style::plain());
        let coloured = text::render(&story.report(), &Style { color: true, ..Style::plain() });
        assert_eq!(console::strip_ansi_codes(&coloured), plain, "{name}");
        assert_ne!(coloured, plain, "{name}");
    }
}

#[test]
fn without_events_the_report_is_poorer_and_not_wrong() {
    let story = Story::healthy();
    let full = story.report();
    let poor = super::build(&story.run, &[], at(story.now));
    assert_eq!((poor.verdict, &poor.summary, poor.services), (full.verdict, &full.summary, full.services));
    assert!(poor.timeline.len() > 8 && poor.timeline.len() < full.timeline.len());
}

#[test]
fn packages_count_as_upgraded_only_after_a_recorded_success() {
    for (story, certainty) in [
        (Story::healthy(), PackageCertainty::Installed),
        (upgrade_interrupted(), PackageCertainty::Unproven),
        (aborted(), PackageCertainty::Planned),
        (blocked(), PackageCertainty::NotPlanned),
    ] {
        assert_eq!(story.report().packages.certainty, certainty);
    }
    assert_eq!(nothing_to_do().report().ending, Ending::NothingToDo);
}

#[test]
fn vulnerabilities_are_listed_when_they_changed_or_nothing_mitigates_them() {
    let report = Story::healthy().report();
    let names: Vec<_> = report.vulnerabilities.iter().map(|v| (v.name.as_str(), v.unmitigated)).collect();
    assert_eq!(names, [("mds", false), ("mmio_stale_data", true)]);
}

//! The command line as a person or a script meets it: words, streams and exit codes. No machine is needed, and root
//! only where a verb itself asks for it.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write, pipe};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::fake_host::Scenario;
use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use patchday::checks;
use patchday::events::{EVENT_VERSION, Event, EventKind};
use patchday::model::{Attempt, AttemptRecord, BootId, Change, Outcome, Phase, Run, RunId, RunOptions, Step, Trigger};
use patchday::steps::planned_steps;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// The binary, with nothing in its environment that could change what it says.
fn patchday() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_patchday")))
}

fn clean(mut command: Command) -> Command {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TZ", "UTC").stdin(Stdio::null());
    command
}

fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Output {
    patchday().args(args).output().unwrap()
}

fn on_state(state: &Path, args: &[&str]) -> Output {
    patchday().arg("--state").arg(state).args(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Data on stdout, nothing on stderr, exit 0.
#[track_caller]
fn data(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(err(output), "", "talk beside the data");
    out(output)
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_str(&data(output)).unwrap()
}

/// Nothing on stdout, the error and its hint on stderr, and the exit code.
#[track_caller]
fn refusal(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(out(output), "", "an error on stdout");
    let said = err(output);
    assert!(said.starts_with("error: "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Snapshots are told apart by name; what the clock and the release decide is taken out.
fn snapshots(check: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.add_filter(r", [^,\n]+ ago", ", [some time] ago");
    settings.add_filter(r"\b\d+\.\d+\.\d+\b(?P<rest> )", "[version]$rest");
    settings.bind(check);
}

/// A state directory with a healthy run that is over.
fn closed_run() -> (Scenario, String) {
    let scenario = Scenario::new();
    let (_, run) = scenario.run_to_end();
    assert!(!run.is_open());
    (scenario, run.id.to_string())
}

/// Adds a run that was left open in the middle of its upgrade.
fn open_run(scenario: &Scenario) -> RunId {
    let planned: Timestamp = "2026-12-07T03:00:00Z".parse().unwrap();
    let id = RunId::mint(planned, 2);
    let boot: BootId = "00000000-0000-4000-8000-000000000007".parse().unwrap();
    let options = RunOptions::new(Trigger::Operator);
    let steps = planned_steps(&scenario.settings, &options);
    let services = scenario.settings.planned_services();
    let mut run = Run::plan(id.clone(), "web1".into(), planned, boot.clone(), options, steps.clone(), services);
    let store = scenario.state.lock("a test").unwrap().create_run(&run, &scenario.settings).unwrap();
    let attempt = |step: &Step, at| Attempt { step: step.clone(), number: 1, boot: boot.clone(), began: at };
    let began = planned + SignedDuration::from_secs(40);
    for step in steps.iter().take_while(|step| **step != Step::Upgrade) {
        let attempt = attempt(step, planned);
        run.history.push(AttemptRecord { attempt, outcome: Outcome::Succeeded, note: None, ended: began });
    }
    run.phase = Phase::ServicesStopped;
    run.changes = run.services.iter().rev().map(|service| Change::Held(service.unit.clone())).collect();
    run.attempt = Some(attempt(&Step::Upgrade, began));
    store.save(&run).unwrap();
    let log = store.event_log().unwrap();
    let tell = |at, kind| log.append(&Event { v: EVENT_VERSION, run: id.clone(), at, kind });
    tell(planned, EventKind::RunStarted { host: "web1".into(), steps });
    tell(began, EventKind::StepStarted { step: Step::Upgrade, attempt: 1 });
    id
}

fn run_json(state: &Path, id: &str) -> PathBuf {
    state.join("runs").join(id).join("run.json")
}

#[test]
fn help_and_version_are_data() {
    snapshots(|| {
        assert_snapshot!("help", data(&run(["--help"])));
        assert_snapshot!("help_run", data(&run(["run", "--help"])));
    });
    assert_eq!(data(&run(["--version"])), concat!("patchday ", env!("CARGO_PKG_VERSION"), "\n"));
    assert!(!data(&run(["--help"])).contains("exec-with-status"), "a verb for units only");
}

#[test]
fn wrong_usage_exits_with_2() {
    for args in [
        &["dance"][..],
        &["status", "--loud"],
        &["report", "--format", "pdf"],
        &["report", "--json", "--format", "text"],
        &["report", "yesterday"],
        &["attach", "--last", "20261123t030000z-0001"],
        &["status", "--color", "blue"],
        &["run", "--run-id", "20261123t030000z-0001"],
        &["resume", "--automatic"],
        &["exec-with-status", "--status", "/tmp/x"],
    ] {
        let said = refusal(&run(args), 2);
        assert!(said.contains("--help"), "{args:?}: no way on: {said}");
    }
    // No verb at all: the help, as talk, since nobody asked for it.
    let bare = run::<&str>([]);
    assert_eq!((bare.status.code(), out(&bare).as_str()), (Some(2), ""));
    assert!(err(&bare).contains("Usage: patchday"), "{bare:?}");
}

#[test]
fn a_host_without_runs_says_so() {
    let temp = tempfile::tempdir().unwrap();
    for state in [temp.path().to_owned(), temp.path().join("missing")] {
        let on = |args: &[&str]| on_state(&state, args);
        assert_eq!(data(&on(&["status"])), "no run yet\n");
        assert_eq!(data(&on(&["history"])), "no run yet\n");
        let status = json(&on(&["status", "--json"]));
        assert_eq!((&status["format"], &status["open"], &status["run"]), (&1.into(), &false.into(), &Value::Null));
        assert_eq!(json(&on(&["history", "--json"])), serde_json::json!({ "format": 1, "runs": [] }));
        for args in [&["report"][..], &["report", "--json"], &["report", "--format", "markdown"]] {
            let said = refusal(&on(args), 2);
            assert_eq!(said, "error: no run is recorded yet\nhint: patchday run\n");
        }
        let said = refusal(&on(&["attach"]), 2);
        assert_eq!(said, "error: no run is open\nhint: patchday report\n");
        let said = refusal(&on(&["report", "20261123t030000z-0001"]), 2);
        assert_eq!(said, "error: no run 20261123t030000z-0001 is recorded\nhint: patchday history\n");
        assert!(!state.join("runs").exists(), "looking has made a state");
    }
}

#[test]
fn a_finished_run_is_told_in_every_form() {
    let (scenario, id) = closed_run();
    let on = |args: &[&str]| on_state(scenario.state_path(), args);
    snapshots(|| {
        assert_snapshot!("closed_status", data(&on(&["status"])));
        assert_snapshot!("closed_status_json", data(&on(&["status", "--json"])));
        assert_snapshot!("closed_history", data(&on(&["history"])));
        assert_snapshot!("closed_history_json", data(&on(&["history", "--json"])));
        assert_snapshot!("closed_report", data(&on(&["report"])));
        assert_snapshot!("closed_report_markdown", data(&on(&["report", "--format", "markdown"])));
    });
    let report = json(&on(&["report", "--json"]));
    assert_eq!((&report["verdict"], &report["exit_code"]), (&"healthy".into(), &0.into()));
    assert_eq!(json(&on(&["report", "--format", "json"]))["run"], report["run"]);
    assert_eq!(data(&on(&["report", &id])), data(&on(&["report"])));
    // The report of a run is not what it was worth: showing it worked.
    assert_eq!(refusal(&on(&["attach"]), 2), "error: no run is open\nhint: patchday report\n");
}

#[test]
fn a_finished_run_can_be_followed_again() {
    let (scenario, id) = closed_run();
    let again = on_state(scenario.state_path(), &["attach", "--last"]);
    assert_eq!(again.status.code(), Some(0));
    snapshots(|| assert_snapshot!("closed_attach_talk", err(&again)));
    snapshots(|| assert_snapshot!("closed_attach", out(&again)));

    let events = on_state(scenario.state_path(), &["attach", "--json", &id]);
    let lines: Vec<Value> = data(&events).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.first().unwrap()["event"], "run-started");
    assert_eq!(lines.last().unwrap()["event"], "run-ended");
    assert!(lines.iter().all(|line| line["run"] == id.as_str() && line["v"] == EVENT_VERSION));
}

#[test]
fn an_open_run_is_told_as_far_as_it_came() {
    let (scenario, closed) = closed_run();
    let open = open_run(&scenario);
    let on = |args: &[&str]| on_state(scenario.state_path(), args);
    snapshots(|| {
        let status = data(&on(&["status"]));
        // It was left open long ago, and that long has it been at it.
        let since = without_elapsed(&status);
        assert_snapshot!("open_status", since);
        assert_snapshot!("open_status_json", data(&on(&["status", "--json"])));
    });
    let history = json(&on(&["history", "--json"]));
    let runs: Vec<&str> = history["runs"].as_array().unwrap().iter().filter_map(|run| run["run"].as_str()).collect();
    assert_eq!(runs, [open.as_str(), closed.as_str()], "the newest comes first");
    assert_eq!(json(&on(&["report", "--json"]))["exit_code"], Value::Null);
    assert!(data(&on(&["report", "--format", "markdown"])).contains(open.as_str()));
    assert_eq!(json(&on(&["report", "--json", &closed]))["exit_code"], 0);
}

#[test]
fn the_status_says_whether_anybody_is_at_work_on_an_open_run() {
    const NOBODY: &str = "no coordinator is at work";
    let scenario = Scenario::new();
    let id = open_run(&scenario);
    let file = run_json(scenario.state_path(), id.as_str());
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let status = || data(&on_state(scenario.state_path(), &["status"]));
    let locked = scenario.state.lock("a test").unwrap();
    assert!(!status().contains(NOBODY), "{}", status());
    drop(locked);
    let left = status();
    assert!(left.contains(NOBODY) && left.contains("next        patchday resume\n"), "{left}");
    // The host reboots, and nobody is meant to be there until it has.
    record["run"]["phase"] = "reboot-requested".into();
    record["run"]["attempt"] = Value::Null;
    let this_boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let of_another = record["run"]["boot"].clone();
    for (boot, is_left) in [(this_boot.trim().into(), false), (of_another, true)] {
        record["run"]["boot"] = boot;
        fs::write(&file, record.to_string()).unwrap();
        assert_eq!(status().contains(NOBODY), is_left, "{}", status());
    }
}

#[test]
fn a_run_is_named_by_last_or_by_the_beginning_of_its_id() {
    let (scenario, closed) = closed_run();
    let open = open_run(&scenario);
    let on = |args: &[&str]| on_state(scenario.state_path(), args);
    for (name, run) in [("last", open.as_str()), (&closed[..8], &closed), (&open.as_str()[..12], open.as_str())] {
        assert_eq!(json(&on(&["report", "--json", name]))["run"], run, "{name}");
    }
    assert_eq!(on(&["attach", &closed[..8]]).status.code(), Some(0));
    let said = refusal(&on(&["report", "2026"]), 2);
    assert!(said.contains(&format!("2026 begins the IDs of 2 runs: {closed} and {open}")), "{said}");
    assert_eq!(refusal(&on(&["report", "1999"]), 2), "error: no run begins with 1999\nhint: patchday history\n");
}

#[test]
fn the_output_of_the_work_is_shown_by_step_and_by_run() {
    let (scenario, closed) = closed_run();
    let open = open_run(&scenario);
    let on = |args: &[&str]| on_state(scenario.state_path(), args);
    let said = refusal(&on(&["logs"]), 2);
    assert_eq!(said, format!("error: run {open} has no output\nhint: patchday history\n"));
    let beside = run_json(scenario.state_path(), open.as_str());
    for (name, text, at) in [("fetch-1", "Get:1 perl\n", 1), ("upgrade-1", "10%\r20%\rSetting up \u{1b}[2Jperl\n", 2)] {
        let log = beside.with_file_name(format!("{name}.log"));
        fs::write(&log, text).unwrap();
        let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(at);
        fs::File::open(&log).unwrap().set_modified(written).unwrap();
    }
    let upgrade = "Setting up \\u001b[2Jperl\n";
    for args in [&["logs", "upgrade"][..], &["logs", "last", "upgrade-1"], &["logs", open.as_str(), "upgrade"]] {
        assert_eq!(data(&on(args)), upgrade, "{args:?}");
    }
    assert_eq!(data(&on(&["logs"])), format!("==> fetch-1 <==\nGet:1 perl\n==> upgrade-1 <==\n{upgrade}"));
    let said = refusal(&on(&["logs", "dkms"]), 2);
    assert!(said.ends_with("has no output of dkms\nhint: it has output of fetch-1 and upgrade-1\n"), "{said}");
    assert!(refusal(&on(&["logs", &closed, "upgrade"]), 2).contains("has no output of upgrade"));
}

/// The status with the time that goes on taken out.
fn without_elapsed(status: &str) -> String {
    let line = |line: &str| match line.split_once(", for ") {
        Some((words, _)) => format!("{words}, for [some time]\n"),
        None => format!("{line}\n"),
    };
    status.lines().map(line).collect()
}

#[test]
fn unknown_labels_name_the_known_ones() {
    for verb in ["plan", "run"] {
        let said = refusal(&run([verb, "--allow", "nonsense"]), 2);
        assert_eq!(said, "error: --allow nonsense: there is no such check\nhint: patchday checks\n");
    }
}

#[test]
fn the_catalogue_is_listed_by_topic() {
    let all = run(["checks"]);
    assert_eq!(all.status.code(), Some(0));
    let all = String::from_utf8(all.stdout).unwrap();
    for label in checks::labels() {
        assert!(all.contains(label), "{label} is not listed");
    }
    let json = run(["checks", "--topic", "services", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["format"], 1);
    let listed = json["checks"].as_array().unwrap();
    assert!(listed.len() > 3 && listed.iter().all(|check| check["topic"] == "services"), "{json}");
    assert!(listed.iter().all(|check| ["label", "severity", "about", "doc"].iter().all(|key| check[key].is_string())));
    let said = String::from_utf8(run(["checks", "--topic", "weather"]).stderr).unwrap();
    assert!(said.contains("expected one of packages, space"), "{said}");
}

#[test]
fn a_bad_configuration_is_told_with_its_place() {
    if !is_root() {
        return; // plan asks for root before it reads the file
    }
    let temp = tempfile::tempdir().unwrap();
    let config = temp.path().join("patchday.toml");
    let plan = |text: &str| {
        fs::write(&config, text).unwrap();
        let output = patchday().arg("--config").arg(&config).arg("--state").arg(temp.path()).arg("plan").output();
        refusal(&output.unwrap(), 2).replace(&config.display().to_string(), "FILE")
    };
    let said = plan("[limits]\ncpu = \"80%\"\ncpu-wieght = 3\n");
    assert!(said.starts_with("error: FILE:3:1: [limits] cpu-wieght: unknown key, expected one of cpu"), "{said}");
    assert!(said.ends_with("\nhint: did you mean \"cpu-weight\"?\n"), "{said}");
    // Every problem has a line of its own; the hint is the first one's.
    let said = plan("[limits]\ncpu = 80\n[verify]\nsettle = 3\n");
    assert_eq!(said.matches("error: FILE:").count(), 2, "{said}");
    assert_eq!(said.matches("hint: ").count(), 1, "{said}");
    assert!(said.find("FILE:2:").unwrap() < said.find("FILE:4:").unwrap(), "{said}");

    let missing = temp.path().join("missing.toml");
    let said = refusal(&run([OsStr::new("plan"), OsStr::new("--config"), missing.as_os_str()]), 2);
    assert!(said.contains("missing.toml: cannot read the file: ") && said.contains("\nhint: "), "{said}");
    assert!(said.contains("patchday init"), "{said}");
}

#[test]
fn a_state_that_cannot_be_understood_exits_with_30() {
    let (scenario, id) = closed_run();
    let state = scenario.state_path();
    let file = run_json(state, &id);
    let good = fs::read_to_string(&file).unwrap();

    fs::write(&file, good.replacen("\"format\": 1", "\"format\": 2", 1)).unwrap();
    for verb in ["status", "report"] {
        let said = refusal(&on_state(state, &[verb]), 30);
        assert!(said.contains("run.json: written by a newer Patchday (format 2, this one reads 1)"), "{said}");
        assert!(said.contains("\nhint: install the newer Patchday"), "{said}");
    }
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    for args in [&["status"][..], &["status", "--json"], &["report"], &["report", "--json"], &["attach", &id]] {
        let said = refusal(&on_state(state, args), 30);
        assert!(said.contains("run.json: not as Patchday wrote it: ") && said.contains("\nhint: "), "{said}");
    }
    // One broken record does not hide the others, but it is told.
    let history = on_state(state, &["history"]);
    assert!(err(&history).contains("not as Patchday wrote it"), "{history:?}");
    assert_eq!(history.status.code(), Some(30), "{history:?}");

    fs::write(&file, &good).unwrap();
    fs::write(state.join("open-run"), "whatever\n").unwrap();
    let said = refusal(&on_state(state, &["status"]), 30);
    assert!(said.contains("open-run: not as Patchday wrote it"), "{said}");
}

#[test]
fn a_state_path_that_is_no_directory_exits_with_30() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    for verb in ["status", "history", "report", "attach"] {
        let said = refusal(&on_state(&file, &[verb]), 30);
        assert!(said.contains("\nhint: "), "{said}");
    }
}

/// The binary where an unprivileged user can run it, and how to become that user; none where that cannot be done.
struct Unprivileged {
    directory: TempDir,
}

impl Unprivileged {
    fn new() -> Option<Self> {
        let directory = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        fs::copy(env!("CARGO_BIN_EXE_patchday"), directory.path().join("patchday")).unwrap();
        let this = Self { directory };
        // The file system may not let others in, or setpriv may be missing.
        let works = this.command().arg("--version").output().is_ok_and(|output| output.status.success());
        works.then_some(this)
    }

    fn command(&self) -> Command {
        let program = self.directory.path().join("patchday");
        if !is_root() {
            return clean(Command::new(program));
        }
        let mut command = clean(Command::new("setpriv"));
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
        command
    }
}

#[test]
fn whoever_is_not_root_is_told_what_to_do() {
    let Some(user) = Unprivileged::new() else { return };
    for verb in ["run", "plan", "resume", "abort"] {
        let said = refusal(&user.command().arg(verb).output().unwrap(), 2);
        assert_eq!(said, format!("error: patchday {verb} must be run as root\nhint: sudo patchday {verb}\n"));
    }
    let (scenario, _) = closed_run();
    fs::set_permissions(scenario.state_path(), fs::Permissions::from_mode(0o700)).unwrap();
    if is_root() {
        let said =
            refusal(&user.command().arg("--state").arg(scenario.state_path()).arg("status").output().unwrap(), 30);
        assert!(said.starts_with("error: what Patchday records is for root alone: "), "{said}");
        assert!(said.ends_with("permission denied\nhint: run it as root\n") && said.lines().count() == 2, "{said}");
    }
}

#[test]
fn colour_follows_the_option_first() {
    let (scenario, _) = closed_run();
    let report = |color: &[&str], no_color: bool| {
        let mut command = patchday();
        command.arg("--state").arg(scenario.state_path()).arg("report").args(color).env("TERM", "xterm-256color");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        data(&command.output().unwrap()).contains('\x1b')
    };
    assert!(!report(&[], false), "a pipe is no terminal");
    assert!(report(&["--color", "always"], false));
    assert!(report(&["--color", "always"], true), "somebody said so");
    assert!(!report(&["--color", "never"], false));

    // Errors too.
    let coloured = on_state(Path::new("/nonexistent"), &["report", "--color", "always"]);
    assert!(err(&coloured).contains("\x1b["), "{coloured:?}");
}

#[test]
fn a_terminal_has_colour_unless_the_environment_says_no() {
    let (scenario, _) = closed_run();
    // script(1) gives the command a terminal, and copies what it says.
    let on_terminal = |no_color: &str| {
        let report = format!("{} --state {} report", env!("CARGO_BIN_EXE_patchday"), scenario.state_path().display());
        let mut command = clean(Command::new("script"));
        command.args(["--quiet", "--return", "--command", &report, "/dev/null"]);
        command.env("TERM", "xterm-256color").env("NO_COLOR", no_color).env("SHELL", "/bin/sh");
        command.output().ok().filter(|output| output.status.success()).map(|output| out(&output))
    };
    let Some(plain) = on_terminal("1") else { return };
    assert!(plain.contains("healthy") && !plain.contains('\x1b'), "{plain}");
    let coloured = on_terminal("").unwrap();
    assert!(coloured.contains('\x1b'), "an empty NO_COLOR is none: {coloured}");
}

#[test]
fn what_is_longer_than_the_screen_goes_to_a_pager_unless_somebody_said_no() {
    let (scenario, _) = closed_run();
    let on_terminal = |rows: u32, arguments: &str, pager: &str| {
        let program = env!("CARGO_BIN_EXE_patchday");
        let report =
            format!("stty rows {rows} cols 80; {program} --state {} {arguments}", scenario.state_path().display());
        let mut command = clean(Command::new("script"));
        command.args(["--quiet", "--return", "--command", &report, "/dev/null"]);
        command.env("TERM", "xterm").env("SHELL", "/bin/sh").env("PAGER", pager);
        command.output().ok().filter(|output| output.status.success()).map(|output| out(&output))
    };
    // Who has another's rights gets less, whatever the environment says.
    let login = fs::read_to_string("/proc/self/loginuid").ok().and_then(|uid| uid.trim().parse::<u32>().ok());
    let is_own = login.is_none_or(|uid| uid == u32::MAX || uid == rustix::process::geteuid().as_raw());
    let sed = "/bin/sed s/^/paged:/";
    if on_terminal(24, "status", sed).is_none() || !is_own {
        return;
    }
    for (rows, arguments, pager, is_paged) in [
        (24, "report", sed, true),
        (24, "report --format markdown", sed, true),
        (200, "report", sed, false),
        (24, "status", sed, false),
        (24, "report --no-pager", sed, false),
        (24, "report --json", sed, false),
        (24, "report", "", false),
        (24, "report", "cat", false),
    ] {
        let shown = on_terminal(rows, arguments, pager).unwrap();
        assert_eq!(shown.contains("paged:"), is_paged, "{rows} {arguments} {pager}: {shown}");
        assert!(shown.contains("healthy"), "{shown}");
    }
}

#[test]
fn l_shows_the_output_and_whatever_ends_it_leaves_the_terminal_as_it_was() {
    let (scenario, _) = closed_run();
    let id = open_run(&scenario);
    let log = run_json(scenario.state_path(), id.as_str()).with_file_name("upgrade-1.log");
    fs::write(&log, "Unpacking perl ...\n\nSetting up the moon ...\n").unwrap();
    // Somebody has to be at work on the run, or following it ends by itself.
    let _at_work = scenario.state.lock("a test").unwrap();
    let attach = format!("{} --state {} attach", env!("CARGO_BIN_EXE_patchday"), scenario.state_path().display());
    for (name, key, ending) in [
        ("Ctrl-C", Some("\u{3}"), "130"),
        ("Ctrl-\\", Some("\u{1c}"), "130"),
        ("SIGTERM", None, "130"),
        ("SIGHUP", None, "130"),
    ] {
        // A shell that outlives the key, with its own idea of the terminal before and after.
        let script = format!(
            "trap : INT QUIT; stty -g; sh -c 'echo $$ >{pid}; exec {attach}'; echo \"=$?=\"; stty -g",
            pid = scenario.state_path().join("pid").display()
        );
        let mut terminal = clean(Command::new("script"));
        terminal.args(["--quiet", "--flush", "--command", &script, "/dev/null"]);
        terminal.env("TERM", "xterm").env("SHELL", "/bin/sh").stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut terminal) = terminal.spawn() else { return };
        let mut keyboard = terminal.stdin.take().unwrap();
        let mut screen = terminal.stdout.take().unwrap();
        let mut seen = String::new();
        let mut see = |what: &str, seen: &mut String| {
            let mut bytes = [0; 4096];
            while !seen.contains(what) {
                let count = screen.read(&mut bytes).unwrap();
                assert!(count > 0, "{name}: {what} was never to be seen: {seen}");
                seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        see("l shows and hides", &mut seen);
        assert!(!seen.contains("the moon"), "{name}: {seen}");
        keyboard.write_all(b"l").unwrap();
        see("Setting up the moon", &mut seen);
        match key {
            Some(key) => keyboard.write_all(key.as_bytes()).unwrap(),
            None => {
                let pid = fs::read_to_string(scenario.state_path().join("pid")).unwrap();
                let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
                let signal = if name == "SIGTERM" { Signal::TERM } else { Signal::HUP };
                rustix::process::kill_process(pid, signal).unwrap();
            }
        }
        see(&format!("={ending}="), &mut seen);
        drop(keyboard);
        let _ = screen.read_to_string(&mut seen);
        let _ = terminal.wait();
        // `stty -g` says all of a terminal's settings, in hexadecimal.
        let settings: Vec<&str> = seen.lines().map(str::trim).filter(|line| line.matches(':').count() > 20).collect();
        assert_eq!(settings.len(), 2, "{name}: {seen}");
        assert_eq!(settings[0], settings[1], "{name}");
    }
}

/// A pipe whose reader has gone.
fn broken_pipe() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_has_gone_is_no_reason_to_panic() {
    let (scenario, _) = closed_run();
    let every: &[&[&str]] = &[
        &["--help"],
        &["--version"],
        &["dance"],
        &["completions", "bash"],
        &["status"],
        &["status", "--json"],
        &["history"],
        &["history", "--json"],
        &["report"],
        &["report", "--json"],
        &["report", "nonsense"],
        &["attach"],
        &["attach", "--last"],
        &["attach", "--last", "--json"],
        &["plan", "--allow", "nonsense"],
    ];
    for args in every {
        let command = || {
            let mut command = patchday();
            command.arg("--state").arg(scenario.state_path()).args(*args);
            command
        };
        let wanted = command().output().unwrap().status.code();
        let no_reader = command().stdout(broken_pipe()).output().unwrap();
        assert_eq!(no_reader.status.code(), wanted, "{args:?}: {}", err(&no_reader));
        let no_talk = command().stderr(broken_pipe()).output().unwrap();
        assert_eq!(no_talk.status.code(), wanted, "{args:?}");
        let neither = command().stdout(broken_pipe()).stderr(broken_pipe()).status().unwrap();
        assert_eq!(neither.code(), wanted, "{args:?}");
        // Descriptors that are closed, and not only cut off.
        let mut closed = clean(Command::new("sh"));
        closed.args(["-c", "exec \"$@\" >&- 2>&-", "sh", env!("CARGO_BIN_EXE_patchday"), "--state"]);
        let closed = closed.arg(scenario.state_path()).args(*args).status().unwrap();
        assert_eq!(closed.code(), wanted, "{args:?}");
    }
}

#[test]
fn data_that_cannot_be_written_are_an_error() {
    let (scenario, _) = closed_run();
    let temp = tempfile::tempdir().unwrap();
    let config = temp.path().join("patchday.toml");
    fs::write(&config, "").unwrap();
    let every: &[&[&str]] = &[
        &["status"],
        &["status", "--json"],
        &["history"],
        &["history", "--json"],
        &["report"],
        &["report", "--json"],
        &["report", "--format", "html"],
        &["checks"],
        &["checks", "--json"],
        &["completions", "bash"],
        &["config", "show"],
        &["config", "check"],
        &["config", "check", "--json"],
    ];
    for args in every {
        let mut command = patchday();
        command.arg("--state").arg(scenario.state_path()).arg("--config").arg(&config).args(*args);
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let lost = command.stdout(full).output().unwrap();
        let said = refusal(&lost, 1);
        assert!(said.starts_with("error: write the answer to stdout: No space left on device"), "{args:?}: {said}");
    }
}

#[test]
fn a_log_line_that_cannot_be_written_is_only_lost() {
    if !is_root() {
        return; // resume asks for root first
    }
    // With nothing to resume it warns and ends: the shortest way to a log line.
    let temp = tempfile::tempdir().unwrap();
    let resume = || {
        let mut command = patchday();
        command.arg("--state").arg(temp.path()).args(["resume", "--foreground"]);
        command
    };
    let told = resume().output().unwrap();
    assert!(data_with_talk(&told).contains("no run is open"), "{told:?}");
    assert!(!err(&told).contains('\x1b'), "colour in a pipe: {told:?}");
    let lost = resume().stderr(broken_pipe()).status().unwrap();
    assert_eq!(lost.code(), Some(0), "the coordinator died of its log");
}

fn data_with_talk(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(out(output), "");
    err(output)
}

#[test]
fn completions_are_a_script_that_bash_takes() {
    for shell in ["bash", "zsh", "fish"] {
        let script = data(&run(["completions", shell]));
        assert!(script.contains("PATCHDAY_COMPLETE"), "{shell}: {script}");
    }
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("patchday.bash");
    fs::write(&file, data(&run(["completions", "bash"]))).unwrap();
    let checked = clean(Command::new("bash")).arg("-n").arg(&file).output().unwrap();
    assert!(checked.status.success(), "{}", err(&checked));
}

/// What a shell is told of the last word of a line.
fn completed(state: &Path, config: &Path, words: &[&str]) -> Vec<String> {
    let mut command = patchday();
    command.env("PATCHDAY_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    command.env("_CLAP_IFS", "\n").env("PATCHDAY_STATE", state).env("PATCHDAY_CONFIG", config);
    let output = command.arg("--").args(words).output().unwrap();
    out(&output).lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_what_only_this_host_knows() {
    let temp = tempfile::tempdir().unwrap();
    let (state, config) = (temp.path().join("state"), temp.path().join("patchday.toml"));
    fs::write(&config, "[[service]]\nunit = \"api.service\"\n").unwrap();
    let run = crate::sample_runs::healthy();
    let directory = state.join("runs").join(run.id.as_str());
    fs::create_dir_all(&directory).unwrap();
    let id = run.id.as_str();
    for (words, expected) in [
        (&["patchday", "hist"][..], vec!["history"]),
        (&["patchday", "report", ""], vec![id]),
        (&["patchday", "doctor", "a"], vec!["api.service"]),
        (&["patchday", "plan", "--allow", "boot-sp"], vec!["boot-space"]),
        (&["patchday", "run", "--allow", "boot-sp"], vec!["boot-space"]),
        (&["patchday", "config", ""], vec!["check", "show"]),
        (&["patchday", "config", "show", "limits.c"], vec!["limits.cpu", "limits.cpu-weight"]),
        (&["patchday", "config", "show", "limits", "report.k"], vec!["report.keep"]),
    ] {
        let mut told = completed(&state, &config, words);
        told.retain(|word| !word.starts_with('-'));
        assert_eq!(told, expected, "{words:?}");
    }
    let nothing = temp.path().join("missing");
    assert!(completed(&nothing, &nothing, &["patchday", "doctor", "a"]).is_empty());
}

#[test]
fn man_pages_are_written_for_every_verb() {
    let temp = tempfile::tempdir().unwrap();
    assert_eq!(data(&run([OsStr::new("man"), temp.path().as_os_str()])), "");
    let page = |name: &str| fs::read_to_string(temp.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let has = |name: &str, sections: &[&str]| {
        let text = page(name);
        for section in sections {
            assert!(
                text.lines().any(|line| line == format!(".SH {section}") || line == format!(".SH \"{section}\"")),
                "{name}: {section}\n{text}"
            );
        }
    };
    has("man8/patchday.8", &["NAME", "OPTIONS", "EXIT STATUS", "FILES", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"]);
    for verb in patchday::cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let below = verb.get_subcommands().map(|below| format!("{}-{}", verb.get_name(), below.get_name()));
        for name in [verb.get_name().to_owned()].into_iter().chain(below) {
            has(&format!("man8/patchday-{name}.8"), &["NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS", "SEE ALSO"]);
        }
    }
    has("man8/patchday-config-show.8", &["EXAMPLES"]);
    assert!(page("man8/patchday-config-show.8").contains("patchday config show"), "it is called by another name");
    let file = page("man5/patchday.toml.5");
    for key in patchday::config::keys::KEYS {
        let name = key.name.replace('-', "\\-");
        assert!(file.contains(&format!("\\fB{name}\\fR")), "{name}");
    }
    assert!(!temp.path().join("man8/patchday-exec-with-status.8").exists(), "a page of a hidden verb");
    let file = temp.path().join("a-file");
    fs::write(&file, "").unwrap();
    let said = refusal(&run([OsStr::new("man"), file.as_os_str()]), 2);
    assert!(said.contains("a-file: "), "{said}");
}

#[test]
fn exec_with_status_gives_a_descriptor_and_becomes_the_program() {
    let temp = tempfile::tempdir().unwrap();
    let status = temp.path().join("status");
    fs::write(&status, "before\n").unwrap();
    let exec = |argv: &[&str]| {
        let mut command = patchday();
        command.args(["exec-with-status", "--status"]).arg(&status).arg("--").args(argv);
        command.output().unwrap()
    };
    let script = "echo data; echo talk >&2; echo progress >&$1; exit 7";
    let ended = exec(&["/bin/sh", "-c", script, "sh", "@STATUS_FD@"]);
    assert_eq!((ended.status.code(), out(&ended), err(&ended)), (Some(7), "data\n".into(), "talk\n".into()));
    assert_eq!(fs::read_to_string(&status).unwrap(), "before\nprogress\n", "appended, never truncated");

    // The way in which apt is told the number.
    let told = data(&exec(&["/bin/sh", "-c", "readlink /proc/$$/fd/${0#*=}", "APT::Status-Fd=@STATUS_FD@"]));
    assert_eq!(told.trim(), status.canonicalize().unwrap().to_str().unwrap());

    let said = refusal(&exec(&["/nonexistent/program"]), 1);
    assert!(said.contains("start /nonexistent/program"), "{said}");
}

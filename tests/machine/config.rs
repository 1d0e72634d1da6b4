//! On real machines: what Patchday refuses, and that a refusal touches nothing; plans; a run without a reboot; an
//! abort. See `docs/testing.md`.
use std::process::Child;
use std::time::Duration;

use crate::on_machine::{CONFIG, UNITS, assert_in_service, json, machine_with_patchday, patchday, step};
use patchday_lab::{Machine, Output, Suite, services, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);
/// Until all packages are fetched, on a busy host.
const FETCHED: Duration = Duration::from_secs(240);

fn machine(name: &str) -> Machine {
    let machine = machine_with_patchday(Suite::Bookworm, name);
    machine.write_file(CONFIG, &good(&machine)).unwrap();
    machine
}

/// A configuration that works; each bad one is this one with one line changed.
fn good(machine: &Machine) -> String {
    let database = "start-timeout = \"60s\"\ndrain-timeout = \"3s\"";
    let services = services(machine, database, "start-timeout = \"20s\"");
    format!("{services}[limits]\ncpu = \"80%\"\n\n[verify]\nsettle = \"3s\"\n\n[preflight]\nallow = [\"boot-space\"]\n")
}

fn said(output: &Output) -> String {
    format!("{output:?}\n{}", output.stderr)
}

/// Everything of a host that a run would change.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    boot: String,
    invocations: Vec<String>,
    drop_ins: String,
    flags: String,
    packages: String,
    inhibitors: String,
}

impl Host {
    fn of(machine: &Machine) -> Self {
        let invocation = |unit: &&str| machine.exec_ok(&["systemctl", "show", "-P", "InvocationID", unit]).unwrap();
        let text = |command: &str| machine.exec_ok(&["sh", "-c", command]).unwrap();
        Self {
            boot: machine.boot_id().unwrap(),
            invocations: UNITS.iter().map(invocation).collect(),
            drop_ins: text(
                "find /run/systemd/system /run/systemd/transient /etc/systemd/system -mindepth 1 2>/dev/null | sort",
            ),
            flags: text("find /run/patchday | sort"),
            packages: text("cksum /var/log/dpkg.log /var/lib/dpkg/status 2>&1; ls /var/cache/apt/archives"),
            inhibitors: text("systemd-inhibit --list --no-legend | grep -i patchday || true"),
        }
    }
}

/// No run was recorded, and nobody holds a lock that a later run would trip over.
fn assert_no_run(machine: &Machine) {
    for path in ["/var/lib/patchday/runs", "/var/lib/patchday/lock", "/var/lib/patchday/open-run"] {
        assert!(!machine.exists(path).unwrap(), "{path} was made");
    }
}

/// A configuration that is wrong in one place.
struct Bad {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    /// The line of the problem.
    line: u32,
    /// Words of the error.
    error: &'static [&'static str],
    /// Words of the hint.
    hint: &'static str,
}

#[rustfmt::skip]
const BAD: [Bad; 9] = [
    Bad {
        name: "an unknown key", from: "cpu = \"80%\"", to: "cpus = \"80%\"", line: 20,
        error: &["[limits] cpus: unknown key, expected one of cpu, cpu-weight, io-weight"],
        hint: "did you mean \"cpu\"?",
    },
    Bad {
        name: "a wrong type", from: "start-timeout = \"60s\"", to: "start-timeout = 60", line: 4,
        error: &["[[service]] start-timeout: expected a duration from 1s to 2h in quotes, found 60"],
        hint: "for example: start-timeout = \"5m\"",
    },
    Bad {
        name: "a name that is no unit", from: "unit = \"sample-api.service\"", to: "unit = \"sample api\"", line: 12,
        error: &["[[service]] unit: expected a service unit, as in mongod.service, found \"sample api\""],
        hint: "systemctl list-units --type=service",
    },
    Bad {
        name: "a unit that this host has not", from: "unit = \"sample-api.service\"", to: "unit = \"simple-api.service\"",
        line: 12,
        error: &["[[service]] unit: expected a unit of this host, found \"simple-api.service\"", "systemd does not know"],
        hint: "systemctl list-unit-files --type=service",
    },
    Bad {
        name: "a cycle", from: "kind = \"mongodb\"", to: "kind = \"mongodb\"\nafter = [\"sample-api.service\"]", line: 4,
        error: &["after: expected an order without a cycle, found mongod.service -> sample-api.service -> mongod.service"],
        hint: "take one of these out",
    },
    Bad {
        name: "a bad duration", from: "settle = \"3s\"", to: "settle = \"three\"", line: 23,
        error: &["[verify] settle: expected a duration from 1s to 1h, found \"three\""],
        hint: "write a number and its unit",
    },
    Bad {
        name: "a bad share", from: "cpu = \"80%\"", to: "cpu = \"180%\"", line: 20,
        error: &["[limits] cpu: expected a share from 1% to 100%, found \"180%\""],
        hint: "as in \"50%\"",
    },
    Bad {
        name: "an unknown probe", from: "probe = \"http\"", to: "probe = \"htpp\"", line: 16,
        error: &["[service.readiness] probe: expected one of unit, tcp, http, mongodb, command, found \"htpp\""],
        hint: "did you mean \"http\"?",
    },
    Bad {
        name: "an unknown preflight label", from: "boot-space", to: "boot-spice", line: 26,
        error: &["[preflight] allow: expected one of dpkg-clean, ", "found \"boot-spice\""],
        hint: "did you mean \"boot-space\"?",
    },
];

/// Every verb that reads the configuration says the same: one problem, its place, one hint; exit 2.
#[track_caller]
fn assert_refused(machine: &Machine, name: &str, begin: &str, words: &[&str], hint: &str) -> String {
    let output = patchday(machine, &["run", "--yes"]);
    assert_eq!(output.code(), Some(2), "{name}: {}", said(&output));
    assert_eq!(output.stdout, "", "{name}");
    let lines: Vec<&str> = output.stderr.lines().collect();
    let [error, help] = lines[..] else { panic!("{name}: {}", said(&output)) };
    assert!(error.starts_with(begin), "{name}: {error}");
    for word in words {
        assert!(error.contains(word), "{name}: \"{word}\" is missing: {error}");
    }
    assert!(help.starts_with("hint: ") && help.contains(hint), "{name}: {help}");
    let plan = patchday(machine, &["plan"]);
    assert_eq!((plan.code(), plan.stderr.as_str()), (Some(2), output.stderr.as_str()), "{name}: plan says otherwise");
    error.to_owned()
}

/// One machine, in the order of a day: refusals first, since they must leave it as it was.
#[test]
fn refusals_and_plans_touch_nothing_and_a_run_without_reboot_upgrades() {
    let machine = machine("config");
    units_are_in_order(&machine);
    let before = Host::of(&machine);
    bad_configurations_are_refused(&machine);
    assert_eq!(Host::of(&machine), before, "a refusal has touched the host");
    assert_no_run(&machine);

    plans_change_nothing(&machine);
    a_blocker_stops_the_run(&machine);
    nobody_to_ask(&machine);
    assert_eq!(Host::of(&machine), before, "a plan or a refused run has touched the host");

    a_run_without_reboot(&machine, &before.boot);
}

fn units_are_in_order(machine: &Machine) {
    let units = machine.exec_ok(&["sh", "-c", "ls /etc/systemd/system/patchday*"]).unwrap();
    let units: Vec<&str> = units.lines().collect();
    assert!(units.len() >= 4, "{units:?}");
    let verified = machine.exec(&[&["systemd-analyze", "verify", "--man=no"], &units[..]].concat()).unwrap();
    assert_eq!((verified.code(), verified.stdout.as_str(), verified.stderr.as_str()), (Some(0), "", ""));
}

fn bad_configurations_are_refused(machine: &Machine) {
    let good = good(machine);
    let mut messages = Vec::new();
    for bad in &BAD {
        let text = good.replacen(bad.from, bad.to, 1);
        assert_ne!(text, good, "{}", bad.name);
        machine.write_file(CONFIG, &text).unwrap();
        let begin = format!("error: {CONFIG}:{}:", bad.line);
        messages.push(assert_refused(machine, bad.name, &begin, bad.error, bad.hint));
    }

    // Credentials in a file that everybody can read: refused, and never repeated.
    let credentials = good.replacen("mongodb://", "mongodb://admin:pa55word@", 1);
    machine.write_file(CONFIG, &credentials).unwrap();
    let begin = format!("error: {CONFIG}:9:");
    let words =
        ["[service.mongodb] uri: expected a connection string without credentials, found \"mongodb://…@127.0.0.1"];
    let error = assert_refused(machine, "credentials", &begin, &words, "uri-file");
    assert!(!error.contains("pa55word"), "{error}");
    messages.push(error);

    // A file that anybody can change is not trusted, whatever it says.
    machine.write_file(CONFIG, &good).unwrap();
    machine.exec_ok(&["chmod", "0666", CONFIG]).unwrap();
    let words = ["expected a file that only its owner can write, found mode 0666"];
    let error = assert_refused(machine, "anybody's file", &format!("error: {CONFIG}: "), &words, "chmod go-w");
    messages.push(error);
    machine.exec_ok(&["chmod", "0644", CONFIG]).unwrap();

    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), BAD.len() + 2, "two mistakes, one message");
}

fn plans_change_nothing(machine: &Machine) {
    let pending = machine.pending_upgrades().unwrap();
    assert!(pending.len() >= 10, "{pending:?}");
    let output = patchday(machine, &["plan"]);
    assert_eq!(output.code(), Some(0), "{}", said(&output));
    assert_eq!(output.stderr, "");
    // The text names the first dozen; the JSON has all.
    assert!(output.stdout.contains(&format!("upgrade     {}: ", pending.len())), "{}", output.stdout);
    for unit in UNITS {
        assert!(output.stdout.contains(unit), "{unit} is not planned: {}", output.stdout);
    }
    let plan = json(machine, &["plan", "--json"]);
    assert_eq!((&plan["format"], &plan["blocked"]), (&1.into(), &false.into()), "{plan:#}");
    let changes = plan["upgrade"]["changes"].as_array().unwrap();
    let planned = |package: &String| changes.iter().any(|change| change["name"] == package.as_str());
    assert!(pending.iter().all(planned), "{pending:?} {changes:?}");
    assert_eq!(plan["services"].as_array().map_or(0, Vec::len), UNITS.len());
    assert_no_run(machine);
}

fn a_blocker_stops_the_run(machine: &Machine) {
    machine.exec_ok(&["systemctl", "disable", "sample-api.service"]).unwrap();
    let before = Host::of(machine);
    let plan = patchday(machine, &["plan"]);
    assert_eq!(plan.code(), Some(20), "{}", said(&plan));
    for words in ["unit-enabled", "sample-api.service is disabled", "systemctl enable sample-api.service"] {
        assert!(plan.stdout.contains(words), "\"{words}\" is missing: {}", plan.stdout);
    }
    assert_eq!(json(machine, &["plan", "--json"])["blocked"], true);

    let run = patchday(machine, &["run", "--yes"]);
    assert_eq!(run.code(), Some(20), "{}", said(&run));
    assert!(run.stdout.contains("systemctl enable sample-api.service"), "{}", said(&run));
    let report = json(machine, &["report", "--json"]);
    assert_eq!(report["exit_code"], 20, "{report:#}");
    wait_for("the coordinator's unit to be gone", PATIENCE, || Ok((Host::of(machine) == before).then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {:#?} {before:#?}", Host::of(machine)));

    // What the admin allows is no blocker any more, and is still told.
    let allowed = patchday(machine, &["plan", "--allow", "unit-enabled"]);
    assert_eq!(allowed.code(), Some(0), "{}", said(&allowed));
    assert!(allowed.stdout.contains("unit-enabled"), "{}", allowed.stdout);
    machine.exec_ok(&["systemctl", "enable", "sample-api.service"]).unwrap();
}

fn nobody_to_ask(machine: &Machine) {
    let runs = json(machine, &["history", "--json"])["runs"].as_array().unwrap().len();
    let run = patchday(machine, &["run"]);
    assert_eq!(run.code(), Some(2), "{}", said(&run));
    assert!(run.stderr.contains("there is no terminal to ask on\nhint: patchday run --yes\n"), "{}", run.stderr);
    let abort = patchday(machine, &["abort"]);
    assert_eq!(abort.code(), Some(2), "{}", said(&abort));
    assert_eq!(abort.stderr, "error: no run is open; there is nothing to abort\nhint: patchday report\n");
    let resume = patchday(machine, &["resume"]);
    assert_eq!(resume.code(), Some(2), "{}", said(&resume));
    assert_eq!(json(machine, &["history", "--json"])["runs"].as_array().unwrap().len(), runs);
}

fn a_run_without_reboot(machine: &Machine, boot: &str) {
    let run = patchday(machine, &["run", "--no-reboot", "--yes"]);
    println!("{}{}", run.stderr, run.stdout);
    assert_eq!(run.code(), Some(0), "{}", machine.journal());
    assert_eq!(machine.boot_id().unwrap(), boot);
    assert_eq!(machine.boot_count(), 1);
    assert_in_service(machine);
    assert!(machine.pending_upgrades().unwrap().is_empty());
    let report = json(machine, &["report", "--json"]);
    println!("{report:#}");
    assert_eq!(report["verdict"], "healthy", "{report:#}");
    // libc6 is always among what a fresh image lacks, so a reboot is always left to do, and must be told.
    let plan = json(machine, &["plan", "--json"]);
    println!("{plan:#}");
    let wanted = report.to_string().contains("reboot-pending");
    assert!(wanted, "nobody says that a reboot is due: {report:#}");
    assert!(run.stdout.contains("reboot"), "{}", run.stdout);
    // So are libraries of systemd and D-Bus, which no run restarts.
    let findings = report["findings"].as_array().unwrap();
    let outdated = findings.iter().find(|finding| finding["key"] == "outdated");
    let outdated = outdated.unwrap_or_else(|| panic!("nobody asked needrestart: {report:#}"));
    assert!(outdated["evidence"].to_string().contains("systemd-logind.service"), "{outdated:#}");
}

/// Starts a run and aborts it as soon as `stage` is seen; returns what the run's follower saw.
fn aborted(machine: &Machine, stage: impl Fn(&str) -> bool) -> (Output, Output) {
    let run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("the step to abort in", FETCHED, || Ok(step(machine).filter(|step| stage(step)))).unwrap();
    let abort = patchday(machine, &["abort"]);
    (abort, collected(run))
}

fn collected(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

#[test]
fn an_aborted_run_ends_safe_and_in_service() {
    let machine = machine("abort");
    let before = Host::of(&machine);

    // While packages are fetched: the host is as it was.
    let (abort, run) = aborted(&machine, |step| step == "fetch");
    println!("{}{}", abort.stderr, abort.stdout);
    assert_eq!(abort.code(), run.code(), "{}\n{}", said(&abort), said(&run));
    assert_eq!(abort.code(), Some(20), "{}", machine.journal());
    assert_ended(&machine, &before);
    assert_eq!(Host::of(&machine).invocations, before.invocations, "a service was touched");

    // While services are stopped: they come back, on the same boot.
    let (abort, run) = aborted(&machine, |step| step.starts_with("stop:"));
    println!("{}{}", abort.stderr, abort.stdout);
    assert_eq!(abort.code(), run.code(), "{}\n{}", said(&abort), said(&run));
    assert_eq!(abort.code(), Some(21), "{}", machine.journal());
    assert_ended(&machine, &before);
}

fn assert_ended(machine: &Machine, before: &Host) {
    assert_in_service(machine);
    assert_eq!(machine.boot_id().unwrap(), before.boot);
    assert_eq!(json(machine, &["status", "--json"])["open"], false);
    let report = json(machine, &["report", "--json"]);
    assert!(report["summary"].as_str().unwrap().contains("abort"), "{report:#}");
    let packages =
        |host: &Host| host.packages.lines().filter(|line| line.contains("dpkg")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(packages(&Host::of(machine)), packages(before), "dpkg has run");
    let left =
        "systemctl list-units --all --plain --no-legend 'patchday-*' | grep -v -e resume -e witness -e slice || true";
    wait_for("the units of the run to be gone", PATIENCE, || {
        Ok(machine.exec_ok(&["sh", "-c", left])?.trim().is_empty().then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}: {}", machine.exec_ok(&["sh", "-c", left]).unwrap()));
}

//! What is fetched on one day and installed on another, on a real machine with real archives.
use std::collections::BTreeMap;

use crate::on_machine::{assert_in_service, json, patchday};
use crate::upgrade::{REPOSITORY, machine};
use patchday_lab::Machine;

/// Names and versions of what apt would install, for all that the host knows.
fn pending(machine: &Machine) -> BTreeMap<String, String> {
    let said = machine.exec_ok(&["apt-get", "-s", "-q", "dist-upgrade"]).unwrap();
    let changes = said.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_once(' '));
    let version = |rest: &str| Some(rest.split_once('(')?.1.split_once(' ')?.0.to_owned());
    changes.filter_map(|(name, rest)| Some((name.to_owned(), version(rest)?))).collect()
}

fn installed(machine: &Machine) -> BTreeMap<String, String> {
    let said = machine.exec_ok(&["dpkg-query", "-W", "-f", "${Package} ${Version}\n"]).unwrap();
    said.lines().filter_map(|line| line.split_once(' ')).map(|(name, version)| (name.into(), version.into())).collect()
}

/// What happens to a host within days: its lists are refreshed, its cache is cleared, and there is something new. And no
/// archive answers any more.
const DAYS: &str = r#"
apt-get -qq update
apt-get clean
echo 'Acquire::http::Proxy "http://127.0.0.1:9";' >/etc/apt/apt.conf.d/99-no-archive
"#;

#[test]
fn what_was_fetched_is_installed_and_nothing_newer() {
    let machine = machine("only-planned", "");
    let before = installed(&machine);
    let nothing = patchday(&machine, &["run", "--yes", "--no-reboot", "--only-planned"]);
    assert_eq!(nothing.code(), Some(20), "{nothing:?}");

    let fetched = patchday(&machine, &["plan", "--fetch"]);
    println!("{}{}", fetched.stderr, fetched.stdout);
    assert_eq!(fetched.code(), Some(0), "{fetched:?}");
    assert!(fetched.stdout.contains("to do it: patchday run --only-planned"), "{}", fetched.stdout);
    assert_eq!(installed(&machine), before);
    assert_in_service(&machine);
    let planned = pending(&machine);
    println!(
        "{}",
        machine
            .exec_ok(&["sh", "-c", "du -sh /var/cache/patchday/plan/*; ls /var/cache/patchday/plan/archives"])
            .unwrap()
    );

    let beside = REPOSITORY.replace("/etc/apt/sources.list", "/etc/apt/sources.list.d/lab.list");
    machine.exec_ok(&["sh", "-c", &beside]).unwrap();
    machine.exec_ok(&["sh", "-ec", DAYS]).unwrap();
    let newer: BTreeMap<_, _> = pending(&machine).into_iter().filter(|one| !planned.contains_key(&one.0)).collect();
    assert!(newer.contains_key("lab-tool"), "{newer:?}");

    let held = planned.keys().next().unwrap();
    machine.exec_ok(&["apt-mark", "hold", held]).unwrap();
    let refused = patchday(&machine, &["run", "--yes", "--no-reboot", "--only-planned"]);
    println!("{}", refused.stderr);
    assert_eq!(refused.code(), Some(20), "{refused:?}");
    assert!(patchday(&machine, &["report"]).stdout.contains(&format!("{held} would stay at")));
    machine.exec_ok(&["apt-mark", "unhold", held]).unwrap();

    let run = patchday(&machine, &["run", "--yes", "--no-reboot", "--only-planned"]);
    println!("{}", patchday(&machine, &["report"]).stdout);
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_in_service(&machine);
    let after = installed(&machine);
    for (name, version) in &planned {
        assert_eq!(after.get(name), Some(version), "{name}");
    }
    assert_eq!(pending(&machine), newer);

    let again = json(&machine, &["plan", "--only-planned", "--json"]);
    let answers = again["checks"].as_array().unwrap();
    let check = answers.iter().find(|check| check["label"] == "fetched-plan").unwrap();
    assert_eq!(check["finding"]["severity"], "warning", "{check:#}");
    assert!(again["fetched"].is_string(), "{again:#}");
    println!("{}", patchday(&machine, &["history"]).stdout);
}

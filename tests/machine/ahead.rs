//! Packages that no service uses, installed while the services run, on a real machine. See `docs/testing.md`.

use crate::on_machine::{UNITS, assert_in_service, json, patchday};
use crate::upgrade::{REPOSITORY, machine};
use patchday_lab::Machine;
use serde_json::Value;

/// A library that the sample API has mapped, what goes with that version of it, two essential packages, of which one gets
/// another revision only, and a package of nobody's. Each says which
/// processes the services have when it is configured.
const LIBRARY: &str = r#"
set -eu
mkdir -p /srv/repo && cd /srv/repo
package() { # NAME VERSION DEPENDS
    mkdir -p "$1-$2/DEBIAN"
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: lab <lab@localhost>\nDescription: lab\n' "$1" "$2" \
        >"$1-$2/DEBIAN/control"
    [ -z "$3" ] || echo "Depends: $3" >>"$1-$2/DEBIAN/control"
    case $1 in lab-essential*) echo 'Essential: yes' >>"$1-$2/DEBIAN/control" ;; esac
    printf '#!/bin/sh\nsystemctl show -P MainPID mongod.service sample-api.service >/srv/pids-at-%s\n' "$1" \
        >"$1-$2/DEBIAN/postinst"
    chmod 0755 "$1-$2/DEBIAN/postinst"
    dpkg-deb --root-owner-group --build "$1-$2" "$1-$2.deb" >/dev/null
}
for version in 1 2; do
    mkdir -p lab-library-$version/usr/lib/lab
    cp -L /usr/lib/*/libz.so.1 lab-library-$version/usr/lib/lab/liblab.so
    package lab-library $version ''
    package lab-library-extra $version "lab-library (= $version)"
    package lab-plain $version ''
    package lab-essential 3.1-$version ''
    package lab-essential-new $version ''
done
dpkg --install lab-*-1.deb
rm lab-*-1.deb
mkdir -p /etc/systemd/system/sample-api.service.d
printf '[Service]\nEnvironment=LD_PRELOAD=/usr/lib/lab/liblab.so\n' >/etc/systemd/system/sample-api.service.d/lab.conf
systemctl daemon-reload
systemctl restart sample-api.service
"#;

fn pids(machine: &Machine) -> String {
    machine.exec_ok(&["systemctl", "show", "-P", "MainPID", UNITS[0], UNITS[1]]).unwrap()
}

#[test]
fn what_no_service_uses_is_installed_while_they_run_and_the_rest_when_they_are_down() {
    let machine = machine("unrelated", "[upgrade]\nahead = \"unrelated\"\n");
    machine.exec_ok(&["sh", "-c", LIBRARY]).unwrap();
    machine.wait_until_healthy(std::time::Duration::from_secs(60)).unwrap();
    machine.exec_ok(&["sh", "-c", REPOSITORY]).unwrap();
    machine.exec_ok(&["apt-get", "-q", "update"]).unwrap();
    let before = pids(&machine);

    println!("{}", patchday(&machine, &["plan"]).stdout);
    let plan = json(&machine, &["plan", "--json"]);
    let names = |list: &Value| -> Vec<String> {
        let mut names: Vec<String> = list.as_array().unwrap().iter().map(|one| one.as_str().unwrap().into()).collect();
        names.sort();
        names
    };
    let unrelated = ["lab-essential", "lab-kernel", "lab-plain", "lab-tool", "linux-image-9.9.9-1-lab"];
    assert_eq!(names(&plan["ahead"]["ahead"]), unrelated, "{}", plan["ahead"]);
    let waits = plan["ahead"]["waits"].as_array().unwrap();
    let why = |name: &str| waits.iter().find(|one| one["package"] == name).map(|one| one["why"].as_str().unwrap());
    assert_eq!(why("lab-library"), Some("sample-api.service uses /usr/lib/lab/liblab.so"));
    assert_eq!(why("lab-library-extra"), Some("it goes with lab-library, which waits"));
    assert_eq!(why("lab-essential-new"), Some("it is essential: any service may use it"));
    assert_eq!(waits.len(), 3, "{waits:?}");

    let run = patchday(&machine, &["run", "--yes", "--no-reboot"]);
    println!("{}", patchday(&machine, &["report"]).stdout);
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_in_service(&machine);
    // The same processes as before the run served while these were installed, and a script could not end them.
    for unrelated in ["lab-plain", "lab-essential"] {
        assert_eq!(machine.read_file(&format!("/srv/pids-at-{unrelated}")).unwrap(), before, "{unrelated}");
    }
    assert_eq!(machine.read_file("/srv/while-upgrading").unwrap(), "active\nactive\n");
    assert_eq!(machine.read_file("/srv/said").unwrap().matches("Operation refused").count(), 2);
    for related in ["lab-library", "lab-library-extra", "lab-essential-new"] {
        assert_eq!(machine.read_file(&format!("/srv/pids-at-{related}")).unwrap().trim(), "0\n\n0", "{related}");
    }
    assert_ne!(pids(&machine), before);
    let report = json(&machine, &["report", "--json"]);
    assert_eq!(report["still_changed"].as_array().map(Vec::len), Some(0), "{}", report["still_changed"]);
    let steps = report["steps"].as_array().unwrap();
    let step = |name: &str| steps.iter().find(|step| step["step"] == name).unwrap();
    assert_eq!(step("ahead")["note"], "5 packages while the services run, 3 wait");
    assert!(step("upgrade")["note"].as_str().unwrap().starts_with("3 packages"), "{}", step("upgrade"));
    let marks = machine.exec_ok(&["apt-mark", "showmanual"]).unwrap();
    for manual in ["lab-kernel", "lab-plain", "lab-tool"] {
        assert!(marks.lines().any(|line| line == manual), "{manual} is not wanted by hand any more: {marks}");
    }
    assert!(!marks.contains("linux-image-9.9.9-1-lab"), "{marks}");
    let waiting = machine.exec_ok(&["apt-get", "-s", "-q", "dist-upgrade"]).unwrap();
    assert!(!waiting.contains("Inst "), "{waiting}");
}

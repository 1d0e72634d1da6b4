//! The role of `docs/examples/ansible`, as it is shipped: Debian's own ansible-core on one machine takes another through
//! installation and run, by ssh, as a user with sudo.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::on_machine::{assert_in_service, json, patchday};
use patchday_lab::{ApiFault, Image, Lab, Machine, Suite, wait_for};
use serde_json::{Value, json as value};

/// Both machines are made of it; the ssh server gets a port of its own later, since all machines share the host's.
const TOOLS: &str = "
apt-get -qq update
apt-get -qq -o Dpkg::Use-Pty=0 -y --no-install-recommends install ansible-core openssh-client openssh-server sudo python3-apt
rm -f /etc/systemd/system/multi-user.target.wants/ssh.service /etc/systemd/system/sockets.target.wants/ssh.socket
useradd --create-home --shell /bin/bash ops
echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops
";
const EXAMPLES: &str = "docs/examples/ansible";
const THERE: &str = "/root/playbooks";

/// A host to be patched, with one package to upgrade and neither Patchday nor its configuration, and a control host.
fn machines(suite: Suite) -> (Machine, Machine) {
    let lab = Lab::new().unwrap();
    let image = Image::ensure(&lab, suite).unwrap().with(&lab, TOOLS).unwrap();
    let host = lab.booted_machine_of(&image, "ansible-host").unwrap();
    let control = lab.booted_machine_of(&image, "ansible-control").unwrap();

    let pending = host.pending_upgrades().unwrap();
    let kept = pending.iter().find(|name| *name == "tzdata").or(pending.first()).unwrap();
    let held: Vec<&str> = pending.iter().filter(|name| *name != kept).map(String::as_str).collect();
    host.exec_ok(&[&["apt-mark", "hold"], &held[..]].concat()).unwrap();

    let port = host.reserve_port().unwrap();
    control.exec_ok(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"]).unwrap();
    let key = control.read_file("/root/.ssh/id_ed25519.pub").unwrap();
    host.exec_ok(&["install", "-d", "-o", "ops", "-m", "0700", "/home/ops/.ssh"]).unwrap();
    host.write_file("/home/ops/.ssh/authorized_keys", &key).unwrap();
    let listen = format!("Port {port}\nListenAddress 127.0.0.1\n");
    host.write_file("/etc/ssh/sshd_config.d/lab.conf", &listen).unwrap();
    host.exec_ok(&["systemctl", "enable", "--now", "ssh.service"]).unwrap();

    let hosts = format!("web1 ansible_host=127.0.0.1 ansible_port={port} ansible_user=ops\n");
    control.write_file(&format!("{THERE}/hosts"), &hosts).unwrap();
    let settings = "[defaults]\nhost_key_checking = false\nnocows = true\n";
    control.write_file(&format!("{THERE}/ansible.cfg"), settings).unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLES), &control, THERE);
    package(&control);
    (host, control)
}

fn copy(from: &Path, machine: &Machine, to: &str) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let there = format!("{to}/{}", entry.file_name().to_str().unwrap());
        match entry.path() {
            directory if directory.is_dir() => copy(&directory, machine, &there),
            file => machine.write_file(&there, &fs::read_to_string(file).unwrap()).unwrap(),
        }
    }
}

/// A package of this program and its units, as small as the role needs it.
fn package(control: &Machine) {
    let tree = |path: &str| format!("/root/package/{path}");
    control.exec_ok(&["mkdir", "-p", &tree("usr/bin")]).unwrap();
    let about = "Package: patchday\nVersion: 0.1.0\nArchitecture: amd64\nMaintainer: Lab <lab@localhost>\n\
                 Description: patch and reboot\n";
    control.write_file(&tree("DEBIAN/control"), about).unwrap();
    control.write_program(&tree("usr/bin/patchday"), &fs::read(env!("CARGO_BIN_EXE_patchday")).unwrap()).unwrap();
    let units =
        ["patchday.service", "patchday-resume.service", "patchday-witness.service", "patchday.timer", "patchday.slice"];
    for name in units {
        let unit = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)).unwrap();
        control.write_file(&tree(&format!("usr/lib/systemd/system/{name}")), &unit).unwrap();
    }
    let built = ["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", "/root/package"];
    control.exec_ok(&[&built[..], &[format!("{THERE}/patchday.deb").as_str()]].concat()).unwrap();
}

/// What the caller of the role writes into his variables.
fn variables(host: &Machine, limit: &str) -> Value {
    let database = format!("mongodb://127.0.0.1:{}", host.mongod_port());
    let api = format!("http://127.0.0.1:{}/health", host.api_port());
    value!({
        "patchday_deb": format!("{THERE}/patchday.deb"),
        "patchday_config": {
            "service": [
                {
                    "unit": "mongod.service", "kind": "mongodb", "start-timeout": "60s", "drain-timeout": "3s",
                    "readiness": { "probe": "mongodb" }, "mongodb": { "uri": database },
                },
                {
                    "unit": "sample-api.service", "after": ["mongod.service"], "start-timeout": "20s",
                    "readiness": { "probe": "http", "url": api },
                },
            ],
            "limits": { "cpu": limit, "nice": 0 },
            "reboot": { "when": "always" },
            "verify": { "settle": "1s" },
            "preflight": { "allow": ["boot-space"] },
            "announce": { "message": "{host} \"goes\" down – \\o/" },
        },
    })
}

/// What the playbook printed, and whether it ended well.
fn play(control: &Machine, playbook: &str, variables: &Value, more: &[&str]) -> (String, bool) {
    control.write_file(&format!("{THERE}/variables.json"), &variables.to_string()).unwrap();
    let line = ["sh", "-c", "cd \"$1\" && shift && exec ansible-playbook -i hosts \"$@\" 2>&1", "sh", THERE];
    let output = control.exec(&[&line[..], &[playbook, "--extra-vars", "@variables.json"], more].concat()).unwrap();
    println!("--- {playbook} {}\n{}", more.join(" "), output.stdout);
    (output.stdout.clone(), output.success())
}

fn the_role_from_the_package_to_the_verdict(suite: Suite) {
    let (host, control) = machines(suite);
    let good = variables(&host, "100%");

    // A host without Patchday: said to change, and not changed.
    let (told, ok) = play(&control, "install.yml", &good, &["--check", "--diff"]);
    assert!(ok && told.contains("changed=1"), "{told}");
    assert!(!host.exists("/usr/bin/patchday").unwrap());

    // What Patchday does not understand is not installed as its configuration.
    let (told, ok) = play(&control, "install.yml", &variables(&host, "fast"), &[]);
    assert!(!ok && told.contains("[limits] cpu"), "{told}");
    assert!(!host.exists("/etc/patchday/patchday.toml").unwrap());

    let (told, ok) = play(&control, "install.yml", &good, &[]);
    assert!(ok, "{told}");
    let plan = patchday(&host, &["plan"]);
    assert_eq!(plan.code(), Some(0), "{plan:?}");
    for more in [&[][..], &["--check"]] {
        let (told, ok) = play(&control, "install.yml", &good, more);
        assert!(ok && told.contains("changed=0"), "{told}");
    }

    // Shown, and not begun; then done, over the reboot.
    let (told, ok) = play(&control, "patch.yml", &good, &["--check"]);
    assert!(ok && told.contains("changed=1") && host.boot_count() == 1, "{told}");
    let (told, ok) = play(&control, "patch.yml", &good, &[]);
    assert!(ok && told.contains("changed=1") && told.contains("healthy: 1 package upgraded"), "{told}");
    assert_eq!(host.boot_count(), 2);
    assert_in_service(&host);
    assert_eq!(json(&host, &["report", "--json"])["exit_code"], 0);

    // A host that does not come back as it was stops the play.
    let held = host.exec_ok(&["apt-mark", "showhold"]).unwrap();
    host.exec_ok(&[&["apt-mark", "unhold"], &held.lines().collect::<Vec<_>>()[..]].concat()).unwrap();
    host.set_api_faults(&[ApiFault::FailAfterReboot]).unwrap();
    let (told, ok) = play(&control, "patch.yml", &good, &[]);
    assert!(!ok && told.contains("exit code 23: failed: sample-api.service"), "{told}");
    assert_eq!(host.boot_count(), 3);
}

#[test]
#[ignore = "takes minutes; run it by name"]
fn the_role_on_bookworm() {
    the_role_from_the_package_to_the_verdict(Suite::Bookworm);
}

#[test]
#[ignore = "takes minutes; run it by name"]
fn the_role_on_trixie() {
    the_role_from_the_package_to_the_verdict(Suite::Trixie);
}

#[test]
#[ignore = "takes minutes; run it by name"]
fn a_run_that_is_open_or_refused_is_said_and_not_doubled() {
    let (host, control) = machines(Suite::Bookworm);
    let mut slow = variables(&host, "100%");
    slow["patchday_config"]["announce"]["grace"] = "10min".into();
    assert!(play(&control, "install.yml", &slow, &[]).1);
    host.exec_ok(&["patchday", "hold", "--until", "1h", "--reason", "quarterly closing"]).unwrap();
    let (told, ok) = play(&control, "patch.yml", &slow, &[]);
    assert!(!ok && told.contains("quarterly closing"), "{told}");
    host.exec_ok(&["patchday", "release"]).unwrap();

    let mut run = host.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("a run that warns whoever is logged in", Duration::from_secs(120), || {
        let status: Value = serde_json::from_str(&host.exec_ok(&["patchday", "status", "--json"])?)?;
        Ok((status["attempt"]["step"] == "announce").then_some(()))
    })
    .unwrap();
    let (told, ok) = play(&control, "patch.yml", &slow, &[]);
    assert!(!ok && told.contains("is open: patchday attach"), "{told}");
    patchday(&host, &["abort"]);
    run.wait().unwrap();
    assert_in_service(&host);
}

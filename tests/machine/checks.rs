//! The catalogue of preflight checks on disposable machines: nothing is found where nothing is wrong, and whatever can be
//! provoked on such a machine is, for real.
use std::collections::BTreeSet;
use std::time::Duration;

use crate::on_machine::{CONFIG, machine_with_patchday, patchday};
use patchday::checks::{CATALOGUE, Topic};
use patchday_lab::{Machine, Suite, services, wait_for};
use serde_json::Value;

/// What a machine that shares the kernel, the CPUs and the memory of the host below it cannot show, and why.
/// `tests/suite/checks.rs` shows it on trees of files and on a host in memory.
const NOT_ON_A_MACHINE: [(&str, &str); 14] = [
    ("places-writable", "a container's /boot is no file system of its own"),
    ("unit-control", "a unit that nobody can stop would outlive the test; in memory: tests/suite/units.rs"),
    ("stop-along", "in memory: tests/suite/units.rs"),
    ("timers-due", "in memory: tests/suite/units.rs"),
    ("next-kernel", "no machine starts a kernel of its own"),
    ("kernel-hook", "no kernel comes; with a real one: tests/lab/tour"),
    ("memory-available", "the memory is the host's"),
    ("secure-boot", "there is no firmware"),
    ("cpu-vulnerable", "the CPUs are the host's"),
    ("uptime", "it was just booted"),
    ("load", "the load is the host's"),
    ("clock", "the clock is the host's, and the check knows"),
    ("battery", "the power is the host's"),
    ("systemd-version", "no image is that old"),
];

/// Each needs a machine that is set up for it, and the file that does so.
const IN_FILES_OF_THEIR_OWN: [(&str, &str); 4] = [
    ("hooks-trusted", "hooks.rs"),
    ("fetched-plan", "only_planned.rs"),
    ("security-left-out", "upgrade.rs"),
    ("selection-known", "upgrade.rs"),
];

/// These tell of the host below, which may be busy.
const OF_THE_HOST: [&str; 2] = ["load", "memory-available"];

/// What was provoked: label, severity, and what the finding must say.
const PROVOKED: &[(&str, &str, &[&str])] = &[
    ("dpkg-clean", "blocker", &["iF lab-fail"]),
    ("dpkg-begins", "blocker", &["no user _nobody_here", "/usr/bin/some-file"]),
    ("apt-hooks", "info", &["DPkg::Pre-Invoke: /usr/local/sbin/may-refuse"]),
    ("least-restart", "info", &["no soft reboot", "counts no soft reboots"]),
    ("reboot-begins", "blocker", &["reboot.target is masked", "systemctl unmask reboot.target"]),
    ("kernel-source", "blocker", &["/srv/linux: No such file", "bison is not installed", "apt-get install"]),
    ("apt-lock", "warning", &["(perl) of lab-lock.service holds /var/lib/dpkg/lock-frontend"]),
    ("removals", "blocker", &["lab-old", "allow-removals"]),
    ("downgrade", "blocker", &["lab-down 2 -> 1", "apt-cache policy lab-down"]),
    ("mongodb-jump", "blocker", &["mongodb-org-server 6.0.5 -> 7.0.1", "apt-mark hold mongodb-org-server"]),
    ("third-party", "warning", &["mongodb-org-server 7.0.1 from"]),
    ("packages-held", "info", &["lab-held is held"]),
    ("conffiles", "info", &["/etc/lab.conf of lab-conf"]),
    ("sources-reachable", "blocker", &["http://127.0.0.1:9"]),
    ("lists-age", "info", &["30 days old"]),
    ("disk-space", "blocker", &["/var/cache/apt/archives: 3", "500 MiB wanted"]),
    ("inodes", "blocker", &["/boot: 4 of 200 inodes free"]),
    ("boot-space", "blocker", &["/boot: 4 MiB free, 14 MiB wanted"]),
    ("places-writable", "blocker", &["/opt: opt is mounted read-only"]),
    ("kernel-current", "info", &["99.1.0-", ": installed; the run has the boot loader start it once"]),
    ("kernel-complete", "blocker", &["it has no modules"]),
    ("initramfs-tools", "blocker", &["99.0.0-amd64 has one; update-initramfs and dracut are missing"]),
    ("boot-loader", "warning", &["GRUB has no entry for 99.1.0-", "update-grub"]),
    ("one-shot-boot", "blocker", &["GRUB does not take the saved entry", "GRUB_DEFAULT=saved"]),
    ("kernel-headers", "blocker", &["no headers of 99.1.0-", ", for lab/1"]),
    ("dkms-modules", "warning", &["lab/1: installed for"]),
    ("reboot-required", "warning", &["older than this boot", "asked for by libc6"]),
    ("unit-loaded", "blocker", &["lab-bad.service is bad-setting"]),
    ("unit-enabled", "blocker", &["sample-api.service is disabled", "systemctl enable sample-api.service"]),
    ("unit-running", "warning", &["lab-down.service is inactive (dead)"]),
    ("readiness", "blocker", &["lab-deaf.service: ", "127.0.0.1:9"]),
    ("unit-control", "blocker", &["lab-deaf.service refuses to stop by hand (RefuseManualStop=)"]),
    ("stop-along", "info", &["lab-bound.service is bound to lab-deaf.service"]),
    ("timers-due", "warning", &["lab-often.timer at 20", "systemctl list-timers lab-often.timer"]),
    ("resume-enabled", "blocker", &["patchday-resume.service is disabled"]),
    ("daemon-reload", "warning", &["lab-storm.service was changed after it was loaded"]),
    ("restart-storm", "warning", &["lab-storm.service: ", "automatic restarts"]),
    ("start-limit", "warning", &["lab-hit.service", "systemctl reset-failed lab-hit.service"]),
    ("stop-timeout", "info", &["mongod.service: 90 s, configured are 120 s", "TimeoutStopSec=120"]),
    (
        "order-declared",
        "warning",
        &[
            "lab-down.service lacks After=mongod.service",
            "After=mongod.service\\nWants=mongod.service",
            "lab-down.service.d/order.conf",
        ],
    ),
    ("units-failed", "info", &["lab-hit.service"]),
    ("users-logged-in", "warning", &["2 sessions", "root on pts/"]),
    ("connections", "warning", &["sample-api.service: 1 from 127.0.0.1 (lab-client.service)"]),
    ("users-active", "blocker", &["500 users are active", "the limit is 5"]),
    ("deployment-changes", "warning", &["/srv/app: .M page.html", "/srv/app: ?? notes", "git -C /srv/app status"]),
    ("deployment-stashes", "warning", &["/srv/app: stash@{0}"]),
    ("deployment-unpushed", "warning", &["hot fix at night"]),
    ("deployment-behind", "info", &["/srv/app: 1 commits behind its upstream"]),
    ("mounts-declared", "warning", &["/var/cache/apt/archives (tmpfs)", "/boot (tmpfs)"]),
    (
        "fstab",
        "blocker",
        &["UUID=dead-beef on /srv/data: there is no such device", "/srv/disk: there is no such device (nofail)"],
    ),
    ("shutdown-scheduled", "blocker", &["a reboot is scheduled", "shutdown -c"]),
    ("shutdown-inhibited", "warning", &["a backup is at work"]),
    ("patch-tools", "warning", &["apt-daily-upgrade.service is at work"]),
    ("virtualization", "info", &["systemd-nspawn"]),
];

/// A local repository, and packages of it in older and newer versions.
const REPOSITORY: &str = r#"
set -e
make() { # name version fields script
    root=$(mktemp -d); mkdir -p "$root/DEBIAN"
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Lab <lab@example.org>\nDescription: lab\n%b' "$1" "$2" "$3" > "$root/DEBIAN/control"
    if [ -n "$4" ]; then printf '#!/bin/sh\n%s\n' "$4" > "$root/DEBIAN/postinst"; chmod 755 "$root/DEBIAN/postinst"; fi
    if [ "$1" = lab-conf ]; then mkdir "$root/etc"; echo "version $2" > "$root/etc/lab.conf"; echo /etc/lab.conf > "$root/DEBIAN/conffiles"; fi
    dpkg-deb --root-owner-group -b "$root" "$5/$1_$2.deb" >/dev/null
}
mkdir -p /srv/repo /srv/old
make lab-old 1 '' '' /srv/old
make lab-app 1 '' '' /srv/old;              make lab-app 2 'Conflicts: lab-old\nReplaces: lab-old\nProvides: lab-old\n' '' /srv/repo
make lab-down 2 '' '' /srv/old;             make lab-down 1 '' '' /srv/repo
make mongodb-org-server 6.0.5 '' '' /srv/old; make mongodb-org-server 7.0.1 '' '' /srv/repo
make lab-held 1 '' '' /srv/old;             make lab-held 2 '' '' /srv/repo
make lab-conf 1 '' '' /srv/old;             make lab-conf 2 '' '' /srv/repo
make lab-fail 1 '' 'exit 3' /srv/old
dpkg -i $(ls /srv/old/*.deb | grep -v lab-fail) >/dev/null
cd /srv/repo
for deb in *.deb; do
    dpkg-deb -f "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
done > Packages
echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list.d/lab.list
printf 'Package: lab-down\nPin: version 1\nPin-Priority: 1001\n' > /etc/apt/preferences.d/lab
apt-mark hold lab-held >/dev/null
echo mine >> /etc/lab.conf
apt-get -q update >/dev/null
touch -d '30 days ago' /var/lib/apt/lists/partial
dpkg -i /srv/old/lab-fail_1.deb >/dev/null 2>&1 || true
echo 'deb [trusted=yes] http://127.0.0.1:9/ ./' > /etc/apt/sources.list.d/gone.list
"#;

/// An update that is given to nobody yet.
const PHASED: &str = r#"
set -e
mkdir -p /srv/repo; cd /srv/repo
for version in 1 2; do
    root=$(mktemp -d); mkdir "$root/DEBIAN"
    printf 'Package: lab-phased\nVersion: %s\nArchitecture: all\nMaintainer: Lab <lab@example.org>\nDescription: lab\n' $version > "$root/DEBIAN/control"
    dpkg-deb --root-owner-group -b "$root" lab-phased_$version.deb >/dev/null
done
dpkg -i lab-phased_1.deb >/dev/null
{ dpkg-deb -f lab-phased_2.deb; echo 'Phased-Update-Percentage: 0'
  printf 'Filename: ./lab-phased_2.deb\nSize: %s\nSHA256: %s\n' "$(stat -c %s lab-phased_2.deb)" "$(sha256sum lab-phased_2.deb | cut -d' ' -f1)"; } > Packages
# apt draws from 0 to 100 by this ID, and 0 is not more than a percentage of 0: one machine in 101 would get the update.
echo 'APT::Machine-ID "0123456789abcdef0123456789abcdef";' > /etc/apt/apt.conf.d/90machine
echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list.d/lab.list
apt-get -q update >/dev/null
"#;

/// A checkout with everything that nobody else has, and a trap for whoever runs git in it as root.
const CHECKOUT: &str = r#"
set -e
apt-get -q -y --no-install-recommends install git >/dev/null
git config --global user.email lab@example.org; git config --global user.name Lab; git config --global init.defaultBranch main
git init -q --bare /srv/origin.git
git clone -q /srv/origin.git /srv/app 2>/dev/null; cd /srv/app
echo one > page.html; git add .; git commit -qm first; git push -q origin HEAD
git clone -q /srv/origin.git /srv/other; cd /srv/other; echo x > x; git add .; git commit -qm second; git push -q origin HEAD
cd /srv/app; git fetch -q
echo two > page.html; git stash -q
echo three > fix; git add .; git commit -qm 'hot fix at night'
echo four > page.html; echo n > notes
printf '#!/bin/sh\nid -u >> /tmp/trap\n' > .git/trap; chmod 755 .git/trap
git config core.fsmonitor .git/trap
git config filter.trap.clean .git/trap; echo 'page.html filter=trap' > .git/info/attributes
chown -R sample-api:sample-api /srv/app; rm -f /tmp/trap
"#;

/// Kernels of which each lacks something, on a `/boot` that is nearly full of both bytes and files.
const KERNELS: &str = r#"
set -e
mkdir -p /boot
mount -t tmpfs -o size=12m,nr_inodes=200 boot /boot
mkdir -p /boot/grub
head -c 5M /dev/zero > /boot/vmlinuz-99.0.0-amd64; head -c 2M /dev/zero > /boot/initrd.img-99.0.0-amd64
running=$(uname -r); head -c 1k /dev/zero > "/boot/vmlinuz-$running"
: > "/boot/vmlinuz-99.1.0-${running#*-}"
printf "menuentry '%s' {\nlinux /boot/vmlinuz-%s ro\n}\n" a 99.0.0-amd64 b "$running" > /boot/grub/grub.cfg
i=0; while [ $(( $(stat -f -c %d /boot) )) -gt 4 ]; do i=$((i+1)); : > "/boot/file$i"; done
printf '#!/bin/sh\necho "lab/1, $(uname -r), x86_64: installed"\necho "bad/2: broken"\n' > /usr/sbin/dkms; chmod 755 /usr/sbin/dkms
echo libc6 > /run/reboot-required.pkgs; touch -d '2 years ago' /run/reboot-required
mount -t tmpfs -o ro opt /opt
mount -t tmpfs -o size=300m archives /var/cache/apt/archives
printf 'UUID=dead-beef /srv/data ext4 defaults 0 2\n/dev/vdz /srv/disk ext4 nofail 0 2\n' >> /etc/fstab
"#;

/// Units of every kind of trouble, people, and somebody who wants to shut down. What only lives in memory comes last.
const UNITS: &str = r#"
set -e
unit() { printf '[Service]\n%b\n[Install]\nWantedBy=multi-user.target\n' "$2" > "/etc/systemd/system/$1.service"; }
unit lab-bad 'Type=simple'
unit lab-down 'ExecStart=/bin/sleep infinity'
unit lab-storm 'ExecStart=/bin/sleep 0.1\nRestart=always\nRestartSec=50ms'
sed -i '1i [Unit]\nStartLimitIntervalSec=0' /etc/systemd/system/lab-storm.service
unit lab-hit 'ExecStart=/bin/false\nRestart=always\nRestartSec=10ms'
unit lab-deaf 'ExecStart=/bin/sleep infinity'
sed -i '1i [Unit]\nRefuseManualStop=yes' /etc/systemd/system/lab-deaf.service
unit lab-bound 'ExecStart=/bin/sleep infinity'
sed -i '1i [Unit]\nBindsTo=lab-deaf.service' /etc/systemd/system/lab-bound.service
unit lab-often 'ExecStart=/bin/true'
printf '[Timer]\nOnCalendar=*:0/20\n' > /etc/systemd/system/lab-often.timer
mkdir -p /run/systemd/system/apt-daily-upgrade.service.d
printf '[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n' > /run/systemd/system/apt-daily-upgrade.service.d/lab.conf
systemctl -q disable sample-api.service patchday-resume.service
systemctl daemon-reload
systemctl start lab-deaf.service lab-bound.service lab-often.timer
systemctl start lab-storm.service lab-hit.service || true
systemctl start --no-block apt-daily-upgrade.service
systemctl show lab-down.service >/dev/null
for n in 1 2; do systemd-run -q --unit=lab-login$n bash -c "sleep infinity | script -qfc 'login -f root' /dev/null"; done
systemd-run -q --unit=lab-client bash -c "exec 3<>/dev/tcp/127.0.0.1/$API_PORT; sleep infinity"
systemd-run -q --unit=lab-backup systemd-inhibit --what=shutdown --mode=block --who=backup '--why=a backup is at work' sleep infinity
systemd-run -q --unit=lab-lock perl -e 'use Fcntl; open(F, "+<", "/var/lib/dpkg/lock-frontend") or die; my $l = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $l) or die; sleep 1000000'
shutdown -r +600 2>/dev/null
"#;

pub(crate) fn configure(machine: &Machine, more: &str) {
    let text = services(machine, "", "") + more;
    machine.write_file(CONFIG, &text).unwrap();
}

struct Plan(Value);

impl Plan {
    fn of(machine: &Machine) -> Self {
        let output = patchday(machine, &["plan", "--json"]);
        Self(serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}")))
    }

    fn finding(&self, label: &str) -> Option<&Value> {
        let checks = self.0["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["label"] == label).unwrap_or_else(|| panic!("no check {label}"));
        Some(&check["finding"]).filter(|finding| !finding.is_null())
    }

    /// Labels of all blockers and warnings, but for what the host below may be to blame for.
    fn alarms(&self) -> Vec<String> {
        let checks = self.0["checks"].as_array().unwrap().iter();
        let alarms = checks.filter(|check| {
            let label = check["label"].as_str().unwrap();
            let severity = check["finding"]["severity"].as_str().unwrap_or("info");
            severity != "info" && !OF_THE_HOST.contains(&label)
        });
        alarms.map(|check| check["finding"].to_string()).collect()
    }
}

/// Everything that a finding says, in one text.
fn said(finding: &Value) -> String {
    let texts =
        |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let remedy = &finding["remedy"];
    [text(&finding["title"]), texts(&finding["evidence"]), text(&remedy["hint"]), text(&remedy["command"])].join("\n")
}

fn healthy(machine: &Machine) {
    configure(machine, "");
    machine.wait_until_healthy(Duration::from_secs(120)).unwrap();
    let alarms = Plan::of(machine).alarms();
    assert!(alarms.is_empty(), "false alarms on {}:\n{}", machine.suite(), alarms.join("\n"));
}

pub(crate) fn bash(machine: &Machine, script: &str) {
    let output =
        machine.exec_with_env(&["bash", "-c", script], &[("API_PORT", &machine.api_port().to_string())]).unwrap();
    assert!(output.success(), "{}\n{}", output.stdout, output.stderr);
}

/// apt 2.6 calls what is phased kept back; the newer one tells them apart.
#[test]
fn a_healthy_debian_13_raises_no_alarm_and_a_phased_update_is_none() {
    let machine = machine_with_patchday(Suite::Trixie, "checks-13");
    healthy(&machine);
    bash(&machine, PHASED);
    let plan = Plan::of(&machine);
    let finding = plan.finding("packages-phased").unwrap();
    assert_eq!(finding["severity"], "info");
    assert!(said(finding).contains("lab-phased"), "{finding}");
}

#[test]
fn what_is_wrong_is_found_and_what_is_right_is_not() {
    let machine = machine_with_patchday(Suite::Bookworm, "checks-12");
    healthy(&machine);

    for script in [CHECKOUT, REPOSITORY, KERNELS, UNITS] {
        bash(&machine, script);
    }
    bash(
        &machine,
        "systemctl mask reboot.target
         echo '_nobody_here root 0644 /usr/bin/some-file' >>/var/lib/dpkg/statoverride
         echo 'DPkg::Pre-Invoke { \"/usr/local/sbin/may-refuse\"; };' >/etc/apt/apt.conf.d/90lab",
    );
    let more = format!(
        r#"
[[service]]
unit = "lab-bad.service"
[[service]]
unit = "lab-down.service"
after = ["mongod.service"]
[[service]]
unit = "lab-storm.service"
[[service]]
unit = "lab-hit.service"
[[service]]
unit = "lab-deaf.service"
readiness = {{ probe = "tcp", address = "127.0.0.1:9" }}
[preflight]
max-connections = 0
deployments = ["/srv/app"]
users-url = "http://127.0.0.1:{}/count"
users-limit = 5
[kernel]
source = "/srv/linux"
[reboot]
least = "soft"
"#,
        machine.api_port()
    );
    configure(&machine, &(more + "\n[verify]\non-failure = \"previous-kernel\"\n"));
    let deadline = Duration::from_secs(60);
    let show = |unit: &str, property: &str| machine.exec_ok(&["systemctl", "show", "-P", property, unit]).unwrap();
    wait_for("the storm", deadline, || {
        Ok((show("lab-storm.service", "NRestarts").trim().parse::<u32>().unwrap_or(0) > 10).then_some(()))
    })
    .unwrap();
    wait_for("the start limit", deadline, || {
        Ok((show("lab-hit.service", "ActiveState").trim() == "failed").then_some(()))
    })
    .unwrap();
    wait_for("the logins", deadline, || {
        let sessions = machine.exec_ok(&["loginctl", "list-sessions", "--no-legend"])?;
        Ok((sessions.lines().count() == 2).then_some(()))
    })
    .unwrap();
    // The last change of all: whatever lets systemd read its units again would undo it.
    machine.exec_ok(&["bash", "-c", "echo '# changed' >> /etc/systemd/system/lab-storm.service"]).unwrap();

    let plan = Plan::of(&machine);
    let mut wrong = Vec::new();
    for (label, severity, texts) in PROVOKED {
        let Some(finding) = plan.finding(label) else {
            wrong.push(format!("{label}: content"));
            continue;
        };
        let text = said(finding);
        println!("{severity:<8} {label:<20} {}", text.lines().next().unwrap_or_default());
        if finding["severity"] != *severity {
            wrong.push(format!("{label}: {} instead of {severity}: {text}", finding["severity"]));
        }
        wrong.extend(
            texts
                .iter()
                .filter(|wanted| !text.contains(**wanted))
                .map(|wanted| format!("{label}: no {wanted:?} in {text}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let git_ran_as_root = machine.read_file("/tmp/trap").unwrap_or_default();
    assert!(!git_ran_as_root.lines().any(|user| user == "0"), "a checkout's own program ran as root");

    // Nothing is missing from both lists. The others are provoked beside the database.
    let provoked = PROVOKED.iter().map(|(label, ..)| *label).chain(["packages-phased"]);
    let provoked: BTreeSet<&str> = provoked.collect();
    let elsewhere: BTreeSet<&str> = NOT_ON_A_MACHINE.iter().map(|(label, _)| *label).collect();
    let is_elsewhere = |label: &str| IN_FILES_OF_THEIR_OWN.iter().any(|(other, _)| *other == label);
    let known = CATALOGUE.iter().filter(|check| check.topic != Topic::Database && !is_elsewhere(check.label));
    let known: BTreeSet<&str> = known.map(|check| check.label).collect();
    println!("provoked {} of {} checks, the database's apart", provoked.len(), known.len());
    for (label, why) in NOT_ON_A_MACHINE {
        println!("not on a machine: {label}: {why}");
    }
    let listed: BTreeSet<&str> = provoked.union(&elsewhere).copied().collect();
    assert_eq!(listed, known);
}

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::model::{ActiveState, Address, LoadState, Modules, Route, Sysctl, Vulnerability};

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

fn socket(protocol: &str, address: &str, program: &str, owner: &str) -> ListeningSocket {
    ListeningSocket {
        protocol: protocol.into(),
        address: address.into(),
        program: program.into(),
        unit: owner.parse().ok(),
    }
}

fn address(interface: &str, address: &str, dynamic: bool) -> Address {
    Address { interface: interface.into(), address: address.into(), dynamic }
}

fn inventory() -> Inventory {
    let route = |destination: &str, gateway: Option<&str>, protocol: &str| Route {
        destination: destination.into(),
        gateway: gateway.map(Into::into),
        interface: "eth0".into(),
        protocol: protocol.into(),
    };
    Inventory {
        swap: Reading::Known(names(&["/swapfile"])),
        read_only: Reading::Known(BTreeSet::new()),
        addresses: Reading::Known(
            [address("eth0", "192.0.2.10/24", false), address("veth1", "10.1.0.1/24", false)].into(),
        ),
        routes: Reading::Known(
            [route("default", Some("192.0.2.1"), "static"), route("192.0.2.0/24", None, "kernel")].into(),
        ),
        timers: Reading::Known(
            [(unit("backup.timer"), Some(Timestamp::UNIX_EPOCH)), (unit("run-u1.timer"), None)].into(),
        ),
        command_line: Reading::Known("BOOT_IMAGE=/vmlinuz-6.1.0-40 root=/dev/vda1 quiet".into()),
        modules: Reading::Known(Modules {
            loaded: names(&["br_netfilter", "cdrom"]),
            wanted: names(&["br_netfilter", "built_in"]),
        }),
        sysctl: Reading::Known(Sysctl {
            values: [("vm.swappiness", "10"), ("net.core.somaxconn", "4096"), ("fs.inotify.max_user_watches", "15256")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            configured: names(&["vm.swappiness"]),
        }),
        clock_synchronized: Reading::Known(true),
        conffiles: Reading::Known(BTreeSet::new()),
    }
}

fn baseline() -> Baseline {
    let units = ["api.service", "cron.service", "session-1.scope", "srv.mount", "job.service", "asked.service"];
    Baseline {
        taken: Timestamp::UNIX_EPOCH,
        uptime: SignedDuration::ZERO,
        units: UnitSurvey {
            active: units.iter().chain(&["ask.socket"]).map(|name| unit(name)).collect(),
            failed: vec![unit("old.service")],
            ..UnitSurvey::default()
        },
        services: Vec::new(),
        sockets: vec![
            socket("tcp", "0.0.0.0:80", "nginx", "nginx.service"),
            socket("udp", "127.0.0.53:53", "resolved", "resolved.service"),
            socket("tcp", "0.0.0.0:40123", "rpc.statd", "statd.service"),
            socket("tcp", "0.0.0.0:22", "sshd", "session-1.scope"),
        ],
        mounts: [("/", "/dev/vda1"), ("/srv", "/dev/vdb1")].map(|(at, what)| (at.to_owned(), what.to_owned())).into(),
        kernel: KernelFacts {
            running: "6.1.0-40".into(),
            running_version: "#1 SMP Debian 6.1.176-1 (2026-07-02)".into(),
            vulnerabilities: vec![Vulnerability { name: "mds".into(), state: "Mitigation: Clear".into() }],
            ..KernelFacts::default()
        },
        dkms: None,
        packages: BTreeMap::new(),
        inventory: Some(Box::new(inventory())),
    }
}

fn state(active: ActiveState) -> UnitState {
    UnitState {
        load: LoadState::Loaded,
        active,
        sub: "dead".into(),
        unit_file: "enabled".into(),
        result: Some("success".into()),
        exit_status: None,
        main_pid: None,
        restarts: 0,
        control_group: String::new(),
        processes: 0,
        stop_timeout: None,
        active_since_usec: None,
        activation_began_usec: None,
        invocation: String::new(),
        after: Vec::new(),
        needs_daemon_reload: false,
        restart: None,
        service_type: String::new(),
    }
}

fn loaded() -> UnitRelations {
    UnitRelations {
        is_loaded: true,
        conditions_met: true,
        unit_file: "enabled".into(),
        wanted_by: vec![unit("multi-user.target")],
        ..UnitRelations::default()
    }
}

/// As the baseline was.
fn same() -> Now {
    let before = baseline();
    Now {
        units: Reading::Known(before.units),
        gone: BTreeMap::new(),
        sockets: Reading::Known(before.sockets),
        mounts: Reading::Known(before.mounts),
        kernel: Reading::Known(before.kernel),
        inventory: inventory(),
        packages: Reading::Known(PackageState { broken: Vec::new(), interrupted: false }),
        installed: Reading::Known(BTreeMap::new()),
        outdated: Reading::Known(None),
    }
}

fn found(now: &Now, between: &Between<'_>) -> (Vec<String>, Vec<String>) {
    let (mut findings, mut expected) = (Vec::new(), Vec::new());
    for difference in compare(&baseline(), now, between) {
        match difference {
            Difference::Found(finding) => {
                assert!(finding.remedy.is_some() || finding.title.contains("could not be compared"), "{finding:?}");
                assert!(finding.subject.is_some() || finding.title.contains("could not be compared"), "{finding:?}");
                findings.push(format!("{} {}", finding.key, finding.subject.map(String::from).unwrap_or_default()));
            }
            Difference::Expected(difference) => expected.push(difference.what),
        }
    }
    (findings, expected)
}

fn rebooted() -> Between<'static> {
    Between { rebooted: true, ..Between::default() }
}

#[test]
fn a_host_that_is_as_it_was_has_no_finding() {
    assert_eq!(found(&same(), &rebooted()), (vec![], vec![]));
}

type Change = fn(&mut Now);

fn edit<T, R>(reading: &mut Reading<T>, change: impl FnOnce(&mut T) -> R) {
    match reading {
        Reading::Known(value) => drop(change(value)),
        Reading::Unknown(why) => panic!("{why}"),
    }
}

fn outdated(now: &mut Now, outdated: Outdated) {
    now.outdated = Reading::Known(Some(outdated));
}

fn stop(now: &mut Now, name: &str, relations: UnitRelations) {
    edit(&mut now.units, |units| units.active.retain(|active| active.as_str() != name));
    now.gone.insert(unit(name), GoneUnit { relations, state: state(ActiveState::Inactive) });
}

/// One change each, and the one finding that it must make.
const FINDINGS: [(&str, Change); 30] = [
    ("unit-gone cron.service", |now| stop(now, "cron.service", loaded())),
    ("unit-gone cron.service", |now| {
        stop(now, "cron.service", UnitRelations { unit_file: "disabled".into(), wanted_by: vec![], ..loaded() });
    }),
    // A socket that is down starts nothing.
    ("unit-gone ask.socket", |now| stop(now, "ask.socket", loaded())),
    ("unit-gone cron.service", |now| {
        edit(&mut now.units, |units| units.active.retain(|at| *at != unit("cron.service")))
    }),
    ("unit-failed new.service", |now| edit(&mut now.units, |units| units.failed.push(unit("new.service")))),
    ("unit-failed cron.service", |now| {
        edit(&mut now.units, |units| {
            units.active.retain(|at| *at != unit("cron.service"));
            units.failed.push(unit("cron.service"));
        });
    }),
    ("socket-missing tcp 0.0.0.0:80", |now| edit(&mut now.sockets, |all| all.retain(|one| one.program != "nginx"))),
    ("socket-missing udp 127.0.0.53:53", |now| edit(&mut now.sockets, |all| all.retain(|one| one.protocol != "udp"))),
    ("socket-moved rogue.service", |now| {
        edit(&mut now.sockets, |all| all[0] = socket("tcp", "0.0.0.0:80", "nc", "rogue.service"));
    }),
    // The same program as before, which here is an interpreter.
    ("socket-moved rogue.service", |now| {
        edit(&mut now.sockets, |all| all[0] = socket("tcp", "0.0.0.0:80", "nginx", "rogue.service"));
    }),
    ("mount-missing /srv", |now| edit(&mut now.mounts, |mounts| mounts.remove("/srv"))),
    ("mount-changed /srv", |now| edit(&mut now.mounts, |mounts| mounts.insert("/srv".into(), "tmpfs".into()))),
    ("mount-read-only /srv", |now| edit(&mut now.inventory.read_only, |all| all.insert("/srv".into()))),
    ("swap-missing /swapfile", |now| edit(&mut now.inventory.swap, BTreeSet::clear)),
    ("address-missing 192.0.2.10/24", |now| {
        edit(&mut now.inventory.addresses, |all| all.retain(|one| one.interface != "eth0"));
    }),
    ("interface-renamed 192.0.2.10/24", |now| {
        edit(&mut now.inventory.addresses, |all| {
            all.retain(|one| one.interface != "eth0");
            all.insert(address("ens3", "192.0.2.10/24", false));
        });
    }),
    ("route-missing default", |now| {
        edit(&mut now.inventory.routes, |all| all.retain(|one| one.destination != "default"))
    }),
    ("timer-missing backup.timer", |now| edit(&mut now.inventory.timers, |all| all.remove(&unit("backup.timer")))),
    ("command-line /proc/cmdline", |now| {
        edit(&mut now.inventory.command_line, |line| line.push_str(" mitigations=off"));
    }),
    ("module-missing br_netfilter", |now| edit(&mut now.inventory.modules, |all| all.loaded.clear())),
    ("sysctl fs.inotify.max_user_watches", |now| {
        edit(&mut now.inventory.sysctl, |all| all.values.insert("fs.inotify.max_user_watches".into(), "8192".into()));
    }),
    ("sysctl vm.swappiness", |now| {
        edit(&mut now.inventory.sysctl, |all| all.values.insert("vm.swappiness".into(), "60".into()));
    }),
    ("clock clock", |now| now.inventory.clock_synchronized = Reading::Known(false)),
    ("cpu-vulnerable mds", |now| edit(&mut now.kernel, |kernel| kernel.vulnerabilities[0].state = "Vulnerable".into())),
    ("reboot-required /run/reboot-required", |now| {
        edit(&mut now.kernel, |kernel| kernel.reboot_required = Some(vec![]))
    }),
    ("outdated running code", |now| now.outdated = Reading::Unknown("no answer within 60 s".into())),
    ("outdated ssh.service", |now| {
        outdated(
            now,
            Outdated { services: vec!["patchday.service".into(), "ssh.service".into()], ..Outdated::default() },
        );
    }),
    ("outdated session of root @ session #4", |now| {
        outdated(now, Outdated { sessions: vec!["root @ session #4".into()], ..Outdated::default() });
    }),
    ("microcode microcode", |now| {
        outdated(now, Outdated { microcode: Some(("0x071a".into(), "0x071b".into())), ..Outdated::default() });
    }),
    ("conffiles /etc/a.conf.dpkg-dist", |now| {
        edit(&mut now.inventory.conffiles, |all| all.insert("/etc/a.conf.dpkg-dist".into()));
    }),
];

#[test]
fn every_change_for_the_worse_makes_one_finding() {
    for (at, (finding, change)) in FINDINGS.iter().enumerate() {
        let mut now = same();
        change(&mut now);
        assert_eq!(found(&now, &rebooted()).0, [*finding], "row {at}");
    }
}

/// One change each that a boot makes, and that must make none.
const EXPECTED: [(&str, Change); 16] = [
    ("a session ended", |now| edit(&mut now.units, |units| units.active.retain(|at| *at != unit("session-1.scope")))),
    ("a job has run", |now| {
        stop(now, "job.service", UnitRelations { service_type: "oneshot".into(), ..loaded() });
        if let Some(gone) = now.gone.get_mut(&unit("job.service")) {
            gone.state.activation_began_usec = Some(1);
        }
    }),
    ("a socket waits for it", |now| {
        let relations = UnitRelations { wanted_by: vec![], triggered_by: vec![unit("ask.socket")], ..loaded() };
        stop(now, "asked.service", relations);
    }),
    ("D-Bus starts it", |now| {
        stop(now, "asked.service", UnitRelations { wanted_by: vec![], service_type: "dbus".into(), ..loaded() });
    }),
    ("D-Bus starts what says itself when it is ready", |now| {
        let notify = UnitRelations { service_type: "notify".into(), unit_file: "static".into(), ..loaded() };
        stop(now, "asked.service", UnitRelations { wanted_by: vec![], has_bus_name: true, ..notify });
    }),
    ("a port of the kernel's", |now| edit(&mut now.sockets, |all| all.retain(|one| one.program != "rpc.statd"))),
    ("a login's socket", |now| edit(&mut now.sockets, |all| all.retain(|one| one.program != "sshd"))),
    ("the other family takes both", |now| {
        edit(&mut now.sockets, |all| all[0] = socket("tcp6", "[::]:80", "nginx", "nginx.service"));
    }),
    ("systemd listens for it", |now| {
        edit(&mut now.sockets, |all| all[0] = socket("tcp", "0.0.0.0:80", "systemd", "init.scope"));
    }),
    ("disks in another order", |now| edit(&mut now.mounts, |all| all.insert("/srv".into(), "/dev/vdc1".into()))),
    ("a container's interface", |now| {
        edit(&mut now.inventory.addresses, |all| all.retain(|one| one.interface != "veth1"));
    }),
    ("another kernel", |now| {
        edit(&mut now.kernel, |kernel| kernel.running = "6.1.0-41".into());
        edit(&mut now.inventory.command_line, |line| *line = line.replace("-40", "-41"));
        edit(&mut now.inventory.sysctl, |all| all.values.insert("net.core.somaxconn".into(), "8192".into()));
    }),
    ("the same kernel, built anew", |now| {
        edit(&mut now.kernel, |kernel| kernel.running_version = "#1 SMP Debian 6.1.176-9 (2026-07-02)".into());
        edit(&mut now.inventory.sysctl, |all| all.values.insert("net.core.somaxconn".into(), "8192".into()));
    }),
    ("a little less memory", |now| {
        edit(&mut now.inventory.sysctl, |all| all.values.insert("fs.inotify.max_user_watches".into(), "15250".into()));
    }),
    ("a coordinator that was killed", |now| {
        edit(&mut now.units, |units| units.failed.push(unit("patchday-resume.service")));
    }),
    ("modules and timers that nobody asks for", |now| {
        edit(&mut now.inventory.modules, |all| all.loaded.remove("cdrom"));
        edit(&mut now.inventory.timers, |all| all.remove(&unit("run-u1.timer")));
    }),
];

#[test]
fn what_a_boot_makes_is_expected_by_a_rule() {
    for (what, change) in EXPECTED {
        let mut now = same();
        change(&mut now);
        let (findings, expected) = found(&now, &rebooted());
        assert_eq!(findings, Vec::<String>::new(), "{what}");
        // The same service at the same port is no difference at all.
        let is_none = ["a login's socket", "the other family takes both"].contains(&what);
        assert_eq!(expected.is_empty(), is_none, "{what}: {expected:?}");
    }
}

#[test]
fn a_lease_may_be_another_one() {
    let mut before = inventory();
    edit(&mut before.addresses, |all| all.insert(address("eth1", "198.51.100.7/24", true)));
    for (now, told) in [(Some(address("eth1", "198.51.100.9/24", true)), 0), (None, 1)] {
        let mut after = inventory();
        edit(&mut after.addresses, |all| all.extend(now));
        let mut differences = Vec::new();
        network::compare(&before, &after, &mut differences);
        let findings = differences.iter().filter(|one| matches!(one, Difference::Found(_))).count();
        assert_eq!(findings, told, "{differences:?}");
    }
}

#[test]
fn unknown_is_never_healthy() {
    let unknown = |now: &mut Now| {
        now.units = Reading::default();
        now.sockets = Reading::default();
        now.mounts = Reading::default();
        now.kernel = Reading::default();
        now.packages = Reading::default();
        now.inventory = Inventory::default();
    };
    let mut now = same();
    unknown(&mut now);
    let (findings, _) = found(&now, &rebooted());
    assert_eq!(findings.len(), 14, "{findings:?}");
}

#[test]
fn the_kernel_and_the_packages_must_be_those_that_were_planned() {
    let plan = KernelPlan { expected: "6.1.0-41".into(), managed_here: true, ..KernelPlan::default() };
    let reasons = ["a new kernel".to_owned()];
    let with =
        |rebooted, plan| Between { rebooted, kernel: Some(plan), reboot_reasons: &reasons, ..Between::default() };
    assert_eq!(found(&same(), &with(true, &plan)).0, ["kernel-release kernel"]);
    assert_eq!(found(&same(), &with(false, &plan)).0, ["reboot-pending kernel"]);
    let elsewhere = KernelPlan { managed_here: false, ..plan.clone() };
    assert!(found(&same(), &with(true, &elsewhere)).0.is_empty());

    let change = PackageChange {
        name: "libc6".into(),
        action: PackageAction::Upgrade,
        from: Some("1".into()),
        to: Some("2".into()),
        origin: None,
    };
    let between = Between { changes: std::slice::from_ref(&change), ..rebooted() };
    assert_eq!(found(&same(), &between).0, ["package-version libc6"]);
    let mut now = same();
    edit(&mut now.installed, |all| all.insert("libc6".into(), "2".into()));
    assert!(found(&now, &between).0.is_empty());
    now.packages = Reading::Known(PackageState { broken: vec!["iF libc6".into()], interrupted: false });
    assert_eq!(compare(&baseline(), &now, &between).len(), 1);
}

#[test]
fn mount_points_are_named_as_systemd_does() {
    for (point, unit) in [("/", "-"), ("/srv/data", "srv-data"), ("/mnt/a-b c", "mnt-a\\x2db\\x20c")] {
        assert_eq!(crate::model::unit_of_mount(point), unit);
    }
}

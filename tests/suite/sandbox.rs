//! The sandbox of the shipped units and that of the ones which Patchday makes are the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const UNITS: [&str; 2] = ["patchday.service", "patchday-resume.service"];

/// What each unit says below `[Service]`; a word that is said twice, in both.
fn settings(unit: &str) -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(unit);
    let text = fs::read_to_string(path).unwrap();
    let service = text.split("\n[Service]\n").nth(1).unwrap().split("\n[").next().unwrap().to_owned();
    let mut settings = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in service.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')) {
        settings.entry(name.to_owned()).or_default().extend(value.split_whitespace().map(str::to_owned));
    }
    settings
}

#[test]
fn both_coordinators_are_in_the_sandbox_of_the_transient_one() {
    let table = include_str!("../../src/host/systemd/sandbox.rs");
    for unit in UNITS {
        let settings = settings(unit);
        for name in [
            "NoNewPrivileges",
            "ProtectSystem",
            "ProtectHome",
            "ReadWritePaths",
            "DevicePolicy",
            "DeviceAllow",
            "ProtectKernelLogs",
            "ProtectClock",
            "ProtectHostname",
            "RestrictNamespaces",
            "RestrictRealtime",
            "RestrictSUIDSGID",
            "LockPersonality",
            "SystemCallArchitectures",
            "SystemCallFilter",
            "SystemCallErrorNumber",
            "RestrictAddressFamilies",
            "CapabilityBoundingSet",
            "MemoryMax",
            "TasksMax",
        ] {
            assert!(settings.contains_key(name), "{unit} lacks {name}");
            assert!(table.contains(&format!("\"{name}\"")), "the transient coordinator lacks {name}");
        }
        for capability in &settings["CapabilityBoundingSet"] {
            let name = capability.trim_start_matches("CAP_");
            assert!(table.contains(&format!("// {name}")), "the transient coordinator lacks {name}");
        }
        assert_eq!(settings["CapabilityBoundingSet"].len(), 11, "{unit}");
        for path in &settings["ReadWritePaths"] {
            assert!(table.contains(&format!("\"{path}\"")), "the transient coordinator may not write to {path}");
        }
    }
}

/// Each of these makes something disappear that a run reads: the boot ID, mongod's socket, the devices of fstab, the
/// modules of a kernel.
/// systemd leaves out of `ReadWritePaths=` what is not there when the unit begins, and /etc is read-only then.
#[test]
fn what_a_run_writes_below_etc_is_made_before_it_begins() {
    let tmpfiles = include_str!("../../systemd/patchday.tmpfiles.conf");
    for unit in UNITS {
        let paths = settings(unit).remove("ReadWritePaths").unwrap();
        let below_etc: Vec<&str> = paths.iter().filter_map(|path| path.strip_prefix('-')).collect();
        for path in below_etc.into_iter().filter(|path| path.starts_with("/etc/")) {
            assert!(tmpfiles.lines().any(|line| line.starts_with(&format!("d {path} "))), "{unit}: {path}");
        }
        assert!(paths.iter().any(|path| path == "-/etc/motd.d"), "{unit}");
    }
}

#[test]
fn nothing_that_a_run_reads_is_hidden_from_it() {
    for unit in UNITS {
        let settings = settings(unit);
        for name in [
            "ProtectKernelTunables",
            "ProtectControlGroups",
            "PrivateTmp",
            "PrivateDevices",
            "ProtectKernelModules",
            "PrivateUsers",
            "ProcSubset",
            "ProtectProc",
            "PrivateNetwork",
        ] {
            assert!(!settings.contains_key(name), "{unit} has {name}");
        }
    }
}

/// It belongs to a boot: nothing of it may wait for what comes later, and it may do no more than a coordinator.
#[test]
fn the_witness_is_in_a_narrower_sandbox_without_mounts_of_its_own() {
    let (witness, coordinator) = (settings("patchday-witness.service"), settings(UNITS[1]));
    for name in ["ProtectSystem", "ProtectHome", "ReadWritePaths", "PrivateTmp", "ProtectKernelLogs", "PrivateDevices"]
    {
        assert!(!witness.contains_key(name), "{name} gives it mounts of its own");
    }
    for name in
        ["NoNewPrivileges", "SystemCallFilter", "RestrictNamespaces", "RestrictSUIDSGID", "MemoryMax", "TasksMax"]
    {
        assert!(witness.contains_key(name), "it lacks {name}");
    }
    let name = "CapabilityBoundingSet";
    assert!(witness[name].iter().all(|capability| coordinator[name].contains(capability)), "{:?}", witness[name]);
    let unit = include_str!("../../systemd/patchday-witness.service");
    for line in ["DefaultDependencies=no", "After=local-fs.target", "Before=basic.target", "Conflicts=shutdown.target"]
    {
        assert!(unit.lines().any(|known| known == line), "{line}");
    }
    let orders = unit.lines().filter(|line| line.starts_with("After=") || line.starts_with("Requires"));
    assert_eq!(orders.count(), 1, "what /var or a network waits for may come after basic.target: a cycle");
}

//! What a transient unit is made of: pure tables from our words to systemd's properties.

use std::path::Path;

use zbus::Variant;

use super::property::Property;
use super::sandbox;
use crate::model::{SliceLimits, WorkSpec};

/// The slice of all work, so that it can be limited as a whole.
pub(super) const SLICE: &str = "patchday.slice";

/// When memory runs out, work goes before the services, but not before everything else: the upgrade must not be the
/// first victim.
const OOM_SCORE_ADJUST: i32 = 100;

/// What ran into its timeout and does not heed SIGTERM is killed after this.
const KILL_AFTER_USEC: u64 = 10_000_000;

/// systemd's `infinity`.
const INFINITY: u64 = u64::MAX;

/// For programs that a service of ours starts: what a login shell of root has.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Properties of a work unit.
///
/// - `Type=exec`: the start job fails when the program cannot be executed, and does not wait for its end.
/// - `RemainAfterExit=`: the outcome is kept until it was saved.
/// - Its limits are those of the slice, so that everything that works there shares one budget. Only `Nice=` is the
///   unit's own: a slice has none.
/// - No timeouts, no SIGKILL, and the signal only to the main process: nobody may cut dpkg short. What may be cut short
///   has a timeout of its own, and is then ended with all that it started.
///
/// `program` is this binary; it opens the status file where one is wanted.
pub(super) fn work_properties(spec: &WorkSpec, program: &Path) -> Vec<Property> {
    let log = spec.log.display().to_string();
    let environment: Vec<String> = spec.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut properties: Vec<Property> = vec![
        ("Description", spec.description.clone().into()),
        ("Slice", SLICE.into()),
        ("Type", "exec".into()),
        ("RemainAfterExit", true.into()),
        ("ExecStart", exec_start(&work_argv(spec, program))),
        ("Environment", environment.into()),
        ("StandardInput", "null".into()),
        ("StandardOutputFileToAppend", log.clone().into()),
        ("StandardErrorFileToAppend", log.into()),
        ("Nice", spec.nice.into()),
        ("OOMScoreAdjust", OOM_SCORE_ADJUST.into()),
        // What the work starts expects to end by it, as from a shell: else scripts fail with "Broken pipe".
        ("IgnoreSIGPIPE", false.into()),
        ("TimeoutStartUSec", INFINITY.into()),
    ];
    if spec.is_sandboxed {
        properties.extend(sandbox::of_hooks());
    }
    properties.extend(match spec.timeout.and_then(|timeout| u64::try_from(timeout.as_micros()).ok()) {
        None => vec![("TimeoutStopUSec", INFINITY.into()), ("KillMode", "mixed".into()), ("SendSIGKILL", false.into())],
        Some(timeout) => vec![
            ("RuntimeMaxUSec", timeout.into()),
            ("TimeoutStopUSec", KILL_AFTER_USEC.into()),
            ("KillMode", "control-group".into()),
        ],
    });
    properties
}

/// Apt finds its way to the mirrors by these, and nothing that is read depends on them.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"];

/// Takes out of a unit's environment what systemd's manager would put into it: whatever /etc/default/locale, the kernel's
/// command line, system.conf or somebody's `systemctl set-environment` says.
pub(super) fn unset_environment(inherited: &[String], spec: &WorkSpec) -> Property {
    let ours = |name: &str| spec.environment.iter().any(|(own, _)| own == name);
    let is_kept = |name: &str| ours(name) || PROXIES.contains(&name.to_ascii_lowercase().as_str());
    let names = inherited.iter().filter_map(|line| Some(line.split_once('=')?.0));
    let unset: Vec<String> = names.filter(|name| !is_kept(name)).map(str::to_owned).collect();
    ("UnsetEnvironment", unset.into())
}

/// Properties of the slice; what is not limited gets systemd's own default.
pub(super) fn slice_properties(limits: &SliceLimits) -> Vec<Property> {
    [
        ("CPUQuotaPerSecUSec", limits.cpu_quota_per_sec_usec),
        ("CPUWeight", limits.cpu_weight),
        ("IOWeight", limits.io_weight),
        ("MemoryHigh", limits.memory_high),
    ]
    .map(|(name, value)| (name, value.unwrap_or(INFINITY).into()))
    .to_vec()
}

/// Properties of a service that outlives its caller and is forgotten when it ends. It may tell systemd its status. It is
/// in a sandbox, but for these directories.
pub(super) fn service_properties(description: &str, argv: &[String], writable: &[String]) -> Vec<Property> {
    let mut properties: Vec<Property> = vec![
        ("Description", description.to_owned().into()),
        ("Type", "exec".into()),
        ("NotifyAccess", "main".into()),
        ("CollectMode", "inactive-or-failed".into()),
        ("ExecStart", exec_start(argv)),
        ("Environment", vec![PATH.to_owned()].into()),
        ("KillMode", "mixed".into()),
        // As in the shipped units: killing a coordinator loses nothing, and a shutdown must not wait for ever.
        ("TimeoutStopUSec", 90_000_000u64.into()),
    ];
    properties.extend(sandbox::properties(writable));
    properties
}

/// Properties of the service that looks whether a reboot comes to its end. Without the default dependencies it is no part
/// of a shutdown: it neither ends with the first jobs nor makes the last ones wait.
pub(super) fn watch_properties(argv: &[String], writable: &[String]) -> Vec<Property> {
    let mut properties = service_properties("Patchday: look whether the reboot comes to its end", argv, writable);
    properties.push(("DefaultDependencies", false.into()));
    properties
}

/// Nobody needs the locks for longer: a coordinator that is still there takes them anew.
const LOCKS_FOR_USEC: u64 = 3_600_000_000;

/// Properties of the service that holds the locks of apt and dpkg. It outlives everybody who could want them: services and
/// sessions end after `basic.target`, and the directories that the locks are in are unmounted after it.
pub(super) fn locks_properties(argv: &[String]) -> Vec<Property> {
    let mut properties = service_properties("Patchday: holds the locks of apt and dpkg until the reboot", argv, &[]);
    properties.extend([
        ("DefaultDependencies", false.into()),
        ("Before", vec!["basic.target"].into()),
        ("Conflicts", vec!["umount.target"].into()),
        ("RequiresMountsFor", vec!["/var/lib/dpkg", "/var/lib/apt/lists", "/var/cache/apt/archives"].into()),
        ("RuntimeMaxUSec", LOCKS_FOR_USEC.into()),
    ]);
    properties
}

/// The command, wrapped where it needs a status descriptor.
fn work_argv(spec: &WorkSpec, program: &Path) -> Vec<String> {
    let Some(status) = &spec.status else { return spec.argv.clone() };
    let wrapper = [program.display().to_string(), "exec-with-status".into(), "--status".into()];
    let file = [status.display().to_string(), "--".into()];
    wrapper.into_iter().chain(file).chain(spec.argv.iter().cloned()).collect()
}

/// `ExecStart` as `a(sasb)`: path, arguments with the name of the program first, and that a failure counts.
///
/// systemd expands `$NAME` in arguments even when they come over D-Bus; `$$` is a plain dollar sign.
fn exec_start(argv: &[String]) -> Variant<'static> {
    let path = argv.first().cloned().unwrap_or_default();
    let escaped: Vec<String> = argv.iter().map(|argument| argument.replace('$', "$$")).collect();
    vec![(path, escaped, false)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(status: Option<&str>) -> WorkSpec {
        WorkSpec {
            unit: "patchday-test-upgrade.service".parse().unwrap(),
            description: "Upgrade of packages".into(),
            argv: ["/usr/bin/apt-get", "-o", "APT::Status-Fd=@STATUS_FD@", "cost=$5"].map(String::from).to_vec(),
            environment: vec![("LC_ALL".into(), "C.UTF-8".into()), ("DEBIAN_FRONTEND".into(), "noninteractive".into())],
            is_pinned: true,
            is_sandboxed: false,
            nice: 10,
            log: "/var/log/patchday/x.log".into(),
            status: status.map(Into::into),
            timeout: None,
        }
    }

    fn argv(properties: &[Property]) -> Variant<'static> {
        properties.iter().find(|(name, _)| *name == "ExecStart").unwrap().1.try_clone().unwrap()
    }

    fn command(path: &str, arguments: &[&str]) -> Variant<'static> {
        vec![(path.to_owned(), arguments.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(), false)].into()
    }

    #[test]
    fn every_word_of_the_spec_becomes_a_property_of_the_right_type() {
        let properties = work_properties(&spec(None), Path::new("/usr/bin/patchday"));
        let table: Vec<(&str, &str, Variant<'_>)> = vec![
            ("Description", "s", "Upgrade of packages".into()),
            ("Slice", "s", "patchday.slice".into()),
            ("Type", "s", "exec".into()),
            ("RemainAfterExit", "b", true.into()),
            (
                "ExecStart",
                "a(sasb)",
                command("/usr/bin/apt-get", &["/usr/bin/apt-get", "-o", "APT::Status-Fd=@STATUS_FD@", "cost=$$5"]),
            ),
            ("Environment", "as", vec!["LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"].into()),
            ("StandardInput", "s", "null".into()),
            ("StandardOutputFileToAppend", "s", "/var/log/patchday/x.log".into()),
            ("StandardErrorFileToAppend", "s", "/var/log/patchday/x.log".into()),
            ("Nice", "i", 10i32.into()),
            ("OOMScoreAdjust", "i", 100i32.into()),
            ("IgnoreSIGPIPE", "b", false.into()),
            ("TimeoutStartUSec", "t", u64::MAX.into()),
            ("TimeoutStopUSec", "t", u64::MAX.into()),
            ("KillMode", "s", "mixed".into()),
            ("SendSIGKILL", "b", false.into()),
        ];
        assert_eq!(properties.len(), table.len());
        for ((name, value), (wanted_name, signature, wanted)) in properties.iter().zip(&table) {
            assert_eq!((name, value), (wanted_name, wanted));
            assert_eq!(value.value_signature().to_string(), *signature, "{name}");
        }
    }

    #[test]
    fn only_work_with_a_timeout_may_be_cut_short() {
        let timed = WorkSpec { timeout: Some(jiff::SignedDuration::from_secs(30)), ..spec(None) };
        let properties = work_properties(&timed, Path::new("/usr/bin/patchday"));
        for wanted in [("RuntimeMaxUSec", 30_000_000u64.into()), ("KillMode", Variant::from("control-group"))] {
            assert!(properties.contains(&wanted), "{wanted:?}");
        }
        assert!(!properties.iter().any(|(name, _)| *name == "SendSIGKILL"), "what hangs must be killed");
    }

    #[test]
    fn nothing_of_the_managers_environment_is_left_but_the_way_to_the_mirrors() {
        let inherited =
            ["LANG=de_DE.UTF-8", "LANGUAGE=de", "LC_ALL=de_DE", "APT_CONFIG=/x", "HTTP_PROXY=http://x", "A=b=c"];
        let inherited = inherited.map(str::to_owned);
        let wanted = vec!["LANG", "LANGUAGE", "APT_CONFIG", "A"];
        // What we set ourselves stays set.
        assert_eq!(unset_environment(&inherited, &spec(None)), ("UnsetEnvironment", wanted.into()));
    }

    #[test]
    fn a_limit_that_is_not_set_is_taken_away() {
        let limits = SliceLimits { cpu_quota_per_sec_usec: Some(1_000_000), io_weight: Some(20), ..Default::default() };
        let wanted: Vec<Property> = vec![
            ("CPUQuotaPerSecUSec", 1_000_000u64.into()),
            ("CPUWeight", u64::MAX.into()),
            ("IOWeight", 20u64.into()),
            ("MemoryHigh", u64::MAX.into()),
        ];
        assert_eq!(slice_properties(&limits), wanted);
    }

    #[test]
    fn only_a_program_of_the_administrator_is_in_the_sandbox_of_hooks() {
        let program = Path::new("/usr/bin/patchday");
        let hook = WorkSpec { is_sandboxed: true, ..spec(None) };
        let of_hook: Vec<Property> = sandbox::of_hooks();
        let has = |spec: &WorkSpec| {
            let properties = work_properties(spec, program);
            of_hook.iter().filter(|property| properties.contains(property)).count()
        };
        assert_eq!((has(&hook), has(&spec(None))), (of_hook.len(), 0));
        // It installs packages and mounts; it does not set the clock, nor wake or reboot the host past systemd.
        let refused = [20, 22, 25, 35].iter().fold(0u64, |all, bit| all | (1 << bit));
        assert!(of_hook.contains(&("CapabilityBoundingSet", (!refused).into())));
        // What makes mounts of its own hides from the host what a hook mounts; without new privileges neither `su` nor
        // dpkg works.
        for never in
            ["NoNewPrivileges", "RestrictSUIDSGID", "ProtectSystem", "ProtectKernelLogs", "ProtectClock", "PrivateTmp"]
        {
            assert!(of_hook.iter().all(|(name, _)| *name != never), "{never}");
        }
    }

    #[test]
    fn a_status_file_is_opened_by_the_wrapper() {
        let properties = work_properties(&spec(Some("/var/lib/x.status")), Path::new("/usr/bin/patchday"));
        let wanted = [
            "/usr/bin/patchday",
            "exec-with-status",
            "--status",
            "/var/lib/x.status",
            "--",
            "/usr/bin/apt-get",
            "-o",
            "APT::Status-Fd=@STATUS_FD@",
            "cost=$$5",
        ];
        assert_eq!(argv(&properties), command("/usr/bin/patchday", &wanted));
    }

    #[test]
    fn a_service_is_forgotten_when_it_ends() {
        let properties =
            service_properties("Patch run", &["/usr/bin/patchday".into(), "run".into()], &["/srv/motd".into()]);
        assert!(properties.contains(&("CollectMode", "inactive-or-failed".into())));
        assert_eq!(argv(&properties), command("/usr/bin/patchday", &["/usr/bin/patchday", "run"]));
    }
}

//! The host itself, and who else wants something from it.

use super::{CheckInputs, check};
use crate::host::{HostResult, Inhibitor};
use crate::model::{ActiveState, FstabEntry, LoadState, Mount, Severity, UnitName, in_utc};

/// Older ones lack what holds and work units are made of; tried with 252 and 257.
const OLDEST_SYSTEMD: u32 = 247;

/// Kinds of mounts that are made by programs and not by the boot, or by the boot without a table.
const OTHERS_MOUNT: [&str; 8] =
    ["autofs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "nsfs", "overlay", "squashfs", "zfs"];

/// What patches Debian and Ubuntu by itself: a timer or service, and the service that works.
pub const RIVALS: [(&str, &str); 6] = [
    ("apt-daily.timer", "apt-daily.service"),
    ("apt-daily-upgrade.timer", "apt-daily-upgrade.service"),
    ("unattended-upgrades.service", ""),
    ("packagekit.service", "packagekit.service"),
    ("ua-timer.timer", "ua-timer.service"),
    ("landscape-client.service", ""),
];

check!(
    MOUNTS_DECLARED,
    Host,
    "mounts-declared",
    Warning,
    10,
    "everything that is mounted will be mounted again",
    "What was mounted by hand is gone after the reboot, and services write into the empty directory below it.",
    |check, inputs| {
        let (mounts, table) = (inputs.host.system.mounts().await?, inputs.host.system.fstab().await?);
        let declared = |mount: &Mount| mount.has_unit_file || table.iter().any(|entry| entry.point == mount.point);
        let undeclared = mounts.iter().filter(|mount| {
            // The root is the boot loader's business, and nobody misses what was in a temporary `/tmp`.
            mount.point != "/"
                && (mount.point != "/tmp" || mount.kind != "tmpfs")
                // Not one of the kernel, of a container or of a session.
                && mount.is_lasting()
                && !OTHERS_MOUNT.contains(&mount.kind.as_str())
                && !declared(mount)
        });
        let undeclared: Vec<&Mount> = undeclared.collect();
        let Some(first) = undeclared.first().map(|mount| &mount.point) else { return Ok(None) };
        let lines = undeclared.iter().map(|mount| format!("{} ({}) from {}", mount.point, mount.kind, mount.source));
        let finding = check.found("something is mounted that no boot would mount").lines(lines);
        Ok(Some(finding.remedy("write it into /etc/fstab, or unmount it", format!("findmnt {first}"))))
    }
);

check!(
    FSTAB,
    Host,
    "fstab",
    Blocker,
    10,
    "every entry of /etc/fstab can be mounted at boot",
    "A device that is missing at boot ends it in emergency mode, where no one can log in over the network. An entry with \
     nofail only costs 90 seconds, and one that is not mounted now is shown too.",
    |check, inputs| {
        let (table, mounts) = (inputs.host.system.fstab().await?, inputs.host.system.mounts().await?);
        let at_boot: Vec<&FstabEntry> = table.iter().filter(|entry| !entry.has("noauto")).collect();
        let missing: Vec<&FstabEntry> =
            at_boot.iter().copied().filter(|entry| entry.source_exists == Some(false)).collect();
        // systemd waits for a missing swap, and boots on without it.
        let is_fatal = missing.iter().any(|entry| !entry.has("nofail") && entry.kind != "swap");
        let is_mounted = |entry: &FstabEntry| mounts.iter().any(|mount| mount.point == entry.point);
        let unmounted = at_boot.iter().filter(|entry| {
            entry.source_exists != Some(false)
                && entry.point.starts_with('/')
                && entry.kind != "swap"
                && !entry.has("x-systemd.automount")
                && !is_mounted(entry)
        });
        let told = |entry: &FstabEntry, why: &str| format!("{} on {}: {why}", entry.source, entry.point);
        let missing = missing.iter().map(|entry| {
            told(
                entry,
                if entry.has("nofail") { "there is no such device (nofail)" } else { "there is no such device" },
            )
        });
        let lines: Vec<String> = missing.chain(unmounted.map(|entry| told(entry, "not mounted now"))).collect();
        if lines.is_empty() {
            return Ok(None);
        }
        let mut finding = check.found("an entry of /etc/fstab would fail at boot").lines(lines);
        if !is_fatal {
            finding.severity = Severity::Warning;
            "an entry of /etc/fstab does not hold now".clone_into(&mut finding.title);
        }
        Ok(Some(finding.remedy("fix the entry, or add nofail to it", "findmnt --verify")))
    }
);

check!(
    CLOCK,
    Host,
    "clock",
    Warning,
    60,
    "the clock is synchronised",
    "A clock that is wrong breaks certificates, the window of the run, and the order in every log. In a container it is \
     the host's.",
    |check, inputs| {
        if inputs.survey().await?.is_container() || inputs.host.system.clock_synchronized().await? {
            return Ok(None);
        }
        let finding = check.found("the clock is not synchronised").evidence("timedated says NTPSynchronized=no");
        Ok(Some(finding.remedy("see who keeps it", "timedatectl timesync-status")))
    }
);

check!(
    SHUTDOWN_SCHEDULED,
    Host,
    "shutdown-scheduled",
    Blocker,
    60,
    "no shutdown is scheduled",
    "A shutdown that comes while dpkg works breaks packages. Let it pass, or cancel it.",
    |check, inputs| {
        let Some((kind, at)) = inputs.host.power.scheduled_shutdown().await? else { return Ok(None) };
        let finding = check.found(format!("a {kind} is scheduled for {}", in_utc(at)));
        Ok(Some(finding.remedy("let it pass, or cancel it", "shutdown -c")))
    }
);

check!(
    SHUTDOWN_INHIBITED,
    Host,
    "shutdown-inhibited",
    Warning,
    60,
    "no program inhibits a shutdown",
    "Since systemd 257 a lock stops the reboot; before, the reboot tramples on what the lock protects.",
    |check, inputs| {
        let holders = inputs.host.power.inhibitors().await?;
        let lines: Vec<String> =
            holders.iter().filter(|holder| holder.blocks_shutdown()).map(Inhibitor::to_string).collect();
        let finding = check.found("a shutdown is inhibited now");
        Ok((!lines.is_empty())
            .then(|| finding.lines(lines).remedy("it must be gone before the reboot", "systemd-inhibit --list")))
    }
);

check!(
    PATCH_TOOLS,
    Host,
    "patch-tools",
    Warning,
    60,
    "no other tool upgrades this host now",
    "Two that upgrade at once wait for each other's locks, and one of them may reboot under the other. A tool that only \
     waits for its hour is only named.",
    |check, inputs| {
        let mut lines = Vec::new();
        let mut at_work = None;
        for (name, service) in RIVALS {
            let found = look(inputs, name).await?;
            if let Some(active) = found.filter(|active| matches!(active, ActiveState::Active)) {
                lines.push(format!("{name} is {active}"));
            }
            let working = if service.is_empty() { None } else { look(inputs, service).await? };
            if working.is_some_and(|active| matches!(active, ActiveState::Active | ActiveState::Activating)) {
                lines.push(format!("{service} is at work"));
                at_work = at_work.or(Some(service));
            }
        }
        if lines.is_empty() {
            return Ok(None);
        }
        if let Some(service) = at_work {
            let finding = check.found("another tool upgrades this host now").lines(lines);
            return Ok(Some(finding.remedy("let it end", format!("systemctl status {service}"))));
        }
        let mut finding = check.found("another tool upgrades this host at its own hour").lines(lines);
        finding.severity = Severity::Info;
        Ok(Some(finding.remedy("see when", "systemctl list-timers")))
    }
);

check!(
    HOOKS_TRUSTED,
    Host,
    "hooks-trusted",
    Blocker,
    10,
    "only root can replace a program that the run calls",
    "The programs of [[hook]], [silence], [kernel] command, of probes and of stop-proof run as root. Each must be a file that root owns \
     and nobody else can write, and so must every directory and every link on the way to it, what runs it where it is a \
     script, and the file that a shell is given to run. It is looked at again right before it is called.",
    |check, inputs| {
        let mut lines = Vec::new();
        let mut first = None;
        for command in inputs.settings.called_commands() {
            let program = command.first().map_or("", String::as_str);
            if let Some(why) = inputs.host.system.distrust(command).await? {
                lines.push(if why.contains(program) { why } else { format!("{program}: {why}") });
                first = first.or(Some(program));
            }
        }
        let Some(program) = first else { return Ok(None) };
        let finding = check.found("a program that the run calls as root is not root's alone").lines(lines);
        Ok(Some(finding.remedy("give it, and its directories, to root alone", format!("namei -l {program}"))))
    }
);

check!(
    BATTERY,
    Host,
    "battery",
    Blocker,
    10,
    "the host does not run from a battery",
    "Power that ends while dpkg works leaves packages half installed.",
    |check, inputs| {
        let supplies = inputs.host.system.power_supplies().await?;
        let is_battery = |kind: &str| matches!(kind, "Battery" | "UPS");
        let draining: Vec<_> =
            supplies.iter().filter(|one| is_battery(&one.kind) && one.status == "Discharging").collect();
        let powered = supplies.iter().any(|one| !is_battery(&one.kind) && one.online == Some(true));
        if draining.is_empty() || powered {
            return Ok(None);
        }
        let lines = draining.iter().map(|one| {
            let left = one.capacity.map_or(String::new(), |capacity| format!(", {capacity} % left"));
            format!("{} is discharging{left}", one.name)
        });
        Ok(Some(check.found("the host runs from a battery").lines(lines).hint("connect it to the mains")))
    }
);

check!(
    VIRTUALIZATION,
    Host,
    "virtualization",
    Info,
    60,
    "the host is no container",
    "A container shares the kernel of the host below it: no kernel installed here is ever booted, and its reboot is none \
     of the machine.",
    |check, inputs| {
        let survey = inputs.survey().await?;
        let finding = check.found(format!("this is a container ({})", survey.virtualization));
        Ok(survey
            .is_container()
            .then(|| finding.hint("kernel, CPU mitigations and clock are the business of its host")))
    }
);

check!(
    SYSTEMD_VERSION,
    Host,
    "systemd-version",
    Warning,
    60,
    "systemd is 247 or newer",
    "Older ones lack what Patchday relies on to hold services and to keep the outcome of its work.",
    |check, inputs| {
        let version = &inputs.survey().await?.systemd_version;
        let number: Option<u32> =
            version.split(|c: char| !c.is_ascii_digit()).next().and_then(|text| text.parse().ok());
        let finding = check.found(format!("systemd {version} is older than Patchday was made for"));
        Ok((number.is_none_or(|number| number < OLDEST_SYSTEMD)).then(|| finding.hint("upgrade the release by hand")))
    }
);

/// What a unit does; none if the host has no such unit.
async fn look(inputs: &CheckInputs<'_>, name: &str) -> HostResult<Option<ActiveState>> {
    let Ok(unit) = name.parse::<UnitName>() else { return Ok(None) };
    let state = inputs.host.units.state(&unit).await?;
    Ok((state.load == LoadState::Loaded).then_some(state.active))
}

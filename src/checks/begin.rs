//! Whether what follows the first stop could begin at all.

use super::check;
use crate::model::{LoadState, Restart};

/// Without these no reboot comes to its end.
const REBOOT_UNITS: [&str; 5] =
    ["reboot.target", "shutdown.target", "umount.target", "final.target", "systemd-reboot.service"];

check!(
    DPKG_BEGINS,
    Packages,
    "dpkg-begins",
    Blocker,
    60,
    "dpkg reads all that it keeps, and would begin to work",
    "dpkg refuses every package if it cannot read one of its own files, or if its statoverride names a user who is \
     gone. That is found here without side effects, and not with the services down.",
    |check, inputs| {
        let refusals = inputs.host.package_survey.refusals().await?;
        if refusals.is_empty() {
            return Ok(None);
        }
        let finding = check.found("dpkg would refuse to install anything").lines(refusals);
        Ok(Some(finding.remedy("fix what it names; an override is removed by", "dpkg-statoverride --remove PATH")))
    }
);

check!(
    APT_HOOKS,
    Packages,
    "apt-hooks",
    Info,
    60,
    "only apt decides whether dpkg may begin",
    "apt calls these commands before dpkg, and gives up if one fails, as etckeeper's does while there are \
     uncommitted changes. Whether they refuse is known only when they are called, with the services down.",
    |check, inputs| {
        let hooks = inputs.host.package_survey.hooks_before_dpkg().await?;
        // What cannot fail cannot refuse.
        let hooks: Vec<String> = hooks.into_iter().filter(|hook| !hook.trim_end().ends_with("|| true")).collect();
        if hooks.is_empty() {
            return Ok(None);
        }
        let finding = check.found("apt calls commands before dpkg, and each may refuse the upgrade").lines(hooks);
        Ok(Some(finding.remedy("they are set in /etc/apt/apt.conf.d", "apt-config dump | grep -i 'dpkg::pre'")))
    }
);

check!(
    REBOOT_BEGINS,
    Host,
    "reboot-begins",
    Blocker,
    60,
    "no unit that a reboot needs is masked, or no reboot will follow",
    "systemd refuses to reboot where reboot.target, or what it needs, is masked, by an administrator or by an image that \
     forbids reboots.",
    |check, inputs| {
        if !inputs.settings.may_reboot(inputs.options) {
            return Ok(None);
        }
        let mut broken = Vec::new();
        for name in REBOOT_UNITS {
            let Ok(unit) = name.parse() else { continue };
            let load = inputs.host.units.state(&unit).await?.load;
            // Of the others one may have another name in another systemd.
            let is_missing = load == LoadState::NotFound && name != REBOOT_UNITS[0];
            if load != LoadState::Loaded && !is_missing {
                broken.push((name, format!("{name} is {load}")));
            }
        }
        let Some((first, _)) = broken.first() else { return Ok(None) };
        let command = format!("systemctl unmask {first}");
        let finding = check.found("systemd would refuse to reboot").lines(broken.into_iter().map(|(_, line)| line));
        Ok(Some(finding.remedy("let it be started, or run with --no-reboot", command)))
    }
);

check!(
    LEAST_RESTART,
    Host,
    "least-restart",
    Info,
    60,
    "this host can do the least restart that is allowed",
    "A soft reboot needs a systemd that can, and that counts them (256 or newer), and no other system in /run/nextroot. \
     kexec needs kexec-tools, a kernel that may load another one, GRUB with an entry that can be read in full, and x86. \
     Without that the reboot is the next one that does more.",
    |check, inputs| {
        if !inputs.settings.may_reboot(inputs.options) {
            return Ok(None);
        }
        let least = inputs.settings.reboot.least;
        let hindrance = match least {
            Restart::Full => None,
            Restart::Kexec => inputs.host.kexec.hindrance().await.map(|hindrance| hindrance.to_string()),
            Restart::Soft => inputs.host.shutdown.hinders_soft_reboot().await.map(|hindrance| hindrance.to_string()),
        };
        let Some(hindrance) = hindrance else { return Ok(None) };
        let finding = check.found(format!("this host can do no {}, though one is allowed", least.name()));
        let finding = finding.evidence(hindrance);
        Ok(Some(finding.hint("nothing is lost but time; with [reboot] least = \"full\" nobody looks for it")))
    }
);

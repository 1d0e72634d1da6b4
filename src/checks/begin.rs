//! Whether what follows the first stop could begin at all.

use super::check;
use crate::model::LoadState;

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
     Without that the reboot is a full one.",
    |check, inputs| {
        if inputs.settings.reboot.least.is_full() || !inputs.settings.may_reboot(inputs.options) {
            return Ok(None);
        }
        let Some(hindrance) = inputs.host.shutdown.hinders_soft_reboot().await else { return Ok(None) };
        let finding = check.found("a reboot of this run is a full one, though a soft one is allowed");
        let finding = finding.evidence(hindrance.to_string());
        Ok(Some(finding.hint("nothing is lost but time; without [reboot] least = \"soft\" nobody looks for it")))
    }
);

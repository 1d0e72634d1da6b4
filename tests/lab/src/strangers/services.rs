//! Services and units: what is "up", what cannot be stopped and started, what starts again.

use super::companions;
use super::found;
use super::last_look;
use super::{Scene, Situation};
use anyhow::{Result, bail};

pub(super) const NO_REBOOT: &str = "[reboot]\nwhen = \"never\"\n";
pub(super) const REBOOT: &str = "[reboot]\nwhen = \"always\"\n";

/// Lists one more service, which is ready as its unit is.
pub(super) fn listed(scene: &Scene<'_>, unit: &str) -> Result<()> {
    let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
    let more = format!(
        "[[service]]\nunit = \"{unit}\"\nafter = [\"mongod.service\"]\n[service.readiness]\nprobe = \"unit\"\n"
    );
    scene.configure(&format!("{text}\n{more}"))
}

/// All of these are active, with the result that a unit has that never failed.
pub(super) fn active(scene: &Scene<'_>, units: &[&str]) -> Result<()> {
    for unit in units {
        let (state, result) = (scene.show(unit, "ActiveState")?, scene.show(unit, "Result")?);
        if state != "active" || result != "success" {
            bail!("{unit} is {state}, its result is {result}\n{}", scene.machine().journal());
        }
    }
    Ok(())
}

pub(super) fn situations() -> Vec<Situation> {
    let mut all = units();
    all.extend(companions::situations());
    all.extend(found::situations());
    all.extend(last_look::situations());
    all
}

fn units() -> Vec<Situation> {
    vec![
        Situation::new("nothing is strange: one update, no reboot", |scene| {
            scene.plan(&[])?.ends(0)?.says(&["stop sample-api.service → mongod.service"])?;
            scene.run(&[])?.ends(0)?.says(&["1 package upgraded", "nothing found"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick")
        .in_check(),
        Situation::new("an API that a job has started elsewhere, as compose does", |scene| {
            let text = scene.shell("systemctl cat sample-api.service | sed -n 's/^ExecStart=//p'")?;
            scene.drop_in(
                "sample-api.service",
                &format!(
                    "[Service]\nType=oneshot\nRemainAfterExit=yes\nRestart=no\nUser=root\nGroup=root\nExecStart=\n\
                     ExecStart=/usr/bin/systemd-run --quiet --collect --unit=elsewhere {}\nExecStop=/usr/bin/systemctl stop elsewhere\n",
                    text.trim()
                ),
            )?;
            scene.undo("systemctl stop elsewhere.service 2>/dev/null || true");
            scene.shell("systemctl restart sample-api.service")?;
            scene.machine().wait_until_healthy(super::BACK)?;
            scene.plan(&[])?.ends(0)?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            active(scene, &["elsewhere.service"])
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a service that is an instance of a template", |scene| {
            scene.unit(
                "lab-worker@.service",
                "[Unit]\nAfter=mongod.service\n[Service]\nType=exec\nExecStart=/bin/sleep infinity\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )?;
            scene.undo("systemctl disable --now lab-worker@1.service lab-worker@2.service 2>/dev/null || true");
            scene.shell("systemctl enable --now lab-worker@1.service lab-worker@2.service 2>/dev/null")?;
            listed(scene, "lab-worker@1.service")?;
            let other = scene.show("lab-worker@2.service", "MainPID")?;
            scene.run(&[])?.ends(0)?.says(&["lab-worker@1.service", "nothing found"])?;
            active(scene, &["lab-worker@1.service"])?;
            // The other instance has nothing to do with it.
            match scene.show("lab-worker@2.service", "MainPID")? == other {
                true => Ok(()),
                false => bail!("lab-worker@2.service was restarted"),
            }
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a service that somebody made with systemd-run", |scene| {
            scene.shell("systemd-run --quiet --unit=lab-transient -p After=mongod.service sleep infinity")?;
            scene.undo("systemctl stop lab-transient.service 2>/dev/null || true");
            listed(scene, "lab-transient.service")?;
            scene.plan(&[])?.says(&["lab-transient.service was made by a program (systemd-run), and its stop deletes it"])?;
            scene.patchday(&["init", "--stdout"])?.ends(0)?.says(&[
                "NOTE: lab-transient.service was made by a program (systemd-run), and its stop deletes it.",
            ])?;
            scene.run(&[])?.ends(20)?.says(&["a configured unit cannot be stopped and started again as it should"])?;
            active(scene, &["lab-transient.service"])
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a timer's job that needs the database comes due, and fails", |scene| {
            let port = scene.machine().mongod_port();
            scene.unit(
                "lab-backup.service",
                &format!("[Service]\nType=oneshot\nExecStart=/bin/bash -c ': </dev/tcp/127.0.0.1/{port}'\n"),
            )?;
            scene.unit("lab-backup.timer", "[Timer]\nOnActiveSec=4min\n[Install]\nWantedBy=timers.target\n")?;
            scene.unit("lab-late.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")?;
            scene.unit("lab-late.timer", "[Timer]\nOnActiveSec=50min\n[Install]\nWantedBy=timers.target\n")?;
            scene.shell("systemctl enable --now lab-backup.timer lab-late.timer 2>/dev/null")?;
            scene.update_has("postinst", "#!/bin/sh\nsystemctl start lab-backup.service || true\n")?;
            // A run on this host takes a minute or two.
            scene.plan(&[])?.ends(0)?.says(&["lab-backup.timer at"])?.says_not(&["lab-late.timer at"])?;
            scene.run(&[])?.ends(23)?.says(&[
                "lab-backup.service failed while services were down, and the reboot made systemd forget it",
                "systemctl start lab-backup.service",
            ])?;
            Ok(())
        })
        .settings(REBOOT)
        .sharing("quick"),
        Situation::new("a service that does not come back", |scene| {
            scene.drop_in("sample-api.service", "[Service]\nRestart=no\nExecStartPre=/bin/sh -c '! [ -e /run/lab-broken ]'\n")?;
            scene.undo("rm -f /run/lab-broken");
            scene.update_has("postinst", "#!/bin/sh\ntouch /run/lab-broken\n")?;
            scene.run(&[])?.ends(21)?.says(&["sample-api.service is not back after 10 s", "still down"])?.says_not(&["services away for"])?;
            scene.shell("rm -f /run/lab-broken; systemctl reset-failed sample-api.service; systemctl start sample-api.service")?;
            scene.machine().wait_until_healthy(super::BACK)
        })
        .settings(NO_REBOOT)
        .api("start-timeout = \"10s\"")
        .sharing("quick"),
    ]
}

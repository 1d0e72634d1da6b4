//! The reboot: whether it is owed, asked for, and comes.

use super::{Package, Scene, Situation};
use anyhow::{Result, ensure};

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("nothing is strange: one update, and a reboot", |scene| {
            scene.run(&[])?.ends(0)?.says(&["1 package upgraded, services away for", "nothing found"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n"),
        Situation::new("logind is killed when it has just been asked for the reboot", |scene| {
            // Somebody wants a moment, in which the request is nowhere but in logind's memory.
            scene.shell(
                "systemd-run --quiet --unit=run-lab-delay systemd-inhibit --mode=delay --what=shutdown sleep 600",
            )?;
            let asks = "busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
                        org.freedesktop.login1.Manager PreparingForShutdown";
            let kill = format!(
                "until {asks} | grep -q true; do sleep 0.05; done; systemctl kill -s KILL systemd-logind; \
                 systemctl stop run-lab-delay"
            );
            scene.machine().exec_ok(&["systemd-run", "--quiet", "--unit=run-lab-kill", "sh", "-c", &kill])?;
            scene.run(&[])?.ends(0)?.says(&["no shutdown is under way, though one was asked for"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n"),
        Situation::new("the file that names the open run is lost under the upgrade", |scene| {
            let run = scene.begin_run(&[])?;
            run.at("upgrade")?;
            scene.shell("rm /var/lib/patchday/open-run")?;
            run.ended()?.ends(0)?.says(&["1 package upgraded, services away for"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n"),
        Situation::new(
            "a library is upgraded without a reboot, and a unit that nobody restarts still maps the old one",
            |scene| {
                maps_a_library(
                    scene,
                    "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '/bin/sleep infinity &'",
                )?;
                scene.run(&["--no-reboot"])?.ends(0)?.says(&["a boot is owed", "lab-old.service"])?;
                scene.plan(&[])?.says(&["nothing to upgrade", "replaced files are still run by lab-old.service"])?;
                scene.patchday(&["status"])?.says(&["a boot is owed", "lab-old.service"])?;
                scene.run(&[])?.ends(0)?.says(&["services away for"])?.says_not(&["owed"])?;
                Ok(())
            },
        ),
        Situation::new("a library is upgraded, and the service that maps the old one is restarted", |scene| {
            maps_a_library(scene, "ExecStart=/bin/sleep infinity")?;
            scene
                .run(&["--no-reboot"])?
                .ends(0)?
                .says(&["lab-old.service ran replaced files and was restarted"])?
                .says_not(&["a boot is owed"])?;
            Ok(())
        })
        .sharing("owed"),
        Situation::new(
            "a library is upgraded, and the service that maps the old one is not to be restarted",
            |scene| {
                maps_a_library(scene, "ExecStart=/bin/sleep infinity")?;
                let said = scene.run(&["--no-reboot"])?;
                said.ends(0)?.says(&["replaced files are still run by lab-old.service"])?;
                ensure!(said.headline.contains("lab-old.service"), "the first line is {:?}", said.headline);
                Ok(())
            },
        )
        .settings("[reboot]\nrestart-outdated = false\n")
        .sharing("owed"),
        Situation::new("somebody masked reboot.target", |scene| {
            scene.shell("systemctl mask --runtime reboot.target 2>/dev/null")?;
            scene.undo("systemctl unmask --runtime reboot.target 2>/dev/null");
            scene.run(&[])?.ends(20)?.says(&["reboot.target", "masked", "nothing was touched"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n")
        .sharing("owed"),
        Situation::new("an admin's apt waits for the lock while the run works, and the host reboots", |scene| {
            scene.publish(&Package::new("lab-tool", "1").script("postinst", "#!/bin/sh\nsleep 5\n"))?;
            scene.update_has(
                "postinst",
                "#!/bin/sh\nuntil grep -q install /proc/[0-9]*/cmdline; do sleep 0.1; done\nsleep 5\n",
            )?;
            let run = scene.begin_run(&[])?;
            run.at("upgrade")?;
            let install = "apt-get -q -y -o DPkg::Lock::Timeout=60 install lab-tool";
            scene.shell(&format!("systemd-run --quiet --unit=lab-admin {install}"))?;
            run.ended()?.ends(0)?.says(&["1 package upgraded, services away for"])?;
            let states = scene.shell("dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' 'lab-*' || true")?;
            ensure!(!states.contains("lab-tool iU") && !states.contains("lab-tool iF"), "half installed: {states}");
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n"),
    ]
}

/// A service that has a package's library in its memory, and an update that replaces it.
fn maps_a_library(scene: &Scene<'_>, starts: &str) -> Result<()> {
    const LIBRARY: &str = "/usr/lib/lab/liblab.so.1";
    let package =
        |version: &str| Package::new("liblab1", version).copy(LIBRARY, "$(ls /usr/lib/*/libz.so.1 | head -n 1)");
    scene.install(&package("1"))?;
    scene.unit(
        "lab-old.service",
        &format!("[Service]\nEnvironment=LD_PRELOAD={LIBRARY}\n{starts}\n[Install]\nWantedBy=multi-user.target\n"),
    )?;
    scene.shell("systemctl enable --now lab-old.service 2>/dev/null")?;
    scene.publish(&package("2"))
}

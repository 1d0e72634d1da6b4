//! Endings without a verification: ready once is not running.

use super::services::NO_REBOOT;
use super::{BACK, Scene, Situation};
use anyhow::{Result, bail};

/// The unit is killed some seconds after each of its starts, so often.
fn dies(scene: &Scene<'_>, unit: &str, times: u32) -> Result<()> {
    // It may die from the upgrade on.
    scene.undo("rm -f /run/lab-dies");
    let kill = format!(
        "n=$(cat /run/lab-dies 2>/dev/null || echo 0); if [ \"$n\" -gt 0 ]; then echo $((n - 1)) >/run/lab-dies; \
         systemd-run --quiet --collect --on-active=4 --timer-property=AccuracySec=100ms systemctl kill -s KILL {unit}; fi"
    );
    scene.write_program("/usr/local/sbin/lab-dies", &format!("#!/bin/sh\n{kill}\n"))?;
    scene.drop_in(unit, "[Service]\nRestart=no\nExecStartPost=+/usr/local/sbin/lab-dies\n")?;
    scene.update_has("postinst", &format!("#!/bin/sh\necho {times} >/run/lab-dies\nsleep 3\n"))
}

fn aborted(scene: &Scene<'_>) -> Result<super::Said> {
    let run = scene.begin_run(&[])?;
    run.at("upgrade")?;
    scene.patchday(&["abort"])?;
    run.ended()
}

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("the API dies seconds after an abort brought it back", |scene| {
            dies(scene, "sample-api.service", 1)?;
            aborted(scene)?.ends(21)?.says(&["2 of 2 services serve", "started once more: sample-api.service"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("mongod dies seconds after an abort brought it back", |scene| {
            dies(scene, "mongod.service", 1)?;
            aborted(scene)?.ends(21)?.says(&["2 of 2 services serve", "started once more: mongod.service"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("the API dies seconds after each start, and an abort", |scene| {
            dies(scene, "sample-api.service", 9)?;
            let said = aborted(scene)?;
            said.ends(21)?.says(&["sample-api.service is down", "systemctl restart sample-api.service"])?;
            said.says_not(&["services were brought back"])?;
            // What it died of is gone: one command brings it back.
            scene.shell("rm -f /run/lab-dies")?;
            scene.patchday(&["resume"])?.ends(21)?;
            scene.machine().wait_until_healthy(BACK)
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("the API dies seconds after a reboot that is inhibited", |scene| {
            dies(scene, "sample-api.service", 1)?;
            scene.undo("systemctl stop lab-inhibit.service 2>/dev/null || true");
            let inhibit = "systemd-run --quiet --unit=lab-inhibit systemd-inhibit --mode=block --what=shutdown --why=\"a backup is at work\" sleep infinity";
            scene.update_has("postinst", &format!("#!/bin/sh\necho 1 >/run/lab-dies\n{inhibit}\n"))?;
            scene.run(&[])?.ends(22)?.says(&["a backup is at work", "started once more: sample-api.service"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\ngrace = \"10s\"\n")
        .sharing("quick"),
        Situation::new("somebody starts mongod by hand on the same data under the upgrade", |scene| {
            let port = scene.machine().mongod_port();
            scene.undo("systemctl stop lab-by-hand.service 2>/dev/null || true");
            scene.update_has(
                "postinst",
                &format!(
                    "#!/bin/bash\nsystemd-run --quiet --unit=lab-by-hand --uid=mongod /usr/bin/mongod --config /etc/mongod.conf\n\
                     for try in $(seq 100); do (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null && exit 0; sleep 0.1; done; exit 1\n"
                ),
            )?;
            let said = scene.run(&[])?;
            said.ends(21)?.says(&["mongod.service is stopped and held, and a mongod answers in its place"])?;
            if scene.show("mongod.service", "ActiveState")? == "active" {
                bail!("two servers have one data directory");
            }
            // As the report says.
            scene.shell("systemctl stop lab-by-hand.service")?;
            scene.patchday(&["resume"])?.ends(21)?;
            scene.machine().wait_until_healthy(BACK)
        })
        .settings("[reboot]\nwhen = \"always\"\n")
        .database("start-timeout = \"15s\"\ndrain-timeout = \"3s\"")
        .sharing("quick"),
    ]
}

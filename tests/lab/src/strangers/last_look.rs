//! Endings without a verification: ready once is not running.

use super::services::NO_REBOOT;
use super::{BACK, Said, Scene, Situation};
use anyhow::{Result, bail};

/// Where it stands, no service of `dies` starts.
const BROKEN: &str = "/run/lab-broken";

/// The unit is killed when the run has seen it ready and looks for the last time; this is what the upgrade begins for it.
fn dies(scene: &Scene<'_>, unit: &str, for_good: bool) -> Result<String> {
    let broken = if for_good { format!("touch {BROKEN}") } else { ":".to_owned() };
    scene.undo(format!("rm -f {BROKEN}; systemctl stop lab-killer.service 2>/dev/null || true"));
    scene.write_program(
        "/usr/local/sbin/lab-killer",
        &format!(
            "#!/bin/sh\nuntil patchday status --json | grep -q '\"step\": *\"last-look\"'; do sleep 0.2; done\n\
             {broken}\nsystemctl kill --signal=KILL {unit}\n"
        ),
    )?;
    scene.drop_in(unit, &format!("[Service]\nRestart=no\nExecStartPre=/bin/sh -c '! [ -e {BROKEN} ]'\n"))?;
    Ok("systemd-run --quiet --collect --unit=lab-killer /usr/local/sbin/lab-killer".to_owned())
}

fn aborted(scene: &Scene<'_>, begins: &str) -> Result<Said> {
    scene.update_has("postinst", &format!("#!/bin/sh\n{begins}\nsleep 3\n"))?;
    let run = scene.begin_run(&[])?;
    run.at("upgrade")?;
    scene.patchday(&["abort"])?;
    run.ended()
}

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("the API dies seconds after an abort brought it back", |scene| {
            let begins = dies(scene, "sample-api.service", false)?;
            aborted(scene, &begins)?.ends(21)?.says(&["2 of 2 services serve", "started once more: sample-api.service"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("mongod dies seconds after an abort brought it back", |scene| {
            let begins = dies(scene, "mongod.service", false)?;
            aborted(scene, &begins)?.ends(21)?.says(&["2 of 2 services serve", "started once more: mongod.service"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("the API dies seconds after an abort brought it back, and does not start again", |scene| {
            let begins = dies(scene, "sample-api.service", true)?;
            let said = aborted(scene, &begins)?;
            said.ends(21)?.says(&["sample-api.service is down", "systemctl restart sample-api.service"])?;
            said.says_not(&["services were brought back"])?;
            // What it died of is gone: one command brings it back.
            scene.shell(&format!("rm -f {BROKEN}"))?;
            scene.patchday(&["resume"])?.ends(21)?;
            scene.machine().wait_until_healthy(BACK)
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("the API dies seconds after a reboot that is inhibited", |scene| {
            let begins = dies(scene, "sample-api.service", false)?;
            scene.undo("systemctl stop lab-inhibit.service 2>/dev/null || true");
            let inhibit = "systemd-run --quiet --unit=lab-inhibit systemd-inhibit --mode=block --what=shutdown --why=\"a backup is at work\" sleep infinity";
            scene.update_has("postinst", &format!("#!/bin/sh\n{begins}\n{inhibit}\n"))?;
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

//! Packages and their scripts, apt's settings and hooks.

use super::{Scene, Situation};

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("a package's script fails", |scene| {
            scene.update_has("postinst", "#!/bin/sh\necho the disk of the licence server is full >&2\nexit 3\n")?;
            scene.run(&[])?.ends(21)?.says(&["lab-update"])?;
            // Services come first; dpkg is for the admin to finish.
            scene.machine().wait_until_healthy(std::time::Duration::from_secs(10))
        })
        .settings("[reboot]\nwhen = \"never\"\n")
        .ends_otherwise(),
        Situation::new("a package's script waits for the database, which the run has stopped", |scene| {
            scene.update_has("postinst", &waits_for_mongod(scene))?;
            scene.run(&[])?.ends(21)?.says(&[
                "postinst of lab-update (process",
                "it may want mongod.service, which this run stopped",
                "upgrade went on, and came to its end",
            ])?;
            Ok(())
        })
        .settings(IMPATIENT)
        .sharing("scripts")
        .in_check(),
        Situation::new("somebody ends a script that waits for the database, and the repair runs it again", |scene| {
            scene.update_has("postinst", &waits_for_mongod(scene))?;
            let run = scene.begin_run(&[])?;
            run.at("upgrade")?;
            scene.shell("until pkill -KILL -f info/lab-update.postinst; do sleep 0.2; done")?;
            run.ended()?.ends(21)?.says(&["configure stands still for", "it may want mongod.service"])?;
            Ok(())
        })
        .settings(IMPATIENT)
        .sharing("scripts"),
        Situation::new("somebody aborts a run while a script waits for the database", |scene| {
            scene.update_has("postinst", &waits_for_mongod(scene))?;
            let run = scene.begin_run(&[])?;
            run.at("upgrade")?;
            scene.patchday(&["abort"])?;
            run.ended()?.ends(21)?.says(&["aborted"])?;
            Ok(())
        })
        .settings("[upgrade]\nstall-timeout = \"1h\"\n[reboot]\nwhen = \"never\"\n")
        .sharing("scripts"),
        Situation::new("a package's script waits for ever", |scene| {
            scene.update_has("postinst", "#!/bin/sh\nexec sleep 7777\n")?;
            scene.run(&[])?.ends(21)?.says(&["upgrade stands still for", "sleep 7777", "process"])?;
            scene.machine().wait_until_healthy(std::time::Duration::from_secs(10))?;
            // Nobody but the admin ends it.
            scene.shell("pkill -f 'sleep 7777'; while fuser -s /var/lib/dpkg/lock; do sleep 0.2; done")?;
            scene.undo("systemctl stop 'patchday-upgrade-*'");
            Ok(())
        })
        .settings("[upgrade]\nstall-timeout = \"15s\"\n[reboot]\nwhen = \"never\"\n")
        .sharing("scripts")
        .ends_otherwise(),
        Situation::new("under late-stop a package's script restarts its own service, with set -e", |scene| {
            let restart = "#!/bin/sh\nset -e\nsystemctl daemon-reload\nsystemctl restart sample-api.service\n";
            scene.update_has("postinst", restart)?;
            scene.run(&[])?.ends(0)?.says(&["1 package upgraded"])?;
            Ok(())
        })
        .settings("[upgrade]\norder = \"late-stop\"\n[reboot]\nwhen = \"never\"\n")
        .sharing("scripts"),
    ]
}

/// A fifth of it counts where a script names a service of the run.
const IMPATIENT: &str = "[upgrade]\nstall-timeout = \"50s\"\n[reboot]\nwhen = \"never\"\n";

fn waits_for_mongod(scene: &Scene<'_>) -> String {
    let port = scene.machine().mongod_port();
    format!("#!/bin/bash\nuntil (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 1; done\n")
}

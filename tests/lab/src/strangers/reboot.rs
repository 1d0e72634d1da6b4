//! The reboot: whether it is owed, asked for, and comes.

use super::Situation;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("nothing is strange: one update, and a reboot", |scene| {
            scene.run(&[])?.ends(0)?.says(&["1 package upgraded, back after", "nothing found"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n"),
        Situation::new("logind is killed when it has just been asked for the reboot", |scene| {
            // Somebody wants a moment, in which the request is nowhere but in logind's memory.
            scene
                .shell("systemd-run --quiet --unit=lab-delay systemd-inhibit --mode=delay --what=shutdown sleep 600")?;
            let asks = "busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
                        org.freedesktop.login1.Manager PreparingForShutdown";
            let kill = format!(
                "until {asks} | grep -q true; do sleep 0.05; done; systemctl stop lab-delay; \
                 systemctl kill -s KILL systemd-logind"
            );
            scene.machine().exec_ok(&["systemd-run", "--quiet", "--unit=lab-kill", "sh", "-c", &kill])?;
            scene.run(&[])?.ends(0)?.says(&["no shutdown is under way, though one was asked for"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n"),
        Situation::new("the file that names the open run is lost under the upgrade", |scene| {
            let run = scene.begin_run(&[])?;
            run.at("upgrade")?;
            scene.shell("rm /var/lib/patchday/open-run")?;
            run.ended()?.ends(0)?.says(&["1 package upgraded, back after"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n"),
    ]
}

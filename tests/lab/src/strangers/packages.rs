//! Packages and their scripts, apt's settings and hooks.

use super::world::mirror;
use super::{Package, Scene, Situation};
use anyhow::{Result, ensure};

const NO_REBOOT: &str = "[reboot]\nwhen = \"never\"\n";
const HOOK: &str = "[[hook]]\npoint = \"before-stop\"\ncommand = [\"/usr/local/sbin/lab-hook\"]\n";

/// One setting a line.
const HOSTILE: &str = include_str!("../../../fixtures/apt/hostile.conf");

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("a package's script fails", |scene| {
            scene.update_has("postinst", "#!/bin/sh\necho the disk of the licence server is full >&2\nexit 3\n")?;
            let said = scene.run(&[])?;
            said.ends(21)?.says(&["lab-update"])?;
            let first = "failed: upgrade the packages: the disk of the licence server is full";
            ensure!(said.headline.starts_with(first), "the first line is {:?}", said.headline);
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
            scene.shell("until pkill -KILL -f 'info/[l]ab-update.postinst'; do sleep 0.2; done")?;
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
            scene.shell("pkill -f '[s]leep 7777'; while fuser -s /var/lib/dpkg/lock; do sleep 0.2; done")?;
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
        Situation::new(
            "every hostile setting of apt at once, a host that speaks German, and an apt at work on the lists",
            |scene| {
                scene.install(&Package::new("lab-held", "1"))?;
                scene.shell("apt-mark hold lab-held")?;
                scene.undo("apt-mark unhold lab-held");
                scene.publish(&Package::new("lab-held", "2"))?;
                scene.shell("systemctl set-environment LANG=C.UTF-8 LANGUAGE=de")?;
                scene.undo("systemctl unset-environment LANG LANGUAGE");
                scene.write("/etc/default/locale", "LANG=C.UTF-8\nLANGUAGE=de\n")?;
                let german = scene.shell("LANG=C.UTF-8 LANGUAGE=de apt-get --simulate dist-upgrade")?;
                ensure!(german.contains("Paketlisten werden gelesen"), "apt speaks no German here:\n{german}");
                scene.write("/etc/apt/apt.conf.d/99hostile", HOSTILE)?;
                scene.plan(&[])?.ends(0)?.says(&["upgrade 1: lab-update", "kept back 1: lab-held"])?;
                lock(scene, "/var/lib/apt/lists/lock", 8)?;
                scene.run(&[])?.ends(0)?.says(&["1 package upgraded", "nothing found"])?;
                Ok(())
            },
        )
        .settings(NO_REBOOT)
        .sharing("scripts")
        .in_check(),
        Situation::new("a hook empties apt's cache when all was fetched", |scene| {
            mirror(scene)?;
            scene.write_program("/usr/local/sbin/lab-hook", "#!/bin/sh\nrm -f /var/cache/apt/archives/*.deb\n")?;
            scene.run(&[])?.ends(0)?.says(&[".deb fetched again", "1 package upgraded"])?;
            Ok(())
        })
        .settings(format!("{NO_REBOOT}{HOOK}[upgrade]\nahead = true\n"))
        .sharing("scripts"),
        Situation::new("a hook empties apt's cache, and the mirror is gone too", |scene| {
            mirror(scene)?;
            let hook = "#!/bin/sh\nrm -f /var/cache/apt/archives/*.deb\nmv /srv/repo /srv/repo.away\n";
            scene.write_program("/usr/local/sbin/lab-hook", hook)?;
            scene.undo("test ! -e /srv/repo.away || mv /srv/repo.away /srv/repo");
            scene.run(&[])?.ends(20)?.says(&["lab-update", "nothing was touched"])?;
            Ok(())
        })
        .settings(format!("{NO_REBOOT}{HOOK}[upgrade]\nahead = true\n"))
        .sharing("scripts"),
        Situation::new("dpkg's statoverride names a user who is gone", |scene| {
            scene.write("/var/lib/dpkg/statoverride", "gone-user root 0755 /usr/bin/lab\n")?;
            scene.run(&[])?.ends(20)?.says(&["there is no user gone-user", "nothing was touched"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("scripts"),
        Situation::new("a hook of apt refuses, as etckeeper does over changes that nobody committed", |scene| {
            let refuses = "DPkg::Pre-Invoke { \"echo '** uncommitted changes in /etc' >&2; exit 1\"; };\n";
            scene.write("/etc/apt/apt.conf.d/05lab", refuses)?;
            scene
                .plan(&[])?
                .says(&["apt calls commands before dpkg, and each may refuse the upgrade", "uncommitted"])?;
            let said = scene.run(&[])?;
            said.ends(21)?;
            let first = "failed: upgrade the packages: ** uncommitted changes in /etc";
            ensure!(said.headline.starts_with(first), "the first line is {:?}", said.headline);
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("scripts"),
        Situation::new("a package's script schedules a reboot in two minutes", |scene| {
            scene.update_has("postinst", "#!/bin/sh\nshutdown -r +2 2>/dev/null\n")?;
            scene.undo("shutdown -c 2>/dev/null");
            scene.run(&[])?.ends(23)?.says(&[
                "1 package upgraded",
                "a reboot of the host is scheduled for",
                "shutdown -c",
            ])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("scripts"),
        Situation::new("a package's script reboots the host", |scene| {
            scene.update_has("postinst", "#!/bin/sh\n[ -e /var/lib/lab-rebooted ] && exit\ntouch /var/lib/lab-rebooted; sync\nsystemctl reboot\nsleep 20\n")?;
            scene.run(&[])?.ends(21)?.says(&["the host went down during"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n"),
    ]
}

/// A fifth of it counts where a script names a service of the run.
const IMPATIENT: &str = "[upgrade]\nstall-timeout = \"50s\"\n[reboot]\nwhen = \"never\"\n";

fn waits_for_mongod(scene: &Scene<'_>) -> String {
    let port = scene.machine().mongod_port();
    format!("#!/bin/bash\nuntil (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 1; done\n")
}

/// Somebody has a lock as apt takes it, for so many seconds.
fn lock(scene: &Scene<'_>, path: &str, seconds: u32) -> Result<()> {
    let script = format!(
        "use Fcntl; open(F, '+<', '{path}') or die; my $l = pack('s s x4 q q i x4', F_WRLCK, 0, 0, 0, 0); \
         fcntl(F, F_SETLK, $l) or die; open(R, '>', '/run/lab-lock') or die; close R; sleep {seconds}"
    );
    scene.machine().exec_ok(&["systemd-run", "--quiet", "--collect", "perl", "-e", &script])?;
    scene.shell("until test -e /run/lab-lock; do sleep 0.1; done; rm /run/lab-lock").map(drop)
}

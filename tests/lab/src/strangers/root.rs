//! Root, and what belongs to others.

use super::Situation;
use crate::wait::wait_for;
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

const NO_REBOOT: &str = "[reboot]\nwhen = \"never\"\n\n";

/// git, and somebody who deploys.
const WITH_GIT: &str = "apt-get -q update && apt-get -q -y --no-install-recommends install git";

/// A repository of which every program that git could be told to run leaves a mark, with who ran it. `$1` is where,
/// `$2` whose.
const TRAPS: &str = r#"
trap_repository() {
    rm -rf "$1"; mkdir -p "$1"
    ( cd "$1"; export HOME=/root
      git init -q; git config user.email lab@example.org; git config user.name Lab
      echo one >page; git add page; git commit -qm first
      cat >.git/trap <<'END'
#!/bin/sh
{ id -u; grep -E '^(NoNewPrivs|CapEff)' /proc/self/status; } >>/srv/trapped/mark
tty >>/srv/trapped/mark; (: </dev/tty) && echo TERMINAL >>/srv/trapped/mark
cat
END
      chmod 0755 .git/trap
      git config core.fsmonitor "$1/.git/trap"; git config filter.trap.clean "$1/.git/trap"
      git config log.showSignature true; git config gpg.program "$1/.git/trap"
      echo 'page filter=trap' >.git/info/attributes; echo two >page )
    chown -R "$2" "$1"
}
install -d -m 0777 /srv/trapped; rm -f /srv/trapped/*
id deploy 2>/dev/null || useradd --system --create-home deploy
"#;

/// What `systemd-analyze security` says of each unit of ours that there is, by name, or by its description.
const WATCHES: &str = r#"#!/bin/bash
mkdir -p /var/lib/lab-exposure; cd /var/lib/lab-exposure || exit
while :; do
    for unit in $(systemctl list-units --all --plain --no-legend 'patchday*.service' 'run-*.service' | cut -d ' ' -f 1) \
        patchday.service patchday-resume.service; do
        name=$unit
        [ "${unit#run-}" = "$unit" ] || name=$(systemctl show -P Description "$unit")
        case $name in patchday*|Patchday*) ;; *) continue ;; esac
        [ -s "$name" ] || systemd-analyze security --no-pager "$unit" 2>/dev/null | grep Overall >"$name"
    done
    sleep 0.2
done
"#;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("a hook lies in a directory that anybody may write to", |scene| {
            scene.shell("mkdir -p -m 0777 /srv/open")?;
            scene.write_program("/srv/open/hook", "#!/bin/sh\ntouch /srv/hook-ran\n")?;
            scene.run(&[])?.ends(20)?.says(&["hooks-trusted", "/srv/open"])?;
            ensure!(!scene.machine().exists("/srv/hook-ran")?, "the hook ran");
            Ok(())
        })
        .settings(format!("{NO_REBOOT}[[hook]]\npoint = \"before-stop\"\ncommand = [\"/srv/open/hook\"]\n"))
        .sharing("quick"),
        Situation::new("a hook is root's, behind a link in somebody else's directory", |scene| {
            scene.write_program("/usr/local/sbin/lab-true", "#!/bin/sh\ntouch /srv/hook-ran\n")?;
            scene.shell("mkdir -p /srv/theirs; ln -sf /usr/local/sbin/lab-true /srv/theirs/hook; chown games /srv/theirs")?;
            scene.run(&[])?.ends(20)?.says(&["hooks-trusted", "/srv/theirs does not belong to root"])?;
            ensure!(!scene.machine().exists("/srv/hook-ran")?, "the hook ran");
            Ok(())
        })
        .settings(format!("{NO_REBOOT}[[hook]]\npoint = \"before-stop\"\ncommand = [\"/srv/theirs/hook\"]\n")),
        Situation::new("a hook is root's script, and its interpreter somebody else's", |scene| {
            scene.write_program("/usr/local/sbin/lab-hook", "#!/srv/venv/python\n")?;
            scene.shell("mkdir -p /srv/venv; cp /bin/sh /srv/venv/python; chown games /srv/venv/python")?;
            scene.run(&[])?.ends(20)?.says(&["hooks-trusted", "/srv/venv/python does not belong to root"])?;
            Ok(())
        })
        .settings(format!("{NO_REBOOT}[[hook]]\npoint = \"before-stop\"\ncommand = [\"/usr/local/sbin/lab-hook\"]\n")),
        Situation::new("the database's user puts a pipe in place of mongod's log", |scene| {
            // Whoever opened it would wait until somebody writes. mongod itself gets a file again, when it starts.
            let drop_in = "[Service]\nExecStartPre=+/bin/sh -c 'test ! -p /var/log/mongod/mongod.log || rm \
                           /var/log/mongod/mongod.log'\n";
            scene.write("/etc/systemd/system/mongod.service.d/lab.conf", drop_in)?;
            scene.shell("systemctl daemon-reload; cd /var/log/mongod; rm mongod.log; mkfifo -m 0666 mongod.log")?;
            scene.undo("rm -f /etc/systemd/system/mongod.service.d/lab.conf; systemctl daemon-reload");
            let said = scene.run(&[])?;
            ensure!(said.code.is_some(), "it waits for ever:\n{}", said.text);
            scene.patchday(&["doctor", "mongod.service"])?.says(&["mongod.service"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .in_check(),
        Situation::new("a checkout names programs for git to run: its owner's, root's, and one that root's file leads to", |scene| {
            let machine = scene.machine();
            let bash = |script: &str| machine.exec_ok(&["bash", "-c", &format!("{TRAPS}{script}")]);
            let marks = || machine.exec_ok(&["sh", "-c", "cat /srv/trapped/* 2>/dev/null || :"]);
            bash("trap_repository /srv/app deploy:deploy")?;
            scene.patchday(&["plan"])?.says(&["changes that were never committed", "/srv/app: .M page"])?;
            ensure!(marks()?.is_empty(), "a program of the owner's ran:\n{}", marks()?);

            bash("trap_repository /srv/app root:root")?;
            scene.patchday(&["plan"])?.says(&["/srv/app: .M page"])?;
            ensure!(marks()?.is_empty(), "a program ran:\n{}", marks()?);

            bash("trap_repository /srv/app root:root; chown root:deploy /srv/app/.git; chmod 2775 /srv/app/.git")?;
            scene.patchday(&["plan"])?.says(&["/srv/app/.git is writable by others than root"])?;
            bash(
                "trap_repository /home/deploy/elsewhere deploy:deploy; rm -rf /srv/app; mkdir /srv/app; cd /srv/app; \
                 echo 'gitdir: /home/deploy/elsewhere/.git' >.git",
            )?;
            scene.patchday(&["plan"])?.says(&["/home/deploy", "does not belong to root"])?;
            ensure!(marks()?.is_empty(), "a program ran:\n{}", marks()?);
            Ok(())
        })
        .settings(format!("{NO_REBOOT}[preflight]\nallow = [\"boot-space\"]\ndeployments = [\"/srv/app\"]\n"))
        .image(WITH_GIT),
        Situation::new("every unit in its sandbox: metrics below /etc, a mail by sendmail, a hook, a checkout, a reboot", |scene| {
            let machine = scene.machine();
            scene.shell("mkdir -p /etc/lab-metrics; git init -q /srv/app")?;
            // As the shipped units say: what the configuration names below /etc is given to them.
            for unit in ["patchday", "patchday-resume"] {
                let drop_in = format!("/etc/systemd/system/{unit}.service.d/metrics.conf");
                scene.write(&drop_in, "[Service]\nReadWritePaths=/etc/lab-metrics\n")?;
            }
            // Slow enough to be looked at.
            scene.shell("mv /usr/bin/git /usr/bin/git.real")?;
            scene.write_program("/usr/bin/git", "#!/bin/sh\nsleep 2\nexec /usr/bin/git.real \"$@\"\n")?;
            scene.write_program("/usr/sbin/sendmail", "#!/bin/sh\ncat >>/var/mail/lab\nsleep 2\n")?;
            scene.write_program("/usr/local/sbin/lab-hook", "#!/bin/sh\nsleep 2\n")?;
            scene.write_program("/usr/local/sbin/lab-watches", WATCHES)?;
            scene.unit(
                "lab-watches.service",
                "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/usr/local/sbin/lab-watches\n[Install]\nWantedBy=sysinit.target\n",
            )?;
            scene.shell("systemctl enable --now lab-watches.service 2>/dev/null")?;
            scene.update_has("postinst", "#!/bin/sh\nsleep 2\n")?;
            scene.run(&[])?.ends(0)?;
            let levels = scene.shell("cd /var/lib/lab-exposure; for unit in *; do echo \"$unit = $(sed 's/.*: //' \"$unit\")\"; done")?;
            println!("{levels}");
            let level = |unit: &str| -> Result<f64> {
                let line = levels.lines().find(|line| line.starts_with(unit));
                let level = line.and_then(|line| line.split_once(" = ")?.1.split(' ').next()?.parse().ok());
                level.with_context(|| format!("{unit}: {levels}"))
            };
            for unit in ["patchday-run-", "patchday-watch-", "patchday-locks-", "patchday.service", "patchday-resume.service"] {
                ensure!(level(unit)? < 5.0, "{unit}: {levels}");
            }
            ensure!(level("Patchday: asks a checkout")? < 2.0, "{levels}");
            ensure!(level("patchday-hook-")? < level("patchday-upgrade-")?, "{levels}");
            let metrics = scene.shell("stat -c %a /etc/lab-metrics/patchday.prom")?;
            ensure!(metrics.trim() == "644", "the metrics have the mode {metrics}");
            ensure!(machine.read_file("/var/mail/lab")?.contains("healthy"), "no mail came");
            Ok(())
        })
        .settings(
            "[reboot]\nwhen = \"always\"\n\n[preflight]\nallow = [\"boot-space\"]\ndeployments = [\"/srv/app\"]\n\n\
             [[hook]]\npoint = \"before-stop\"\ncommand = [\"/usr/local/sbin/lab-hook\"]\n\n\
             [[notify]]\nkind = \"metrics\"\nfile = \"/etc/lab-metrics/patchday.prom\"\n\n\
             [[notify]]\nkind = \"mail\"\nto = [\"root@localhost\"]\nwhen = \"always\"\n",
        )
        .image(WITH_GIT),
        Situation::new("hooks mount, become another user, and see what an earlier one mounted; one has left the sandbox", |scene| {
            let first = "#!/bin/sh\nset -e\ngrep -E '^(CapBnd|NoNewPrivs|Seccomp_filters)' /proc/self/status >/run/lab-first\n\
                         su games -s /bin/sh -c 'id -un' | grep -x games\nmount -t tmpfs none /mnt\n";
            let second = "#!/bin/sh\nset -e\ngrep -E '^(CapBnd|NoNewPrivs|Seccomp_filters)' /proc/self/status >/run/lab-second\n\
                          mountpoint /mnt\numount /mnt\n";
            scene.write_program("/usr/local/sbin/lab-first", first)?;
            scene.write_program("/usr/local/sbin/lab-second", second)?;
            let running = scene.begin_run(&[])?;
            let level = wait_for("a hook", Duration::from_secs(60), || {
                let unit = "$(systemctl list-units --all --plain --no-legend 'patchday-hook-*' | head -n 1 | cut -d ' ' -f 1)";
                let script = format!("unit={unit}; test -z \"$unit\" || systemd-analyze security --no-pager \"$unit\" | grep Overall || :");
                let said = scene.shell(&script)?;
                Ok((!said.trim().is_empty()).then_some(said))
            });
            println!("{level:?}");
            running.ended()?.ends(0)?.says(&["nothing found"])?;
            let status = |which: &str| scene.machine().read_file(&format!("/run/lab-{which}"));
            let field = |text: &str, name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t").map(str::to_owned));
                line.with_context(|| format!("no {name} in {text}"))
            };
            let (first, second) = (status("first")?, status("second")?);
            let bounds = |text: &str| -> Result<u64> { Ok(u64::from_str_radix(&field(text, "CapBnd")?, 16)?) };
            let may_reboot = |text: &str| -> Result<bool> { Ok(bounds(text)? & (1 << 22) != 0) };
            ensure!(!may_reboot(&first)? && may_reboot(&second)?, "capabilities: {first} and {second}");
            let filters = |text: &str| -> Result<u32> { Ok(field(text, "Seccomp_filters")?.parse()?) };
            ensure!(filters(&first)? > filters(&second)?, "filters: {first} and {second}");
            ensure!(field(&first, "NoNewPrivs")? == "0", "{first}");
            Ok(())
        })
        .settings(format!(
            "{NO_REBOOT}[[hook]]\npoint = \"before-stop\"\ncommand = [\"/usr/local/sbin/lab-first\"]\npolicy = \"must-succeed\"\n\
             [[hook]]\npoint = \"before-stop\"\ncommand = [\"/usr/local/sbin/lab-second\"]\npolicy = \"must-succeed\"\n\
             sandbox = false\n"
        ))
        .sharing("hooks"),
        Situation::new("a hook writes without end", |scene| {
            scene.write_program("/usr/local/sbin/lab-hook", "#!/bin/sh\nexec yes\n")?;
            scene.run(&[])?.ends(20)?.says(&["it was ended, since it wrote more than 64 MiB", "nothing was touched"])?;
            Ok(())
        })
        .settings(format!(
            "{NO_REBOOT}[[hook]]\npoint = \"before-stop\"\ncommand = [\"/usr/local/sbin/lab-hook\"]\npolicy = \"must-succeed\"\n"
        ))
        .sharing("hooks"),
        Situation::new("a hook and a probe try to type into the terminal of whoever began the run", |scene| {
            // TIOCSTI: as if root had typed it.
            let types = "open(T, '+<', '/dev/tty') or exit 0; open(M, '>>', '/srv/has-terminal'); print M \"$0\\n\"; close M; \
                         ioctl(T, 0x5412, $_) for split //, \"touch /srv/typed\\n\";";
            for name in ["lab-hook", "lab-probe"] {
                scene.write_program(&format!("/usr/local/sbin/{name}"), &format!("#!/usr/bin/perl\n{types}\n"))?;
            }
            let own = format!("probe = \"http\"\nurl = \"http://127.0.0.1:{}/health\"", scene.machine().api_port());
            let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
            let probe = "probe = \"command\"\ncommand = [\"/usr/local/sbin/lab-probe\"]";
            scene.configure(&text.replace(&own, probe))?;
            // A terminal of its own, whose keyboard nobody touches.
            scene.write_program(
                "/usr/local/sbin/lab-shell",
                "#!/bin/bash\npatchday plan; patchday run --yes; while read -r -t 3 line; do eval \"$line\"; done\n",
            )?;
            scene.shell(
                "rm -f /run/lab-keys; mkfifo /run/lab-keys; sleep 300 >/run/lab-keys & \
                 script --quiet --command lab-shell /run/lab-typescript </run/lab-keys >/dev/null; kill $!",
            )?;
            for mark in ["/srv/has-terminal", "/srv/typed"] {
                ensure!(!scene.machine().exists(mark)?, "{mark} is there");
            }
            scene.patchday(&["attach", "--last"])?.ends(0)?;
            Ok(())
        })
        .settings(format!("{NO_REBOOT}[[hook]]\npoint = \"before-stop\"\ncommand = [\"/usr/local/sbin/lab-hook\"]\n"))
        .sharing("hooks"),
    ]
}

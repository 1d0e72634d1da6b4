//! The database: which process it is, and what a clean end is.

use super::servers;
use super::services::NO_REBOOT;
use super::{BACK, Scene, Situation};
use anyhow::Result;

/// As `openssl req -x509` makes it, for `127.0.0.1`.
const SELF_SIGNED: &str = include_str!("../../../fixtures/tls/self-signed.pem");

/// mongod.service starts its server in another way from now on.
fn started_by(scene: &Scene<'_>, lines: &str) -> Result<()> {
    scene.drop_in("mongod.service", &format!("[Service]\n{lines}\n"))?;
    restarted(scene)
}

fn restarted(scene: &Scene<'_>) -> Result<()> {
    scene.shell("systemctl restart mongod.service sample-api.service")?;
    scene.machine().wait_until_healthy(BACK)
}

/// A whole run on a host whose database is started in this way.
fn started(name: &str, lines: &'static str) -> Situation {
    Situation::new(name, move |scene| {
        started_by(scene, lines)?;
        scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
        Ok(())
    })
    .settings(NO_REBOOT)
    .sharing("quick")
}

pub(super) fn situations() -> Vec<Situation> {
    let mut all = processes();
    all.extend(servers::situations());
    all
}

fn processes() -> Vec<Situation> {
    vec![
        Situation::new("mongod does not answer any more", |scene| {
            scene.machine().freeze("mongod.service")?;
            scene.undo("systemctl kill --signal=SIGCONT mongod.service");
            scene.run(&[])?.ends(20)?.says(&["mongod.service"])?;
            scene.machine().thaw("mongod.service")
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        started(
            "mongod below a shell without exec",
            "ExecStart=\nExecStart=/bin/sh -c 'ulimit -n 64000; /usr/bin/mongod --config /etc/mongod.conf; exit $$?'",
        )
        .in_check(),
        started(
            "mongod below a wrapper that ends with a status of its own",
            "ExecStart=\nExecStart=/usr/bin/perl -e 'system @ARGV; exit 3' /usr/bin/mongod --config /etc/mongod.conf",
        ),
        started(
            "mongod in a PID namespace, as in a container",
            "User=root\nGroup=root\nExecStart=\nExecStart=/usr/bin/unshare --pid --fork --mount --mount-proc \
             /usr/bin/setpriv --reuid=mongod --regid=mongod --clear-groups /usr/bin/mongod --config /etc/mongod.conf",
        ),
        started(
            "mongod that forks",
            "Type=forking\nExecStart=\nExecStart=/usr/bin/mongod --config /etc/mongod.conf --fork",
        ),
        started("mongod whose unit has an ExecStop= that fails", "ExecStop=/usr/bin/mongod --dbpath /var/lib/mongod --shutdown")
            .in_check(),
        Situation::new("mongod with its options in a variable, and data of another owner", |scene| {
            started_by(
                scene,
                "Environment=\"OPTIONS=-f /etc/mongod.conf\"\nEnvironmentFile=-/etc/sysconfig/mongod\nExecStart=\n\
                 ExecStart=/usr/bin/mongod $OPTIONS",
            )?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            scene.undo("chown -R mongod:mongod /var/lib/mongod");
            scene.shell(
                "systemctl stop mongod.service; chown -R root:root /var/lib/mongod; systemctl start mongod.service || true; \
                 while [ $(systemctl is-active mongod.service) != failed ]; do sleep 0.1; done",
            )?;
            scene.patchday(&["doctor", "mongod.service"])?.ends(23)?
                .says(&["chown -R mongod /var/lib/mongod"])?
                .says_not(&["/data/db"])?;
            scene.shell("chown -R mongod:mongod /var/lib/mongod; systemctl reset-failed mongod.service")?;
            restarted(scene)
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a unit that only steers a mongod elsewhere, as docker does", |scene| {
            scene.undo("systemctl stop mongod.service elsewhere.service 2>/dev/null || true");
            started_by(
                scene,
                "User=root\nGroup=root\nExecStart=\nExecStart=/usr/bin/systemd-run --quiet --wait --collect --unit=elsewhere --uid=mongod \
                 /usr/bin/mongod --config /etc/mongod.conf\nExecStop=-/usr/bin/systemctl stop elsewhere.service\n",
            )?;
            scene.run(&[])?.ends(20)?.says(&["which process of the unit is the database", "systemd-run"])?;
            scene.run(&["--allow", "database-process"])?.ends(0)?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a connection string that leads to another mongod", |scene| {
            let port = scene.machine().mongod_port() + 4000;
            scene.shell("install -d -o mongod -g mongod /var/lib/other-mongod")?;
            scene.unit(
                "other-mongod.service",
                &format!(
                    "[Service]\nUser=mongod\nExecStart=/usr/bin/mongod --dbpath /var/lib/other-mongod --bind_ip 127.0.0.1 \
                     --port {port} --wiredTigerCacheSizeGB 0.25\n"
                ),
            )?;
            scene.start("other-mongod.service")?;
            scene.shell(&format!("bash -c 'while ! : 2>/dev/null </dev/tcp/127.0.0.1/{port}; do sleep 0.1; done'"))?;
            let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
            let own = format!("mongodb://127.0.0.1:{}", scene.machine().mongod_port());
            scene.configure(&text.replace(&own, &format!("mongodb://127.0.0.1:{port}")))?;
            scene.run(&[])?.ends(20)?.says(&["leads to another MongoDB than the unit's"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("mongod that is silent for five seconds when it is to stop", |scene| {
            let freeze = "systemctl kill --signal=SIGSTOP mongod.service; systemd-run --quiet --on-active=5 \
                          --timer-property=AccuracySec=100ms systemctl kill --signal=SIGCONT mongod.service";
            scene.drop_in("sample-api.service", &format!("[Service]\nExecStopPost=+/bin/sh -c '{freeze}'\n"))?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a self-signed certificate of openssl's making", |scene| {
            scene.write("/etc/mongod.pem", SELF_SIGNED)?;
            scene.shell("chown mongod:mongod /etc/mongod.pem; chmod 0400 /etc/mongod.pem")?;
            started_by(
                scene,
                "ExecStart=\nExecStart=/usr/bin/mongod --config /etc/mongod.conf --tlsMode preferTLS \
                 --tlsCertificateKeyFile /etc/mongod.pem",
            )?;
            let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
            let own = format!("mongodb://127.0.0.1:{}", scene.machine().mongod_port());
            scene.configure(&text.replace(&own, &format!("{own}/?tls=true&tlsCAFile=/etc/mongod.pem")))?;
            scene.run(&[])?.ends(20)?.says(&["a CA's own certificate", "CA:FALSE"])?.says_not(&["valid login"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
    ]
}

//! Ways in which a unit starts mongod and does not keep it; a server that answers late, or turns away.

use super::services::{NO_REBOOT, REBOOT};
use super::{BACK, Scene, Situation};
use anyhow::Result;

const INIT_SCRIPT: &str = r#"#!/bin/sh
### BEGIN INIT INFO
# Provides: mongod
# Required-Start: $network $local_fs $remote_fs
# Required-Stop: $network $local_fs $remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: document database
### END INIT INFO
case "$1" in
start)
    install -d -o mongod /run/mongod
    start-stop-daemon --start --quiet --chuid mongod --pidfile /run/mongod/pid --exec /usr/bin/mongod -- \
        --config /etc/mongod.conf --fork --pidfilepath /run/mongod/pid ;;
stop) start-stop-daemon --stop --quiet --oknodo --retry TERM/60 --pidfile /run/mongod/pid --exec /usr/bin/mongod ;;
restart|force-reload) $0 stop; $0 start ;;
status) start-stop-daemon --status --pidfile /run/mongod/pid ;;
esac
"#;

/// mongod has an init script and no unit of its own.
fn init_script(scene: &Scene<'_>) -> Result<()> {
    scene.shell("systemctl stop sample-api.service mongod.service")?;
    let unit = scene.show("mongod.service", "FragmentPath")?;
    scene.undo("systemctl daemon-reload");
    scene.undo(format!("mv {unit}.lab {unit}; systemctl enable mongod.service 2>/dev/null"));
    scene.shell(&format!("systemctl disable mongod.service 2>/dev/null; mv {unit} {unit}.lab"))?;
    scene.write_program("/etc/init.d/mongod", INIT_SCRIPT)?;
    scene.undo("systemctl stop mongod.service; rm -f /etc/rc?.d/???mongod");
    scene.shell(
        "for level in 2 3 4 5; do ln -sf ../init.d/mongod /etc/rc$level.d/S01mongod; done\n\
         for level in 0 1 6; do ln -sf ../init.d/mongod /etc/rc$level.d/K01mongod; done\n\
         systemctl daemon-reload; systemctl start mongod.service sample-api.service",
    )?;
    scene.machine().wait_until_healthy(BACK)
}

fn from_init_script(name: &str, settings: &str) -> Situation {
    Situation::new(name, |scene| {
        init_script(scene)?;
        scene.plan(&[])?.ends(0)?;
        scene.patchday(&["init", "--stdout"])?.ends(0)?.says(&["unit = \"mongod.service\""])?.says_not(&["NOTE:"])?;
        scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
        scene.patchday(&["doctor", "mongod.service"])?.says(&["runs"])?;
        Ok(())
    })
    .settings(settings)
    .sharing("quick")
}

/// A job that is done once the server runs, with one more line.
fn job(name: &str, line: &'static str, settings: &str) -> Situation {
    Situation::new(name, move |scene| {
        scene.drop_in(
            "mongod.service",
            &format!("[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=\nExecStart=/usr/bin/mongod --config /etc/mongod.conf --fork\n{line}\n"),
        )?;
        scene.shell("systemctl restart mongod.service sample-api.service")?;
        scene.machine().wait_until_healthy(BACK)?;
        scene.plan(&[])?.ends(0)?;
        scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
        Ok(())
    })
    .settings(settings)
    .sharing("quick")
}

/// The API's readiness does not ask the database.
fn ready_alone(scene: &Scene<'_>) -> Result<()> {
    let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
    let own = format!("probe = \"http\"\nurl = \"http://127.0.0.1:{}/health\"", scene.machine().api_port());
    let port = format!("probe = \"tcp\"\naddress = \"127.0.0.1:{}\"", scene.machine().api_port());
    scene.configure(&text.replace(&own, &port))
}

pub(super) fn situations() -> Vec<Situation> {
    vec![
        from_init_script("mongod as an init script, no reboot", NO_REBOOT).in_check(),
        from_init_script("mongod as an init script, and a reboot", REBOOT),
        job("a job with RemainAfterExit= that starts mongod", "", NO_REBOOT),
        job(
            "a job with RemainAfterExit= that starts mongod, and ends it itself",
            "ExecStop=/bin/sh -c 'kill $$(cat /var/lib/mongod/mongod.lock); while pgrep -x mongod >/dev/null; do sleep 0.1; done'",
            NO_REBOOT,
        ),
        job("a job with RemainAfterExit= that starts mongod, and a reboot", "", REBOOT),
        Situation::new("mongod answers five seconds after its unit is active", |scene| {
            scene.drop_in(
                "mongod.service",
                "[Service]\nExecStart=\nExecStart=/bin/sh -c 'sleep 5; exec /usr/bin/mongod --config /etc/mongod.conf'\n",
            )?;
            ready_alone(scene)?;
            scene.run(&[])?.ends(23)?.says(&["sample-api.service was ready before mongod.service"])?.says_not(&["✓ waited"])?;
            Ok(())
        })
        .settings(REBOOT)
        .sharing("quick"),
        Situation::new("a server that wants TLS, and a connection string without it", |scene| {
            scene.write("/etc/mongod.pem", include_str!("../../../fixtures/tls/self-signed.pem"))?;
            scene.shell("chown mongod:mongod /etc/mongod.pem; chmod 0400 /etc/mongod.pem; systemctl stop sample-api.service")?;
            scene.drop_in(
                "mongod.service",
                "[Service]\nExecStart=\nExecStart=/usr/bin/mongod --config /etc/mongod.conf --tlsMode requireTLS \
                 --tlsCertificateKeyFile /etc/mongod.pem\n",
            )?;
            scene.shell("systemctl restart mongod.service")?;
            let port = scene.machine().mongod_port();
            scene.shell(&format!("bash -c 'until (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done'"))?;
            scene.run(&[])?.ends(20)?.says(&["it wants TLS; add tls=true"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick")
        .ends_otherwise(),
        Situation::new("a server that takes no more connections", |scene| {
            let port = scene.machine().mongod_port();
            scene.drop_in(
                "mongod.service",
                "[Service]\nExecStart=\nExecStart=/usr/bin/mongod --config /etc/mongod.conf --maxConns 8\n",
            )?;
            scene.shell("systemctl restart mongod.service sample-api.service")?;
            scene.machine().wait_until_healthy(BACK)?;
            scene.undo("systemctl stop lab-many.service 2>/dev/null || true");
            scene.shell(&format!(
                "systemd-run --quiet --unit=lab-many bash -c 'for n in 1 2 3 4 5 6 7 8 9; do exec {{fd}}<>/dev/tcp/127.0.0.1/{port}; done; touch /run/lab-many; sleep infinity'\n\
                 for try in $(seq 100); do [ -e /run/lab-many ] && exit 0; sleep 0.1; done; exit 1"
            ))?;
            scene.undo("rm -f /run/lab-many");
            scene.run(&[])?.ends(20)?.says(&["it has as many as it takes"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
    ]
}

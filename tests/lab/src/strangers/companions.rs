//! What goes down with a service, and what would start it meanwhile.

use super::services::{NO_REBOOT, REBOOT, active, listed};
use super::{Scene, Situation};
use anyhow::{Result, bail};

/// Bound to the API or to the database, each in a way of its own; none of it is in the configuration.
const BOUND: [(&str, &str, &str); 4] = [
    ("lab-sidecar.service", "BindsTo", "sample-api.service"),
    ("lab-worker.service", "Requires", "mongod.service"),
    ("lab-exporter.service", "PartOf", "mongod.service"),
    // Far: it goes down with what goes down.
    ("lab-view.service", "Requires", "lab-exporter.service"),
];

/// A server that only works with the socket that systemd hands over.
const SHOP: &str = r#"#!/usr/bin/perl
die "no socket was handed over\n" unless ($ENV{LISTEN_FDS} || 0) == 1;
open(my $socket, "+<&=", 3) or die "socket: $!\n";
while (accept(my $client, $socket)) {
    while (my $line = <$client>) { last if $line =~ /^\r?$/ }
    print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    close $client;
}
"#;

fn bound_units(scene: &Scene<'_>) -> Result<Vec<&'static str>> {
    for (unit, how, on) in BOUND {
        scene.unit(
            unit,
            &format!(
                "[Unit]\nAfter={on}\n{how}={on}\n[Service]\nType=exec\nExecStart=/bin/sleep infinity\n\
                 [Install]\nWantedBy=multi-user.target\n"
            ),
        )?;
    }
    let units: Vec<&str> = BOUND.iter().map(|(unit, ..)| *unit).collect();
    scene.shell(&format!("systemctl enable --now {} 2>/dev/null", units.join(" ")))?;
    let lines: Vec<String> = BOUND.iter().map(|(unit, _, on)| format!("{unit} is bound to {on}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    scene.plan(&[])?.ends(0)?.says(&lines)?;
    active(scene, &units)?;
    Ok(units)
}

/// The process that a unit has now.
fn process_of(scene: &Scene<'_>, unit: &str) -> Result<String> {
    scene.show(unit, "MainPID")
}

/// The shop, and a socket that starts it.
fn shop(scene: &Scene<'_>) -> Result<u16> {
    let port = scene.machine().api_port() + 4001;
    scene.write_program("/usr/local/sbin/lab-shop", SHOP)?;
    scene.unit(
        "lab-shop.service",
        "[Unit]\nAfter=mongod.service\n[Service]\nType=exec\nExecStart=/usr/local/sbin/lab-shop\n\
         [Install]\nWantedBy=multi-user.target\n",
    )?;
    scene.unit(
        "lab-shop.socket",
        &format!("[Socket]\nListenStream=127.0.0.1:{port}\n[Install]\nWantedBy=sockets.target\n"),
    )?;
    scene.shell("systemctl enable --now lab-shop.socket lab-shop.service 2>/dev/null")?;
    let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
    let more = format!(
        "[[service]]\nunit = \"lab-shop.service\"\nafter = [\"mongod.service\"]\nstart-timeout = \"20s\"\n\
         [service.readiness]\nprobe = \"http\"\nurl = \"http://127.0.0.1:{port}/\"\n"
    );
    scene.configure(&format!("{text}\n{more}"))?;
    Ok(port)
}

/// A daemon that takes files out of a directory, and a path that starts it.
fn import(scene: &Scene<'_>) -> Result<()> {
    scene.shell("mkdir -p /srv/inbox")?;
    scene.undo("rm -rf /srv/inbox");
    scene.unit(
        "lab-import.service",
        "[Unit]\nAfter=mongod.service\n[Service]\nType=exec\n\
         ExecStart=/bin/sh -c 'while :; do rm -f /srv/inbox/*; sleep 0.2; done'\n[Install]\nWantedBy=multi-user.target\n",
    )?;
    scene.unit("lab-import.path", "[Path]\nDirectoryNotEmpty=/srv/inbox\n[Install]\nWantedBy=paths.target\n")?;
    scene.shell("systemctl enable --now lab-import.path lab-import.service 2>/dev/null")?;
    listed(scene, "lab-import.service")
}

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("units bound to the API and to the database, no reboot", |scene| {
            let units = bound_units(scene)?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            active(scene, &units)
        })
        .settings(NO_REBOOT)
        .sharing("quick")
        .in_check(),
        Situation::new("units bound to the API and to the database, and an abort under the upgrade", |scene| {
            let units = bound_units(scene)?;
            scene.update_has("postinst", "#!/bin/sh\nsleep 4\n")?;
            let run = scene.begin_run(&[])?;
            run.at("upgrade")?;
            scene.patchday(&["abort"])?;
            run.ended()?.ends(21)?.says(&["2 of 2 services serve"])?;
            active(scene, &units)
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("units bound to the API and to the database, and a reboot", |scene| {
            let units = bound_units(scene)?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            active(scene, &units)
        })
        .settings(REBOOT)
        .sharing("quick"),
        Situation::new("a unit of systemd-run's making is bound to the API", |scene| {
            scene.shell("systemd-run --quiet --unit=lab-tail -p BindsTo=sample-api.service -p After=sample-api.service sleep infinity")?;
            scene.undo("systemctl stop lab-tail.service 2>/dev/null || true");
            scene.plan(&[])?.says(&[
                "a unit that cannot be started again goes down with a configured one",
                "lab-tail.service is bound to sample-api.service; its stop deletes it, and nothing can start it again",
            ])?;
            scene.run(&[])?.ends(20)?.says(&["goes down with a configured one"])?;
            scene.run(&["--allow", "stop-along"])?.ends(23)?.says(&["lab-tail.service ran, and does not"])?.says_not(&["not undone"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a service that needs its socket handed over, and is asked for under the upgrade", |scene| {
            let port = shop(scene)?;
            let ask = format!("#!/bin/bash\n: 2>/dev/null </dev/tcp/127.0.0.1/{port} || true\nsleep 1\n");
            scene.update_has("postinst", &ask)?;
            scene.plan(&[])?.ends(0)?.says(&["lab-shop.socket starts lab-shop.service when it is asked to"])?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            active(scene, &["lab-shop.socket", "lab-shop.service"])
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a service that needs its socket handed over, and an abort under the upgrade", |scene| {
            let port = shop(scene)?;
            let ask = format!("#!/bin/bash\n: 2>/dev/null </dev/tcp/127.0.0.1/{port} || true\nsleep 4\n");
            scene.update_has("postinst", &ask)?;
            let run = scene.begin_run(&[])?;
            run.at("upgrade")?;
            scene.patchday(&["abort"])?;
            run.ended()?.ends(21)?.says(&["3 of 3 services serve"])?;
            active(scene, &["lab-shop.socket", "lab-shop.service"])
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a path starts a service, and a file arrives under the upgrade", |scene| {
            import(scene)?;
            scene.update_has("postinst", "#!/bin/sh\ntouch /srv/inbox/one\nsleep 1\n[ -e /srv/inbox/one ]\n")?;
            scene.plan(&[])?.ends(0)?.says(&["lab-import.path starts lab-import.service when it is asked to"])?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            active(scene, &["lab-import.path", "lab-import.service"])?;
            scene.shell("for try in $(seq 50); do [ -e /srv/inbox/one ] || exit 0; sleep 0.1; done; exit 1").map(drop)
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("another unit upholds the API", |scene| {
            scene.unit("lab-keeper.service", "[Unit]\nUpholds=sample-api.service\n[Service]\nType=exec\nExecStart=/bin/sleep infinity\n")?;
            scene.start("lab-keeper.service")?;
            let keeper = process_of(scene, "lab-keeper.service")?;
            scene.update_has("postinst", "#!/bin/sh\nsleep 3\n! systemctl is-active --quiet sample-api.service\n")?;
            scene.plan(&[])?.ends(0)?.says(&["lab-keeper.service upholds sample-api.service"])?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            match process_of(scene, "lab-keeper.service")? == keeper {
                true => active(scene, &["lab-keeper.service"]),
                false => bail!("lab-keeper.service was restarted"),
            }
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
    ]
}

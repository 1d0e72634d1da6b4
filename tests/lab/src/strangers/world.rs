//! The world around the run: locks, other people's apt, clocks, room, the network.

use super::{Package, Scene, Situation};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("somebody has a shutdown scheduled", |scene| {
            scene.shell("shutdown -r +60 2>/dev/null")?;
            scene.undo("shutdown -c 2>/dev/null");
            scene.run(&[])?.ends(20)?.says(&["a reboot is scheduled", "shutdown -c"])?;
            Ok(())
        })
        .sharing("quick"),
        Situation::new("there is no room for the state", |scene| {
            scene.shell("mkdir -p /var/lib/patchday; mount -t tmpfs -o size=16k none /var/lib/patchday")?;
            scene.undo("umount /var/lib/patchday");
            scene.run(&[])?.ends(10)?.says(&["there is no room for a run: /var/lib/patchday", "df -h"])?;
            Ok(())
        })
        .sharing("quick"),
        Situation::new("a mirror that gives 50 bytes a second, and fetch-timeout", |scene| {
            slow_mirror(scene)?;
            scene
                .run(&[])?
                .ends(20)?
                .says(&["took longer than 20 s ([upgrade] fetch-timeout)", "nothing was touched"])?;
            Ok(())
        })
        .settings("[upgrade]\nfetch-timeout = \"20s\"\n[reboot]\nwhen = \"never\"\n")
        .sharing("mirror"),
        Situation::new("a mirror that gives 50 bytes a second, and somebody who aborts", |scene| {
            slow_mirror(scene)?;
            let run = scene.begin_run(&[])?;
            run.at("fetch")?;
            scene.shell("until test -e /run/lab-mirror-drips; do sleep 0.1; done")?;
            let began = Instant::now();
            scene.patchday(&["abort"])?.ends(20)?;
            run.ended()?.ends(20)?.says(&["aborted"])?;
            ensure!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
            Ok(())
        })
        .settings("[reboot]\nwhen = \"never\"\n")
        .sharing("mirror")
        .in_check(),
        Situation::new("there is no room below /run", |scene| {
            scene.undo("mount -o remount,size=20% /run");
            scene.shell("mount -o remount,size=$(($(df -k --output=used /run | tail -n 1) + 512))k /run")?;
            scene.run(&[])?.ends(10)?.says(&["there is no room for a run", "/run"])?;
            Ok(())
        })
        .sharing("quick"),
        Situation::new("a page of users that never ends, and a probe that prints without end", |scene| {
            let port = serve(scene)?;
            let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
            let users = format!("[preflight]\nusers-url = \"http://127.0.0.1:{port}/users\"\n");
            scene.write_program("/usr/local/sbin/lab-probe", "#!/bin/sh\nhead -c 1500M /dev/zero | tr '\\0' 'x'\n")?;
            let own = format!("probe = \"http\"\nurl = \"http://127.0.0.1:{}/health\"", scene.machine().api_port());
            let probe = "probe = \"command\"\ncommand = [\"/usr/local/sbin/lab-probe\"]\ntimeout = \"20s\"";
            scene.configure(&text.replace("[preflight]\n", &users).replace(&own, probe))?;
            let peak = scene.shell(
                "patchday plan >/run/lab-plan 2>&1 & pid=$!; peak=0; \
                 while now=$(grep VmHWM /proc/$pid/status 2>/dev/null); do peak=$now; sleep 0.1; done; echo $peak",
            )?;
            let kib: u64 = peak.split_whitespace().nth(1).context("no peak")?.parse()?;
            println!("peak of memory: {kib} KiB\n{}", scene.machine().read_file("/run/lab-plan")?);
            ensure!(kib < 200 * 1024, "it took {kib} KiB");
            scene.plan(&[])?.says(&["it answers with more than 64 KiB", "users-active"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"never\"\n[preflight]\nallow = [\"boot-space\"]\n")
        .sharing("mirror"),
    ]
}

/// A web server: files of the repository, packages at 50 bytes a second, and a page that never ends.
const SERVER: &str = r#"use IO::Socket::INET;
$SIG{CHLD} = 'IGNORE'; $SIG{PIPE} = 'IGNORE';
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{LAB_PORT}, Listen => 9, ReuseAddr => 1) or die;
open(my $ready, '>', '/run/lab-mirror'); close $ready;
while (1) {
    my $client = $server->accept or next;
    next if fork;
    while (1) {
        my ($path, $line);
        while (defined($line = <$client>)) { $path = $1 if $line =~ /^GET (\S+)/; last if $line =~ /^\r?$/ }
        exit unless defined $line;
        if ($path eq '/users') {
            print $client "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            for (1 .. 1024) { print $client '1' x 1048576 or exit }
            sleep 600;
        }
        my $file;
        if (-f "/srv/repo/$path" and open($file, '<', "/srv/repo/$path")) {
            my $text = do { local $/; <$file> };
            print $client "HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n";
            $client->flush;
            if ($path =~ /lab-big/) {
                open(my $drips, '>', '/run/lab-mirror-drips'); close $drips;
                for (my $at = 0; $at < length $text; $at += 50) { $client->syswrite(substr($text, $at, 50)) or exit; sleep 1 }
            } else { print $client $text }
        } else { print $client "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" }
        $client->flush;
    }
}
"#;

fn serve(scene: &Scene<'_>) -> Result<u16> {
    let port = scene.machine().reserve_port()?;
    scene.write_program("/usr/local/sbin/lab-server", &format!("#!/usr/bin/perl\n{SERVER}"))?;
    scene.unit(
        "lab-server.service",
        &format!("[Service]\nEnvironment=LAB_PORT={port}\nExecStart=/usr/local/sbin/lab-server\n"),
    )?;
    scene.shell("rm -f /run/lab-mirror*")?;
    scene.start("lab-server.service")?;
    scene.shell("until test -e /run/lab-mirror; do sleep 0.1; done")?;
    Ok(port)
}

/// A package of a megabyte waits to be upgraded, on a mirror that would need hours for it.
fn slow_mirror(scene: &Scene<'_>) -> Result<()> {
    let random = "$(f=/run/lab-random; test -e $f || head -c 1000000 /dev/urandom >$f; echo $f)";
    let package = |version: &str| Package::new("lab-big", version).copy("/usr/lib/lab/big", random);
    scene.install(&package("1"))?;
    scene.publish(&package("2"))?;
    mirror(scene)
}

/// apt fetches over the network, into its cache.
pub(super) fn mirror(scene: &Scene<'_>) -> Result<()> {
    let port = serve(scene)?;
    scene.write("/etc/apt/sources.list", &format!("deb [trusted=yes] http://127.0.0.1:{port}/ ./\n"))?;
    scene.shell("apt-get -qq update").map(drop)
}

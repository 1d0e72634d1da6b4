//! The shell scripts that are shipped, those of the package and those of the examples: what they call is stood in for, and
//! what they touch lies below another root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Programs of the host, of which each stand-in notes its call.
const CALLED: [&str; 4] = ["deb-systemd-helper", "deb-systemd-invoke", "systemctl", "systemd-tmpfiles"];

/// A root on which a script works, and the programs that it finds.
struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(host.root().join("run/systemd/system")).unwrap();
        for name in CALLED {
            host.stand_in(name, "exit 0");
        }
        host
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// A program that notes how it was called, and then does this.
    fn stand_in(&self, name: &str, deed: &str) {
        let directory = self.dir.path().join("bin");
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(name);
        let calls = self.dir.path().join("calls");
        fs::write(&path, format!("#!/bin/sh\necho \"${{0##*/}} $*\" >>{}\n{deed}\n", calls.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a shipped script, behind these words.
    fn run(&self, before: &[&str], script: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        let words: Vec<&str> = before.iter().copied().chain(["/bin/sh", script.to_str().unwrap()]).collect();
        let path = format!("{}:/usr/bin:/bin", self.dir.path().join("bin").display());
        Command::new(words[0])
            .args(&words[1..])
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("DPKG_ROOT", self.root())
            .output()
            .unwrap()
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_removal_that_did_not_happen_leaves_the_timer_as_it_was() {
    for (argument, is_enabled, starts) in [
        ("configure", true, false),
        ("abort-upgrade", true, false),
        ("abort-remove", true, true),
        ("abort-deconfigure", true, true),
        ("abort-remove", false, false),
        ("triggered", true, false),
    ] {
        let host = Host::new();
        if !is_enabled {
            host.stand_in("deb-systemd-helper", "case $* in *was-enabled*) exit 1 ;; esac");
        }
        let said = host.run(&[], "systemd/deb/postinst", &[argument]);
        assert!(said.status.success(), "{argument}: {said:?}");
        let started = host.calls().iter().any(|call| call == "deb-systemd-invoke start patchday.timer");
        assert_eq!(started, starts, "{argument}: {:?}", host.calls());
    }
}

#[test]
fn the_package_stays_where_the_program_says_so_and_only_then() {
    for (argument, status, goes) in [
        ("remove", 0, true),
        ("remove", 10, false),
        ("remove", 30, false),
        ("deconfigure", 10, false),
        // It does not run at all.
        ("remove", 127, true),
        ("upgrade", 10, true),
        ("failed-upgrade", 10, true),
    ] {
        let host = Host::new();
        host.stand_in("patchday", &format!("exit {status}"));
        let said = host.run(&[], "systemd/deb/prerm", &[argument]);
        assert_eq!(said.status.success(), goes, "{argument}, {status}: {said:?}");
        let stopped = host.calls().iter().any(|call| call == "deb-systemd-invoke stop patchday.timer");
        assert_eq!(stopped, goes && !argument.contains("upgrade"), "{argument}, {status}: {:?}", host.calls());
    }
}

/// What it keeps, what it was told to write elsewhere, and a file of others.
fn furnished() -> Host {
    let host = Host::new();
    let motd = "[[notify]]\nkind = \"motd\"\nfile = \"/srv/patchday.motd\"\n";
    host.write(
        "etc/patchday/patchday.toml",
        &format!("{motd}[[notify]]\nkind = \"metrics\"\nfile = \"/srv/of-others\"\n"),
    );
    let metrics = "[[notify]]\nkind = \"metrics\"\nfile = \"/srv/patchday.prom\"\n";
    host.write("etc/patchday/patchday.toml.d/50-metrics.toml", metrics);
    for kept in [
        "srv/patchday.motd",
        "srv/patchday.prom",
        "srv/of-others",
        "etc/motd.d/patchday",
        "var/lib/patchday/runs/r/run.json",
    ] {
        host.write(kept, "");
    }
    host
}

#[test]
fn a_purge_takes_what_is_its_own() {
    let host = furnished();
    assert!(host.run(&[], "systemd/deb/postrm", &["remove"]).status.success());
    assert!(host.root().join("var/lib/patchday/runs/r/run.json").exists(), "a removal keeps it");
    let said = host.run(&[], "systemd/deb/postrm", &["purge"]);
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
    for (path, is_left) in [
        ("etc/patchday", false),
        ("etc/motd.d", false),
        ("var/lib/patchday", false),
        ("srv/patchday.motd", false),
        ("srv/patchday.prom", false),
        ("srv/of-others", true),
    ] {
        assert_eq!(host.root().join(path).exists(), is_left, "{path}");
    }
}

#[test]
fn a_purge_does_not_fail_at_what_cannot_be_removed() {
    let host = furnished();
    fs::remove_file(host.root().join("srv/patchday.motd")).unwrap();
    fs::create_dir(host.root().join("srv/patchday.motd")).unwrap();
    let state = host.root().join("var/lib/patchday");
    // Its state is a file system of its own.
    let mount = format!("mount --bind {0} {0} && exec \"$@\"", state.display());
    let own: &[&str] = &["unshare", "--mount", "/bin/sh", "-euc", &mount, "sh"];
    let before = if rustix::process::geteuid().is_root() { own } else { &[] };
    let said = host.run(before, "systemd/deb/postrm", &["purge"]);
    assert!(said.status.success(), "{said:?}");
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(told.contains("srv/patchday.motd") && told.contains("patchday: warning"), "{told}");
    assert_eq!(told.contains("busy"), !before.is_empty(), "{told}");
    assert!(!host.root().join("etc/patchday").exists());
    assert!(!state.join("runs").exists(), "it is emptied");
}

#[test]
fn a_pool_is_drained_when_the_last_session_has_ended() {
    let stat = "# pxname,svname,qcur,qmax,scur,smax\nweb,web1,0,0,$left,9\nweb,web10,0,0,7,9";
    for (left, state, server, status, said) in [
        (0, "", "web/web1", 0, "web/web1 takes no new sessions, 0 left"),
        (3, "", "web/web1", 1, "web/web1 takes no new sessions, 3 left"),
        (0, "", "web/web2", 1, "does not tell the sessions of web/web2"),
        (0, "No such server.", "web/web1", 1, "refuses to set web/web1 to drain: No such server."),
    ] {
        let host = Host::new();
        let answer =
            format!("left={left}\ncase $(cat) in show*) printf '%s\\n' \"{stat}\" ;; *) echo \"{state}\" ;; esac");
        host.stand_in("socat", &answer);
        let seen = host.run(&[], "docs/examples/hooks/haproxy-pool", &["drain", server, "/run/haproxy.sock", "0"]);
        let told = String::from_utf8_lossy(&[seen.stdout, seen.stderr].concat()).into_owned();
        assert_eq!(seen.status.code(), Some(status), "{server}: {told}");
        assert!(told.contains(said), "{server}: {told}");
    }
}

#[test]
fn without_systemd_nothing_is_asked_of_it() {
    let host = Host::new();
    fs::remove_dir_all(host.root().join("run")).unwrap();
    host.stand_in("patchday", "exit 0");
    for (script, argument) in
        [("postinst", "configure"), ("prerm", "remove"), ("postrm", "remove"), ("postrm", "purge")]
    {
        let said = host.run(&[], &format!("systemd/deb/{script}"), &[argument]);
        assert!(said.status.success(), "{script} {argument}: {said:?}");
    }
    let calls = host.calls();
    assert!(
        !calls.iter().any(|call| call.starts_with("systemctl ") || call.starts_with("deb-systemd-invoke ")),
        "{calls:?}"
    );
}

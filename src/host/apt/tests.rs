use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::model::Course;

fn apt(root: &Path) -> Apt {
    Apt::new(root.to_owned(), SignedDuration::from_mins(10))
}

/// A host whose `apt-get` is the script.
fn host_with_apt_get(script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("usr/bin/apt-get");
    // Written by another process: while this one has it open for writing, a child that some other test starts meanwhile
    // holds it open as well, and the kernel refuses to run it ("text file busy").
    let mut install = Command::new("install")
        .args(["-D", "-m", "755", "/dev/stdin"])
        .arg(program)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    write!(install.stdin.take().unwrap(), "#!/bin/sh\n{script}").unwrap();
    assert!(install.wait().unwrap().success());
    dir
}

fn arguments(work: &PackageWork) -> String {
    apt(Path::new("/")).command(work).unwrap().0.join(" ")
}

#[test]
fn the_command_lines_are_exact() {
    let pinned = pinned::options().collect::<Vec<_>>().join(" ");
    let common = format!(
        "/usr/bin/apt-get {pinned} -o APT::Status-Fd=@STATUS_FD@ -o DPkg::Lock::Timeout=600 \
         -o Dpkg::Options::=--no-force-confnew -o Dpkg::Options::=--no-force-confask \
         -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
    );
    let offline = offline::NETWORK_METHODS.map(|method| format!("-o Dir::Bin::Methods::{method}=false")).join(" ");
    for (work, rest) in [
        (PackageWork::Refresh, "--error-on=any update".to_owned()),
        (PackageWork::Download, "-y --download-only dist-upgrade".to_owned()),
        (
            PackageWork::Upgrade { removals_allowed: false, in_batch: false },
            format!("{offline} --no-remove -y dist-upgrade"),
        ),
        (PackageWork::Upgrade { removals_allowed: true, in_batch: false }, format!("{offline} -y dist-upgrade")),
        (
            PackageWork::Upgrade { removals_allowed: false, in_batch: true },
            format!("{offline} -o Dpkg::Options::=--force-unsafe-io --no-remove -y dist-upgrade"),
        ),
        (
            PackageWork::UpgradeOnly(vec!["libc6=2".into()]),
            format!(
                "{offline} -o Dpkg::Options::=--no-force-unsafe-io --no-remove --only-upgrade --mark-auto -y install libc6=2"
            ),
        ),
        (
            PackageWork::Install(vec!["linux-image-6.1.0-42-amd64=6.1.1".into()]),
            format!("{offline} --no-remove --mark-auto -y install linux-image-6.1.0-42-amd64=6.1.1"),
        ),
        (PackageWork::Reinstall(vec!["perl".into()]), "-y --no-remove --reinstall install perl".to_owned()),
        (PackageWork::FixBroken, "-y --no-remove --fix-broken install".to_owned()),
    ] {
        assert_eq!(arguments(&work), format!("{common} {rest}"));
    }
    assert_eq!(
        arguments(&PackageWork::Configure),
        "/usr/bin/dpkg --no-force-confnew --no-force-confask --force-confdef --force-confold --status-fd @STATUS_FD@ --configure -a"
    );
    assert_eq!(
        arguments(&PackageWork::Unpack(vec!["/log/a.deb".into(), "/log/b.deb".into()])),
        "/usr/bin/dpkg --no-force-confnew --no-force-confask --force-confdef --force-confold --status-fd @STATUS_FD@ \
         --auto-deconfigure --unpack /log/a.deb /log/b.deb"
    );
    assert_eq!(arguments(&PackageWork::Mend("/log".into())), "/usr/bin/patchday mend-batch /log");
    let (_, environment) = apt(Path::new("/")).command(&PackageWork::Refresh).unwrap();
    let names: Vec<&str> = environment.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "PATH",
        "LC_ALL",
        "LANGUAGE",
        "DEBIAN_FRONTEND",
        "DEBCONF_NONINTERACTIVE_SEEN",
        "UCF_FORCE_CONFFOLD",
        "APT_LISTCHANGES_FRONTEND",
        "APT_LISTBUGS_FRONTEND",
        "NEEDRESTART_SUSPEND",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_failed_simulation_says_what_apt_said() {
    let errors = include_str!("../../../tests/fixtures/apt/simulate-bad-sources-apt3.0.4.err");
    let dir = host_with_apt_get(&format!("cat >&2 <<'END'\n{errors}END\nexit 100\n"));
    let error = apt(dir.path()).simulate().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "simulate the upgrade: Malformed line 1 in source list /etc/apt/sources.list.d/bad.list (type) \
         The list of sources could not be read."
    );

    let dir = host_with_apt_get("exit 100\n");
    assert_eq!(apt(dir.path()).simulate().await.unwrap_err().why, "exit status: 100");
}

#[test]
fn only_what_is_on_another_host_is_still_to_be_fetched() {
    let text = "Reading package lists...\nThe following packages will be upgraded:\n  bash lab-a\n\
                'http://deb.debian.org/debian/pool/main/b/bash/bash_5.2.deb' bash_5.2_amd64.deb 1490652 SHA256:00\n\
                'tor+http://x/y.deb' y_1_all.deb 5 SHA256:00\n\
                'file:/srv/repo/./lab-a-2.deb' lab-a_2_all.deb 660 SHA256:00\n";
    assert_eq!(offline::from_elsewhere(text), ["bash_5.2_amd64.deb", "y_1_all.deb"]);
    assert!(offline::from_elsewhere("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n").is_empty());
}

#[tokio::test]
async fn silence_is_no_empty_plan() {
    let dir = host_with_apt_get("exit 0\n");
    let error = apt(dir.path()).simulate().await.unwrap_err();
    assert!(error.why.contains("no summary"), "{error}");
}

#[tokio::test]
async fn the_database_is_read_below_the_root() {
    if !Path::new("/usr/bin/dpkg-query").exists() {
        println!("skipped: this host has no dpkg-query");
        return;
    }
    let dir = host_with_apt_get("");
    let root = dir.path();
    symlink("/usr/bin/dpkg-query", root.join("usr/bin/dpkg-query")).unwrap();
    let database = root.join("var/lib/dpkg");
    fs::create_dir_all(database.join("updates")).unwrap();
    fs::create_dir_all(database.join("info")).unwrap();
    let package = |name: &str, status: &str, version: &str| {
        format!(
            "Package: {name}\nStatus: {status}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Lab <lab@example.org>\n\
             Description: lab\n\n"
        )
    };
    let status = [
        package("dpkg", "install ok installed", "1.21.22"),
        package("held", "hold ok installed", "1"),
        package("gone", "deinstall ok config-files", "2"),
        package("half", "install ok half-configured", "3"),
        package("failed", "install reinstreq half-installed", "4"),
    ];
    fs::write(database.join("status"), status.concat()).unwrap();

    let apt = apt(root);
    let state = apt.state().await.unwrap();
    assert_eq!(state, PackageState { broken: vec!["iHR failed".into(), "iF half".into()], interrupted: false });
    assert_eq!(apt.installed().await.unwrap().keys().collect::<Vec<_>>(), ["dpkg", "half", "held"]);

    fs::create_dir(database.join("updates/tmp.i")).unwrap();
    assert!(!apt.state().await.unwrap().interrupted);
    fs::write(database.join("updates/0001"), "").unwrap();
    assert!(apt.state().await.unwrap().interrupted);
}

/// Real upgrades, each line with the second in which apt wrote it, and the plan of each. A busy host of two CPUs took them.
const TIMED: [(&str, &str, &str); 5] = [
    (
        "everything",
        include_str!("../../../tests/fixtures/apt/timed-everything-apt2.6.1.json"),
        include_str!("../../../tests/fixtures/apt/timed-everything-apt2.6.1.txt"),
    ),
    (
        "half",
        include_str!("../../../tests/fixtures/apt/timed-half-apt2.6.1.json"),
        include_str!("../../../tests/fixtures/apt/timed-half-apt2.6.1.txt"),
    ),
    (
        "the other half",
        include_str!("../../../tests/fixtures/apt/timed-other-half-apt2.6.1.json"),
        include_str!("../../../tests/fixtures/apt/timed-other-half-apt2.6.1.txt"),
    ),
    (
        "a kernel",
        include_str!("../../../tests/fixtures/apt/timed-kernel-apt2.6.1.json"),
        include_str!("../../../tests/fixtures/apt/timed-kernel-apt2.6.1.txt"),
    ),
    (
        "PHP",
        include_str!("../../../tests/fixtures/apt/timed-php-apt3.0.4.json"),
        include_str!("../../../tests/fixtures/apt/timed-php-apt3.0.4.txt"),
    ),
];

#[test]
fn what_is_told_to_be_left_of_recorded_upgrades_was_about_right() {
    let upgrade = PackageWork::Upgrade { removals_allowed: false, in_batch: false };
    for (name, plan, lines) in TIMED {
        let plan: UpgradePlan = serde_json::from_str(plan).unwrap();
        let lines: Vec<(f64, &str)> = lines
            .lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(second, line)| (second.parse().unwrap(), line))
            .collect();
        let (took, _) = lines[lines.len() - 1];
        let mut course = Course::upgrade(&plan, None, None);
        let (mut last, mut checked) = (0.0, 0);
        for (second, line) in lines {
            let Some(progress) = status_fd::parse_line(&upgrade, line) else { continue };
            course.hear(&progress);
            let Some(news) = course.news(SignedDuration::from_secs_f64(second)) else { continue };
            let fraction = news.fraction.unwrap();
            assert!((last..1.0).contains(&fraction), "{name}: {last} and then {fraction}");
            last = fraction;
            if fraction >= 0.2 {
                let left = news.remaining.map_or(0.0, |left| left.as_secs_f64());
                let error = (second + left) / took - 1.0;
                assert!(
                    error.abs() <= 0.25,
                    "{name}: at {second} s of {took}, {fraction}: {error:+.2} ({})",
                    news.message
                );
                checked += 1;
            }
        }
        assert!(last > 0.9 && checked > 5, "{name}: the last that was told is {last}");
    }
}

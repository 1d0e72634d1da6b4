//! What `[upgrade]` leaves out: real apt over lists of several archives, and what is told of it by a host in memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::SignedDuration;
use patchday::exit_code;
use patchday::host::Packages;
use patchday::host::apt::Apt;
use patchday::model::{PackageAction, PackageChange, PackageSelection, Severity, UpgradePlan};
use patchday::report;
use tempfile::TempDir;

use crate::fake_host::{Scenario, ended};

/// An archive: where it is, its `Release`, and a package a line, as `NAME VERSION ARCHITECTURE DEPENDS`.
const ARCHIVES: [(&str, &str, &str, &str); 4] = [
    (
        "deb.debian.org/debian",
        "bookworm",
        "Origin: Debian\nLabel: Debian\nSuite: oldstable\nVersion: 12.15\n",
        "both 2 amd64\nlib 2 amd64\nlib 2 i386\nneeds 2 amd64 docker-new\nnew 1 amd64\nopenssl 1 amd64\nplain 2 amd64\ntz 2 all",
    ),
    (
        "deb.debian.org/debian-security",
        "bookworm-security",
        "Origin: Debian\nLabel: Debian-Security\nSuite: oldstable-security\nVersion: 12\n",
        "openssl 2 amd64",
    ),
    (
        "download.docker.com/linux/debian",
        "bookworm",
        "Origin: Docker\nLabel: Docker CE\nSuite: bookworm\n",
        "both 2 amd64\ndocker-ce 2 amd64 docker-new,new\ndocker-new 1 amd64\nplain 3 amd64",
    ),
    (
        "deb.nodesource.com/node",
        "nodistro",
        "Origin: . nodistro\nLabel: . nodistro\nSuite: nodistro\n",
        "nodejs 2 amd64",
    ),
];

const INSTALLED: &str = "both 1 amd64\ndocker-ce 1 amd64\nlib 1 amd64\nlib 1 i386\nneeds 1 amd64\nnodejs 1 amd64\n\
                         openssl 1 amd64\nplain 1 amd64\ntz 1 all";

/// What apt would do with nothing left out, but for `plain` and `openssl`.
const ALL: &str = "both docker-ce docker-new lib lib:i386 needs new nodejs openssl plain tz";

fn stanzas(packages: &str, more: &str) -> String {
    let stanza = |line: &str| {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (name, version, architecture, depends) = (word(), word(), word(), word());
        let depends = if depends.is_empty() { depends } else { format!("Depends: {depends}\n") };
        let multi = if name == "lib" { "Multi-Arch: same\n" } else { "" };
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: lab <lab@localhost>\n\
             Filename: {name}_{version}_{architecture}.deb\nSize: 1\nMD5sum: d41d8cd98f00b204e9800998ecf8427e\n\
             {depends}{multi}{more}Description: lab\n\n"
        )
    };
    packages.lines().map(stanza).collect()
}

/// A host whose apt has the lists of all archives; none where there is no apt.
fn site() -> Option<TempDir> {
    if !Path::new("/usr/bin/apt-get").exists() {
        println!("skipped: this host has no apt-get");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for directory in [
        "etc/apt/apt.conf.d",
        "etc/apt/preferences.d",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
        "var/lib/dpkg/info",
        "usr/bin",
    ] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let told = root.display();
    for name in ["apt-get", "apt-cache"] {
        let program = root.join("usr/bin").join(name);
        fs::write(&program, format!("#!/bin/sh\nAPT_CONFIG={told}/base.conf exec /usr/bin/{name} \"$@\"\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let base = format!(
        "Dir \"{told}\";\nDir::State::status \"{told}/var/lib/dpkg/status\";\nAPT::Architecture \"amd64\";\n\
         APT::Architectures {{ \"amd64\"; \"i386\"; }};\n"
    );
    fs::write(root.join("base.conf"), base).unwrap();
    let installed = stanzas(INSTALLED, "Status: install ok installed\n");
    fs::write(root.join("var/lib/dpkg/status"), installed).unwrap();
    let mut sources = String::new();
    for (place, suite, release, packages) in ARCHIVES {
        sources += &format!("deb [trusted=yes] http://{place} {suite} main\n");
        let list = |name: &str| {
            root.join("var/lib/apt/lists").join(format!("{}_dists_{suite}_{name}", place.replace('/', "_")))
        };
        fs::write(list("Release"), format!("{release}Components: main\nArchitectures: amd64 i386\n")).unwrap();
        for architecture in ["amd64", "i386"] {
            let is_in = |line: &&str| {
                let of = line.split(' ').nth(2).unwrap();
                of == architecture || of == "all"
            };
            let packages = packages.lines().filter(is_in).collect::<Vec<_>>().join("\n");
            fs::write(list(&format!("main_binary-{architecture}_Packages")), stanzas(&packages, "")).unwrap();
        }
    }
    fs::write(root.join("etc/apt/sources.list"), sources).unwrap();
    Some(dir)
}

fn names<'a>(changes: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = changes.collect();
    names.sort_unstable();
    names.join(" ")
}

#[test]
fn real_apt_leaves_out_what_is_excluded_and_nothing_else() {
    let Some(site) = site() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let apt = |selection: &PackageSelection| {
        Apt::new(site.path().to_owned(), SignedDuration::ZERO).with_selection(selection).unwrap()
    };
    let all = runtime.block_on(apt(&PackageSelection::default()).simulate()).unwrap();
    assert_eq!(names(all.changes.iter().map(|change| change.name.as_str())), ALL);
    assert!(all.left_out.is_empty() && all.left_out_unknown.is_none());
    // The host's own pins count for everything else.
    let pins =
        "Package: docker-ce\nPin: version 2\nPin-Priority: 1001\n\nPackage: *\nPin: release n=x\nPin-Priority: 1\n";
    fs::write(site.path().join("etc/apt/preferences.d/site"), pins).unwrap();

    // Names, archives, only security; which of all is left out, which of that apt keeps back by itself, what goes.
    for (exclude, origins, only_security, left_out, kept_back, removed) in [
        // With what only an excluded package needs, and without what needs it.
        ("docker-*", "", false, "docker-ce needs", "needs", ""),
        ("docker-ce", "", false, "docker-ce", "", ""),
        ("t? nothing-such *-dkms", "", false, "tz", "", ""),
        // Both halves of a package stay; where one alone may not, apt takes it away, and the removal ends the run.
        ("lib", "", false, "lib lib:i386", "", ""),
        ("lib:i386", "", false, "lib:i386", "", "lib:i386"),
        ("tz:amd64", "", false, "tz", "", ""),
        ("tz:i386", "", false, "", "", ""),
        // What another archive has as well is taken from there, and where it has an older version, that.
        ("", "Docker", false, "docker-ce needs plain", "needs", ""),
        ("", "docker ?e", false, "docker-ce needs plain", "needs", ""),
        ("", "*.nodesource.com", false, "nodejs", "", ""),
        ("", ". nodistro|download.docker.com", false, "docker-ce needs nodejs plain", "needs", ""),
        ("", "Debian-Security", false, "openssl", "", ""),
        ("", "Nowhere", false, "", "", ""),
        // The host's pin for a single package counts more here; the run will not have it.
        ("", "", true, "both lib lib:i386 needs nodejs plain tz", "", ""),
        ("openssl", "Docker", true, "both docker-ce lib lib:i386 needs nodejs openssl plain tz", "", ""),
    ] {
        let list = |text: &str, by: char| text.split(by).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let selection =
            PackageSelection { exclude: list(exclude, ' '), exclude_origins: list(origins, '|'), only_security };
        let apt = apt(&selection);
        let plan = runtime.block_on(apt.simulate()).unwrap();
        let archives = runtime.block_on(apt.archives()).unwrap();
        assert_eq!(
            names(plan.left_out.iter().map(|change| change.name.as_str())),
            left_out,
            "{selection:?}: {plan:#?}"
        );
        assert_eq!(names(plan.removals()), removed, "{selection:?}");
        let back = plan.kept_back.iter().map(String::as_str).filter(|name| !only_security || *name == "x");
        assert_eq!(names(back), kept_back, "{selection:?}");
        let made = plan.changes.iter().filter(|change| change.action == PackageAction::Upgrade);
        let made = made.filter(|change| !left_out.split(' ').any(|left| left == change.name));
        for change in made {
            assert!(all.changes.contains(change), "{selection:?}: {change:?}");
        }
        // The run would have seen it if apt had not heeded its pins.
        let pinned: &[&str] = if only_security && origins.is_empty() { &["docker-ce"] } else { &[] };
        assert_eq!(selection.unwanted(&plan, "amd64", &archives), pinned, "{selection:?}");
        let seen = selection.unwanted(&all, "amd64", &archives);
        let by_itself = |left: &&str| !kept_back.contains(left);
        let left = left_out.split(' ').filter(|left| !left.is_empty()).filter(by_itself);
        assert!(left.clone().all(|left| seen.contains(&left)), "{selection:?}: {seen:?}");
        assert_eq!(plan.left_out.iter().any(PackageChange::is_security), left.clone().any(|left| left == "openssl"));
    }
}

fn update(name: &str, origin: &str) -> PackageChange {
    let version = |version: &str| Some(version.to_owned());
    let (from, to, origin) = (version("1"), version("2"), Some(origin.to_owned()));
    PackageChange { name: name.into(), action: PackageAction::Upgrade, from, to, origin }
}

/// What the preflight of a run says under a label: how bad it is, and its evidence.
fn said(scenario: &Scenario, label: &str) -> Option<(Severity, Vec<String>)> {
    let (_, run) = scenario.run_to_end();
    let check = run.checks.into_iter().find(|check| check.label == label).unwrap();
    check.finding.map(|finding| (finding.severity, finding.evidence))
}

#[test]
fn a_security_update_that_is_left_out_is_told_by_check_step_and_report() {
    let scenario = Scenario::new();
    assert_eq!(said(&scenario, "security-left-out"), None);
    let scenario = Scenario::new();
    scenario.world().left_out =
        vec![update("docker-ce", "Docker CE:bookworm"), update("openssl", "Debian-Security:12/oldstable-security")];
    let evidence = vec!["openssl 1 -> 2".to_owned()];
    assert_eq!(said(&scenario, "security-left-out"), Some((Severity::Warning, evidence)));

    let scenario = Scenario::new();
    scenario.world().left_out = vec![update("openssl", "Debian-Security:12/oldstable-security")];
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE);
    let note = run.history.iter().find_map(|record| record.note.clone().filter(|note| note.contains("left out")));
    assert!(note.unwrap().contains("1 left out, 1 of these for security"));
    let report = report::build(&run, &[], run.planned);
    let (text, markdown) = (report::text::render(&report, &report::Style::plain()), report::markdown::render(&report));
    assert!(text.contains("left out by [upgrade], though for security: openssl"), "{text}");
    assert!(markdown.contains("or leave it out no more: openssl"), "{markdown}");

    let scenario = Scenario::new();
    scenario.world().left_out_unknown = Some("simulate: held broken packages");
    let evidence = vec!["simulate: held broken packages".to_owned()];
    assert_eq!(said(&scenario, "security-left-out"), Some((Severity::Warning, evidence)));
}

#[test]
fn a_name_that_finds_nothing_is_noted_with_what_was_meant() {
    let mut scenario = Scenario::new();
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    scenario.settings.upgrade.selection = PackageSelection {
        exclude: list(&["tzdata", "libc6:amd64", "lib*", "tzdta", "libc6:i386", "snapd", "*-dkms"]),
        exclude_origins: list(&["deb.debian.org", "Debain", "Docker", "*.example"]),
        only_security: false,
    };
    let told = [
        "\"tzdta\" is not installed; did you mean \"tzdata\"?",
        "\"libc6:i386\" is not installed",
        "\"snapd\" is not installed",
        "\"*-dkms\" finds nothing",
        "\"Debain\" names no archive of this host; did you mean \"Debian\"?",
        "\"Docker\" names no archive of this host",
        "\"*.example\" finds nothing",
    ];
    assert_eq!(said(&scenario, "selection-known"), Some((Severity::Info, list(&told))));
    scenario.settings.upgrade.selection = PackageSelection { exclude: list(&["tz*"]), ..PackageSelection::default() };
    assert_eq!(said(&scenario, "selection-known"), None);
}

/// apt was told, and did it all the same: nothing is touched.
#[test]
fn a_plan_with_what_is_excluded_ends_the_run_before_the_first_stop() {
    let selection = |exclude: &str, origin: &str| PackageSelection {
        exclude: vec![exclude.to_owned()],
        exclude_origins: vec![origin.to_owned()],
        only_security: false,
    };
    for (selection, refused) in [
        (selection("libc?", "Nowhere"), "apt would change libc6, which"),
        (selection("nothing", "debian"), "apt would change libc6, tzdata, which"),
    ] {
        let mut scenario = Scenario::new();
        for change in &mut scenario.world().pending {
            change.origin = Some("Debian:12.15/oldstable".to_owned());
        }
        scenario.settings.upgrade.selection = selection;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::UNTOUCHED, "{:?}", run.phase);
        assert!(format!("{:?}", run.phase).contains(refused), "{:?}", run.phase);
    }
    // An upgrade of nothing is no reason to think that nothing was left out.
    let plan = UpgradePlan { left_out: vec![update("a", "x")], ..UpgradePlan::default() };
    assert_eq!(serde_json::from_str::<UpgradePlan>(&serde_json::to_string(&plan).unwrap()).unwrap(), plan);
}

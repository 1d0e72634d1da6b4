//! apt under settings of a site that change what it prints and what it does: the plan is the same, and the work is done.
//! Real apt, on a tree of its own.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::SignedDuration;
use patchday::host::apt::Apt;
use patchday::host::{PackageSurvey, PackageWork, Packages};
use patchday::model::{UpgradePlan, WorkSpec};
use tempfile::TempDir;

/// A host below a directory: two packages to upgrade, one that comes and one that goes with them, one on hold.
struct Site {
    root: TempDir,
}

const PACKAGES: &str = "\
Package: lab-a\nVersion: 2\nDepends: lab-new\n
Package: lab-b\nVersion: 2\nConflicts: lab-old\nReplaces: lab-old\n
Package: lab-new\nVersion: 1\n
Package: lab-held\nVersion: 2\n
";

fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // By another process: a child that some other test starts meanwhile would hold our own file open for writing.
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut install = install.spawn().unwrap();
    install.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(install.wait().unwrap().success());
}

impl Site {
    /// None where this host has no apt.
    fn new() -> Option<Self> {
        if !Path::new("/usr/bin/apt-get").exists() {
            println!("skipped: this host has no apt-get");
            return None;
        }
        let site = Self { root: tempfile::tempdir().unwrap() };
        let root = site.root.path();
        for directory in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg/updates",
            "var/lib/dpkg/info",
            "var/log/apt",
            "run",
            "repo",
        ] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let told = root.display();
        for name in ["apt-get", "apt-cache", "apt-helper"] {
            let real = if name == "apt-helper" { "/usr/lib/apt/apt-helper" } else { &format!("/usr/bin/{name}") };
            program(
                &root.join("usr/bin").join(name),
                &format!("#!/bin/sh\nAPT_CONFIG={told}/base.conf exec {real} \"$@\"\n"),
            );
        }
        // Says what it was told, and configures nothing.
        program(&root.join("usr/bin/dpkg"), &format!("#!/bin/sh\necho \"$LANGUAGE $*\" >>{told}/dpkg-was-told\n"));
        let base = format!(
            "Dir \"{told}\";\nDir::State::status \"{told}/var/lib/dpkg/status\";\n\
             Dir::Bin::methods \"/usr/lib/apt/methods\";\nDir::Bin::dpkg \"{told}/usr/bin/dpkg\";\n\
             APT::Sandbox::User \"root\";\nAPT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\n\
             DPkg::Run-Directory \"{told}/run\";\n"
        );
        fs::write(root.join("base.conf"), base).unwrap();
        fs::write(root.join("etc/apt/sources.list"), format!("deb [trusted=yes] file:{told}/repo ./\n")).unwrap();
        let mut index = String::new();
        for stanza in PACKAGES.split("\n\n").filter(|stanza| !stanza.trim().is_empty()) {
            let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let file = format!("{}_{}.deb", field("Package").unwrap(), field("Version").unwrap());
            fs::write(root.join("repo").join(&file), "not a real one").unwrap();
            index += &format!(
                "{}\nArchitecture: all\nMaintainer: lab <lab@localhost>\nFilename: ./{file}\nSize: 14\n\
                 SHA256: d4a64857d67e29e31560de9a09222af955dba189418d8ca1f11e5c472e43ec4b\nDescription: lab\n\n",
                stanza.trim()
            );
        }
        fs::write(root.join("repo/Packages"), index).unwrap();
        let installed = |name: &str, wanted: &str| {
            format!(
                "Package: {name}\nStatus: {wanted} ok installed\nVersion: 1\nArchitecture: all\n\
                 Maintainer: lab <lab@localhost>\nDescription: lab\n\n"
            )
        };
        let status = ["lab-a", "lab-b", "lab-old"].map(|name| installed(name, "install")).concat();
        fs::write(root.join("var/lib/dpkg/status"), status + &installed("lab-held", "hold")).unwrap();
        let updated = site.perform(&PackageWork::Refresh);
        assert!(updated.0, "{}", updated.1);
        Some(site)
    }

    fn apt(&self) -> Apt {
        Apt::new(self.root.path().to_owned(), SignedDuration::from_secs(5))
    }

    /// What stands in a file of `apt.conf.d`; empty for nothing.
    fn set(&self, settings: &str) {
        fs::write(self.root.path().join("etc/apt/apt.conf.d/99site"), settings).unwrap();
    }

    fn plan(&self) -> Result<UpgradePlan, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.apt().simulate()).map_err(|error| error.to_string())
    }

    fn sources(&self) -> Vec<(String, Option<String>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sources = runtime.block_on(self.apt().sources()).unwrap();
        sources.into_iter().map(|source| (source.name, source.problem)).collect()
    }

    /// As its unit does, with the environment of the work and nothing else.
    fn perform(&self, work: &PackageWork) -> (bool, String) {
        let (argv, environment) = self.apt().command(work).unwrap();
        let argv: Vec<String> = argv.iter().map(|argument| argument.replace(WorkSpec::STATUS_FD, "1")).collect();
        let output = Command::new(&argv[0]).args(&argv[1..]).env_clear().envs(environment).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said.into_owned())
    }

    fn dpkg_was_told(&self) -> String {
        let file = self.root.path().join("dpkg-was-told");
        let told = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        told
    }
}

/// Settings that people have, or that somebody left behind after a search for a fault: one a line, each alone and all at once.
const HOSTILE: &str = include_str!("../fixtures/apt/hostile.conf");

#[test]
fn no_setting_of_a_site_changes_the_plan() {
    let Some(site) = Site::new() else { return };
    let plan = site.plan().unwrap();
    let names: Vec<&str> = plan.changes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!((plan.changes.len(), plan.removals().collect::<Vec<_>>()), (4, vec!["lab-old"]), "{names:?}");
    assert_eq!((plan.kept_back.as_slice(), plan.sizes.len()), (["lab-held".to_owned()].as_slice(), 3));
    let sources = site.sources();
    assert_eq!(sources.len(), 1, "{sources:?}");
    for settings in HOSTILE.lines() {
        site.set(settings);
        assert_eq!(site.plan().as_ref(), Ok(&plan), "{settings}");
    }
    site.set(HOSTILE);
    assert_eq!(site.plan(), Ok(plan));
    assert_eq!(site.sources(), sources);
}

#[test]
fn no_setting_of_a_site_keeps_an_upgrade_from_being_done() {
    let Some(site) = Site::new() else { return };
    let upgrade = PackageWork::Upgrade { removals_allowed: true, in_batch: false };
    let check = |settings: &str| {
        site.set(settings);
        let (succeeded, said) = site.perform(&upgrade);
        let told = site.dpkg_was_told();
        assert!(succeeded, "{settings}: {said}");
        for wanted in ["--unpack", "--configure", "lab-a", "--no-force-confnew"] {
            assert!(told.contains(wanted), "{settings}: dpkg was told {told:?}; {said}");
        }
        assert!(said.lines().any(|line| line.starts_with("pmstatus:dpkg-exec:")), "{settings}: {said}");
        assert!(!said.contains('\u{1b}'), "{settings}: {said}");
    };
    check("");
    HOSTILE.lines().for_each(&check);
    check(HOSTILE);
}

#[test]
fn a_host_that_speaks_german_has_an_apt_that_speaks_english() {
    let Some(site) = Site::new() else { return };
    // What a unit of systemd would pass on is not there at all, and what is there is ours.
    let (_, environment) = site.apt().command(&PackageWork::Refresh).unwrap();
    let value = |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!((value("LC_ALL"), value("LANGUAGE"), value("LANG")), (Some("C.UTF-8"), Some(""), None));
    for asks in ["APT_LISTCHANGES_FRONTEND", "APT_LISTBUGS_FRONTEND"] {
        assert_eq!(value(asks), Some("none"));
    }
    assert!(site.perform(&PackageWork::Upgrade { removals_allowed: true, in_batch: false }).0);
    // And so does what apt starts: here the first word is what it has of LANGUAGE.
    assert!(site.dpkg_was_told().lines().all(|line| line.starts_with(' ')));
}

/// The part of an upgrade that comes while services run: what waits is not touched, by whatever way.
#[test]
fn real_apt_leaves_alone_what_waits_and_what_goes_with_it() {
    let Some(site) = Site::new() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (waits, comes) in [
        (vec!["lab-b"], "lab-a lab-new"),
        (vec!["lab-a", "lab-b"], ""),
        // New, and needed by another; with its architecture, as apt names what is foreign.
        (vec!["lab-b", "lab-new"], ""),
        (vec!["lab-b:amd64", "lab-a:amd64"], ""),
    ] {
        let waits: Vec<String> = waits.into_iter().map(str::to_owned).collect();
        let plan = runtime.block_on(site.apt().simulate_without(&waits)).unwrap();
        let mut names: Vec<&str> = plan.changes.iter().map(|change| change.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names.join(" "), comes, "without {waits:?}");
        let _ = site.dpkg_was_told();
        let (done, said) = site.perform(&PackageWork::UpgradeWithout(waits.clone()));
        assert!(done, "{said}");
        let told = site.dpkg_was_told();
        assert!(!told.contains("lab-b") && !told.contains("lab-old"), "without {waits:?}: {told}");
        assert_eq!(told.contains("lab-new"), comes.contains("lab-new"), "without {waits:?}: {told}");
    }
}

//! Reads the lines that apt and dpkg write to their status descriptors.

use crate::host::PackageWork;
use crate::model::{PackageStage, Stage, WorkProgress};

/// Reads one line of `APT::Status-Fd` or of `dpkg --status-fd`; none for one that tells no progress, and for one that
/// was cut short.
///
/// apt counts to 100 % once for all downloads and once for dpkg. In work that installs, only dpkg's count is told:
/// with a repository on the host itself apt "downloads" in an instant before dpkg begins. The count of dpkg goes back a
/// little where triggers turn up, and need not reach 100 %: whoever shows it must not let it fall, and the end of the
/// work is its exit status and nothing else.
pub(super) fn parse_line(work: &PackageWork, line: &str) -> Option<WorkProgress> {
    let line = line.trim_end_matches(['\n', '\r']);
    match work {
        PackageWork::Refresh | PackageWork::Download => parse_apt(line, &["dlstatus"]),
        PackageWork::Upgrade { .. }
        | PackageWork::UpgradeWithout(_)
        | PackageWork::Install(_)
        | PackageWork::UpgradeOnly(_)
        | PackageWork::InstallFiles(_)
        | PackageWork::Purge(_)
        | PackageWork::Reinstall(_)
        | PackageWork::FixBroken => parse_apt(line, &["pmstatus", "pmerror", "pmconffile"]),
        PackageWork::Configure | PackageWork::Unpack(_) => parse_dpkg(line),
        PackageWork::Mend(_) => None,
    }
}

/// `KIND:SUBJECT:PERCENT:TEXT`. The subject is a number of a file, a package, or the path of a package's file; none of
/// them holds a colon.
fn parse_apt(line: &str, kinds: &[&str]) -> Option<WorkProgress> {
    let mut fields = line.splitn(4, ':');
    let (kind, subject, percent, text) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if !kinds.contains(&kind) {
        return None;
    }
    let percent: f64 = percent.parse().ok()?;
    let (package, message) = match kind {
        "pmstatus" => (stage(subject, text), text.trim().to_owned()),
        // dpkg reports the conflict even where it has been told to keep the old file.
        "pmconffile" => (None, format!("Keeping the configuration file {subject}")),
        "pmerror" => (None, format!("Failed: {subject}: {}", text.trim())),
        _ => (None, text.trim().to_owned()),
    };
    let fraction = if percent.is_finite() { (percent / 100.0).clamp(0.0, 1.0) } else { 0.0 };
    Some(WorkProgress { fraction: Some(fraction), package, message })
}

/// How apt words what dpkg does, the longer ones first: the same in apt 2.2 to 3.3. It says "Installing" when the files
/// are in their place.
const STAGES: [(&str, Stage); 10] = [
    ("Preparing to configure ", Stage::Configuring),
    ("Preparing for removal of ", Stage::Removing),
    ("Preparing ", Stage::Unpacking),
    ("Unpacking ", Stage::Unpacking),
    ("Installing ", Stage::Unpacked),
    ("Configuring ", Stage::Configuring),
    ("Installed ", Stage::Configured),
    ("Removing ", Stage::Removing),
    ("Removed ", Stage::Removing),
    ("Running post-installation trigger ", Stage::Triggered),
];

fn stage(package: &str, text: &str) -> Option<PackageStage> {
    let (words, stage) = STAGES.iter().find(|(words, _)| text.starts_with(words))?;
    let (_, arch) = text[words.len()..].trim_end().strip_suffix(')')?.rsplit_once(" (")?;
    Some(PackageStage { name: package.to_owned(), arch: arch.to_owned(), stage: *stage })
}

/// `processing: configure: PACKAGE` or `status: PACKAGE : error : TEXT`. dpkg does not know how much is to come.
fn parse_dpkg(line: &str) -> Option<WorkProgress> {
    let (kind, rest) = line.split_once(": ")?;
    let message = match kind {
        "processing" => match rest.split_once(": ")? {
            ("configure", package) => format!("Configuring {}", package.trim()),
            ("trigproc", package) => format!("Running triggers of {}", package.trim()),
            (action, package) => format!("{action} {}", package.trim()),
        },
        "status" => {
            let (package, error) = rest.split_once(" : error : ")?;
            format!("Failed: {}: {}", package.trim(), error.trim())
        }
        _ => return None,
    };
    Some(WorkProgress { message, ..WorkProgress::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPGRADE: PackageWork = PackageWork::Upgrade { removals_allowed: false, in_batch: false };

    #[test]
    fn lines_are_read_by_the_work_they_belong_to() {
        for (work, line, expected) in [
            (
                PackageWork::Download,
                "dlstatus:2:31.8807:Retrieving file 2 of 3",
                Some((Some(0.318807), "Retrieving file 2 of 3")),
            ),
            (
                PackageWork::Refresh,
                "dlstatus:5:100.0000:Retrieving file 5 of 5\n",
                Some((Some(1.0), "Retrieving file 5 of 5")),
            ),
            (UPGRADE, "dlstatus:5:100.0000:Retrieving file 5 of 5", None),
            (UPGRADE, "pmstatus:dpkg-exec:0.0000:Running dpkg", Some((Some(0.0), "Running dpkg"))),
            (
                UPGRADE,
                "pmstatus:lab-a:31.5789:Installing lab-a (amd64)",
                Some((Some(0.315789), "Installing lab-a (amd64)")),
            ),
            (PackageWork::FixBroken, "pmstatus:lab-a:50.0:Text: with a colon", Some((Some(0.5), "Text: with a colon"))),
            (
                UPGRADE,
                "pmconffile:/etc/lab.conf:52.6316:'/etc/lab.conf' '/etc/lab.conf.dpkg-new' 1 1 ",
                Some((Some(0.526316), "Keeping the configuration file /etc/lab.conf")),
            ),
            (
                UPGRADE,
                "pmerror:lab-fail:78.9474:installed lab-fail package post-installation script returned error",
                Some((
                    Some(0.789474),
                    "Failed: lab-fail: installed lab-fail package post-installation script returned error",
                )),
            ),
            (
                UPGRADE,
                "pmerror:/var/cache/apt/archives/lab_2_all.deb:50.0:trying to overwrite '/x'",
                Some((Some(0.5), "Failed: /var/cache/apt/archives/lab_2_all.deb: trying to overwrite '/x'")),
            ),
            (UPGRADE, "media-change: Disc 1:/media/cdrom/:Please insert the disc", None),
            (UPGRADE, "pmstatus:lab-a:31.57", None),
            (UPGRADE, "pmstatus:lab-a:much:Installing", None),
            (UPGRADE, "pmstatus:lab-a:NaN:Installing", Some((Some(0.0), "Installing"))),
            (UPGRADE, "pmstatus:lab-a:250.0:Installing", Some((Some(1.0), "Installing"))),
            (UPGRADE, "", None),
            (PackageWork::Configure, "processing: configure: lab-fail", Some((None, "Configuring lab-fail"))),
            (
                PackageWork::Configure,
                "processing: trigproc: libc-bin:amd64",
                Some((None, "Running triggers of libc-bin:amd64")),
            ),
            (PackageWork::Configure, "status: lab-fail: half-configured", None),
            (
                PackageWork::Configure,
                "status: lab-fail : error : installed lab-fail package failed",
                Some((None, "Failed: lab-fail: installed lab-fail package failed")),
            ),
        ] {
            let seen = parse_line(&work, line);
            let seen = seen.map(|seen| (seen.fraction.map(|fraction| (fraction * 1e6).round() / 1e6), seen.message));
            assert_eq!(seen, expected.map(|(fraction, message)| (fraction, message.to_owned())), "{line}");
        }
    }

    #[test]
    fn the_stages_of_a_package_are_told_apart() {
        let at = |line| parse_line(&UPGRADE, line).unwrap().package.map(|at| (at.name, at.arch, at.stage));
        let package = |name: &str, arch: &str, stage| Some((name.to_owned(), arch.to_owned(), stage));
        for (line, expected) in [
            ("pmstatus:dpkg-exec:0.0000:Running dpkg", None),
            ("pmstatus:perl:3.7:Preparing perl (amd64)", package("perl", "amd64", Stage::Unpacking)),
            ("pmstatus:perl:5.6:Unpacking perl (amd64)", package("perl", "amd64", Stage::Unpacking)),
            ("pmstatus:lab-arch:30.4:Installing lab-arch (i386)", package("lab-arch", "i386", Stage::Unpacked)),
            ("pmstatus:perl:90.9:Preparing to configure perl (amd64)", package("perl", "amd64", Stage::Configuring)),
            ("pmstatus:perl:92.7:Configuring perl (amd64)", package("perl", "amd64", Stage::Configuring)),
            ("pmstatus:perl:94.5:Installed perl (amd64)", package("perl", "amd64", Stage::Configured)),
            (
                "pmstatus:lab-old:0.0:Preparing for removal of lab-old (amd64)",
                package("lab-old", "amd64", Stage::Removing),
            ),
            (
                "pmstatus:ca-certificates:94.5:Running post-installation trigger ca-certificates (amd64)",
                package("ca-certificates", "amd64", Stage::Triggered),
            ),
            ("pmstatus:perl:94.5:Something that apt will say one day (amd64)", None),
        ] {
            assert_eq!(at(line), expected, "{line}");
        }
    }

    #[test]
    fn a_real_upgrade_counts_up() {
        for text in [
            include_str!("../../../tests/fixtures/apt/status-upgrade-apt2.6.1.txt"),
            include_str!("../../../tests/fixtures/apt/status-upgrade-apt3.0.4.txt"),
        ] {
            let fractions: Vec<f64> = text
                .lines()
                .filter_map(|line| parse_line(&UPGRADE, line))
                .filter_map(|progress| progress.fraction)
                .collect();
            assert!(fractions.len() > 20);
            assert!(fractions.windows(2).all(|pair| pair[1] > pair[0] - 0.05), "{fractions:?}");
            assert!(fractions.first().is_some_and(|first| *first == 0.0));
            assert!(fractions.last().is_some_and(|last| *last > 0.8));
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            include_str!("../../../tests/fixtures/apt/status-upgrade-apt2.6.1.txt"),
            include_str!("../../../tests/fixtures/apt/status-upgrade-apt3.0.4.txt"),
            "processing: upgrade: perl\nstatus: perl:amd64: half-configured\n",
        ];
        crate::host::hostile::survives(&samples, |text| {
            for work in [UPGRADE, PackageWork::Download, PackageWork::Configure] {
                for progress in text.lines().filter_map(|line| parse_line(&work, line)) {
                    let fraction = progress.fraction.unwrap_or(0.0);
                    assert!((0.0..=1.0).contains(&fraction), "{progress:?}");
                }
            }
        });
    }
}

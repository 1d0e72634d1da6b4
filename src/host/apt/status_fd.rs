//! Reads the lines that apt and dpkg write to their status descriptors.

use crate::host::PackageWork;
use crate::model::WorkProgress;

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
        PackageWork::Upgrade { .. } | PackageWork::FixBroken => parse_apt(line, &["pmstatus", "pmerror", "pmconffile"]),
        PackageWork::Configure => parse_dpkg(line),
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
    let message = match kind {
        // dpkg reports the conflict even where it has been told to keep the old file.
        "pmconffile" => format!("Keeping the configuration file {subject}"),
        "pmerror" => format!("Failed: {subject}: {}", text.trim()),
        _ => text.trim().to_owned(),
    };
    Some(WorkProgress { fraction: if percent.is_finite() { (percent / 100.0).clamp(0.0, 1.0) } else { 0.0 }, message })
}

/// `processing: configure: PACKAGE` or `status: PACKAGE : error : TEXT`. dpkg does not know how much is to come, so
/// the fraction stays 0.
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
    Some(WorkProgress { fraction: 0.0, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPGRADE: PackageWork = PackageWork::Upgrade { removals_allowed: false };

    #[test]
    fn lines_are_read_by_the_work_they_belong_to() {
        for (work, line, expected) in [
            (
                PackageWork::Download,
                "dlstatus:2:31.8807:Retrieving file 2 of 3",
                Some((0.318807, "Retrieving file 2 of 3")),
            ),
            (
                PackageWork::Refresh,
                "dlstatus:5:100.0000:Retrieving file 5 of 5\n",
                Some((1.0, "Retrieving file 5 of 5")),
            ),
            (UPGRADE, "dlstatus:5:100.0000:Retrieving file 5 of 5", None),
            (UPGRADE, "pmstatus:dpkg-exec:0.0000:Running dpkg", Some((0.0, "Running dpkg"))),
            (UPGRADE, "pmstatus:lab-a:31.5789:Installing lab-a (amd64)", Some((0.315789, "Installing lab-a (amd64)"))),
            (PackageWork::FixBroken, "pmstatus:lab-a:50.0:Text: with a colon", Some((0.5, "Text: with a colon"))),
            (
                UPGRADE,
                "pmconffile:/etc/lab.conf:52.6316:'/etc/lab.conf' '/etc/lab.conf.dpkg-new' 1 1 ",
                Some((0.526316, "Keeping the configuration file /etc/lab.conf")),
            ),
            (
                UPGRADE,
                "pmerror:lab-fail:78.9474:installed lab-fail package post-installation script returned error",
                Some((
                    0.789474,
                    "Failed: lab-fail: installed lab-fail package post-installation script returned error",
                )),
            ),
            (
                UPGRADE,
                "pmerror:/var/cache/apt/archives/lab_2_all.deb:50.0:trying to overwrite '/x'",
                Some((0.5, "Failed: /var/cache/apt/archives/lab_2_all.deb: trying to overwrite '/x'")),
            ),
            (UPGRADE, "media-change: Disc 1:/media/cdrom/:Please insert the disc", None),
            (UPGRADE, "pmstatus:lab-a:31.57", None),
            (UPGRADE, "pmstatus:lab-a:much:Installing", None),
            (UPGRADE, "pmstatus:lab-a:NaN:Installing", Some((0.0, "Installing"))),
            (UPGRADE, "pmstatus:lab-a:250.0:Installing", Some((1.0, "Installing"))),
            (UPGRADE, "", None),
            (PackageWork::Configure, "processing: configure: lab-fail", Some((0.0, "Configuring lab-fail"))),
            (
                PackageWork::Configure,
                "processing: trigproc: libc-bin:amd64",
                Some((0.0, "Running triggers of libc-bin:amd64")),
            ),
            (PackageWork::Configure, "status: lab-fail: half-configured", None),
            (
                PackageWork::Configure,
                "status: lab-fail : error : installed lab-fail package failed",
                Some((0.0, "Failed: lab-fail: installed lab-fail package failed")),
            ),
        ] {
            let seen = parse_line(&work, line);
            match (seen, expected) {
                (Some(seen), Some((fraction, message))) => {
                    assert!((seen.fraction - fraction).abs() < 1e-9, "{line}: {}", seen.fraction);
                    assert_eq!(seen.message, message, "{line}");
                }
                (seen, expected) => assert_eq!(seen.is_some(), expected.is_some(), "{line}"),
            }
        }
    }

    #[test]
    fn a_real_upgrade_counts_up() {
        for text in [
            include_str!("../../../tests/fixtures/apt/status-upgrade-apt2.6.1.txt"),
            include_str!("../../../tests/fixtures/apt/status-upgrade-apt3.0.4.txt"),
        ] {
            let fractions: Vec<f64> =
                text.lines().filter_map(|line| parse_line(&UPGRADE, line)).map(|progress| progress.fraction).collect();
            assert!(fractions.len() > 20);
            assert!(fractions.windows(2).all(|pair| pair[1] > pair[0] - 0.05), "{fractions:?}");
            assert!(fractions.first().is_some_and(|first| *first == 0.0));
            assert!(fractions.last().is_some_and(|last| *last > 0.8));
        }
    }
}

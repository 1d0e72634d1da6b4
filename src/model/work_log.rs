//! What the log of work that failed says: apt's, dpkg's, DKMS's. Pure.

/// Lines at the end of a log that are shown as they are.
const TAIL_LINES: usize = 15;
/// Lines before the end of a hook or a script that are taken for what it said of it.
const HOOK_LINES: usize = 2;
/// Lines that name a cause.
const CAUSE_LINES: usize = 6;
/// Error lines that are shown: the first ones name the cause.
const ERROR_LINES: usize = 20;

/// apt's line that only says that there are others.
const OTHERS: &str = "E: Sub-process ";

/// How apt, dpkg and debconf tell how far they are.
const PROGRESS: [&str; 25] = [
    "Reading ",
    "Building dependency tree",
    "Calculating ",
    "Need to get ",
    "After this operation",
    "Get:",
    "Hit:",
    "Ign:",
    "Fetched ",
    "Selecting previously ",
    "(Reading database",
    "Preparing to ",
    "Unpacking ",
    "Replacing ",
    "Setting up ",
    "Removing ",
    "Purging ",
    "Processing triggers ",
    "Preconfiguring ",
    "Extracting templates ",
    "debconf: ",
    "dpkg: ",
    "W: ",
    "Waiting for ",
    "WARNING: ",
];

/// What failed work says, from its log: the cause first (what a compiler or DKMS calls an error, what a hook of the kernel,
/// a script of a package or a hook of apt said last), then the errors of apt (`E:`) and of dpkg, each once. Only of a log
/// that names none of it the last 15 lines, word for word.
pub fn error_summary(log: &str) -> Vec<String> {
    // Of a line that was redrawn with carriage returns only the last state was ever to be read.
    let lines: Vec<&str> = log
        .lines()
        .map(|line| line.trim_end().rsplit('\r').next().unwrap_or_default())
        .filter(|line| !line.trim().is_empty() && (!line.starts_with("(Reading database ...") || line.ends_with(')')))
        .collect();
    let mut errors: Vec<String> = causes(&lines).into_iter().map(str::to_owned).collect();
    let mut explains_dpkg = false;
    for line in &lines {
        // dpkg gives the reason on indented lines below the package's name.
        if explains_dpkg && line.starts_with(' ') {
            if let Some(named) = errors.last_mut() {
                named.push_str(line);
            }
            continue;
        }
        let is_new = errors.len() < ERROR_LINES && errors.iter().all(|known| known != line);
        explains_dpkg = is_dpkg_error(line) && is_new;
        if is_new && (explains_dpkg || line.starts_with("E: ")) {
            errors.push((*line).to_owned());
        }
    }
    if errors.iter().any(|line| !line.starts_with(OTHERS)) {
        errors.retain(|line| !line.starts_with(OTHERS));
    }
    if errors.is_empty() {
        errors.extend(lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| (*line).to_owned()));
    }
    errors
}

fn is_dpkg_error(line: &str) -> bool {
    line.starts_with("dpkg: error") || line.starts_with("dpkg-deb: error")
}

fn is_progress(line: &str) -> bool {
    PROGRESS.iter().any(|begins| line.starts_with(begins)) || line.contains(" newly installed, ")
}

/// What somebody said right before apt or dpkg says that it failed.
fn said_before<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let said = lines.iter().rev().take_while(|line| !is_progress(line) && !line.starts_with("E: ")).take(HOOK_LINES);
    let mut said: Vec<&str> = said.copied().collect();
    said.reverse();
    said
}

/// dpkg and apt only tell that a script failed. Why stands above: what a compiler calls an error, what DKMS does, and
/// what the script, or the hook that run-parts names, said last.
fn causes<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let is_error = |line: &str| {
        line.contains(": error: ")
            || line.contains(": fatal error: ")
            || line.starts_with("Error! ")
            || (line.starts_with("make") && line.contains("]: *** "))
    };
    let is_hook = |line: &str| line.starts_with("run-parts: ") && line.contains(" exited with return code ");
    let mut causes: Vec<&str> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if is_hook(line) {
            let said = lines[at.saturating_sub(HOOK_LINES)..at].iter().filter(|said| !said.ends_with(':'));
            causes.extend(said.chain([line]));
        } else if is_dpkg_error(line) || (line.starts_with("E: ") && !line.starts_with(OTHERS)) {
            causes.extend(said_before(&lines[..at]));
        } else if is_error(line) {
            causes.push(line);
        }
    }
    let mut once: Vec<&str> = Vec::new();
    for cause in causes {
        if once.len() < CAUSE_LINES && !once.contains(&cause) {
            once.push(cause);
        }
    }
    once
}

/// Whether the log of a failed run of apt says that somebody else holds one of its locks. apt waits for dpkg's locks as
/// long as it is told to, but never for those of the package lists and of the download cache.
pub fn is_lock_conflict(log: &str) -> bool {
    log.lines()
        .any(|line| line.starts_with("E: Could not get lock ") || line.starts_with("E: Unable to acquire the dpkg "))
}

/// The logs of builds that DKMS points to where a module failed (`Consult FILE for more information.`), also from within
/// the scripts of a kernel's packages.
pub fn build_logs(log: &str) -> Vec<&str> {
    let pointers = log.lines().filter_map(|line| line.trim().strip_prefix("Consult "));
    let files = pointers.filter_map(|pointer| pointer.strip_suffix(" for more information."));
    // The log holds what a module's makefile says, too: nothing else may be read by it.
    let is_log =
        |file: &&str| file.starts_with("/var/lib/dkms/") && file.ends_with("/make.log") && !file.contains("/../");
    let mut files: Vec<&str> = files.filter(is_log).collect();
    files.dedup();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn only_the_logs_of_builds_are_pointed_to() {
        // As dkms 3.0.10 says it, and what a makefile might say.
        let log = "Error! Bad return status for module build on kernel: 6.1.0-56-amd64 (x86_64)\n\
            Consult /var/lib/dkms/lab-slow/1.0/build/make.log for more information.\n\
            Consult /var/lib/dkms/lab-slow/1.0/build/make.log for more information.\n\
            Error! One or more modules failed to install during autoinstall.\n\
            Refer to previous errors for more information.\n\
            Consult /var/lib/dkms/../../../etc/make.log for more information.\n\
            Consult /etc/shadow for more information.\n";
        assert_eq!(build_logs(log), ["/var/lib/dkms/lab-slow/1.0/build/make.log"]);
        assert!(build_logs("").is_empty());
    }

    #[test]
    fn what_a_script_said_last_comes_first_and_progress_is_left_out() {
        let log = include_str!("../../tests/fixtures/apt/failed-postinst-apt2.6.1.log");
        let summary = error_summary(log);
        assert_eq!(
            summary,
            [
                "cannot reach the moon",
                "dpkg: error processing package lab-fail (--configure): installed lab-fail package post-installation script \
                 subprocess returned error exit status 3",
            ]
        );
        assert!(!is_lock_conflict(log));
    }

    #[test]
    fn the_cause_comes_before_what_only_says_that_something_failed() {
        /// As the kernel's packages of Debian 12 and dkms 3.0.10 say it.
        const HOOK: &str = "Setting up linux-image-6.1.0-56-amd64 (6.1.193-1) ...\n\
            /etc/kernel/postinst.d/zz-lab:\n\
            zz-lab: the signing key is gone\n\
            run-parts: /etc/kernel/postinst.d/zz-lab exited with return code 3\n\
            dpkg: error processing package linux-image-6.1.0-56-amd64 (--configure):\n \
            installed linux-image-6.1.0-56-amd64 package post-installation script subprocess returned error exit status 1\n\
            Errors were encountered while processing:\n linux-image-6.1.0-56-amd64\n\
            E: Sub-process /usr/bin/dpkg returned an error code (1)\n";
        const MODULE: &str = "dkms install lab/1 -k 6.1.0-56-amd64\n\
            Building module:\n\
            Error! Bad return status for module build on kernel: 6.1.0-56-amd64 (x86_64)\n\
            Consult /var/lib/dkms/lab/1/build/make.log for more information.\n";
        const MAKE: &str = "make: Entering directory '/usr/src/linux-headers-6.1.0-56-amd64'\n\
            /var/lib/dkms/lab/1/build/lab.c:3:10: fatal error: linux/no-such.h: No such file or directory\n\
            compilation terminated.\n\
            make[2]: *** [scripts/Makefile.build:250: /var/lib/dkms/lab/1/build/lab.o] Error 1\n\
            make: *** [Makefile:1992: /var/lib/dkms/lab/1/build] Error 2\n";
        for (log, first) in [
            (HOOK, "zz-lab: the signing key is gone"),
            (MODULE, "Error! Bad return status for module build on kernel: 6.1.0-56-amd64 (x86_64)"),
            (MAKE, "/var/lib/dkms/lab/1/build/lab.c:3:10: fatal error: linux/no-such.h: No such file or directory"),
        ] {
            let summary = error_summary(log);
            assert_eq!(summary[0], first);
            let once: BTreeSet<&String> = summary.iter().collect();
            assert_eq!(summary.len(), once.len(), "each line once: {summary:#?}");
        }
    }

    /// As apt 2.6 says it where a command of `DPkg::Pre-Invoke` fails, and where packages do not fit.
    #[test]
    fn the_words_of_a_hook_of_apt_come_before_apts() {
        let log = "Need to get 0 B/720 B of archives.\nGet:1 file:/srv/repo ./ lab-update 2 [720 B]\n\
                   ** uncommitted changes in /etc\n\
                   E: Problem executing scripts DPkg::Pre-Invoke 'etckeeper pre-install'\n\
                   E: Sub-process returned an error code\n";
        let summary = error_summary(log);
        let scripts = "E: Problem executing scripts DPkg::Pre-Invoke 'etckeeper pre-install'";
        assert_eq!(summary, ["** uncommitted changes in /etc", scripts]);
    }

    #[test]
    fn a_lock_is_only_blamed_where_apt_blames_it() {
        let log = include_str!("../../tests/fixtures/apt/locked-archives-apt2.6.1.log");
        assert!(is_lock_conflict(log));
        assert!(error_summary(log)[0].starts_with("E: Could not get lock /var/cache/apt/archives/lock."));
        // It waited, and then failed for another reason.
        let log = "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 9 (apt)\n\
                   E: Unmet dependencies.\n";
        assert!(!is_lock_conflict(log));
        assert_eq!(error_summary(log)[0], "E: Unmet dependencies.");
    }

    #[test]
    fn meters_and_repetitions_are_left_out() {
        let log = "(Reading database ... \n(Reading database ... 5%\r(Reading database ... 10%\nE: x\nE: x\n\n";
        assert_eq!(error_summary(log), ["E: x"]);
        assert!(error_summary("").is_empty());
    }
}

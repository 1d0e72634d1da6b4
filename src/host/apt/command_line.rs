//! The command lines of packaging work.

use super::{Apt, batch, offline, pinned};
use crate::host::{CommandLine, HostResult, PackageWork};

impl Apt {
    pub(super) fn command_line(&self, work: &PackageWork) -> HostResult<CommandLine> {
        let mut argv = match work {
            PackageWork::UpgradeWithout(packages) => self.without(packages)?.apt_get(),
            _ => self.apt_get(),
        };
        let mut add = |arguments: &[&str]| argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        match work {
            // Without --error-on=any apt-get is content with the lists of yesterday where a source fails.
            PackageWork::Refresh => add(&["--error-on=any", "update"]),
            PackageWork::Download => add(&["-y", "--download-only", "dist-upgrade"]),
            PackageWork::Upgrade { removals_allowed, in_batch } => {
                argv.extend(offline::without_network());
                if *in_batch {
                    argv.extend(["-o", "Dpkg::Options::=--force-unsafe-io"].map(str::to_owned));
                }
                if !removals_allowed {
                    argv.push("--no-remove".to_owned());
                }
                argv.extend(["-y", "dist-upgrade"].map(str::to_owned));
            }
            PackageWork::UpgradeWithout(_) => {
                argv.extend(offline::without_network());
                argv.extend(["--no-remove", "-y", "dist-upgrade"].map(str::to_owned));
            }
            PackageWork::Install(packages) => {
                argv.extend(offline::without_network());
                argv.extend(["--no-remove", "--mark-auto", "-y", "install"].map(str::to_owned));
                argv.extend(packages.iter().cloned());
            }
            PackageWork::UpgradeOnly(packages) => {
                argv.extend(offline::without_network());
                argv.extend(batch::FIRST.map(str::to_owned));
                argv.extend(packages.iter().cloned());
            }
            PackageWork::Mend(directory) => {
                argv = [self.program.display().to_string(), "mend-batch".to_owned()].to_vec();
                argv.push(directory.display().to_string());
            }
            PackageWork::Unpack(files) => {
                argv = self.dpkg();
                // As apt tells dpkg: what new packages break is unpacked next.
                argv.extend(["--auto-deconfigure", "--unpack"].map(str::to_owned));
                argv.extend(files.iter().map(|file| file.display().to_string()));
            }
            PackageWork::InstallFiles(files) => {
                argv.extend(offline::without_network());
                argv.extend(["--no-remove", "-y", "install"].map(str::to_owned));
                argv.extend(files.iter().map(|file| file.display().to_string()));
            }
            PackageWork::Purge(packages) => {
                argv.extend(offline::without_network());
                argv.extend(["-y", "purge"].map(str::to_owned));
                argv.extend(packages.iter().cloned());
            }
            // A repair must never cost the host a package that it needs: then it is for people to decide.
            PackageWork::Reinstall(packages) => {
                add(&["-y", "--no-remove", "--reinstall", "install"]);
                argv.extend(packages.iter().cloned());
            }
            PackageWork::FixBroken => add(&["-y", "--no-remove", "--fix-broken", "install"]),
            PackageWork::Configure => {
                argv = self.dpkg();
                argv.extend(["--configure", "-a"].map(str::to_owned));
            }
        }
        Ok((argv, pinned::environment()))
    }
}

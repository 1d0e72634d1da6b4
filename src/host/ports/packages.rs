//! apt and dpkg, and what still runs of what they replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;

use super::HostResult;
use crate::model::{
    Archive, ChangedConffile, FetchedPlan, Footprint, InstalledPackage, LockHolder, OldCode, Outdated, PackageState,
    RunId, SourceState, UnitName, UpgradePlan, UsedFiles, WorkProgress,
};

/// A program with its arguments, and its environment.
pub type CommandLine = (Vec<String>, Vec<(String, String)>);

/// Packaging work that runs in a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageWork {
    /// `apt-get update`; fails when any source fails.
    Refresh,
    /// Downloads what a dist-upgrade needs.
    Download,
    /// The dist-upgrade, from what is downloaded. `--no-remove` unless removals were allowed.
    Upgrade {
        /// The plan removes packages, and every one of them is allowed.
        removals_allowed: bool,
        /// Without a sync for each file: whoever asks for it syncs at the end, and installs all of it again where the end
        /// is lost.
        in_batch: bool,
    },
    /// Upgrades these packages, written as `NAME=VERSION`, from what is downloaded, with all that this needs. What is marked
    /// as automatically installed stays so.
    UpgradeOnly(Vec<String>),
    /// Gives configuration files, as they were kept in this directory, back what a power cut took.
    Mend(PathBuf),
    /// `dpkg --unpack` of packages that lie in these files, whatever is installed of them.
    Unpack(Vec<PathBuf>),
    /// Installs these packages, written as `NAME=VERSION`, from what is downloaded, and leaves them marked as
    /// automatically installed: apt removes kernels that nobody asked for by itself when they are old.
    Install(Vec<String>),
    /// The upgrade without these packages, which stay as they are; nothing is removed. What cannot be upgraded without them
    /// stays as well.
    UpgradeWithout(Vec<String>),
    /// Installs packages that lie in these files, for good: nobody else asks for them.
    InstallFiles(Vec<PathBuf>),
    /// Removes these packages with all that is theirs.
    Purge(Vec<String>),
    /// `dpkg --configure -a`, keeping old conffiles.
    Configure,
    /// `apt-get --reinstall install` of these packages, which `--fix-broken` would only try to configure.
    Reinstall(Vec<String>),
    /// `apt-get --fix-broken install`.
    FixBroken,
}

#[async_trait]
pub trait Packages: Send + Sync {
    /// What a dist-upgrade would do with the lists as they are now. Needs no lock and changes nothing.
    async fn simulate(&self) -> HostResult<UpgradePlan>;

    /// The same for the installation of these packages, written as `NAME=VERSION`.
    async fn simulate_install(&self, packages: &[String]) -> HostResult<UpgradePlan>;

    /// What [`PackageWork::UpgradeWithout`] would do.
    async fn simulate_without(&self, packages: &[String]) -> HostResult<UpgradePlan>;

    /// The same for the removal of these packages.
    async fn simulate_purge(&self, packages: &[String]) -> HostResult<UpgradePlan>;

    /// Files of a dist-upgrade that are not on the host, and would have to come from another one.
    async fn unfetched(&self) -> HostResult<Vec<String>>;

    /// Whether dpkg's database is consistent.
    async fn state(&self) -> HostResult<PackageState>;

    /// Who holds a lock of apt or dpkg now. Takes none itself.
    async fn lock_holders(&self) -> HostResult<Vec<LockHolder>>;

    /// Installed packages and their versions.
    async fn installed(&self) -> HostResult<BTreeMap<String, String>>;

    /// The host's own architecture, in dpkg's word.
    async fn architecture(&self) -> HostResult<String>;

    /// The archives that apt has lists of.
    async fn archives(&self) -> HostResult<Vec<Archive>>;

    /// Program, arguments and environment of the work; everything else of the spec is the caller's.
    ///
    /// # Errors
    ///
    /// When apt cannot be told what to leave out.
    fn command(&self, work: &PackageWork) -> HostResult<CommandLine>;

    /// Reads one line of the status descriptor of that work; none for a line that tells no progress. The work counts,
    /// since an upgrade that first fetches from a local repository counts to 100 % twice.
    fn progress(&self, work: &PackageWork, line: &str) -> Option<WorkProgress>;

    /// Forgets the plan before, and makes a place for what comes. From now on nothing counts as fetched.
    async fn begin_fetch(&self) -> HostResult<()>;

    /// Keeps the plan, all of whose packages are there; packages of earlier plans go. On return it survives a power cut.
    async fn keep_fetched(&self, plan: &FetchedPlan) -> HostResult<()>;

    /// The plan that is kept; none if nothing was fetched to its end.
    async fn fetched(&self) -> HostResult<Option<FetchedPlan>>;
}

/// The locks of apt and dpkg in our own hands: from the end of our own work to the shutdown nobody begins to work on packages,
/// which the reboot would cut off.
#[async_trait]
pub trait PackageLocks: Send + Sync {
    /// The unit that holds them for a run.
    fn unit(&self, run: &RunId) -> HostResult<UnitName>;

    /// Queues for all of them, behind whoever has them now. They are kept until they are released or the host is down,
    /// whatever becomes of the caller, but for an hour at most. Idempotent.
    async fn queue(&self, run: &RunId) -> HostResult<()>;

    /// Gives them up, and the place in the queue. Idempotent.
    async fn release(&self, run: &RunId) -> HostResult<()>;
}

/// What of apt and dpkg is worth knowing before the work begins, and after it. All of it only looks.
#[async_trait]
pub trait PackageSurvey: Send + Sync {
    /// Every source of apt, each asked for its index.
    async fn sources(&self) -> HostResult<Vec<SourceState>>;

    /// When the package lists were refreshed last; none for never.
    async fn lists_refreshed(&self) -> HostResult<Option<Timestamp>>;

    /// Configuration files of these packages that were changed on this host.
    async fn changed_conffiles(&self, packages: &[String]) -> HostResult<Vec<ChangedConffile>>;

    /// Packages that somebody put on hold.
    async fn held(&self) -> HostResult<Vec<String>>;

    /// Why dpkg would not begin to work, in its own words; empty where it would.
    async fn refusals(&self) -> HostResult<Vec<String>>;

    /// Commands that apt calls before dpkg, and whose failure ends its work.
    async fn hooks_before_dpkg(&self) -> HostResult<Vec<String>>;

    /// What these packages have on which file systems now; nothing of those that are not installed.
    async fn footprints(&self, packages: &[String]) -> HostResult<BTreeMap<String, Footprint>>;

    /// What installed packages need of each other.
    async fn relations(&self) -> HostResult<Vec<InstalledPackage>>;

    /// To which packages these files belong, by the files. A file may have several owners, and one that only a script of a
    /// package can have made counts as of that package. Names are without architectures.
    async fn owners(&self, files: &BTreeSet<String>) -> HostResult<BTreeMap<String, BTreeSet<String>>>;

    /// What still runs with files that were replaced; none if nobody can tell, since needrestart is not installed.
    async fn outdated(&self) -> HostResult<Option<Outdated>>;
}

/// What runs, against what is installed.
#[async_trait]
pub trait RunningCode: Send + Sync {
    /// Everybody who runs files of packages that were replaced. `Unknown` where not all could be looked at.
    async fn old_code(&self) -> HostResult<Vec<OldCode>>;

    /// What these processes have mapped or open, and the files that these command lines name. `Unknown` where not all could
    /// be looked at: one has ended, or has a file system of its own.
    async fn used(&self, pids: &[u32], commands: &[Vec<String>]) -> HostResult<UsedFiles>;
}

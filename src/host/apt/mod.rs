//! apt and dpkg: what would change, what is installed, and the command lines of the work.

mod archives;
mod batch;
mod command_line;
mod conffiles;
mod diversions;
mod dpkg;
mod fetched;
mod footprint;
mod locks;
mod needrestart;
mod offline;
mod owners;
mod pinned;
mod pins;
mod refusal;
mod relations;
mod simulation;
mod sizes;
mod sources;
mod status_fd;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

pub use batch::mend;
pub use locks::take as take_locks;

use super::command::{self, below};
use super::{CommandLine, HostError, HostResult, PackageSurvey, PackageWork, Packages};
use crate::model::{
    Archive, ChangedConffile, FetchedPlan, Footprint, InstalledPackage, LockHolder, Outdated, PackageSelection,
    PackageState, SourceState, UpgradePlan, WorkProgress, WorkSpec, without_architecture,
};

/// A simulation takes a second or two; a slow disk and a throttled machine may need much longer.
const SIMULATION_TIMEOUT: Duration = Duration::from_secs(300);
const QUERY_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the package installs it.
const OWN_PROGRAM: &str = "/usr/bin/patchday";

/// Where apt keeps the package lists.
const LISTS: &str = "/var/lib/apt/lists";

/// apt and dpkg of this host.
#[derive(Debug, Clone)]
pub struct Apt {
    root: PathBuf,
    lock_timeout: SignedDuration,
    selection: PackageSelection,
    /// This binary, which mends files.
    program: PathBuf,
    /// Pins for what is left out.
    preferences: Option<PathBuf>,
    /// Lists and packages of their own; none if the host's count.
    fetched: Option<fetched::Place>,
}

impl Apt {
    /// Finds programs and dpkg's database below `root`; `/` except in tests. apt itself always works on the host that
    /// it is started on.
    ///
    /// `lock_timeout` is how long apt waits for dpkg's locks. It does not wait for those of the package lists and of
    /// the download cache: [`PackageWork::Refresh`] and [`PackageWork::Download`] fail at once where another apt is at
    /// it, and their log says so ([`crate::model::is_lock_conflict`]).
    pub fn new(root: PathBuf, lock_timeout: SignedDuration) -> Self {
        Self {
            root,
            lock_timeout,
            program: OWN_PROGRAM.into(),
            selection: PackageSelection::default(),
            preferences: None,
            fetched: None,
        }
    }

    /// The same, whose work is done by this binary where it is not apt's or dpkg's.
    #[must_use]
    pub fn with_program(self, program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), ..self }
    }

    /// The same, for which only these updates exist.
    ///
    /// # Errors
    ///
    /// When apt cannot be told what to leave out.
    pub fn with_selection(self, selection: &PackageSelection) -> HostResult<Self> {
        Ok(Self { preferences: pins::write(&self.root, selection)?, selection: selection.clone(), ..self })
    }

    /// The same, for which these packages have no updates either.
    fn without(&self, packages: &[String]) -> HostResult<Self> {
        let mut selection = self.selection.clone();
        // In every architecture, so that no half of a package goes without the other.
        selection.exclude.extend(packages.iter().map(|name| without_architecture(name).to_owned()));
        self.clone().with_selection(&selection)
    }

    /// The same, for which only the package lists and packages of [`Packages::fetched`] exist.
    #[must_use]
    pub fn with_fetched_lists(self) -> Self {
        Self { fetched: Some(fetched::Place::new(&self.root)), ..self }
    }

    /// What apt is told of what there is for it.
    fn restrictions(&self) -> Vec<String> {
        let pins = |path: &PathBuf| ["-o".to_owned(), format!("Dir::Etc::Preferences={}", path.display())];
        let fetched = self.fetched.iter().flat_map(fetched::Place::options);
        self.preferences.iter().flat_map(pins).chain(fetched).collect()
    }

    fn archives(&self) -> PathBuf {
        self.fetched.as_ref().map_or_else(|| below(&self.root, sizes::ARCHIVES), fetched::Place::archives)
    }

    fn lists(&self) -> PathBuf {
        self.fetched.as_ref().map_or_else(|| below(&self.root, LISTS), fetched::Place::lists)
    }

    async fn query(&self) -> HostResult<Vec<dpkg::DpkgPackage>> {
        let admin_dir = format!("--admindir={}", below(&self.root, "/var/lib/dpkg").display());
        let format = format!("--showformat={}", dpkg::FORMAT);
        let text = command::read_text(&self.root, "dpkg-query", &[&admin_dir, "-W", &format], QUERY_TIMEOUT).await?;
        dpkg::parse(&text).map_err(|why| HostError::failed("read dpkg's database", why))
    }

    /// Asks one of apt's programs, under whatever settings the host has.
    async fn ask(&self, program: &str, args: &[&str], timeout: Duration, what: &str) -> HostResult<String> {
        let fixed: Vec<String> = pinned::options().chain(self.restrictions()).collect();
        let args: Vec<&str> = fixed.iter().map(String::as_str).chain(args.iter().copied()).collect();
        let output = command::read(&self.root, program, &args, timeout).await;
        let output = output.map_err(|error| HostError { what: what.to_owned(), ..error })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        // apt's own errors name the cause; its exit status is 100 for all of them.
        let errors = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<&str> = errors.lines().filter_map(|line| line.strip_prefix("E: ")).collect();
        let why = if errors.is_empty() { command::complaint(&output) } else { unique(&errors).join(" ") };
        Err(HostError::failed(what, why))
    }

    async fn simulated(&self, what: &str, args: &[&str]) -> HostResult<UpgradePlan> {
        let text = self.ask("apt-get", &[&["-s"], args].concat(), SIMULATION_TIMEOUT, what).await?;
        simulation::parse(&text).map_err(|why| HostError::failed(what, why))
    }

    async fn simulation(&self, what: &str, args: &[&str]) -> HostResult<UpgradePlan> {
        let mut plan = self.simulated(what, args).await?;
        let names = sizes::names(&plan);
        if !names.is_empty() {
            // Good to know, and no more: a plan without sizes is a plan.
            let args: Vec<&str> = ["show"].into_iter().chain(names.iter().map(String::as_str)).collect();
            if let Ok(text) = self.ask("apt-cache", &args, QUERY_TIMEOUT, "ask for sizes").await {
                let archives = self.archives();
                let is_there =
                    |name: &str, size| fs::metadata(archives.join(name)).is_ok_and(|file| file.len() == size);
                let info = below(&self.root, "/var/lib/dpkg/info");
                let installed = |name: &str, arch: &str| sizes::installed(&info, name, arch);
                plan.sizes = sizes::parse(&text, &plan, is_there, installed);
            }
        }
        Ok(plan)
    }

    fn dpkg(&self) -> Vec<String> {
        let mut argv = vec![command::find_or_default(&self.root, "dpkg")];
        argv.extend(pinned::CONFFILES.map(str::to_owned));
        argv.extend(["--status-fd", WorkSpec::STATUS_FD].map(str::to_owned));
        argv
    }

    /// `apt-get` with what every use of it has in common.
    fn apt_get(&self) -> Vec<String> {
        let mut argv = vec![command::find_or_default(&self.root, "apt-get")];
        argv.extend(pinned::options());
        let mut option = |value: String| argv.extend(["-o".to_owned(), value]);
        option(format!("APT::Status-Fd={}", WorkSpec::STATUS_FD));
        option(format!("DPkg::Lock::Timeout={}", self.lock_timeout.as_secs().max(0)));
        for conffile in pinned::CONFFILES {
            option(format!("Dpkg::Options::={conffile}"));
        }
        argv.extend(self.restrictions());
        argv
    }
}

#[async_trait]
impl Packages for Apt {
    async fn simulate(&self) -> HostResult<UpgradePlan> {
        let mut plan = self.simulation("simulate the upgrade", &["dist-upgrade"]).await?;
        if self.preferences.is_some() {
            // Good to know, and no more: what is left out may be what apt cannot make sense of.
            let all = Self { preferences: None, ..self.clone() };
            match all.simulated("simulate the upgrade with nothing left out", &["dist-upgrade"]).await {
                Ok(all) => plan.left_out = all.upgrades_beyond(&plan),
                Err(error) => plan.left_out_unknown = Some(error.to_string()),
            }
        }
        Ok(plan)
    }

    async fn simulate_install(&self, packages: &[String]) -> HostResult<UpgradePlan> {
        let args: Vec<&str> = ["install"].into_iter().chain(packages.iter().map(String::as_str)).collect();
        self.simulation("simulate the installation", &args).await
    }

    async fn simulate_without(&self, packages: &[String]) -> HostResult<UpgradePlan> {
        self.without(packages)?.simulated("simulate the part of the upgrade that comes ahead", &["dist-upgrade"]).await
    }

    async fn simulate_purge(&self, packages: &[String]) -> HostResult<UpgradePlan> {
        let args: Vec<&str> = ["purge"].into_iter().chain(packages.iter().map(String::as_str)).collect();
        self.simulation("simulate the removal", &args).await
    }

    async fn unfetched(&self) -> HostResult<Vec<String>> {
        let args = ["--print-uris", "-y", "dist-upgrade"];
        let text = self.ask("apt-get", &args, SIMULATION_TIMEOUT, "look whether the packages are here").await?;
        Ok(offline::from_elsewhere(&text))
    }

    async fn state(&self) -> HostResult<PackageState> {
        Ok(PackageState { broken: dpkg::broken(&self.query().await?), interrupted: dpkg::interrupted(&self.root)? })
    }

    async fn lock_holders(&self) -> HostResult<Vec<LockHolder>> {
        locks::holders(&self.root)
    }

    async fn installed(&self) -> HostResult<BTreeMap<String, String>> {
        Ok(dpkg::installed(&self.query().await?))
    }

    async fn architecture(&self) -> HostResult<String> {
        let said = command::read_text(&self.root, "dpkg", &["--print-architecture"], QUERY_TIMEOUT).await?;
        Ok(said.trim().to_owned())
    }

    async fn archives(&self) -> HostResult<Vec<Archive>> {
        let what = "ask apt for its archives";
        let text = self.ask("apt-cache", &["policy"], QUERY_TIMEOUT, what).await?;
        archives::parse(&text).map_err(|why| HostError::failed(what, why))
    }

    fn command(&self, work: &PackageWork) -> HostResult<CommandLine> {
        self.command_line(work)
    }

    fn progress(&self, work: &PackageWork, line: &str) -> Option<WorkProgress> {
        status_fd::parse_line(work, line)
    }

    async fn begin_fetch(&self) -> HostResult<()> {
        let place = fetched::Place::new(&self.root);
        place.begin().map_err(|error| HostError::failed(format!("make {}", place.directory().display()), error))
    }

    async fn keep_fetched(&self, plan: &FetchedPlan) -> HostResult<()> {
        let place = fetched::Place::new(&self.root);
        place
            .keep(plan)
            .map_err(|error| HostError::failed(format!("write below {}", place.directory().display()), error))
    }

    async fn fetched(&self) -> HostResult<Option<FetchedPlan>> {
        let place = fetched::Place::new(&self.root);
        place.kept().map_err(|why| HostError::failed(format!("read {}", place.plan().display()), why))
    }
}

#[async_trait]
impl PackageSurvey for Apt {
    async fn sources(&self) -> HostResult<Vec<SourceState>> {
        sources::look(self).await
    }

    /// apt puts what it fetches into `partial` first, even where nothing is new.
    async fn lists_refreshed(&self) -> HostResult<Option<Timestamp>> {
        let path = self.lists().join("partial");
        let failed = |error: &dyn std::fmt::Display| HostError::failed(format!("look at {}", path.display()), error);
        match fs::metadata(&path).and_then(|metadata| metadata.modified()) {
            Ok(time) => Timestamp::try_from(time).map(Some).map_err(|error| failed(&error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn changed_conffiles(&self, packages: &[String]) -> HostResult<Vec<ChangedConffile>> {
        conffiles::changed(&self.root, packages).await
    }

    async fn held(&self) -> HostResult<Vec<String>> {
        Ok(dpkg::held(&self.query().await?))
    }

    async fn refusals(&self) -> HostResult<Vec<String>> {
        refusal::of_dpkg(&self.root).await
    }

    async fn hooks_before_dpkg(&self) -> HostResult<Vec<String>> {
        let dump = command::read_text(&self.root, "apt-config", &["dump"], QUERY_TIMEOUT).await?;
        Ok(refusal::hooks(&dump))
    }

    async fn footprints(&self, packages: &[String]) -> HostResult<BTreeMap<String, Footprint>> {
        let (root, packages) = (self.root.clone(), packages.to_vec());
        tokio::task::spawn_blocking(move || footprint::of(&root, &packages))
            .await
            .map_err(|error| HostError::failed("look where packages lie", error))
    }

    async fn relations(&self) -> HostResult<Vec<InstalledPackage>> {
        let admin_dir = format!("--admindir={}", below(&self.root, "/var/lib/dpkg").display());
        let format = format!("--showformat={}", relations::FORMAT);
        let text = command::read_text(&self.root, "dpkg-query", &[&admin_dir, "-W", &format], QUERY_TIMEOUT).await?;
        relations::parse(&text).map_err(|why| HostError::failed("read what packages need", why))
    }

    async fn owners(&self, files: &BTreeSet<String>) -> HostResult<BTreeMap<String, BTreeSet<String>>> {
        let what = "look to which packages files belong";
        let (root, files) = (self.root.clone(), files.clone());
        let seen = tokio::task::spawn_blocking(move || owners::of(&root, &files)).await;
        seen.map_err(|error| HostError::failed(what, error))?.map_err(|why| HostError::failed(what, why))
    }

    async fn outdated(&self) -> HostResult<Option<Outdated>> {
        needrestart::ask(&self.root).await
    }
}

/// apt repeats its errors; each once is enough.
fn unique<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut unique: Vec<&str> = Vec::new();
    for line in lines {
        if !unique.contains(line) {
            unique.push(line);
        }
    }
    unique
}

#[cfg(test)]
mod tests;

//! Which packages of an upgrade are related to the services, and wait for their stop; the rest may come while they run.
//!
//! Wrong is worse than slow: a package is related for any reason that can be found, and where it is not known what a service
//! uses, all packages are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::related_list::{INTERPRETERS, Interpreter, OPENED_LATE, RAN_ONCE, STARTS_ANYTHING, WHOLE_HOST};
use super::without_architecture;
use super::{AheadChoice, PackageAction, PackageChange, UnitName, UpgradePlan, WaitingPackage, matches};

/// An installed package, as far as others have to do with it. All names are without architectures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstalledPackage {
    pub name: String,
    /// The source package that it is built from.
    pub source: String,
    /// What it needs: `Pre-Depends` and `Depends`, every alternative of them.
    pub depends: Vec<String>,
    pub recommends: Vec<String>,
    pub provides: Vec<String>,
    pub essential: bool,
}

/// Files that processes use, and those that they are started with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsedFiles {
    /// By the paths that the kernel gives them, at this moment.
    pub running: BTreeSet<String>,
    /// What is mapped or open.
    pub files: BTreeSet<String>,
    /// Files that a command line names, where links lead, and interpreters of scripts.
    pub started_with: BTreeSet<String>,
}

/// What starts a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitStart {
    /// The files that define it.
    pub files: Vec<String>,
    /// Its command lines, those of its stop and of a reload too.
    pub commands: Vec<Vec<String>>,
    /// The directory or image in which it has a file system of its own.
    pub own_root: Option<String>,
}

/// What a service uses, as it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceUse {
    /// Packages of its unit's files and of its programs, each with one of these files.
    pub own: BTreeMap<String, String>,
    /// Packages of what its processes have mapped or open, each with one of these files.
    pub used: BTreeMap<String, String>,
    /// Paths of programs that run.
    pub running: BTreeSet<String>,
    /// Paths of all that is run, mapped, open, or named by its command lines.
    pub files: BTreeSet<String>,
}

/// What is known of a host for the choice.
#[derive(Debug, Clone, Copy)]
pub struct RelatedInputs<'a> {
    pub plan: &'a UpgradePlan,
    /// Each configured service with what it uses, or why that is not known.
    pub services: &'a [(UnitName, Result<ServiceUse, String>)],
    pub packages: &'a [InstalledPackage],
    /// Packages that bring a unit which runs: their scripts restart it.
    pub restarted: &'a BTreeMap<String, UnitName>,
    /// Release of the kernel that runs.
    pub kernel: &'a str,
    /// Patterns that the administrator adds.
    pub added: &'a [String],
}

/// What comes ahead, before apt has its say.
pub fn choose_ahead(inputs: &RelatedInputs<'_>) -> AheadChoice {
    if let Some(why) = inputs.services.iter().find_map(why_unknown) {
        return only_new_kernels(inputs.plan, why);
    }
    let related = Related::of(inputs);
    let mut choice = AheadChoice::default();
    for change in &inputs.plan.changes {
        match related.why_waits(change, inputs) {
            Some(why) => choice.waits.push(WaitingPackage { package: change.name.clone(), why }),
            None => choice.ahead.push(change.name.clone()),
        }
    }
    choice
}

/// Only what changes nothing before the next boot comes ahead.
pub fn only_new_kernels(plan: &UpgradePlan, why: String) -> AheadChoice {
    let kernels = plan.new_kernels();
    let is_kernel = |change: &&PackageChange| kernels.changes.contains(change);
    let (ahead, waits): (Vec<_>, Vec<_>) = plan.changes.iter().partition(is_kernel);
    AheadChoice {
        ahead: ahead.into_iter().map(|change| change.name.clone()).collect(),
        waits: waits
            .into_iter()
            .map(|change| WaitingPackage { package: change.name.clone(), why: why.clone() })
            .collect(),
        all_waits: Some(why),
    }
}

/// What of the choice apt would not do by itself: each with a reason. `seen` is apt's own simulation without what waits.
pub fn beyond_apt(choice: &AheadChoice, packages: &[InstalledPackage], seen: &UpgradePlan) -> Vec<WaitingPackage> {
    let waiting: BTreeSet<&str> = choice.waits.iter().map(|one| without_architecture(&one.package)).collect();
    let is_seen = |name: &String| seen.changes.iter().any(|change| &change.name == name);
    let left = choice.ahead.iter().filter(|name| !is_seen(name));
    left.map(|name| {
        let own = packages.iter().find(|package| package.name == without_architecture(name));
        let needs = own.and_then(|own| own.depends.iter().find(|needed| waiting.contains(needed.as_str())));
        let why = match needs {
            Some(needed) => format!("it goes with {needed}, which waits"),
            None => "apt changes it only together with what waits".to_owned(),
        };
        WaitingPackage { package: name.clone(), why }
    })
    .collect()
}

fn why_unknown((unit, seen): &(UnitName, Result<ServiceUse, String>)) -> Option<String> {
    match seen {
        Err(why) => Some(format!("what {unit} uses is not known: {why}")),
        Ok(seen) => {
            let program = seen.running.iter().find(|program| STARTS_ANYTHING.contains(&file_name(program)))?;
            Some(format!("what {unit} uses is not known: {program} starts whatever it is told"))
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Which packages are related, and why.
struct Related<'a> {
    packages: BTreeMap<&'a str, &'a InstalledPackage>,
    /// Who provides a virtual package.
    providers: BTreeMap<&'a str, Vec<&'a str>>,
    why: BTreeMap<&'a str, String>,
    /// Those whose dependencies are related too, and for whom.
    needing: BTreeMap<&'a str, String>,
    to_do: VecDeque<&'a str>,
    /// Interpreters that a service runs, and which service.
    interpreters: Vec<(&'static Interpreter, &'a UnitName)>,
    /// Those that are related for no other reason than that they are essential, or that one of these needs them.
    only_essential: BTreeSet<&'a str>,
    /// A fix of an essential package may come ahead.
    spares_fixes: bool,
}

impl<'a> Related<'a> {
    fn of(inputs: &RelatedInputs<'a>) -> Self {
        let mut providers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in inputs.packages {
            for provided in &package.provides {
                providers.entry(provided).or_default().push(&package.name);
            }
        }
        let mut related = Self {
            packages: inputs.packages.iter().map(|package| (package.name.as_str(), package)).collect(),
            providers,
            why: BTreeMap::new(),
            needing: BTreeMap::new(),
            to_do: VecDeque::new(),
            interpreters: Vec::new(),
            only_essential: BTreeSet::new(),
            spares_fixes: false,
        };
        for (unit, seen) in inputs.services {
            if let Ok(seen) = seen {
                related.add_service(unit, seen);
            }
        }
        related.add_by_name(inputs);
        for (package, unit) in inputs.restarted {
            related.why.entry(package).or_insert_with(|| format!("its scripts restart {unit}, which runs"));
        }
        related.close();
        related.add_essential(inputs);
        related
    }

    /// Nobody declares a dependency on what is essential. A service that has nothing of it open and starts with nothing of it
    /// runs no scripts, and notices only that a program which it starts is another one.
    fn add_essential(&mut self, inputs: &RelatedInputs<'a>) {
        let certain: BTreeSet<&str> = self.why.keys().copied().collect();
        let essential: Vec<&InstalledPackage> =
            self.packages.values().copied().filter(|package| package.essential).collect();
        for package in &essential {
            self.add(&package.name, "any service may use", || "it is essential: any service may use it".to_owned());
        }
        self.close();
        self.only_essential = self.why.keys().copied().filter(|name| !certain.contains(name)).collect();
        let is_programs = |name: &String| {
            !is_of(&OPENED_LATE, name) && self.packages.get(name.as_str()).is_some_and(|package| package.essential)
        };
        let seen = inputs.services.iter().filter_map(|(_, seen)| seen.as_ref().ok());
        self.spares_fixes = !seen.flat_map(|seen| seen.own.keys().chain(seen.used.keys())).any(is_programs);
    }

    /// With all that it needs.
    fn add(&mut self, package: &'a str, used_by: &str, why: impl FnOnce() -> String) {
        self.why.entry(package).or_insert_with(why);
        if !self.needing.contains_key(package) {
            self.needing.insert(package, used_by.to_owned());
            self.to_do.push_back(package);
        }
    }

    fn add_service(&mut self, unit: &'a UnitName, seen: &'a ServiceUse) {
        let user = format!("{unit} uses");
        for (package, file) in &seen.own {
            self.add(package, &user, || format!("{unit} is started with {file}"));
        }
        for (package, file) in &seen.used {
            self.add(package, &user, || format!("{unit} uses {file}"));
        }
        let all: Vec<&InstalledPackage> = self.packages.values().copied().collect();
        for package in seen.own.keys() {
            let Some(own) = self.packages.get(package.as_str()).copied() else { continue };
            for name in &own.recommends {
                for target in self.resolved(name) {
                    self.add(target, &user, || format!("{package} recommends it, with which {unit} is started"));
                }
            }
            let is_own = |name: &String| name == package || own.provides.contains(name);
            for other in all.iter().filter(|other| other.depends.iter().any(is_own)) {
                self.add(&other.name, &user, || format!("it may be a plug-in of {package}, which {unit} uses"));
            }
        }
        let direct = seen.own.keys().chain(seen.used.keys());
        let sources: BTreeMap<&str, &String> =
            direct.filter_map(|name| Some((self.packages.get(name.as_str())?.source.as_str(), name))).collect();
        for other in &all {
            if let Some(package) = sources.get(other.source.as_str()) {
                self.add(&other.name, &user, || format!("it has one source with {package}, which {unit} uses"));
            }
        }
        let names = || seen.files.iter().map(|path| file_name(path));
        for interpreter in INTERPRETERS.iter().filter(|one| names().any(|name| one.has_file(name))) {
            self.interpreters.push((interpreter, unit));
            for other in all.iter().filter(|other| interpreter.may_load(other)) {
                self.add(&other.name, &user, || format!("{unit} runs {}, which may load it", interpreter.name));
            }
        }
    }

    fn add_by_name(&mut self, inputs: &RelatedInputs<'a>) {
        let pending = inputs.plan.changes.iter().map(|change| without_architecture(&change.name));
        let names: BTreeSet<&'a str> = self.packages.keys().copied().chain(pending).collect();
        for name in names {
            if inputs.added.iter().any(|pattern| matches(without_architecture(pattern), name)) {
                self.add(name, "any service may use", || "[upgrade] ahead-related names it".to_owned());
            }
            if is_of(&OPENED_LATE, name) {
                self.add(name, "any service may use", || "any service may open it at any time".to_owned());
            }
            if is_of(&WHOLE_HOST, name) {
                self.why.entry(name).or_insert_with(|| "it serves the whole host".to_owned());
            }
        }
        let interpreters = self.interpreters.clone();
        for (interpreter, unit) in interpreters {
            let pending = inputs.plan.changes.iter().map(|change| without_architecture(&change.name));
            for name in pending.filter(|name| interpreter.is_called(name)) {
                self.add(name, &format!("{unit} uses"), || {
                    format!("{unit} runs {}, which may load it", interpreter.name)
                });
            }
        }
    }

    /// What is needed by what services use is used by them.
    fn close(&mut self) {
        while let Some(name) = self.to_do.pop_front() {
            let Some(package) = self.packages.get(name).copied().filter(|_| !is_of(&RAN_ONCE, name)) else { continue };
            let user = self.needing.get(name).cloned().unwrap_or_default();
            for needed in &package.depends {
                for target in self.resolved(needed) {
                    self.add(target, &user, || format!("{name} needs it, which {user}"));
                }
            }
        }
    }

    /// Installed packages that a name of a dependency may mean.
    fn resolved(&self, name: &'a str) -> Vec<&'a str> {
        let itself = self.packages.get_key_value(name).map(|(name, _)| *name);
        let providers = self.providers.get(name).map(Vec::as_slice).unwrap_or_default();
        itself.into_iter().chain(providers.iter().copied()).collect()
    }

    fn why_waits(&self, change: &PackageChange, inputs: &RelatedInputs<'_>) -> Option<String> {
        let name = without_architecture(&change.name);
        if change.action == PackageAction::Remove {
            return Some("it is removed".to_owned());
        }
        // A kernel that is replaced in its place takes the modules of the one that runs away.
        let of_kernel = name.starts_with("linux-") && !inputs.kernel.is_empty() && name.contains(inputs.kernel);
        if of_kernel && change.action == PackageAction::Upgrade {
            return Some("it is of the kernel that runs".to_owned());
        }
        // Debian Policy 3.8: an essential package works at every moment of its own upgrade. dpkg replaces each program by a
        // rename, and both do the same.
        let is_spared = self.spares_fixes && self.only_essential.contains(name) && is_fix(change);
        self.why.get(name).filter(|_| !is_spared).cloned()
    }
}

/// Whether only the Debian revision changes. A package without one, as dpkg itself, has no upstream version to keep.
fn is_fix(change: &PackageChange) -> bool {
    let upstream = |version: &Option<String>| Some(version.as_ref()?.rsplit_once('-')?.0.to_owned());
    upstream(&change.from).is_some_and(|from| upstream(&change.to) == Some(from))
}

impl Interpreter {
    /// Whether a file of that name is one of it: `python3.11`, `libperl.so.5.36`, `php-fpm8.2`.
    fn has_file(&self, name: &str) -> bool {
        self.files.iter().any(|beginning| {
            let rest = name.strip_prefix(beginning);
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(|next: char| next.is_ascii_digit() || ".-".contains(next))
            })
        })
    }

    /// Whether it may load something of that package.
    fn may_load(&self, package: &InstalledPackage) -> bool {
        self.is_called(&package.name) || package.depends.iter().any(|needed| is_of(self.packages, needed))
    }

    fn is_called(&self, name: &str) -> bool {
        is_of(self.packages, name) || is_of(self.modules, name)
    }
}

fn is_of(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

#[cfg(test)]
mod tests;

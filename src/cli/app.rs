//! What every verb needs: where things are, and who is looking.

use std::env;
use std::io::{IsTerminal, stderr, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use super::args::{Args, RunName};
use super::page;
use crate::checks;
use crate::config::{ConfigError, Files, Located, Settings, Trust};
use crate::error::{Failure, FailureKind};
use crate::estimate::{self, EstimateInputs};
use crate::host::apt::Apt;
use crate::host::bus::{Bus, BusAddress};
use crate::host::clock::{RunClock, SystemClock};
use crate::host::end_proof::ServerFiles;
use crate::host::git::Git;
use crate::host::grub::Grub;
use crate::host::journal::SystemdJournal;
use crate::host::kernel::Kernel;
use crate::host::kexec::KexecTools;
use crate::host::logind::Logind;
use crate::host::messenger::Outbox;
use crate::host::mongodb::Mongo;
use crate::host::pace::PaceMeter;
use crate::host::people::HostPeople;
use crate::host::probe::Probe;
use crate::host::running_code::HostProcesses;
use crate::host::system::HostSystem;
use crate::host::systemd::{SystemdBudget, SystemdPackageLocks, SystemdShutdown, SystemdUnits, SystemdWork};
use crate::host::witness::WitnessFile;
use crate::host::{Clock as _, Host, Units};
use crate::model::{
    BootId, BootTime, Change, Estimate, HostPace, LoadState, Restart, Run, RunId, RunOptions, UnitName, UpgradePlan,
    Way,
};
use crate::report::words;
use crate::steps;
use crate::store::StateDir;
use crate::ui::{self, Answer, Style, View, ViewInputs, ViewKind};

/// What an estimate needs to know of the host.
pub(super) struct Outlook {
    pub(super) builds_kernel: bool,
    boot: Option<BootTime>,
    /// How fast the host is at dpkg's work, or why that is not known.
    pub(super) pace: Result<HostPace, String>,
    /// In which way the host would be started anew, as far as that is known; in full where it is not.
    pub(super) restart: Restart,
}

/// What every verb needs.
pub(super) struct App {
    pub(super) config: PathBuf,
    pub(super) state_path: PathBuf,
    pub(super) state: StateDir,
    inputs: ViewInputs,
    no_pager: bool,
}

impl App {
    pub(super) fn new(args: &Args) -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| env::var(name).ok().filter(|v| !v.is_empty()));
        let stderr_is_terminal = stderr().is_terminal();
        let columns = console::Term::stderr().size_checked().map(|(_rows, columns)| columns);
        let inputs = ViewInputs {
            json: false,
            color: args.color.into(),
            no_color: is_set("NO_COLOR"),
            stderr_is_terminal,
            columns,
            dumb: env::var("TERM").map_or(true, |term| matches!(term.as_str(), "" | "dumb")),
            under_systemd: is_set("JOURNAL_STREAM") || is_set("NOTIFY_SOCKET"),
            // The kernel's console knows no other signs than those of its font; a locale that says UTF-8 does.
            utf8: locale.is_some_and(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8")),
            clock: Timestamp::now,
        };
        Self {
            config: args.config.clone(),
            state_path: args.state.clone(),
            state: StateDir::new(&args.state),
            inputs,
            no_pager: args.no_pager,
        }
    }

    /// The view for events.
    pub(super) fn view(&self, json: bool) -> Box<dyn View> {
        ui::choose(&ViewInputs { json, ..self.inputs })
    }

    /// Whether the view has a place for the output of what is at work.
    pub(super) fn shows_bars(&self, json: bool) -> bool {
        ui::kind(&ViewInputs { json, ..self.inputs }) == ViewKind::Bars
    }

    pub(super) fn stderr_style(&self) -> Style {
        ui::style(&self.inputs, self.inputs.stderr_is_terminal)
    }

    pub(super) fn stdout_style(&self) -> Style {
        ui::style(&self.inputs, stdout().is_terminal())
    }

    /// Prints a text, page by page where it is long, unless somebody said no or the terminal cannot move its cursor.
    pub(super) fn show(&self, text: &str) -> Result<(), Failure> {
        page::show(text, !self.no_pager && !self.inputs.dumb)
    }

    /// Prints what a verb answers.
    pub(super) fn answer(&self, answer: &impl Answer, json: bool) -> Result<(), Failure> {
        if json { page::print(&json_text(answer)?) } else { self.show(&answer.render(&self.stdout_style())) }
    }

    pub(super) fn host(&self, settings: &Settings) -> Result<Host, Failure> {
        let program = own_program()?;
        let root = PathBuf::from("/");
        let bus = Bus::new(BusAddress::System);
        let units: Arc<dyn Units> = Arc::new(SystemdUnits::new(bus.clone(), root.clone()));
        let credentials = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let database = Arc::new(Mongo::new(root.clone(), 0).with_credentials(credentials.clone()));
        let upgrade = &settings.upgrade;
        let apt =
            Apt::new(root.clone(), upgrade.lock_timeout).with_selection(&upgrade.selection)?.with_program(&program);
        let apt = if upgrade.only_planned { apt.with_fetched_lists() } else { apt };
        Ok(Host {
            prober: Arc::new(Probe::new(units.clone(), database.clone())),
            end_proofs: Arc::new(ServerFiles::new(units.clone(), root.clone())),
            units,
            journal: Arc::new(SystemdJournal::new(root.clone())),
            package_locks: Arc::new(SystemdPackageLocks::new(SystemdWork::new(bus.clone(), &program), &program)),
            work: Arc::new(SystemdWork::new(bus.clone(), program).with_writable(self.writable(settings)?)),
            budget: Arc::new(SystemdBudget::new(bus.clone(), root.clone())?),
            power: Arc::new(Logind::new(bus.clone())),
            shutdown: Arc::new(
                SystemdShutdown::new(bus.clone(), root.clone(), self.command()?)
                    .with_writable(self.writable(settings)?),
            ),
            insight: database.clone(),
            forensics: database.clone(),
            database,
            packages: Arc::new(apt.clone()),
            batches: Arc::new(apt.clone()),
            package_survey: Arc::new(apt),
            running_code: Arc::new(HostProcesses::new(root.clone())),
            kernels: Arc::new(Kernel::new(root.clone(), own_program()?)),
            boot_loader: Arc::new(Grub::new(root.clone())),
            kexec: Arc::new(KexecTools::new(root.clone())),
            people: Arc::new(HostPeople::new(bus, root.clone())),
            deployments: Arc::new(Git::new(root.clone())),
            system: Arc::new(HostSystem::new(root)),
            messenger: Arc::new(Outbox::new(PathBuf::from("/"), 0).with_credentials(credentials)),
            witness: Arc::new(WitnessFile::new(PathBuf::from("/"))),
            clock: RunClock::new(Arc::new(SystemClock)),
        })
    }

    /// Where a coordinator writes, as far as that is configured: its state, and files for people and collectors.
    pub(super) fn writable(&self, settings: &Settings) -> Result<Vec<String>, Failure> {
        let files = settings.notify.iter().filter_map(|channel| match &channel.way {
            Way::Metrics { file } | Way::Motd { file } => Path::new(file).parent(),
            _ => None,
        });
        let files = files.map(|directory| directory.display().to_string());
        Ok(files.chain([absolute(&self.state_path)?]).collect())
    }

    /// This program as a unit of ours starts it, but for the verb.
    pub(super) fn command(&self) -> Result<Vec<String>, Failure> {
        let (config, state) = (absolute(&self.config)?, absolute(&self.state_path)?);
        Ok(vec![own_program()?.display().to_string(), "--config".into(), config, "--state".into(), state])
    }

    /// The file and its drop-ins, read and not yet judged.
    pub(super) fn config_files(&self) -> Files {
        Files::read(Trust::ROOT, &self.config)
    }

    pub(super) fn load_config(&self) -> Result<Located, Failure> {
        let labels: Vec<&str> = checks::labels().collect();
        Ok(self.config_files().settings(online_cpus(), &labels)?)
    }

    /// Every configured unit must exist: a misspelt name must not look like a service that is merely down.
    pub(super) async fn require_units(&self, located: &Located, units: &dyn Units) -> Result<(), Failure> {
        let mut problems = Vec::new();
        for service in &located.settings.services {
            let state = units.state(&service.unit).await?;
            if state.load == LoadState::NotFound {
                let message =
                    format!("expected a unit of this host, found \"{}\", which systemd does not know", service.unit);
                problems.push(located.unit_problem(&service.unit, message, "systemctl list-unit-files --type=service"));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(ConfigError { problems }.into())
    }

    /// The last runs that can be read, oldest first; for estimates.
    pub(super) fn recent_runs(&self) -> Vec<Run> {
        let ids = self.state.runs().unwrap_or_default();
        let recent = &ids[ids.len().saturating_sub(8)..];
        recent.iter().filter_map(|id| self.state.load(id).ok()).filter(|run| !run.is_open()).collect()
    }

    /// Looks how long the boot took that runs, how fast the host is, and whether a kernel is to be built.
    pub(super) async fn outlook(&self, host: &Host, settings: &Settings) -> Outlook {
        let services: Vec<UnitName> = settings.services.iter().map(|service| service.unit.clone()).collect();
        // Where it is not told, the estimate is a guess, and says so.
        let boot = host.units.boot_time(&services).await.unwrap_or_default();
        let meter = PaceMeter::new(PathBuf::from("/"), self.state_path.clone());
        let pace = meter.pace(SystemClock.wall()).await.map_err(|error| error.to_string());
        Outlook { builds_kernel: steps::kernel_build_is_due(host, settings).await, boot, pace, restart: Restart::Full }
    }

    /// The estimate of a run.
    pub(super) fn estimate(
        &self,
        settings: &Settings,
        options: &RunOptions,
        plan: &UpgradePlan,
        reboots: bool,
        outlook: &Outlook,
    ) -> Estimate {
        estimate::estimate(&EstimateInputs {
            steps: &steps::planned_steps(settings, options),
            services: &settings.planned_services(),
            plan,
            history: &self.recent_runs(),
            limits: &settings.limits,
            settle: settings.verify.settle,
            grace: settings.announce.grace,
            boot: outlook.boot,
            pace: outlook.pace.as_ref().ok().copied(),
            restart: outlook.restart,
            reboots,
            builds_kernel: outlook.builds_kernel,
        })
    }

    /// The named run, or the open one, or the last one.
    pub(super) fn pick_run(&self, named: Option<&RunName>) -> Result<Option<RunId>, Failure> {
        if let Some(name) = named.filter(|name| !name.is_last()) {
            return run_named(name, self.state.runs()?).map(Some);
        }
        if named.is_some() {
            return Ok(self.state.runs()?.pop());
        }
        Ok(match self.state.open_run()? {
            Some(open) => Some(open),
            None => self.state.runs()?.into_iter().next_back(),
        })
    }
}

/// The run whose ID is that, or alone begins so.
fn run_named(name: &RunName, runs: Vec<RunId>) -> Result<RunId, Failure> {
    let name = name.as_str();
    // A whole ID needs no list: whoever loads it says that there is no such run.
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let begin_so: Vec<RunId> = runs.into_iter().filter(|id| id.as_str().starts_with(name)).collect();
    match begin_so.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::new(FailureKind::Usage, format!("no run begins with {name}")).hint("patchday history")),
        some => {
            let message =
                format!("{name} begins the IDs of {}: {}", words::count(some.len(), "run"), words::list(some));
            Err(Failure::new(FailureKind::Usage, message).hint("name one of them, or last"))
        }
    }
}

/// Strikes out what a boot since then has undone of a run that left something, and returns it. An open run stays as it is
/// recorded: its coordinator notices the boot itself.
pub(super) fn strike_out_undone(run: &mut Run, boot: Option<&BootId>) -> Vec<Change> {
    match boot {
        Some(boot) if run.left_something() => run.strike_out_undone_by(boot),
        _ => Vec::new(),
    }
}

/// The boot that runs; none if it cannot be read.
pub(super) fn boot() -> Option<BootId> {
    HostSystem::new("/".into()).boot_id()
}

pub(super) fn no_run() -> Failure {
    Failure::new(FailureKind::Usage, "no run is recorded yet").hint("patchday run")
}

/// Refuses early what would fail half way for want of privileges.
pub(super) fn require_root(verb: &str) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let message = format!("patchday {verb} must be run as root");
    Err(Failure::new(FailureKind::Usage, message).hint(format!("sudo patchday {verb}")))
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::new(FailureKind::Usage, format!("{}: {error}", path.display())))?;
    Ok(absolute.display().to_string())
}

/// The path of this very program, for the units that it starts.
pub(super) fn own_program() -> Result<PathBuf, Failure> {
    env::current_exe()
        .map_err(|error| Failure::new(FailureKind::Unexpected, format!("find the path of patchday itself: {error}")))
}

pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The data of a verb with `--json`.
pub(super) fn json_text(data: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(data);
    text.map(|text| text + "\n").map_err(|error| Failure::new(FailureKind::Unexpected, format!("write JSON: {error}")))
}

pub(super) fn online_cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(1))
}

/// Unknown labels must not look as if they allowed something.
pub(super) fn require_labels(allowed: &[String]) -> Result<(), Failure> {
    match allowed.iter().find(|label| !checks::labels().any(|known| known == label.as_str())) {
        None => Ok(()),
        Some(label) => Err(Failure::new(FailureKind::Usage, format!("--allow {label}: there is no such check"))
            .hint("patchday checks")),
    }
}

/// Log lines go to stderr; what a run does is told by events, so only trouble is logged by default.
pub(super) fn init_logging(color: bool) {
    let filter = EnvFilter::try_from_env("PATCHDAY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let logging = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).without_time();
    // A line that cannot be written is lost, and no more: told about, it would be told on the same stream by a macro
    // that panics where the stream is gone, and a coordinator would die of a journal that was restarted.
    let _ = logging.with_ansi(color).log_internal_errors(false).try_init();
}

/// What time it is for the run: where its boot still runs, by the clock that nobody sets.
pub(super) fn time_of(run: &Run, boot: Option<&BootId>) -> Timestamp {
    match run.clock.as_ref().filter(|clock| boot == Some(&clock.boot)) {
        Some(clock) => clock.time(SystemClock.since_boot()),
        None => Timestamp::now(),
    }
}

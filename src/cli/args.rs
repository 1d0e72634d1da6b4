//! Verbs and options.

mod config;
mod examples;
mod run;
mod run_name;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::complete;
use crate::checks::Topic;
use crate::config::{DEFAULT_PATH, Wrong, percent, size};
use crate::model::{InvalidId, UnitName};
use crate::store;
use crate::ui::ColorChoice;

pub(super) use config::{ConfigArgs, ConfigCommand, ShowArgs};
pub(super) use examples::{EXAMPLES, command, is_call_of};
pub(super) use run::RunArgs;
pub(super) use run_name::RunName;

/// Heads what every verb takes, below its own options.
const GLOBAL: &str = "Global options";

/// Takes this host through its patch and reboot, and proves that it came back as it was.
#[derive(Debug, Parser)]
#[command(name = "patchday", version, max_term_width = 100)]
pub(super) struct Args {
    /// Configuration file.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE", default_value = DEFAULT_PATH, env = "PATCHDAY_CONFIG")]
    pub(super) config: PathBuf,

    /// Directory where runs are recorded.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR", default_value = store::DEFAULT_PATH, env = "PATCHDAY_STATE")]
    pub(super) state: PathBuf,

    /// When to use colours; NO_COLOR turns them off.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub(super) color: Color,

    /// Do not show long output page by page.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(super) no_pager: bool,

    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Find what runs on this host, and write a commented configuration.
    Init(InitArgs),
    /// Check the configuration, or show what it says and which file says so; changes nothing.
    #[command(disable_help_subcommand = true)]
    Config(ConfigArgs),
    /// Show what a run would do and what stands in its way; changes nothing.
    Plan(PlanArgs),
    /// List the preflight checks.
    Checks(ChecksArgs),
    /// Patch, reboot and verify this host.
    Run(RunArgs),
    /// Find out why a MongoDB server does not start; changes nothing.
    Doctor(DoctorArgs),
    /// Follow a run to its end. Key `l` shows the output; Ctrl-C stops following, and the run goes on.
    Attach(AttachArgs),
    /// Show where the run stands.
    Status(JsonArgs),
    /// Show the report of a run, by default the last one.
    Report(ReportArgs),
    /// Show the output of a run's work: of apt, dpkg, dkms and hooks.
    Logs(LogsArgs),
    /// List the recorded runs.
    History(JsonArgs),
    /// Show who gets messages about runs, or send test messages.
    Notify(NotifyArgs),
    /// Compare the host, as it is now, with what it was before a run; changes nothing.
    Verify(VerifyArgs),
    /// Go on with a run whose coordinator is gone.
    Resume(ResumeArgs),
    /// End the run at its next safe point, and bring the services back.
    Abort(AbortArgs),
    /// Show when a run may begin next, and what keeps it from beginning.
    Windows(WindowsArgs),
    /// Keep runs from beginning until a given time.
    Hold(HoldArgs),
    /// Take back a hold.
    Release,
    /// Show how much of the host a run's work may use, and uses; change it during a run.
    Limits(LimitsArgs),
    /// Print a completion script for a shell.
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages below a directory.
    Man {
        /// Directory for man5 and man8, as in /usr/local/share/man.
        directory: PathBuf,
    },
    /// Build a kernel from its source.
    #[command(hide = true)]
    BuildKernel {
        /// The descriptor to tell the progress to.
        #[arg(long)]
        status: u32,
        /// How many jobs make runs side by side.
        #[arg(long)]
        jobs: u32,
        /// What to build, as JSON.
        #[arg(long)]
        source: String,
    },
    /// Have DKMS build modules for a kernel.
    #[command(hide = true)]
    BuildModules {
        /// The kernel's release.
        #[arg(long)]
        kernel: String,
        /// The modules, as in zfs/2.1.11.
        #[arg(last = true, required = true)]
        modules: Vec<String>,
    },
    /// Give configuration files back what a power cut took.
    #[command(hide = true)]
    MendBatch {
        /// Where they were kept.
        directory: PathBuf,
    },
    /// Tell whether the package may be removed; for its prerm.
    #[command(hide = true)]
    MayBeRemoved,
    /// See the services of a boot become ready, for the run that goes on after it.
    #[command(hide = true)]
    Witness,
    /// Hold the locks of apt and dpkg until it is ended.
    #[command(hide = true)]
    HoldPackageLocks,
    /// Give a program a descriptor for its status, and become that program.
    #[command(hide = true)]
    ExecWithStatus {
        /// The file to append to.
        #[arg(long)]
        status: PathBuf,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        argv: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct JsonArgs {
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// Replace a configuration that exists.
    #[arg(long)]
    pub(super) force: bool,
    /// Print the configuration instead of writing it.
    #[arg(long)]
    pub(super) stdout: bool,
}

#[derive(Debug, PartialEq, Eq, clap::Args)]
pub(super) struct PlanArgs {
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Count blockers of this check as warnings; repeat it for more checks.
    #[arg(long, value_name = "LABEL", add = complete::labels())]
    pub(super) allow: Vec<String>,
    /// Plan for a run that does not reboot.
    #[arg(long)]
    pub(super) no_reboot: bool,
    /// First refresh the package lists and fetch the packages for a run with --only-planned; installs nothing.
    #[arg(long)]
    pub(super) fetch: bool,
    /// Plan for a run that installs only what was fetched.
    #[arg(long)]
    pub(super) only_planned: bool,
    /// Plan for a run that ignores maintenance windows and blackouts.
    #[arg(long)]
    pub(super) outside_window: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ChecksArgs {
    /// Only checks of this topic: packages, space, kernel, services, database, people, deployments, host.
    #[arg(long, value_name = "TOPIC")]
    pub(super) topic: Option<Topic>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Unit of the server, as in mongod or mongod.service.
    #[arg(value_parser = unit, add = complete::units())]
    pub(super) unit: UnitName,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct WindowsArgs {
    /// Number of windows to show.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(super) count: u8,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct HoldArgs {
    /// End of the hold: a duration (12h, 3d), a day (2026-12-01, inclusive) or a minute ("2026-12-01 18:00").
    #[arg(long, value_name = "WHEN")]
    pub(super) until: String,
    /// Why; shown to those who want to begin a run.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    /// Replace a hold that lasts longer.
    #[arg(long)]
    pub(super) replace: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct AttachArgs {
    /// Run to follow: an ID, its beginning, or last; by default the open one.
    #[arg(add = complete::runs())]
    pub(super) run: Option<RunName>,
    /// If no run is open, show the last one from its beginning.
    #[arg(long, conflicts_with = "run")]
    pub(super) last: bool,
    /// Print events as lines of JSON on stdout.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct LimitsArgs {
    /// CPU share of the whole machine from now on, as in 80%.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(super) cpu: Option<u8>,
    /// CPU weight when CPUs are short, 1 to 10000; 0 takes only what is left over.
    #[arg(long, value_name = "WEIGHT", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(super) cpu_weight: Option<u64>,
    /// Disk weight when disks are busy, 1 to 10000.
    #[arg(long, value_name = "WEIGHT", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(super) io_weight: Option<u64>,
    /// Memory that the work may use before the kernel slows it down, as in 2G.
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub(super) memory_high: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl LimitsArgs {
    pub(super) fn changes_something(&self) -> bool {
        self.cpu.is_some() || self.cpu_weight.is_some() || self.io_weight.is_some() || self.memory_high.is_some()
    }
}

/// A name without a suffix is that of a service, as systemctl has it.
fn unit(text: &str) -> Result<UnitName, InvalidId> {
    text.parse().or_else(|wrong| format!("{text}.service").parse().map_err(|_| wrong))
}

fn share(text: &str) -> Result<u8, String> {
    percent(text).map_err(told)
}

fn amount(text: &str) -> Result<u64, String> {
    size(text).map_err(told)
}

fn told(wrong: Wrong) -> String {
    format!("expected {}; {}", wrong.expected, wrong.hint)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// Plain text, for the terminal.
    Text,
    /// JSON, for programs.
    Json,
    /// Markdown, a post-mortem.
    Markdown,
    /// One HTML page, with pictures of the shutdown and of the boot.
    Html,
}

#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Run to report: an ID, its beginning, or last; by default the open or the last one.
    #[arg(add = complete::runs())]
    pub(super) run: Option<RunName>,
    /// Format of the report.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(super) format: ReportFormat,
    /// Short for --format json.
    #[arg(long, conflicts_with = "format")]
    pub(super) json: bool,
    /// Write the report into a file, replacing it, instead of printing it.
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct LogsArgs {
    /// Run whose output to show: an ID, its beginning, or last; by default the open or the last one.
    #[arg(add = complete::runs())]
    pub(super) run: Option<String>,
    /// Only the output of this step, as in upgrade; by default all of it.
    pub(super) step: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct NotifyArgs {
    /// Send a test message over every channel.
    #[arg(long)]
    pub(super) test: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Run whose baseline to compare with: an ID, its beginning, or last; by default the last one that has one.
    #[arg(add = complete::runs())]
    pub(super) run: Option<RunName>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// Do the work in this process; for units.
    #[arg(long)]
    pub(super) foreground: bool,
    /// Go on at most once per boot; for the resume service.
    #[arg(long, requires = "foreground")]
    pub(super) automatic: bool,
    /// End the run at its next safe point.
    #[arg(long, hide = true, requires = "foreground")]
    pub(super) abort: bool,
    /// Wait so many seconds, and go on only with a run that still waits for its reboot then.
    #[arg(long, hide = true, requires = "foreground", value_name = "SECONDS")]
    pub(super) unless_rebooted_in: Option<u64>,
    /// Print events as lines of JSON on stdout.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct AbortArgs {
    /// Print events as lines of JSON on stdout.
    #[arg(long)]
    pub(super) json: bool,
}

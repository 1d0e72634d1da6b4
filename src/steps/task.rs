//! What a work unit does, how it is named, and what it prints.

use std::path::{Path, PathBuf};

use super::{StepContext, StepError};
use crate::host::{CommandLine, Host, HostResult, PackageWork};
use crate::model::{KernelSource, RunId, UnitName, WorkProgress, build_logs, error_summary};

/// What a work unit does.
pub(super) enum Task {
    Packages(PackageWork),
    /// A kernel from its source.
    Kernel {
        source: KernelSource,
        /// How many jobs run side by side.
        jobs: u32,
    },
    /// Modules for a kernel.
    Dkms {
        release: String,
        /// The modules, each as in `zfs/2.1.11`.
        modules: Vec<String>,
    },
}

impl Task {
    pub(super) fn command(&self, host: &Host) -> HostResult<CommandLine> {
        match self {
            Self::Packages(work) => host.packages.command(work),
            Self::Kernel { source, jobs } => Ok(host.kernels.build_command(source, *jobs)),
            Self::Dkms { release, modules } => Ok(host.kernels.dkms_command(release, modules)),
        }
    }

    pub(super) fn progress(&self, host: &Host, line: &str) -> Option<WorkProgress> {
        match self {
            Self::Packages(work) => host.packages.progress(work, line),
            Self::Kernel { .. } => host.kernels.build_progress(line),
            Self::Dkms { .. } => None,
        }
    }
}

/// The name of the unit that does the work `name` in attempt `attempt` of a run's step.
pub fn work_unit(run: &RunId, name: &str, attempt: u32) -> Option<UnitName> {
    format!("patchday-{name}-{run}-{attempt}.service").parse().ok()
}

pub(super) fn unit(ctx: &StepContext<'_>, name: &str) -> Result<UnitName, StepError> {
    work_unit(&ctx.run().id, name, attempt_number(ctx))
        .ok_or_else(|| StepError::Failed(format!("{name} names no unit")))
}

/// What the log of the work says of its failure, behind a colon, and where all of it is.
pub(super) async fn words(ctx: &StepContext<'_>, name: &str) -> String {
    let (said, log) = (said(ctx, name).await, log_path(ctx, name));
    let said = if said.is_empty() { said } else { format!(": {said}") };
    format!("{said} (whole output: {})", log.display())
}

/// What the log of the work says of its failure, and what the logs say that it points to.
pub(super) async fn said(ctx: &StepContext<'_>, name: &str) -> String {
    let log = log_tail(ctx, name).await;
    let mut lines = Vec::new();
    // DKMS and dpkg only tell that a build failed: the compiler tells why.
    for file in build_logs(&log) {
        lines.extend(error_summary(&tail(ctx, Path::new(file)).await));
        lines.push(format!("({file})"));
    }
    lines.extend(error_summary(&log));
    lines.join("; ")
}

/// The end of what the work has printed.
pub(super) async fn log_tail(ctx: &StepContext<'_>, name: &str) -> String {
    tail(ctx, &log_path(ctx, name)).await
}

pub(super) async fn tail(ctx: &StepContext<'_>, file: &Path) -> String {
    let mut text = String::new();
    let mut offset = 0;
    while let Ok((part, next)) = ctx.host.work.read_since(file, offset).await {
        if next == offset {
            break;
        }
        (text, offset) = (part, next);
    }
    text
}

pub(super) fn log_path(ctx: &StepContext<'_>, name: &str) -> PathBuf {
    ctx.recorder.output_path(&format!("{name}-{}.log", attempt_number(ctx)))
}

pub(super) fn attempt_number(ctx: &StepContext<'_>) -> u32 {
    ctx.run().attempt.as_ref().map_or(1, |attempt| attempt.number)
}

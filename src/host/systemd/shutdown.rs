//! A shutdown that does not come to its end: what it waits for, taking it back, and going on without waiting.
//!
//! The jobs of a shutdown are irreversible: no start is accepted against them. They can be cancelled all the same, and
//! then a start of the default target brings back what they have stopped (seen on systemd 252). dbus is among the first
//! that they stop, so that systemd is asked as `systemctl` asks it: over a socket of its own. A service of ours that does
//! not conflict with `shutdown.target` outlives them all until the very end, and is the only one who can tell.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;

use super::unit_spec::watch_properties;
use super::work::SystemdWork;
use crate::host::bus::Bus;
use crate::host::command::{self, below};
use crate::host::{HostError, HostErrorKind, HostResult, Shutdown};
use crate::model::{PendingJob, Restart, RunId, SoftHindrance, UnitName};

/// systemd answers at once, or is busy reading unit files.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What systemd starts at boot when nothing else is asked for. Nobody waits for all of it: what hangs belongs to it.
const START_AGAIN: [&str; 3] = ["--no-block", "start", "default.target"];

/// What systemd starts when it is to go down, in whatever way.
const GOING_DOWN: [&str; 6] =
    ["reboot.target", "poweroff.target", "halt.target", "kexec.target", "soft-reboot.target", "shutdown.target"];

/// What a soft reboot starts in place of this system, if it is there (systemd-soft-reboot.service(8)).
const OTHER_ROOT: &str = "/run/nextroot";

/// Shutdowns of this host.
#[derive(Debug, Clone)]
pub struct SystemdShutdown {
    root: PathBuf,
    work: SystemdWork,
    /// This program, with what it needs to find its state.
    program: Vec<String>,
}

impl SystemdShutdown {
    /// Shutdowns of the host whose programs are below `root`. `program` is this program's path and the arguments that
    /// come before a verb.
    pub fn new(bus: Bus, root: PathBuf, program: Vec<String>) -> Self {
        let work = SystemdWork::new(bus, program.first().cloned().unwrap_or_default());
        Self { root, work, program }
    }

    /// The watch may write to these directories, wherever they are.
    #[must_use]
    pub fn with_writable(self, writable: Vec<String>) -> Self {
        Self { work: self.work.with_writable(writable), ..self }
    }

    async fn systemctl(&self, args: &[&str]) -> HostResult<String> {
        command::read_text(&self.root, "systemctl", args, ANSWER_TIMEOUT).await
    }

    /// Whether systemd is on its way down. Its exit status is that of a question: only `running` is 0.
    async fn is_stopping(&self) -> HostResult<bool> {
        let said = command::read(&self.root, "systemctl", &["is-system-running"], ANSWER_TIMEOUT).await?;
        Ok(String::from_utf8_lossy(&said.stdout).trim() == "stopping")
    }
}

#[async_trait]
impl Shutdown for SystemdShutdown {
    async fn jobs(&self) -> HostResult<Vec<PendingJob>> {
        Ok(jobs(&self.systemctl(&["list-jobs", "--no-legend", "--plain", "--full", "--no-pager"]).await?))
    }

    async fn is_under_way(&self) -> HostResult<bool> {
        let goes_down = |job: &PendingJob| job.kind == "start" && GOING_DOWN.contains(&job.unit.as_str());
        Ok(self.is_stopping().await? || self.jobs().await?.iter().any(goes_down))
    }

    async fn begin(&self, restart: Restart) -> HostResult<()> {
        let target = match restart {
            Restart::Full => "reboot.target",
            Restart::Kexec => "kexec.target",
            Restart::Soft => "soft-reboot.target",
        };
        self.systemctl(&["--no-block", "--job-mode=replace-irreversibly", "start", target]).await.map(drop)
    }

    async fn take_back(&self) -> HostResult<bool> {
        if !self.is_stopping().await? {
            return Ok(false);
        }
        self.systemctl(&["cancel"]).await?;
        self.systemctl(&START_AGAIN).await?;
        if self.is_stopping().await? {
            let what = "take the shutdown back";
            return Err(HostError::new(HostErrorKind::Failed, what, "systemd says that it is still stopping"));
        }
        Ok(true)
    }

    async fn force(&self) -> HostResult<()> {
        self.systemctl(&["--force", "reboot"]).await.map(drop)
    }

    async fn soft_reboots(&self) -> HostResult<Option<u32>> {
        // Of a property that it does not know, systemd tells nothing.
        Ok(self.systemctl(&["show", "--value", "--property=SoftRebootsCount"]).await?.trim().parse().ok())
    }

    async fn hinders_soft_reboot(&self) -> Option<SoftHindrance> {
        match self.soft_reboots().await {
            Err(error) => Some(SoftHindrance::Unknown(error.to_string())),
            Ok(None) => Some(SoftHindrance::NotCounted),
            Ok(Some(_)) => match fs::read_dir(below(&self.root, OTHER_ROOT)) {
                Ok(mut entries) => entries.next().map(|_| SoftHindrance::OtherRoot),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => Some(SoftHindrance::Unknown(format!("read {OTHER_ROOT}: {error}"))),
            },
        }
    }

    async fn watch(&self, run: &RunId, after: SignedDuration) -> HostResult<()> {
        let name = watch_unit(run);
        let unit: UnitName = name.parse().map_err(|error| HostError::failed(format!("start {name}"), error))?;
        let mut argv = self.program.clone();
        let seconds = after.as_secs().max(1).to_string();
        argv.extend(["resume", "--foreground", "--unless-rebooted-in", &seconds].map(str::to_owned));
        self.work.start_transient(&unit, &argv, watch_properties(&argv, &self.work.writable)).await
    }

    async fn unwatch(&self, run: &RunId) -> HostResult<()> {
        // A unit that is not loaded, to `systemctl stop` an error, is one that nobody needs to stop.
        let unit = watch_unit(run);
        if self.systemctl(&["show", "--value", "--property=ActiveState", &unit]).await?.trim() == "inactive" {
            return Ok(());
        }
        self.systemctl(&["stop", &unit]).await.map(drop)
    }
}

fn watch_unit(run: &RunId) -> String {
    format!("patchday-watch-{run}.service")
}

/// Rows of `JOB UNIT TYPE STATE`; a line that is none (`No jobs running.`) has no number.
fn jobs(listed: &str) -> Vec<PendingJob> {
    let row = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [number, unit, kind, state] if number.parse::<u32>().is_ok() => {
            Some(PendingJob { unit: unit.into(), kind: kind.into(), is_running: state == "running" })
        }
        _ => None,
    };
    listed.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_systemd_252_and_257() {
        let listed = "1234 stuck.service  stop  running\n 987 reboot.target start waiting\n";
        let read: Vec<_> = jobs(listed).iter().map(|job| (job.to_string(), job.is_running)).collect();
        assert_eq!(read, [("stop of stuck.service".into(), true), ("start of reboot.target".into(), false)]);
        assert!(jobs("No jobs running.\n").is_empty() && jobs("").is_empty());
    }
}

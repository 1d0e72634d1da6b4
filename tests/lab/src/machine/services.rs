//! Patchday, the database and the sample API on a machine.

use super::Machine;
use crate::http::{self, Response};
use crate::testbed::Testbed;
use crate::wait::wait_for;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::time::Duration;

pub(crate) const MONGOD_CONF: &str = include_str!("../../recipe/mongod.conf");
pub(crate) const API_UNIT: &str = include_str!("../../recipe/sample-api.service");

/// The sample API's settings, read by its unit.
const API_SETTINGS: &str = "/etc/default/sample-api";

/// Only a leaking API leaves its child processes alive; every other one dies as a whole.
const API_LEAK_DROP_IN: &str = "/etc/systemd/system/sample-api.service.d/leak.conf";

/// What can be wrong with the sample API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiFault {
    /// Each instance that stops leaves this many database connections open, held by a process that survives it.
    LeakOnRestart(u32),
    /// SIGTERM changes nothing.
    IgnoreSigterm,
    /// `/health` says 200 although the database does not answer.
    StartBeforeDatabase,
    /// It starts only on the boot on which it first ran; on a later boot it exits with code 1.
    FailAfterReboot,
}

impl ApiFault {
    fn setting(self) -> String {
        match self {
            Self::LeakOnRestart(connections) => format!("LEAK_ON_RESTART={connections}\n"),
            Self::IgnoreSigterm => "IGNORE_SIGTERM=1\n".to_owned(),
            Self::StartBeforeDatabase => "START_BEFORE_DATABASE=1\n".to_owned(),
            Self::FailAfterReboot => "FAIL_AFTER_REBOOT=1\n".to_owned(),
        }
    }
}

impl Machine {
    /// The port on 127.0.0.1 where the sample API answers.
    pub fn api_port(&self) -> u16 {
        self.api_port.number()
    }

    /// The port on 127.0.0.1 where mongod answers.
    pub fn mongod_port(&self) -> u16 {
        self.mongod_port.number()
    }

    /// Fills in the ports and puts the sample API onto a machine that is off.
    pub(super) fn install_services(&self, sample_api: &Path) -> Result<()> {
        let fill = |text: &str| {
            text.replace("@MONGOD_PORT@", &self.mongod_port().to_string())
                .replace("@API_PORT@", &self.api_port().to_string())
        };
        self.write_file("/etc/mongod.conf", &fill(MONGOD_CONF))?;
        self.write_file("/etc/systemd/system/sample-api.service", &fill(API_UNIT))?;
        let program = fs::read(sample_api).with_context(|| format!("cannot read {}", sample_api.display()))?;
        self.write_program("/usr/bin/sample-api", &program)?;
        self.files()?.link("/etc/systemd/system/multi-user.target.wants/sample-api.service", "../sample-api.service")
    }

    /// Lets the sample API misbehave from its next start on; an empty list lets it behave again. On a running
    /// machine restart `sample-api.service` afterwards.
    pub fn set_api_faults(&self, faults: &[ApiFault]) -> Result<()> {
        self.write_file(API_SETTINGS, &faults.iter().map(|fault| fault.setting()).collect::<String>())?;
        let leaks = faults.iter().any(|fault| matches!(fault, ApiFault::LeakOnRestart(_)));
        self.write_file(API_LEAK_DROP_IN, if leaks { "[Service]\nKillMode=process\n" } else { "" })?;
        if self.leader().is_ok() {
            self.exec_ok(&["systemctl", "daemon-reload"])?;
        }
        Ok(())
    }

    /// Stops all processes of a unit from running (SIGSTOP): they live, but answer nothing and cannot end.
    pub fn freeze(&self, unit: &str) -> Result<()> {
        self.exec_ok(&["systemctl", "kill", "--signal=SIGSTOP", unit]).map(drop)
    }

    /// Lets the processes of a frozen unit run again.
    pub fn thaw(&self, unit: &str) -> Result<()> {
        self.exec_ok(&["systemctl", "kill", "--signal=SIGCONT", unit]).map(drop)
    }

    /// Puts a Patchday program and the project's unit files onto the running machine, see
    /// [`Testbed::install`](crate::Testbed::install).
    pub fn install(&self, patchday: &Path, systemd_directory: &Path) -> Result<()> {
        Testbed::install(self, patchday, systemd_directory)
    }

    /// Sends a request without a body to the sample API. An API that does not answer at all is an error.
    pub fn request(&self, method: &str, path: &str) -> Result<Response> {
        http::request(self.api_port(), method, path)
    }

    /// Waits until the sample API says that it and its database work.
    pub fn wait_until_healthy(&self, timeout: Duration) -> Result<()> {
        let mut last = "nothing".to_owned();
        let waited = wait_for(&format!("the API of {} to be healthy", self.name()), timeout, || {
            last = match self.request("GET", "/health") {
                Ok(Response { status: 200, .. }) => return Ok(Some(())),
                Ok(Response { status, body }) => format!("{status} {}", body.trim()),
                Err(error) => format!("{error:#}"),
            };
            Ok(None)
        });
        waited.with_context(|| format!("its last answer was: {last}"))
    }

    /// How many documents the sample API finds in the database.
    pub fn document_count(&self) -> Result<u64> {
        let response = self.request("GET", "/count")?;
        if response.status != 200 {
            bail!("the API of {} cannot count: {} {}", self.name(), response.status, response.body.trim());
        }
        response.body.trim().parse().with_context(|| format!("`{}` is no count", response.body))
    }

    /// Writes one more document, durably (the database has it in its journal when this returns).
    pub fn add_document(&self) -> Result<()> {
        let response = self.request("POST", "/orders")?;
        if response.status != 201 {
            bail!("the API of {} cannot write: {} {}", self.name(), response.status, response.body.trim());
        }
        Ok(())
    }

    /// Refreshes the package lists and returns the packages that a `dist-upgrade` would bring to a newer version.
    pub fn pending_upgrades(&self) -> Result<Vec<String>> {
        self.exec_ok(&["timeout", "600", "apt-get", "--quiet", "update"])?;
        let simulated = self.exec_ok(&["timeout", "600", "apt-get", "--simulate", "dist-upgrade"])?;
        // An upgrade names the installed version in brackets, a new package has none.
        Ok(simulated
            .lines()
            .filter_map(|line| line.strip_prefix("Inst ")?.split_once(' '))
            .filter(|(_, rest)| rest.starts_with('['))
            .map(|(name, _)| name.to_owned())
            .collect())
    }
}

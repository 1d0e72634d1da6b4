//! Boots a server again and again with an open run, and holds the order that the run's verification tells against what the
//! services' own logs say.

use crate::comeback::Comeback;
use crate::image::Suite;
use crate::wait::wait_for;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const STAGE: &str = include_str!("../recipe/comeback/order.sh");
const LOGS: &str = include_str!("../recipe/comeback/order-logs.sh");
const BOOT: Duration = Duration::from_secs(180);
const RUN: Duration = Duration::from_secs(300);

/// mongod's log is cut to milliseconds: within so many microseconds "active before" and "active after" are the same.
const LOG_RESOLUTION: i64 = 2_000;

/// How the services come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As MongoDB's own unit has it: active before it answers, so that the API must wait.
    AsItIs,
    /// The database's unit is active only when it answers.
    TellsWhenReady,
    /// The API says that it is ready before its database is.
    TooEarly,
    /// As it is, and nobody is there before the services: what is compared with.
    WithoutWitness,
}

impl Way {
    /// Of five boots, three are as it is.
    pub fn of_boot(number: u32) -> Self {
        match number % 5 {
            2 => Self::TellsWhenReady,
            4 => Self::TooEarly,
            _ => Self::AsItIs,
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsItIs => "as it is",
            Self::TellsWhenReady => "database tells",
            Self::TooEarly => "API too early",
            Self::WithoutWitness => "without witness",
        }
    }

    fn script(self, port: u16) -> String {
        let tells = "/etc/systemd/system/mongod.service.d/tells.conf";
        let begin = format!(
            "rm -f {tells} /etc/default/sample-api; mkdir -p /etc/systemd/system/mongod.service.d; \
             systemctl enable --quiet patchday-witness.service"
        );
        let more = match self {
            Self::AsItIs => "true".to_owned(),
            Self::TellsWhenReady => format!(
                "printf '[Service]\\nExecStartPost=/bin/bash -c \"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do \
                 sleep 0.02; done\"\\n' >{tells}"
            ),
            Self::TooEarly => "echo START_BEFORE_DATABASE=1 >/etc/default/sample-api".to_owned(),
            Self::WithoutWitness => "systemctl disable --quiet patchday-witness.service".to_owned(),
        };
        format!("{begin}; {more}")
    }
}

/// One boot: what was told of the API and its database, and what their logs say.
#[derive(Debug, Clone)]
pub struct OrderedBoot {
    /// `kept`, `waited`, `broken` or `unknown`.
    pub told: String,
    /// Why it is unknown.
    pub why: String,
    /// What the logs allow.
    pub logged: Vec<&'static str>,
    /// From mongod's record to the API's word, in microseconds.
    pub api_after_database: i64,
    /// How long the witness took to be ready, and when `basic.target` was reached, in milliseconds.
    pub witness_ms: f64,
    /// Since systemd began.
    pub basic_ms: f64,
}

impl OrderedBoot {
    /// The verdict is what the logs say.
    pub fn agrees(&self) -> bool {
        self.logged.contains(&self.told.as_str())
    }
}

/// A server with a run that waits for its reboot, for ever again.
pub struct OrderServer {
    server: Comeback,
}

impl OrderServer {
    /// Prepares the server, and takes it through its first reboot.
    pub fn prepare(suite: Suite, patchday: &Path, units: &Path) -> Result<Self> {
        let server = Comeback::prepare(suite, "order", patchday, units, "1s")?;
        server.machine.exec_ok(&["sh", "-c", STAGE])?;
        let first = server.run()?;
        if !first.findings.is_empty() {
            bail!("the first run has findings: {:?}", first.findings);
        }
        Ok(Self { server })
    }

    /// Boots once, and compares.
    pub fn boot(&self, way: Way, loaded: bool) -> Result<OrderedBoot> {
        let machine = &self.server.machine;
        let burn = if loaded { "touch /etc/lab/burn" } else { "rm -f /etc/lab/burn" };
        let script = format!(
            "{}; {burn}; rm -rf /var/lib/patchday/runs /var/lib/patchday/open-run",
            way.script(machine.mongod_port())
        );
        machine.exec_ok(&["sh", "-euc", &script])?;
        let boot = machine.boot_id()?;
        let _ = machine.exec(&["systemctl", "reboot"])?;
        machine.wait_for_reboot(&boot, BOOT)?;
        let ended = "ls /var/lib/patchday/runs/*/report.json && ! test -e /var/lib/patchday/open-run";
        wait_for("the end of the run", RUN, || Ok(machine.exec(&["sh", "-c", ended])?.success().then_some(())))
            .with_context(|| machine.journal())?;
        machine.exec_ok(&["systemctl", "stop", "lab-burner.service"])?;
        let record = machine.exec_ok(&["sh", "-c", "cat /var/lib/patchday/runs/*/run.json"])?;
        let record: Value = serde_json::from_str(&record).context("read run.json")?;
        let edges =
            record.pointer("/run/verification/edges").and_then(Value::as_array).context("no edges in run.json")?;
        let edge = edges.first().context("no edge in run.json")?;
        let text = |name: &str| edge.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let logs = machine.exec_ok(&["sh", "-c", LOGS]).with_context(|| machine.journal())?;
        let numbers: Vec<i64> = logs.lines().filter_map(|line| line.trim().parse().ok()).collect();
        let [database, active, listens, has_database, began, ready, basic] = numbers.as_slice() else {
            bail!("the logs are not understood: {logs:?}");
        };
        let said = if way == Way::TooEarly { listens } else { has_database };
        Ok(OrderedBoot {
            told: text("order"),
            why: text("why"),
            logged: logged(*database, *active, *said),
            api_after_database: said - database,
            witness_ms: (ready - began) as f64 / 1000.0,
            basic_ms: *basic as f64 / 1000.0,
        })
    }
}

/// What the moments of the logs allow to be told.
fn logged(database: i64, active: i64, said: i64) -> Vec<&'static str> {
    if said < database {
        return vec!["broken"];
    }
    let mut words = Vec::new();
    if active + LOG_RESOLUTION >= database {
        words.push("kept");
    }
    if active - LOG_RESOLUTION < database {
        words.push("waited");
    }
    words
}

/// The middle of some values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::logged;

    #[test]
    fn the_logs_allow_what_they_cannot_tell_apart() {
        for (case, database, active, said, expected) in [
            ("said before", 700_000, 100_000, 150_000, vec!["broken"]),
            ("active long before", 700_000, 100_000, 900_000, vec!["waited"]),
            ("active after", 700_000, 720_000, 900_000, vec!["kept"]),
            ("active in the same millisecond", 700_000, 700_400, 900_000, vec!["kept", "waited"]),
        ] {
            assert_eq!(logged(database, active, said), expected, "{case}");
        }
    }
}

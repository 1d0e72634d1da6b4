//! Which process of a unit is its database, and whether its end could be proven. Asked before anything is stopped, and by
//! the stop itself.

use super::{check, is_allowed, servers};
use crate::config::{ServiceSettings, Settings};
use crate::host::{Host, HostResult};
use crate::model::{DatabaseFacts, Finding, RunOptions, ServerProcess};

const LABEL: &str = "database-process";

/// Which process of the service's unit the server with these facts is, and the facts with its files as this host has
/// them.
///
/// # Errors
///
/// systemd does not tell of the unit.
pub async fn server_of(
    host: &Host,
    service: &ServiceSettings,
    facts: DatabaseFacts,
) -> HostResult<(ServerProcess, DatabaseFacts)> {
    let unit = &service.unit;
    if facts.pid.is_none() {
        return Ok((ServerProcess::Untold, facts));
    }
    let main = host.units.state(unit).await?.main_pid;
    let process = ServerProcess::find(unit, facts.pid, main, &host.units.processes(unit).await?);
    let facts = match process.pid() {
        Some(pid) => host.forensics.places(facts, pid).await,
        // Whose files they are nobody knows: those of this host by the same names may be another server's.
        None => DatabaseFacts { db_path: None, log_path: None, ..facts },
    };
    Ok((process, facts))
}

/// Whether a stop may go on although nobody can tell which process the database is.
pub fn trusts_unclear_process(settings: &Settings, options: &RunOptions) -> bool {
    is_allowed(settings, options, LABEL)
}

/// What would stand in the way of a stop: in a few words, and why. None if nothing does.
fn obstacle(process: &ServerProcess, facts: &DatabaseFacts) -> Option<(&'static str, String)> {
    match process {
        ServerProcess::Untold | ServerProcess::Of { is_main: true, .. } => None,
        ServerProcess::Another(why) => Some((ANOTHER, why.clone())),
        ServerProcess::Unclear(why) => {
            Some(("Patchday cannot see which process of the unit is the database", why.clone()))
        }
        // The exit status of whatever started it may be anything.
        ServerProcess::Of { pid, .. } if facts.db_path.is_none() && facts.log_path.is_none() => Some((
            "nothing would prove that the database ended cleanly",
            format!(
                "it is process {pid}, which is not the unit's main process, and neither its mongod.lock nor its log can be \
                 read from here"
            ),
        )),
        ServerProcess::Of { .. } => None,
    }
}

check!(
    DATABASE_PROCESS,
    Database,
    "database-process",
    Blocker,
    60,
    "the process that answers is the unit's, and its clean end can be proven",
    "Found after the stop, it ends the run with the services down for nothing. The process is looked for in the unit's \
     control group, below shells and other wrappers and in PID namespaces too. A unit that only steers a container \
     elsewhere (`docker run`) is trusted with `--allow database-process`.",
    |check, inputs| {
        let down = inputs.servers().await?.iter().filter(|server| !server.is_up);
        let mut strays = down.filter_map(|server| Some((&server.service.unit, server.answer.as_ref().ok()?.pid)));
        if let Some((unit, pid)) = strays.next() {
            let process = pid.map_or(String::new(), |pid| format!("; process {pid} answers"));
            let finding = check.found("a mongod answers, and the unit that should have started it does not run");
            let finding = finding.evidence(format!("{unit} is down{process}"));
            let hint = "see who started it; end it in mongosh with db.adminCommand({shutdown: 1}), and start the unit";
            return Ok(Some(finding.remedy(hint, "pgrep -a mongod")));
        }
        let mut found: Option<Finding> = None;
        for (server, facts) in servers::answering(inputs.servers().await?) {
            let unit = &server.service.unit;
            let (process, facts) = server_of(inputs.host, &server.service, facts.clone()).await?;
            let Some((title, why)) = obstacle(&process, &facts) else { continue };
            let finding = found.take().unwrap_or_else(|| {
                let hint = if title == ANOTHER { OTHER_SERVER } else { OTHER_UNIT };
                check.found(title).remedy(hint, format!("systemctl status {unit}"))
            });
            found = Some(finding.evidence(format!("{unit}: {why}")));
        }
        Ok(found)
    }
);

const ANOTHER: &str = "the connection string leads to another MongoDB than the unit's";
const OTHER_SERVER: &str = "name the unit's own server in [service.mongodb] uri";
const OTHER_UNIT: &str = "let the unit run mongod in its own control group, with data or log where this host can read them; \
                          or say that the right server answers: --allow database-process";

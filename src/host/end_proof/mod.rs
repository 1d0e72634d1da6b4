//! PostgreSQL, MariaDB and Redis: what proves that they ended cleanly. Each by a fact of its own: a control file, or what
//! its log says from the stop on. Where these are is asked of the process that runs, since a configuration says what the
//! next start will do. Seen with PostgreSQL 15 and 17, MariaDB 10.11 and 11.8, MySQL 9.7, Redis 7.0 and 8.0, Valkey 8.1.

mod innodb;
mod log;
mod postgresql;
mod process;
mod redis;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;

use super::{EndProofs, HostError, HostErrorKind, HostResult, Units, command, exec_line, foreign, trusted};
use crate::model::{EndEvidence, LogPlace, ProofSource, UnitName, UnitProcess, WantedProof, with_redacted_urls};

/// Of what a program of the user's says at its end, in characters.
const LONGEST_LINE: usize = 200;

/// Servers of this host, and what they leave in their files.
pub struct ServerFiles {
    units: Arc<dyn Units>,
    root: PathBuf,
}

impl ServerFiles {
    /// Asks systemd through its port; finds processes and files below `root`, `/` except in tests.
    pub fn new(units: Arc<dyn Units>, root: PathBuf) -> Self {
        Self { units, root }
    }

    /// The unit's server, which has one of these names.
    async fn server(&self, unit: &UnitName, names: &[&str]) -> HostResult<Server> {
        let state = self.units.state(unit).await?;
        let processes = self.units.processes(unit).await?;
        let server = only_server(&self.root, &processes, names)
            .map_err(|why| HostError::new(HostErrorKind::NotFound, format!("find the server of {unit}"), why))?;
        Ok(Server { pid: server.pid, own_pid: server.own_pid, invocation: state.invocation })
    }

    /// Looks at files on a thread of its own.
    async fn look<T: Send + 'static>(
        &self,
        what: &str,
        look: impl FnOnce(&Path) -> Result<T, String> + Send + 'static,
    ) -> HostResult<T> {
        let root = self.root.clone();
        let seen = foreign::in_time(foreign::PATIENCE, what, move || look(&root)).await?;
        seen.map_err(|why| HostError::failed(what, why))
    }

    /// What the server has written to its log since it was found there.
    async fn written(&self, log: &LogPlace) -> HostResult<String> {
        let what = format!("read {log}");
        match log {
            LogPlace::Journal { invocation, pid } => {
                log::of_journal(&self.root, invocation, *pid).await.map_err(|error| HostError { what, ..error })
            }
            LogPlace::File { path, mark } => {
                let (path, mark) = (path.clone(), *mark);
                self.look(&what, move |root| log::since(root, &path, mark)).await
            }
        }
    }
}

/// The process of these that is the server: others of its name are its children. Where there are several servers, the proof
/// of one would pass for that of all.
fn only_server<'p>(root: &Path, processes: &'p [UnitProcess], names: &[&str]) -> Result<&'p UnitProcess, String> {
    let named: Vec<&UnitProcess> = processes.iter().filter(|process| names.contains(&process.name.as_str())).collect();
    let is_named = |pid: u32| named.iter().any(|process| process.pid == pid);
    let is_server =
        |process: &&&UnitProcess| process::parent(root, process.pid).is_some_and(|parent| !is_named(parent));
    let servers: Vec<&UnitProcess> = named.iter().filter(is_server).copied().collect();
    match (servers.as_slice(), processes.first()) {
        ([server], _) => Ok(server),
        ([], Some(other)) => {
            Err(format!("it has {} ({}), and none named {}", other.name, other.pid, names.join(" or ")))
        }
        ([], None) => Err(format!("it has no process, and none named {}", names.join(" or "))),
        (several, _) => {
            let told: Vec<String> = several.iter().map(|one| format!("{} ({})", one.name, one.pid)).collect();
            Err(format!("it has several servers, {}: each needs a unit of its own", told.join(" and ")))
        }
    }
}

/// A server that runs.
struct Server {
    pid: u32,
    /// As it calls itself.
    own_pid: u32,
    invocation: String,
}

#[async_trait]
impl EndProofs for ServerFiles {
    async fn find(&self, unit: &UnitName, wanted: &WantedProof) -> HostResult<ProofSource> {
        let what = format!("find what will prove the end of {unit}");
        match wanted {
            WantedProof::Postgresql => {
                let server = self.server(unit, &postgresql::NAMES).await?;
                let source = self.look(&what, move |root| postgresql::source(root, server.pid)).await?;
                // One that cannot be asked now cannot be asked then.
                match postgresql::ask(&self.root, &source).await? {
                    EndEvidence::Postgresql { state: Some(_), .. } => Ok(source),
                    other => Err(HostError::failed(what, other.objection().unwrap_or_default())),
                }
            }
            WantedProof::Mariadb => {
                let server = self.server(unit, &innodb::NAMES).await?;
                let own_pid = server.own_pid;
                let log = self.look(&what, move |root| log::of_descriptor(root, &server, log::STDERR)).await?;
                log::can_be_read(&self.root, &log).await.map_err(|error| HostError { what, ..error })?;
                Ok(ProofSource::Log { pid: own_pid, log })
            }
            WantedProof::Redis => {
                let server = self.server(unit, &redis::NAMES).await?;
                let own_pid = server.own_pid;
                let properties = exec_line::service_properties(&self.root, unit).await;
                let find = move |root: &Path| {
                    let argv = properties.and_then(|properties| exec_line::argv(root, &properties));
                    redis::log(root, &server, argv.as_deref())
                };
                let log = self.look(&what, find).await?;
                log::can_be_read(&self.root, &log).await.map_err(|error| HostError { what, ..error })?;
                Ok(ProofSource::Log { pid: own_pid, log })
            }
            WantedProof::Command { argv } => match trusted::check_command(argv) {
                Ok(()) => Ok(ProofSource::Command),
                Err(why) => Err(HostError::new(HostErrorKind::Refused, what, why)),
            },
        }
    }

    async fn take(
        &self,
        wanted: &WantedProof,
        source: &ProofSource,
        patience: SignedDuration,
    ) -> HostResult<EndEvidence> {
        match (wanted, source) {
            (WantedProof::Postgresql, ProofSource::Cluster { .. }) => postgresql::ask(&self.root, source).await,
            (WantedProof::Mariadb, ProofSource::Log { log, .. }) => {
                let innodb = innodb::end(&self.written(log).await?);
                Ok(EndEvidence::Mariadb { log: log.to_string(), innodb })
            }
            (WantedProof::Redis, ProofSource::Log { pid, log }) => {
                let end = redis::end(&self.written(log).await?, *pid);
                Ok(EndEvidence::Redis { log: log.to_string(), end })
            }
            (WantedProof::Command { argv }, ProofSource::Command) => said_by(argv, patience).await,
            _ => Err(HostError::failed("prove a clean end", format!("{source:?} is no source of {wanted:?}"))),
        }
    }
}

/// Runs the user's program. It is root who runs it, so that nobody else may have a hand in it.
async fn said_by(argv: &[String], patience: SignedDuration) -> HostResult<EndEvidence> {
    let (program, arguments) =
        argv.split_first().ok_or_else(|| HostError::failed("prove a clean end", "there is no command"))?;
    let what = format!("run {program}");
    trusted::check_command(argv).map_err(|why| HostError::new(HostErrorKind::Refused, &what, why))?;
    let limit = Duration::try_from(patience).unwrap_or_default();
    let (exit_status, said) = match tokio::time::timeout(limit, command::ask(Path::new(program), arguments)).await {
        Ok(Ok(output)) => {
            let spoken = |text: &[u8]| last_line(&String::from_utf8_lossy(text));
            (output.status.code(), spoken(&output.stdout).or_else(|| spoken(&output.stderr)))
        }
        Ok(Err(error)) => return Err(HostError::failed(what, error)),
        Err(_) => (None, Some(format!("no answer within {patience:#}"))),
    };
    Ok(EndEvidence::Command { program: program.clone(), exit_status, said })
}

/// The last line that says something, without what would command a terminal, and without passwords.
fn last_line(text: &str) -> Option<String> {
    let clean = |line: &str| line.chars().filter(|sign| !sign.is_control()).take(LONGEST_LINE).collect::<String>();
    let line = text.lines().rev().map(clean).find(|line| !line.trim().is_empty())?;
    Some(with_redacted_urls(line.trim()))
}

#[cfg(test)]
mod tests;

//! What proves that a server other than MongoDB has ended cleanly: what is wanted, where it is found, and what was seen.

use serde::{Deserialize, Serialize};

use super::UnitName;

/// What must prove the clean end of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "kebab-case")]
pub enum WantedProof {
    /// `pg_controldata` calls the cluster shut down.
    Postgresql,
    /// The log of MariaDB, or MySQL, says that InnoDB was shut down.
    Mariadb,
    /// The log of Redis, or Valkey, says that it was ready to exit.
    Redis,
    /// A program of the user's ends with status 0.
    Command {
        /// Its absolute path, and its arguments.
        argv: Vec<String>,
    },
}

/// A proof that is expected of a server that still runs: when it has ended, nobody can tell any more where its files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedProof {
    pub unit: UnitName,
    /// Which start of the unit is meant: its `InvocationID`.
    pub invocation: String,
    pub source: ProofSource,
}

/// Where a proof will be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum ProofSource {
    /// The control file of a PostgreSQL cluster.
    Cluster {
        /// `pg_controldata` of the server's own version.
        program: String,
        directory: String,
        /// Who owns it, and asks.
        user: u32,
        group: u32,
    },
    /// What the server writes from now on.
    Log {
        /// The server's process, as it calls itself.
        pid: u32,
        log: LogPlace,
    },
    /// Whatever the user's program looks at.
    Command,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogPlace {
    /// The records of one process under one start of its unit.
    Journal { invocation: String, pid: u32 },
    File {
        path: String,
        /// The file as it was found; none where its first line will make it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mark: Option<LogMark>,
    },
}

/// How far a log went: what is proven must stand behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark {
    pub device: u64,
    pub inode: u64,
    pub length: u64,
}

impl WantedProof {
    /// By its word in the configuration, where that is all it takes.
    pub fn of_server(word: &str) -> Option<Self> {
        match word {
            "postgresql" => Some(Self::Postgresql),
            "mariadb" => Some(Self::Mariadb),
            "redis" => Some(Self::Redis),
            _ => None,
        }
    }
}

impl std::fmt::Display for LogPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Journal { .. } => f.write_str("the journal"),
            Self::File { path, .. } => f.write_str(path),
        }
    }
}

/// What a stopped server left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "kebab-case")]
pub enum EndEvidence {
    Postgresql {
        directory: String,
        /// "Database cluster state", in PostgreSQL's own words; none where the answer has none.
        state: Option<String>,
    },
    Mariadb {
        log: String,
        innodb: InnodbEnd,
    },
    Redis {
        log: String,
        end: RedisEnd,
    },
    Command {
        program: String,
        /// None if it was ended by a signal, or took too long.
        exit_status: Option<i32>,
        /// The last line that it wrote.
        said: Option<String>,
    },
}

/// How InnoDB ended, by its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InnodbEnd {
    Untold,
    /// As if crashed, as `innodb_fast_shutdown` may say: its next start recovers.
    ToRecover,
    /// At this log sequence number.
    Complete(u64),
    /// MySQL alone says that it ended in order: InnoDB says so with `log_error_verbosity = 3` only.
    ServerOnly,
}

/// How Redis ended, by its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedisEnd {
    Untold,
    /// It could not save, and may have exited all the same.
    NotSaved,
    /// It exited when its data was on disk.
    Saved,
    /// It exited, and its log tells of nothing saved: it keeps nothing by its configuration, or is told to log less.
    WithoutSaving,
}

/// A cluster that is primary, and one that is a standby.
const SHUT_DOWN: [&str; 2] = ["shut down", "shut down in recovery"];

impl EndEvidence {
    /// Why it is no proof of a clean end; none if it is one.
    pub fn objection(&self) -> Option<String> {
        match self {
            Self::Postgresql { directory, state } => match state.as_deref() {
                Some(state) if SHUT_DOWN.contains(&state) => None,
                Some(state) => Some(format!("pg_controldata calls the cluster in {directory} \"{state}\"")),
                None => Some(format!("pg_controldata does not tell the state of the cluster in {directory}")),
            },
            Self::Mariadb { log, innodb } => match innodb {
                InnodbEnd::Complete(_) | InnodbEnd::ServerOnly => None,
                InnodbEnd::ToRecover => {
                    Some(format!("{log} says that InnoDB recovers at its next start: see innodb_fast_shutdown"))
                }
                InnodbEnd::Untold => Some(format!("{log} does not say that InnoDB was shut down")),
            },
            Self::Redis { log, end } => match end {
                RedisEnd::Saved | RedisEnd::WithoutSaving => None,
                RedisEnd::NotSaved => Some(format!("{log} says that it could not save its data")),
                RedisEnd::Untold => Some(format!("{log} does not say that it was ready to exit")),
            },
            Self::Command { exit_status: Some(0), .. } => None,
            Self::Command { program, exit_status, said } => {
                let status = exit_status.map_or("was ended".to_owned(), |status| format!("ended with status {status}"));
                let said = said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
                Some(format!("{program} {status}{said}"))
            }
        }
    }

    /// What of a proof is worth telling besides.
    pub fn reservation(&self) -> Option<&'static str> {
        match self {
            Self::Mariadb { innodb: InnodbEnd::ServerOnly, .. } => Some(
                "the server says that it ended in order, and InnoDB nothing: with innodb_fast_shutdown = 2 it recovers at its \
                     next start, which it tells with log_error_verbosity = 3 only",
            ),
            Self::Redis { end: RedisEnd::WithoutSaving, .. } => {
                Some("it ended in order, and its log tells of nothing saved (save, appendonly, loglevel)")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(exit_status: Option<i32>) -> EndEvidence {
        EndEvidence::Command { program: "/bin/proof".into(), exit_status, said: Some("2 pages torn".into()) }
    }

    #[test]
    fn only_the_servers_own_word_is_a_proof() {
        let cluster = |state: Option<&str>| EndEvidence::Postgresql {
            directory: "/srv/pg".into(),
            state: state.map(str::to_owned),
        };
        let innodb = |innodb| EndEvidence::Mariadb { log: "the journal".into(), innodb };
        let redis = |end| EndEvidence::Redis { log: "/var/log/redis.log".into(), end };
        for (evidence, objection, reservation) in [
            (cluster(Some("shut down")), None, false),
            (cluster(Some("shut down in recovery")), None, false),
            (cluster(Some("shutting down")), Some("the cluster in /srv/pg \"shutting down\""), false),
            (cluster(Some("in production")), Some("in production"), false),
            // The next release may have another word.
            (cluster(Some("shut down somehow")), Some("somehow"), false),
            (cluster(None), Some("does not tell"), false),
            (innodb(InnodbEnd::Complete(36_633)), None, false),
            (innodb(InnodbEnd::ServerOnly), None, true),
            (innodb(InnodbEnd::ToRecover), Some("innodb_fast_shutdown"), false),
            (innodb(InnodbEnd::Untold), Some("the journal does not say"), false),
            (redis(RedisEnd::Saved), None, false),
            (redis(RedisEnd::WithoutSaving), None, true),
            (redis(RedisEnd::NotSaved), Some("could not save"), false),
            (redis(RedisEnd::Untold), Some("ready to exit"), false),
            (command(Some(0)), None, false),
            (command(Some(3)), Some("/bin/proof ended with status 3: 2 pages torn"), false),
            (command(None), Some("was ended"), false),
        ] {
            match (evidence.objection(), objection) {
                (None, None) => {}
                (Some(why), Some(text)) => assert!(why.contains(text), "{evidence:?}: {why}"),
                (said, _) => panic!("{evidence:?}: {said:?}"),
            }
            assert_eq!(evidence.reservation().is_some(), reservation, "{evidence:?}");
            let text = serde_json::to_string(&evidence).unwrap();
            assert_eq!(serde_json::from_str::<EndEvidence>(&text).unwrap(), evidence, "{text}");
        }
    }

    #[test]
    fn what_is_expected_survives_its_file() {
        let file = |mark| LogPlace::File { path: "/var/log/x".into(), mark };
        let log = |log| ProofSource::Log { pid: 7, log };
        for source in [
            ProofSource::Command,
            ProofSource::Cluster { program: "/bin/c".into(), directory: "/srv".into(), user: 101, group: 104 },
            log(LogPlace::Journal { invocation: "a1".into(), pid: 70 }),
            log(file(None)),
            log(file(Some(LogMark { device: 1, inode: 2, length: 3 }))),
        ] {
            let unit = "redis-server.service".parse().unwrap();
            let expected = ExpectedProof { unit, invocation: "a1".into(), source };
            let text = serde_json::to_string(&expected).unwrap();
            assert_eq!(serde_json::from_str::<ExpectedProof>(&text).unwrap(), expected, "{text}");
        }
        for wanted in [WantedProof::Postgresql, WantedProof::Command { argv: vec!["/bin/proof".into(), "x".into()] }] {
            let text = serde_json::to_string(&wanted).unwrap();
            assert_eq!(serde_json::from_str::<WantedProof>(&text).unwrap(), wanted, "{text}");
        }
    }
}

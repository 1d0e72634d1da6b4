//! What is seen of a mongod that does not start. Nothing here is a judgement; `doctor` judges.

use serde::{Deserialize, Serialize};

/// One record of the server's structured log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogRecord {
    /// Its number, the same over releases.
    pub id: u64,
    /// `F` (fatal), `E`, `W` or `I`.
    pub severity: String,
    /// Its message, and the texts of its attributes.
    pub text: String,
}

/// What a file or directory is to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileRole {
    Config,
    /// `storage.dbPath`.
    DbPath,
    /// A file in it.
    Data,
    /// `systemLog.path`, or its directory where the file does not exist yet.
    Log,
    /// The Unix socket of an earlier start.
    Socket,
    /// `security.keyFile`.
    KeyFile,
    /// `net.tls.certificateKeyFile`.
    Certificate,
    /// `net.tls.CAFile`.
    CaFile,
}

impl FileRole {
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "configuration file",
            Self::DbPath => "data directory",
            Self::Data => "data file",
            Self::Log => "log",
            Self::Socket => "socket",
            Self::KeyFile => "key file",
            Self::Certificate => "certificate",
            Self::CaFile => "CA file",
        }
    }
}

/// A file or directory that the server needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// What it is to the server.
    pub role: FileRole,
    pub path: String,
    /// Whether it is there.
    pub exists: bool,
    /// The name or number of its owner; empty where it is not there.
    pub owner: String,
    /// Its permissions, as in `0644`; empty where it is not there.
    pub mode: String,
    /// Why the server's user cannot use it as it must; none if it can.
    pub problem: Option<String>,
}

impl FileState {
    /// As evidence: `/var/lib/mongodb (data directory): root, 0700`.
    pub fn described(&self) -> String {
        if !self.exists {
            return format!("{} ({}) does not exist", self.path, self.role.name());
        }
        let state = format!("{}, {}", self.owner, self.mode);
        let problem = self.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
        format!("{} ({}): {state}{problem}", self.path, self.role.name())
    }
}

/// Everything that is seen of one mongod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MongodSymptoms {
    pub unit: String,
    /// `LoadState`, as in `loaded`, `masked`.
    pub load: String,
    /// `ActiveState`, as in `active`, `failed`.
    pub active: String,
    /// `Result`, as in `success`, `exit-code`, `signal`, `oom-kill`, `timeout`.
    pub result: String,
    /// Exit status of the main process; none if it was killed or never ran.
    pub exit_status: Option<i32>,
    /// Whether a drop-in of Patchday holds the unit.
    pub held: bool,
    /// It has no process, though it may be active, and no mongod has its port.
    #[serde(default)]
    pub hollow: bool,
    /// The user as whom it runs.
    pub user: String,
    /// The address and port where it listens.
    pub port: u16,
    /// Who else listens on that port.
    pub port_holder: Option<String>,
    /// Records of the last start that tell of trouble.
    pub records: Vec<LogRecord>,
    /// The last lines that it wrote itself, without the log file.
    pub output: Vec<String>,
    /// The files that it needs.
    pub files: Vec<FileState>,
    /// Free bytes where its data are.
    pub free_bytes: Option<u64>,
}

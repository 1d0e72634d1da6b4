//! The table: by what a cause is recognised, and what to do about it.

use crate::model::{FileRole, FileState, Finding, FindingKey, MongodSymptoms, Severity};

/// How a cause is recognised. All that is given must be seen; in each list one is enough.
pub(super) struct Rule {
    key: &'static str,
    title: &'static str,
    /// IDs of log records; empty for any.
    records: &'static [u64],
    /// Texts of such a record, or of the output; empty for any.
    texts: &'static [&'static str],
    /// Exit statuses; empty for any.
    exits: &'static [i32],
    /// Results of the unit; empty for any.
    results: &'static [&'static str],
    /// What the host must show besides.
    host: Host,
    hint: &'static str,
    /// `UNIT`, `USER`, `PATH` and `PORT` stand for what was seen.
    command: Option<&'static str>,
}

/// What the host must show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    Anything,
    /// A file of this kind that the server cannot use; it is told, and PATH of the command.
    Unusable(&'static [FileRole]),
    /// The same, as the only sign: then it is a warning.
    OnlyUnusable(&'static [FileRole]),
    /// Less than this many bytes free.
    FreeBelow(u64),
    Held,
    Masked,
}

const MIB: u64 = 1024 * 1024;
const DATA: &[FileRole] = &[FileRole::DbPath, FileRole::Data];
const NOTHING_ELSE: Rule = Rule {
    key: "",
    title: "",
    records: &[],
    texts: &[],
    exits: &[],
    results: &[],
    host: Host::Anything,
    hint: "",
    command: None,
};

/// Log IDs and texts as seen with mongod 6.0.5.
pub(super) const RULES: &[Rule] = &[
    Rule {
        key: "mongod-held",
        title: "Patchday keeps it from starting: a run is under way, or was left open",
        host: Host::Held,
        hint: "let the run go on to its end",
        command: Some("patchday resume"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-masked",
        title: "its unit is masked",
        host: Host::Masked,
        hint: "unmask and start it",
        command: Some("systemctl unmask --now UNIT"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-program",
        title: "systemd cannot start its program: it is missing, not executable, or its user does not exist",
        exits: &[200, 203, 216, 217],
        hint: "install the server again, and see User= and ExecStart= of the unit",
        command: Some("systemctl cat UNIT"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-config-missing",
        title: "its configuration file is missing or not readable",
        texts: &["Error opening config file"],
        hint: "bring the file back, readable for USER",
        command: Some("ls -l PATH"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-option",
        title: "its configuration holds an option that it does not take",
        texts: &["Unrecognized option", "Error parsing YAML", "Error parsing INI", "unrecognised option", "BadValue"],
        exits: &[2],
        hint: "fix the configuration; an option may be gone since the last upgrade",
        command: Some("mongod --config PATH --outputConfig"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-dbpath-missing",
        title: "its data directory does not exist",
        texts: &["NonExistentPath"],
        hint: "mount it or bring it back; an empty directory would be an empty database",
        command: Some("findmnt --target PATH"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-dbpath-in-use",
        title: "another mongod works on its data directory",
        texts: &["DBPathInUse", "Unable to lock the lock file"],
        hint: "find that mongod and end it; never remove the lock file",
        command: Some("fuser -v PATH/mongod.lock"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-socket-owner",
        title: "a socket of another user is in its way",
        records: &[23_024],
        hint: "mongod was started as another user; remove the socket",
        command: Some("rm PATH"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-port-in-use",
        title: "its port is taken",
        texts: &["Address already in use"],
        hint: "end who listens there, or give one of both another port",
        command: Some("ss -ltnp sport = :PORT"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-address",
        title: "this host does not have the address on which it shall listen",
        texts: &["Cannot assign requested address"],
        hint: "see net.bindIp and the host's addresses; the network may have come up later",
        command: Some("ip -brief address"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-disk-full",
        title: "its disk is full",
        texts: &["No space left on device"],
        hint: "make room; nothing in the data directory may be removed by hand",
        command: Some("df -h PATH"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-disk-full",
        title: "its disk is full",
        texts: &["FileStreamFailed", "Fatal assertion", "terminate() called", "WT_PANIC"],
        host: Host::FreeBelow(16 * MIB),
        hint: "make room; nothing in the data directory may be removed by hand",
        command: Some("df -h PATH"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-key-file",
        title: "its key file is missing, not its own, or open to others",
        records: &[20_254],
        hint: "the key must belong to USER and have mode 0400",
        command: Some("install -o USER -m 0400 KEY PATH"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-certificate",
        title: "its certificate cannot be used",
        texts: &["InvalidSSLConfiguration", "Cannot read certificate file", "Can not set up PEM key file"],
        hint: "certificate and key must be in one PEM file that USER may read, and be valid today",
        command: Some("openssl x509 -noout -subject -enddate -in PATH"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-log",
        title: "it cannot write its log",
        texts: &["rotatable log file", "Failed probe for", "FileNotOpen"],
        hint: "give the log and its directory back to USER",
        command: Some("chown USER PATH"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-dbpath-owner",
        title: "its user may not use its data: mongod was started, or data was copied, as another user",
        texts: &["Permission denied", "read-only directory", "Operation not permitted"],
        host: Host::Unusable(DATA),
        hint: "give all of the data directory back to USER",
        command: Some("chown -R USER DBPATH"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-memory",
        title: "it got too little memory",
        texts: &["std::bad_alloc", "Cannot allocate memory", "JS_Init()", "Out of memory"],
        hint: "see MemoryMax=, LimitAS= and cacheSizeGB against the host's memory",
        command: Some("systemctl show -p MemoryMax,LimitAS UNIT"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-memory",
        title: "the kernel ended it for want of memory",
        results: &["oom-kill"],
        hint: "give it more memory, or a smaller cacheSizeGB",
        command: Some("journalctl -k -g oom"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-memlock",
        title: "it may not lock memory for its secrets, so that they could be swapped out",
        texts: &["secure_allocator.cpp", "Failed to mlock"],
        hint: "raise LimitMEMLOCK= of the unit to infinity",
        command: Some("systemctl edit UNIT"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-limits",
        title: "it may not open as many files as it needs",
        texts: &["Too many open files"],
        hint: "raise LimitNOFILE= of the unit to 64000",
        command: Some("systemctl edit UNIT"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-version",
        title: "its data are of a release, or of a storage engine, that it cannot read",
        texts: &[
            "UPGRADE PROBLEM",
            "nvalid featureCompatibilityVersion",
            "featureCompatibilityVersion document",
            "'mmapv1' storage engine",
            "unsupported WiredTiger file version",
            "unknown storage engine",
            "IncompatibleServerVersion",
        ],
        hint: "install the release that wrote the data, and upgrade one release after the other from there",
        command: Some("apt-cache policy mongodb-org-server"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-version",
        title: "its data are of a release that it cannot read",
        exits: &[62],
        hint: "install the release that wrote the data, and upgrade one release after the other from there",
        command: Some("apt-cache policy mongodb-org-server"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-corrupt",
        title: "its data are damaged",
        records: &[22_348, 50_882, 50_883, 50_944],
        hint: "copy the data directory first; a member of a set is synchronised anew, a single server is restored from a \
               backup, or repaired as the last resort",
        command: Some("runuser -u USER -- mongod --dbpath DBPATH --repair"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-corrupt",
        title: "its data are damaged",
        texts: &["WT_TRY_SALVAGE", "is corrupted", "checksum error"],
        hint: "copy the data directory first; a member of a set is synchronised anew, a single server is restored from a \
               backup, or repaired as the last resort",
        command: Some("runuser -u USER -- mongod --dbpath DBPATH --repair"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-timeout",
        title: "systemd gave up waiting for it",
        results: &["timeout", "watchdog"],
        hint: "it may recover from an unclean end, which takes time: raise TimeoutStartSec= and TimeoutStopSec=",
        command: Some("systemctl edit UNIT"),
        ..NOTHING_ELSE
    },
    Rule {
        key: "mongod-files",
        title: "its user may not use a file that it needs",
        host: Host::OnlyUnusable(&[
            FileRole::Config,
            FileRole::DbPath,
            FileRole::Data,
            FileRole::Log,
            FileRole::Socket,
            FileRole::KeyFile,
            FileRole::Certificate,
            FileRole::CaFile,
        ]),
        hint: "give it back to USER",
        command: Some("chown USER PATH"),
        ..NOTHING_ELSE
    },
];

/// What may be wrong with a server that runs.
pub(super) const OF_RUNNING: &[Rule] = &[Rule {
    key: "mongod-left-set",
    title: "it runs, and has left its replica set: no name of a member led to it when it started",
    records: &[21_405],
    hint: "let the members' names resolve before it starts (/etc/hosts, or After=nss-lookup.target), then restart it",
    command: Some("systemctl restart UNIT"),
    ..NOTHING_ELSE
}];

/// Files that belong to a cause, whose state is told with it.
fn roles_of(key: &str) -> &'static [FileRole] {
    match key {
        "mongod-config-missing" | "mongod-option" => &[FileRole::Config],
        "mongod-socket-owner" => &[FileRole::Socket],
        "mongod-key-file" => &[FileRole::KeyFile],
        "mongod-certificate" => &[FileRole::Certificate, FileRole::CaFile],
        "mongod-log" => &[FileRole::Log],
        _ => DATA,
    }
}

/// The finding, where everything that the rule names is seen.
pub(super) fn apply(rule: &Rule, symptoms: &MongodSymptoms) -> Option<Finding> {
    if !rule.exits.is_empty() && !symptoms.exit_status.is_some_and(|status| rule.exits.contains(&status)) {
        return None;
    }
    if !rule.results.is_empty() && !rule.results.contains(&symptoms.result.as_str()) {
        return None;
    }
    let unusable = |roles: &[FileRole]| -> Vec<&FileState> {
        symptoms.files.iter().filter(|file| file.problem.is_some() && roles.contains(&file.role)).collect()
    };
    let severity = match rule.host {
        Host::OnlyUnusable(_) => Severity::Warning,
        _ => Severity::Blocker,
    };
    let mut files = match rule.host {
        Host::Unusable(roles) | Host::OnlyUnusable(roles) => {
            let files = unusable(roles);
            if files.is_empty() {
                return None;
            }
            files
        }
        Host::FreeBelow(bytes) if symptoms.free_bytes.is_none_or(|free| free >= bytes) => return None,
        Host::Held if !symptoms.held => return None,
        Host::Masked if symptoms.load != "masked" => return None,
        _ => Vec::new(),
    };
    let signs = signs(rule, symptoms);
    if signs.is_empty() && !(rule.records.is_empty() && rule.texts.is_empty()) {
        return None;
    }
    let roles = roles_of(rule.key);
    if files.is_empty() && !matches!(rule.host, Host::Held | Host::Masked) {
        files = unusable(roles);
    }
    let mut finding =
        Finding::new(FindingKey::labelled(rule.key), severity, format!("{}: {}", symptoms.unit, rule.title));
    finding.evidence = signs;
    finding.evidence.extend(files.iter().map(|file| file.described()));
    if rule.key == "mongod-port-in-use" {
        let holder = symptoms.port_holder.as_deref().unwrap_or("a process that this host does not show");
        finding.evidence.push(format!("port {}: {holder}", symptoms.port));
    }
    if rule.key == "mongod-disk-full" {
        finding.evidence.extend(symptoms.free_bytes.map(|free| format!("{} MiB free", free / MIB)));
    }
    if let Some(status) = symptoms.exit_status.filter(|status| *status != 0) {
        finding.evidence.push(format!("exit status {status}"));
    }
    let first = files.first().copied().or_else(|| symptoms.files.iter().find(|file| roles.contains(&file.role)));
    let db_path = symptoms.files.iter().find(|file| file.role == FileRole::DbPath).map_or("DBPATH", |file| &file.path);
    let filled = |text: &str| {
        // The longer name first: the shorter one is part of it.
        text.replace("UNIT", &symptoms.unit)
            .replace("DBPATH", db_path)
            .replace("USER", &symptoms.user)
            .replace("PATH", first.map_or(db_path, |file| &file.path))
            .replace("PORT", &symptoms.port.to_string())
    };
    Some(match rule.command {
        Some(command) => finding.remedy(filled(rule.hint), filled(command)),
        None => finding.hint(filled(rule.hint)),
    })
}

/// The records and lines that speak for the rule, at most three.
fn signs(rule: &Rule, symptoms: &MongodSymptoms) -> Vec<String> {
    let says = |text: &str| rule.texts.is_empty() || rule.texts.iter().any(|wanted| text.contains(wanted));
    let records = symptoms
        .records
        .iter()
        .filter(|record| (rule.records.is_empty() || rule.records.contains(&record.id)) && says(&record.text))
        .map(|record| format!("log record {}: {}", record.id, record.text));
    let lines = symptoms.output.iter().filter(|line| rule.records.is_empty() && says(line)).cloned();
    let wanted = !(rule.records.is_empty() && rule.texts.is_empty());
    let mut signs: Vec<String> = records.chain(lines).filter(|_| wanted).collect();
    signs.dedup();
    signs.truncate(3);
    signs
}

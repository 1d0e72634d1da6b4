//! `[[service]]`, its readiness, and its database.

use jiff::SignedDuration;

use super::keys::{self, Key};
use super::reader::{Reader, of_nothing};
use super::settings::{MongodbSettings, ServiceSettings};
use super::values;
use crate::model::{DatabaseAccess, ReadinessProbe, ServiceKind, WantedProof};

const MONGODB_ONLY: &str = "only for kind = \"mongodb\", found it in a service of kind = \"service\"";
const MONGODB_ONLY_HINT: &str = "set kind = \"mongodb\" if the unit is a mongod, or take it out";
const NOT_MONGODB: &str = "only for kind = \"service\", found it in a service of kind = \"mongodb\"";

impl Reader<'_> {
    pub(super) fn service(self) -> Option<ServiceSettings> {
        let unit = self.taken(&keys::UNIT, values::unit);
        // A kind that is misspelt says nothing about the rest of the service.
        let kind = match (self.word(&keys::KIND), self.span(&keys::KIND)) {
            (Some("mongodb"), _) => Some(ServiceKind::Mongodb),
            (Some(_), _) | (None, None) => Some(ServiceKind::Service),
            (None, Some(_)) => None,
        };
        let is_mongodb = kind == Some(ServiceKind::Mongodb);
        let stop_timeout = match kind {
            Some(ServiceKind::Mongodb) => keys::STOP_TIMEOUT.mongodb_duration(),
            _ => keys::STOP_TIMEOUT.default_duration(),
        };
        let drain_timeout = self.duration(&keys::DRAIN_TIMEOUT);
        if kind == Some(ServiceKind::Service) {
            self.problem_of(&keys::DRAIN_TIMEOUT, MONGODB_ONLY, MONGODB_ONLY_HINT);
            if let Some(span) = self.subtable(keys::URI.table) {
                self.problem(&span, keys::header(keys::URI.table), MONGODB_ONLY, MONGODB_ONLY_HINT);
            }
        }
        let database = self.access(kind);
        let settings = ServiceSettings {
            after: self.taken_items(&keys::AFTER, values::unit),
            stop_timeout: self.duration_or(&keys::STOP_TIMEOUT, stop_timeout),
            start_timeout: self.duration(&keys::START_TIMEOUT),
            probe_timeout: self.duration(&keys::PROBE_TIMEOUT),
            drain_timeout: if is_mongodb { drain_timeout } else { SignedDuration::ZERO },
            mongodb: self.mongodb(),
            stop_proof: self.stop_proof(kind),
            readiness: self.readiness(kind, database.as_ref())?,
            database,
            unit: unit?,
            kind: kind?,
        };
        self.note_positions(|positions| {
            positions.units.extend(self.place(&keys::UNIT).map(|place| (settings.unit.clone(), place)));
        });
        Some(settings)
    }

    fn stop_proof(self, kind: Option<ServiceKind>) -> Option<WantedProof> {
        let keys = [&keys::STOP_PROOF, &keys::STOP_PROOF_COMMAND];
        if kind == Some(ServiceKind::Mongodb) {
            let hint = "take it out: a MongoDB proves its clean end by itself";
            keys.iter().for_each(|key| self.problem_of(key, NOT_MONGODB, hint));
            return None;
        }
        let word = self.word(&keys::STOP_PROOF);
        if word != Some("command") {
            let hint = "set stop-proof = \"command\", or take it out";
            self.problem_of(&keys::STOP_PROOF_COMMAND, "only for stop-proof = \"command\"", hint);
        }
        if let Some(proof) = WantedProof::of_server(word?) {
            return Some(proof);
        }
        if self.span(&keys::STOP_PROOF_COMMAND).is_none() {
            let span = self.span(&keys::STOP_PROOF).unwrap_or_default();
            self.missing(&keys::STOP_PROOF_COMMAND, &span, "stop-proof = \"command\"");
        }
        self.program(&keys::STOP_PROOF_COMMAND).map(|argv| WantedProof::Command { argv })
    }

    fn mongodb(self) -> MongodbSettings {
        MongodbSettings {
            operation_limit: self.duration(&keys::OPERATION_LIMIT),
            long_operations: self.choice(&keys::LONG_OPERATIONS).unwrap_or_default(),
            leftover_clients: self.choice(&keys::LEFTOVER_CLIENTS).unwrap_or_default(),
            client_limit: self.integer(&keys::CLIENT_LIMIT),
            max_lag: self.duration(&keys::MAX_LAG),
            canary: self.text(&keys::CANARY),
        }
    }

    fn access(self, kind: Option<ServiceKind>) -> Option<DatabaseAccess> {
        let ways = [&keys::URI, &keys::URI_FILE, &keys::URI_CREDENTIAL];
        let uri = self.text(&keys::URI);
        let uri_file = self.secret_file(&keys::URI_FILE);
        let uri_credential = self.text(&keys::URI_CREDENTIAL);
        self.one_of(&ways, |first, last| {
            let message = format!("expected one way to the server, found {first} and {last}");
            (message, "keep uri unless the server asks for a password".to_owned())
        });
        let is_given = ways.iter().any(|key| self.span(key).is_some());
        let uri = if is_given { uri } else { keys::URI.default_text().map(str::to_owned) };
        let access = DatabaseAccess { uri, uri_file, uri_credential, patience: None };
        (kind == Some(ServiceKind::Mongodb)).then_some(access)
    }

    fn readiness(self, kind: Option<ServiceKind>, access: Option<&DatabaseAccess>) -> Option<ReadinessProbe> {
        let probe = match (self.span(&keys::PROBE), kind?) {
            (None, ServiceKind::Mongodb) => keys::PROBE.mongodb_text()?,
            (None, ServiceKind::Service) => keys::PROBE.default_text()?,
            (Some(_), _) => self.word(&keys::PROBE)?,
        };
        let of_probes = [
            ("tcp", &keys::ADDRESS),
            ("http", &keys::URL),
            ("http", &keys::STATUS),
            ("http", &keys::HEADER),
            ("http", &keys::BODY),
            ("command", &keys::COMMAND),
        ];
        for (wants, key) in of_probes.into_iter().filter(|(wants, _)| *wants != probe) {
            let message = format!("only for probe = \"{wants}\", found probe = \"{probe}\"");
            self.problem_of(key, message, format!("set probe = \"{wants}\", or take {} out", key.name));
        }
        let address = self.text(&keys::ADDRESS);
        let url = self.text(&keys::URL);
        let status = self.integer(&keys::STATUS);
        match probe {
            "tcp" => {
                self.needed(&keys::ADDRESS, "tcp");
                address.map(|address| ReadinessProbe::Tcp { address })
            }
            "http" => {
                self.needed(&keys::URL, "http");
                let (header, body) = (self.text(&keys::HEADER), self.text(&keys::BODY));
                url.map(|url| ReadinessProbe::Http { url, status, header, body })
            }
            "command" => {
                self.needed(&keys::COMMAND, "command");
                self.program(&keys::COMMAND).map(|argv| ReadinessProbe::Command { argv })
            }
            "mongodb" => {
                if access.is_none() {
                    let message = "expected unit, tcp, http or command for kind = \"service\", found \"mongodb\"";
                    self.problem_of(&keys::PROBE, message, MONGODB_ONLY_HINT);
                }
                access.cloned().map(ReadinessProbe::Mongodb)
            }
            _ => Some(ReadinessProbe::Unit),
        }
    }

    fn needed(self, key: &Key, probe: &str) {
        if self.span(key).is_none() {
            self.missing(key, &self.span(&keys::PROBE).unwrap_or_default(), &format!("probe = \"{probe}\""));
        }
    }

    /// A file that only root may read; the host is asked about it when the configuration is loaded.
    pub(super) fn secret_file(self, key: &'static Key) -> Option<String> {
        let file = self.text(key)?;
        let place = self.place(key)?;
        self.note_positions(|positions| positions.secret_files.push((file.clone(), key, place)));
        Some(file)
    }
}

impl Default for MongodbSettings {
    fn default() -> Self {
        of_nothing(|file| file.mongodb())
    }
}

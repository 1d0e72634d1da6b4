//! What the values mean, alone and together.

use std::ops::Range;

use jiff::SignedDuration;
use toml::Spanned;

use super::check::Check;
use super::error::Problem;
use super::file::{File, Located, Mongodb, Positions, Preflight, Readiness, Service};
use super::keys::{self, Key};
use super::order::dependency_order;
use super::place::Position;
use super::settings::{
    KernelSettings, MongodbSettings, PreflightSettings, ServiceSettings, Settings, UpgradeSettings, VerifySettings,
};
use super::values::{self, Wrong, quoted};
use crate::model::{DatabaseAccess, Limits, PackageSelection, ReadinessProbe, ServiceKind, UnitName};

/// Of a service, and of a MongoDB, which flushes what it has.
const STOP_TIMEOUTS: [SignedDuration; 2] = [SignedDuration::from_secs(90), SignedDuration::from_secs(120)];

const DEFAULT_URI: &str = "mongodb://127.0.0.1:27017";

/// The settings of a file whose keys and types are right.
pub(super) fn validate(file: &File, text: &str, cpus: u32, known: &[&str]) -> Result<Located, Vec<Problem>> {
    let mut check = Check { text, problems: Vec::new() };
    let mut positions = Positions::default();
    let services: Vec<_> = file.service.iter().filter_map(|service| check.service(service, &mut positions)).collect();
    check.references(file, &services);
    let order = check.order(file, &services);
    let is_mongodb = |service: &&ServiceSettings| service.kind == ServiceKind::Mongodb;
    let mongodb = services.iter().find(is_mongodb).map(|service| &service.unit);
    let settings = || {
        Some(Settings {
            services: order.into_iter().filter_map(|at| services.get(at).cloned()).collect(),
            windows: file.window.iter().filter_map(|window| check.window(window)).collect(),
            blackouts: file.blackout.iter().filter_map(|blackout| check.blackout(blackout)).collect(),
            limits: Limits {
                cpu_percent: check.percent(&keys::CPU, file.limits.cpu.as_ref()),
                cpu_weight: check.integer(&keys::CPU_WEIGHT, file.limits.cpu_weight.as_ref()),
                io_weight: check.integer(&keys::IO_WEIGHT, file.limits.io_weight.as_ref()),
                memory_high: check.taken(&keys::MEMORY_HIGH, file.limits.memory_high.as_ref(), values::size),
                nice: check.integer(&keys::NICE, file.limits.nice.as_ref()),
                cpus,
            },
            upgrade: UpgradeSettings {
                allow_removals: check.list(&keys::ALLOW_REMOVALS, &file.upgrade.allow_removals, values::package),
                selection: PackageSelection {
                    exclude: check.list(&keys::EXCLUDE, &file.upgrade.exclude, values::package),
                    only_security: keys::ONLY_SECURITY.is_on(file.upgrade.only_security),
                },
                only_planned: keys::ONLY_PLANNED.is_on(file.upgrade.only_planned),
                ahead: keys::AHEAD.is_on(file.upgrade.ahead),
                order: check.choice(&keys::ORDER, file.upgrade.order.as_ref())?,
                lock_timeout: check.duration(&keys::LOCK_TIMEOUT, file.upgrade.lock_timeout.as_ref()),
                stall_timeout: check.duration(&keys::STALL_TIMEOUT, file.upgrade.stall_timeout.as_ref()),
                fetch_timeout: check.duration(&keys::FETCH_TIMEOUT, file.upgrade.fetch_timeout.as_ref()),
            },
            kernel: KernelSettings {
                dkms: keys::DKMS.is_on(file.kernel.dkms),
                build_timeout: check.duration(&keys::BUILD_TIMEOUT, file.kernel.build_timeout.as_ref()),
                modules_timeout: check.duration(&keys::MODULES_TIMEOUT, file.kernel.modules_timeout.as_ref()),
                optional_modules: check.list(&keys::OPTIONAL_MODULES, &file.kernel.optional_modules, values::module),
                remove_old: keys::REMOVE_OLD.is_on(file.kernel.remove_old),
                source: check.kernel_source(&file.kernel),
            },
            reboot: check.reboot(&file.reboot)?,
            verify: VerifySettings {
                settle: check.duration(&keys::SETTLE, file.verify.settle.as_ref()),
                boot_timeout: check.duration(&keys::BOOT_TIMEOUT, file.verify.boot_timeout.as_ref()),
                on_failure: check.choice(&keys::ON_FAILURE, file.verify.on_failure.as_ref())?,
            },
            preflight: check.preflight(&file.preflight, mongodb),
            allowed_checks: check.list(&keys::ALLOW, &file.preflight.allow, |label| known_label(label, known)),
            keep_runs: check.integer(&keys::KEEP, file.report.keep.as_ref()),
            announce: check.announce(&file.announce),
            silence: check.silence(&file.silence),
            hooks: file.hook.iter().filter_map(|hook| check.hook(hook)).collect(),
            notify: file.notify.iter().filter_map(|channel| check.channel(channel, &mut positions)).collect(),
        })
    };
    let settings = settings();
    match settings {
        Some(settings) if check.problems.is_empty() => Ok(Located { settings, positions }),
        _ => Err(check.problems),
    }
}

fn known_label(label: &str, known: &[&str]) -> Result<(), Wrong> {
    if known.contains(&label) {
        return Ok(());
    }
    let hint = match values::nearest(label, known.iter().copied()) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None if known.is_empty() => "take it out: there is no check to allow".to_owned(),
        None => "every check and its label is shown by: patchday plan".to_owned(),
    };
    let expected = if known.is_empty() { "no label".to_owned() } else { format!("one of {}", known.join(", ")) };
    Err(Wrong::new(expected, quoted(label), hint))
}

impl Check<'_> {
    fn preflight(&mut self, given: &Preflight, mongodb: Option<&UnitName>) -> PreflightSettings {
        PreflightSettings {
            min_free_mib: self.integer(&keys::MIN_FREE, given.min_free_mib.as_ref()),
            max_restarts: self.integer(&keys::MAX_RESTARTS, given.max_restarts.as_ref()),
            max_connections: self.integer(&keys::MAX_CONNECTIONS, given.max_connections.as_ref()),
            trusted_origins: self.list(&keys::TRUSTED_ORIGINS, &given.trusted_origins, values::origin),
            deployments: self.list(&keys::DEPLOYMENTS, &given.deployments, values::path),
            users: self.users(given, mongodb),
        }
    }

    fn service(&mut self, service: &Service, positions: &mut Positions) -> Option<ServiceSettings> {
        let unit = self.taken(&keys::UNIT, Some(&service.unit), values::unit);
        // A kind that is misspelt says nothing about the rest of the service.
        let kind = match (self.word(&keys::KIND, service.kind.as_ref()), &service.kind) {
            (Some("mongodb"), _) => Some(ServiceKind::Mongodb),
            (Some(_), _) | (None, None) => Some(ServiceKind::Service),
            (None, Some(_)) => None,
        };
        let after =
            service.after.iter().filter_map(|name| self.taken(&keys::AFTER, Some(name), values::unit)).collect();
        let access = self.access(service.mongodb.as_ref(), kind);
        let mongodb = match &service.mongodb {
            Some(mongodb) => self.mongodb(mongodb.get_ref())?,
            None => MongodbSettings::default(),
        };
        let is_mongodb = kind == Some(ServiceKind::Mongodb);
        let stop_timeout = self.duration_or(
            &keys::STOP_TIMEOUT,
            service.stop_timeout.as_ref(),
            STOP_TIMEOUTS[usize::from(is_mongodb)],
        );
        let start_timeout = self.duration(&keys::START_TIMEOUT, service.start_timeout.as_ref());
        let drain_timeout = self.duration(&keys::DRAIN_TIMEOUT, service.drain_timeout.as_ref());
        if let (Some(ServiceKind::Service), Some(drain)) = (kind, &service.drain_timeout) {
            self.problem(&drain.span(), keys::DRAIN_TIMEOUT.path(), MONGODB_ONLY, MONGODB_ONLY_HINT);
        }
        let probe_timeout = self.duration(&keys::PROBE_TIMEOUT, service.readiness.timeout.as_ref());
        let readiness = self.readiness(&service.readiness, kind, access.as_ref());
        let (unit, kind) = (unit?, kind?);
        positions.units.push((unit.clone(), Position::start(self.text, &service.unit.span())));
        if let Some(file) = service.mongodb.as_ref().and_then(|mongodb| mongodb.get_ref().uri_file.as_ref()) {
            positions.uri_files.push((unit.clone(), Position::start(self.text, &file.span())));
        }
        let drain_timeout = if is_mongodb { drain_timeout } else { SignedDuration::ZERO };
        let database = access;
        Some(ServiceSettings {
            unit,
            kind,
            after,
            stop_timeout,
            start_timeout,
            readiness: readiness?,
            probe_timeout,
            database,
            drain_timeout,
            mongodb,
        })
    }

    fn mongodb(&mut self, given: &Mongodb) -> Option<MongodbSettings> {
        Some(MongodbSettings {
            operation_limit: self.duration(&keys::OPERATION_LIMIT, given.operation_limit.as_ref()),
            long_operations: self.choice(&keys::LONG_OPERATIONS, given.long_operations.as_ref())?,
            leftover_clients: self.choice(&keys::LEFTOVER_CLIENTS, given.leftover_clients.as_ref())?,
            client_limit: self.integer(&keys::CLIENT_LIMIT, given.client_limit.as_ref()),
            max_lag: self.duration(&keys::MAX_LAG, given.max_lag.as_ref()),
            canary: self.text(&keys::CANARY, given.canary.as_ref(), values::collection),
        })
    }

    fn access(&mut self, given: Option<&Spanned<Mongodb>>, kind: Option<ServiceKind>) -> Option<DatabaseAccess> {
        if let (Some(ServiceKind::Service), Some(mongodb)) = (kind, given) {
            self.problem(&mongodb.span(), keys::header(keys::URI.table), MONGODB_ONLY, MONGODB_ONLY_HINT);
        }
        let Some(mongodb) = given.map(Spanned::get_ref) else {
            let uri = (kind == Some(ServiceKind::Mongodb)).then(|| DEFAULT_URI.to_owned())?;
            return Some(DatabaseAccess { uri: Some(uri), ..DatabaseAccess::default() });
        };
        let uri = self.text(&keys::URI, mongodb.uri.as_ref(), values::mongodb_uri);
        let uri_file = self.text(&keys::URI_FILE, mongodb.uri_file.as_ref(), values::path);
        let uri_credential = self.text(&keys::URI_CREDENTIAL, mongodb.uri_credential.as_ref(), values::credential);
        let ways = [
            (&keys::URI, &mongodb.uri),
            (&keys::URI_FILE, &mongodb.uri_file),
            (&keys::URI_CREDENTIAL, &mongodb.uri_credential),
        ];
        let given: Vec<_> = ways.iter().filter_map(|(key, way)| Some((key, way.as_ref()?))).collect();
        if let [(first, _), .., (last, way)] = given.as_slice() {
            let message = format!("expected one way to the server, found {} and {}", first.name, last.name);
            self.problem(&way.span(), last.path(), message, "keep uri unless the server asks for a password");
        }
        if kind != Some(ServiceKind::Mongodb) {
            return None;
        }
        let uri = if given.is_empty() { Some(DEFAULT_URI.to_owned()) } else { uri };
        Some(DatabaseAccess { uri, uri_file, uri_credential, patience: None })
    }

    fn readiness(
        &mut self,
        given: &Readiness,
        kind: Option<ServiceKind>,
        access: Option<&DatabaseAccess>,
    ) -> Option<ReadinessProbe> {
        let address = self.text(&keys::ADDRESS, given.address.as_ref(), values::address);
        let url = self.text(&keys::URL, given.url.as_ref(), values::url);
        let status = self.integer(&keys::STATUS, given.status.as_ref());
        let probe = match (&given.probe, kind?) {
            (None, ServiceKind::Mongodb) => "mongodb",
            (None, ServiceKind::Service) => "unit",
            (Some(_), _) => self.word(&keys::PROBE, given.probe.as_ref())?,
        };
        let span = given.probe.as_ref().map(Spanned::span);
        if probe != "tcp" {
            self.unused(&keys::ADDRESS, given.address.as_ref().map(Spanned::span), "tcp", probe);
        }
        if probe != "http" {
            self.unused(&keys::URL, given.url.as_ref().map(Spanned::span), "http", probe);
            self.unused(&keys::STATUS, given.status.as_ref().map(Spanned::span), "http", probe);
            self.unused(&keys::HEADER, given.header.as_ref().map(Spanned::span), "http", probe);
            self.unused(&keys::BODY, given.body.as_ref().map(Spanned::span), "http", probe);
        }
        if probe != "command" {
            self.unused(&keys::COMMAND, given.command.as_ref().map(Spanned::span), "command", probe);
        }
        match probe {
            "tcp" => {
                self.needed(&keys::ADDRESS, span, given.address.is_some(), "tcp");
                address.map(|address| ReadinessProbe::Tcp { address })
            }
            "http" => {
                self.needed(&keys::URL, span, given.url.is_some(), "http");
                let header = self.text(&keys::HEADER, given.header.as_ref(), values::header);
                let body = self.text(&keys::BODY, given.body.as_ref(), values::text);
                url.map(|url| ReadinessProbe::Http { url, status, header, body })
            }
            "command" => {
                self.needed(&keys::COMMAND, span, given.command.is_some(), "command");
                self.program(&keys::COMMAND, given.command.as_ref()?).map(|argv| ReadinessProbe::Command { argv })
            }
            "mongodb" if access.is_none() => {
                let message = "expected unit, tcp, http or command for kind = \"service\", found \"mongodb\"";
                self.problem(&span.unwrap_or_default(), keys::PROBE.path(), message, MONGODB_ONLY_HINT);
                None
            }
            "mongodb" => access.cloned().map(ReadinessProbe::Mongodb),
            _ => Some(ReadinessProbe::Unit),
        }
    }

    fn needed(&mut self, key: &Key, probe: Option<Range<usize>>, given: bool, wants: &str) {
        if !given {
            let message = format!("missing key: probe = \"{wants}\" needs it");
            let hint = format!("for example: {} = {}", key.name, key.example);
            self.problem(&probe.unwrap_or_default(), key.path(), message, hint);
        }
    }

    fn unused(&mut self, key: &Key, given: Option<Range<usize>>, wants: &str, probe: &str) {
        if let Some(span) = given {
            let message = format!("only for probe = \"{wants}\", found probe = \"{probe}\"");
            self.problem(&span, key.path(), message, format!("set probe = \"{wants}\", or take {} out", key.name));
        }
    }

    /// Services that are named twice, and names in `after` that are no service of the file.
    fn references(&mut self, file: &File, services: &[ServiceSettings]) {
        let named = |unit: &str| services.iter().any(|service| service.unit.as_str() == unit);
        for (at, service) in file.service.iter().enumerate() {
            let unit = service.unit.get_ref();
            if let Some(first) = file.service[..at].iter().find(|other| other.unit.get_ref() == unit) {
                let line = Position::start(self.text, &first.unit.span()).line;
                let message = format!("expected every unit once, found {} again (first in line {line})", quoted(unit));
                self.problem(&service.unit.span(), keys::UNIT.path(), message, "keep one of the two");
            }
            for name in &service.after {
                let listed = file.service.iter().any(|other| other.unit.get_ref() == name.get_ref());
                // What is no unit name at all was told before.
                if listed || named(name.get_ref()) || values::unit(name.get_ref()).is_err() {
                    continue;
                }
                let names: Vec<&str> = file.service.iter().map(|other| other.unit.get_ref().as_str()).collect();
                let hint = match values::nearest(name.get_ref(), names.iter().copied()) {
                    Some(near) => format!("did you mean {}?", quoted(near)),
                    None => format!("add a [[service]] with unit = {}, or take it out", quoted(name.get_ref())),
                };
                let wrong = Wrong::new("the unit of another [[service]]", quoted(name.get_ref()), hint);
                self.wrong(&name.span(), &keys::AFTER, wrong);
            }
        }
    }

    fn order(&mut self, file: &File, services: &[ServiceSettings]) -> Vec<usize> {
        let pairs: Vec<(UnitName, Vec<UnitName>)> =
            services.iter().map(|service| (service.unit.clone(), service.after.clone())).collect();
        dependency_order(&pairs).unwrap_or_else(|cycle| {
            let way: Vec<&str> = cycle.iter().map(UnitName::as_str).collect();
            // The first service of the way, and there the name that leads on.
            let edge = file.service.iter().find(|service| Some(&service.unit.get_ref().as_str()) == way.first());
            let name =
                edge.and_then(|service| service.after.iter().find(|name| way.get(1) == Some(&name.get_ref().as_str())));
            let message = format!("expected an order without a cycle, found {}", way.join(" -> "));
            let hint = "take one of these out of the after of the one before it";
            self.problem(&name.map(Spanned::span).unwrap_or_default(), keys::AFTER.path(), message, hint);
            Vec::new()
        })
    }
}

const MONGODB_ONLY: &str = "only for kind = \"mongodb\", found it in a service of kind = \"service\"";
const MONGODB_ONLY_HINT: &str = "set kind = \"mongodb\" if the unit is a mongod, or take it out";

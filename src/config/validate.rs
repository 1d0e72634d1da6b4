//! What the whole means, and what its parts mean together.

use super::keys;
use super::order::dependency_order;
use super::reader::{Reader, of_nothing, services};
use super::settings::{KernelSettings, PreflightSettings, ServiceSettings, Settings, UpgradeSettings, VerifySettings};
use super::values::{self, Wrong, quoted};
use crate::model::{Limits, PackageSelection, ServiceKind, UnitName, nearest};

impl Reader<'_> {
    /// The settings of files whose keys and types are right, as far as they can be told. `cpus` is the number of the
    /// host's CPUs, `known_checks` are the labels that `[preflight] allow` may name.
    pub(super) fn settings(self, cpus: u32, known_checks: &[&str]) -> Option<Settings> {
        let listed: Vec<ServiceSettings> = services(self).filter_map(Reader::service).collect();
        self.references(&listed);
        let order = self.order(&listed);
        let is_mongodb = |service: &&ServiceSettings| service.kind == ServiceKind::Mongodb;
        let mongodb = listed.iter().find(is_mongodb).map(|service| &service.unit);
        Some(Settings {
            services: order.into_iter().filter_map(|at| listed.get(at).cloned()).collect(),
            windows: self.entries(keys::CALENDAR.table).filter_map(Reader::window).collect(),
            blackouts: self.entries(keys::BLACKOUT_FROM.table).filter_map(Reader::blackout).collect(),
            limits: Limits {
                cpu_percent: self.percent(&keys::CPU),
                cpu_weight: self.integer(&keys::CPU_WEIGHT),
                io_weight: self.integer(&keys::IO_WEIGHT),
                memory_high: self.taken(&keys::MEMORY_HIGH, values::size),
                nice: self.integer(&keys::NICE),
                cpus,
            },
            allowed_checks: self.taken_items(&keys::ALLOW, |label| known_label(label, known_checks)),
            keep_runs: self.integer(&keys::KEEP),
            announce: self.announce(),
            silence: self.silence(),
            hooks: self.entries(keys::HOOK_POINT.table).filter_map(Reader::hook).collect(),
            notify: self.entries(keys::NOTIFY_KIND.table).filter_map(Reader::channel).collect(),
            upgrade: self.upgrade(),
            kernel: self.kernel(),
            verify: self.verify(),
            preflight: self.preflight(mongodb),
            // Last: whatever it says, the problems of the others are told too.
            reboot: self.reboot()?,
        })
    }

    fn upgrade(self) -> UpgradeSettings {
        UpgradeSettings {
            allow_removals: self.list(&keys::ALLOW_REMOVALS),
            selection: PackageSelection {
                exclude: self.list(&keys::EXCLUDE),
                exclude_origins: self.list(&keys::EXCLUDE_ORIGINS),
                only_security: self.is_on(&keys::ONLY_SECURITY),
            },
            only_planned: self.is_on(&keys::ONLY_PLANNED),
            ahead: self.switch(&keys::AHEAD),
            ahead_related: self.list(&keys::AHEAD_RELATED),
            order: self.choice(&keys::ORDER).unwrap_or_default(),
            durability: self.choice(&keys::DURABILITY).unwrap_or_default(),
            lock_timeout: self.duration(&keys::LOCK_TIMEOUT),
            stall_timeout: self.duration(&keys::STALL_TIMEOUT),
            fetch_timeout: self.duration(&keys::FETCH_TIMEOUT),
        }
    }

    fn kernel(self) -> KernelSettings {
        KernelSettings {
            dkms: self.is_on(&keys::DKMS),
            optional_modules: self.list(&keys::OPTIONAL_MODULES),
            remove_old: self.is_on(&keys::REMOVE_OLD),
            build_timeout: self.duration(&keys::BUILD_TIMEOUT),
            modules_timeout: self.duration(&keys::MODULES_TIMEOUT),
            source: self.kernel_source(),
        }
    }

    fn verify(self) -> VerifySettings {
        VerifySettings {
            settle: self.duration(&keys::SETTLE),
            boot_timeout: self.duration(&keys::BOOT_TIMEOUT),
            on_failure: self.choice(&keys::ON_FAILURE).unwrap_or_default(),
        }
    }

    /// `mongodb` is the first MongoDB of all services.
    fn preflight(self, mongodb: Option<&UnitName>) -> PreflightSettings {
        PreflightSettings {
            min_free_mib: self.integer(&keys::MIN_FREE),
            max_restarts: self.integer(&keys::MAX_RESTARTS),
            max_connections: self.integer(&keys::MAX_CONNECTIONS),
            trusted_origins: self.list(&keys::TRUSTED_ORIGINS),
            deployments: self.list(&keys::DEPLOYMENTS),
            users: self.users(mongodb),
        }
    }

    /// Services that are named twice, and names in `after` that are no service.
    fn references(self, settings: &[ServiceSettings]) {
        let names: Vec<&str> = services(self).filter_map(|service| service.written(&keys::UNIT)).collect();
        for (at, service) in services(self).enumerate() {
            let Some(unit) = service.written(&keys::UNIT) else { continue };
            if let Some(first) = names.iter().take(at).position(|name| *name == unit) {
                let first = services(self).nth(first).and_then(|first| first.place(&keys::UNIT));
                let first = first.unwrap_or_default().seen_from(&service.place(&keys::UNIT).unwrap_or_default());
                let message = format!("expected every unit once, found {} again (first in {first})", quoted(unit));
                service.problem_of(&keys::UNIT, message, "keep one of the two");
            }
            for (name, span) in service.items(&keys::AFTER) {
                let is_listed = names.contains(&name) || settings.iter().any(|service| service.unit.as_str() == name);
                // What is no unit name at all was told before.
                if is_listed || values::unit(name).is_err() {
                    continue;
                }
                let hint = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean {}?", quoted(near)),
                    None => format!("add a [[service]] with unit = {}, or take it out", quoted(name)),
                };
                service.wrong(&span, &keys::AFTER, Wrong::new("the unit of another [[service]]", quoted(name), hint));
            }
        }
    }

    fn order(self, settings: &[ServiceSettings]) -> Vec<usize> {
        let pairs: Vec<(UnitName, Vec<UnitName>)> =
            settings.iter().map(|service| (service.unit.clone(), service.after.clone())).collect();
        dependency_order(&pairs).unwrap_or_else(|cycle| {
            let way: Vec<&str> = cycle.iter().map(UnitName::as_str).collect();
            // The first service of the way, and there the name that leads on.
            let edge = services(self).find(|service| service.written(&keys::UNIT) == way.first().copied());
            let mut names = edge.into_iter().flat_map(|service| service.items(&keys::AFTER));
            let leads_on = names.find(|(name, _)| way.get(1) == Some(name));
            let span = leads_on.map(|(_, span)| span).unwrap_or_default();
            let message = format!("expected an order without a cycle, found {}", way.join(" -> "));
            self.problem(&span, keys::AFTER.path(), message, "take one of these out of the after of the one before it");
            Vec::new()
        })
    }
}

fn known_label(label: &str, known: &[&str]) -> Result<String, Wrong> {
    if known.contains(&label) {
        return Ok(label.to_owned());
    }
    let hint = match nearest(label, known.iter().copied()) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None if known.is_empty() => "take it out: there is no check to allow".to_owned(),
        None => "every check and its label is shown by: patchday plan".to_owned(),
    };
    let expected = if known.is_empty() { "no label".to_owned() } else { format!("one of {}", known.join(", ")) };
    Err(Wrong::new(expected, quoted(label), hint))
}

impl Default for PreflightSettings {
    fn default() -> Self {
        of_nothing(|file| file.preflight(None))
    }
}

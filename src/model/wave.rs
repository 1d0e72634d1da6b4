//! Services that stop or start side by side, since none of them depends on another.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{InvalidId, UnitName};

/// Services of which none depends on another; at least one. Written as their names with commas between.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wave(Vec<UnitName>);

impl Wave {
    /// A wave that is no more than this service.
    pub fn of(unit: UnitName) -> Self {
        Self(vec![unit])
    }

    /// In dependency order of the configuration.
    pub fn units(&self) -> &[UnitName] {
        &self.0
    }

    /// Whether the service is one of them.
    pub fn contains(&self, unit: &UnitName) -> bool {
        self.0.contains(unit)
    }
}

impl fmt::Display for Wave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(UnitName::as_str).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Wave {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// Services in the waves in which they start, given in dependency order, each with those that it comes after: every one as
/// early as these allow.
pub fn start_waves(services: &[(UnitName, Vec<UnitName>)]) -> Vec<Wave> {
    let mut places: BTreeMap<&UnitName, usize> = BTreeMap::new();
    let mut waves = Vec::new();
    for (unit, after) in services {
        let place = after.iter().filter_map(|on| places.get(on)).map(|on| on + 1).max().unwrap_or(0);
        places.insert(unit, place);
        put(&mut waves, place, unit);
    }
    waves
}

/// The waves in which they stop: each as early as those allow that come after it.
pub fn stop_waves(services: &[(UnitName, Vec<UnitName>)]) -> Vec<Wave> {
    let mut places: BTreeMap<&UnitName, usize> = BTreeMap::new();
    let mut waves = Vec::new();
    for (unit, after) in services.iter().rev() {
        let place = places.get(unit).copied().unwrap_or(0);
        for on in after {
            let behind = places.entry(on).or_default();
            *behind = (*behind).max(place + 1);
        }
        put(&mut waves, place, unit);
    }
    for wave in &mut waves {
        wave.0.reverse();
    }
    waves
}

fn put(waves: &mut Vec<Wave>, place: usize, unit: &UnitName) {
    match waves.get_mut(place) {
        Some(wave) => wave.0.push(unit.clone()),
        // A service comes at most one wave behind another one that was put already.
        None => waves.push(Wave::of(unit.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> UnitName {
        format!("{name}.service").parse().unwrap()
    }

    fn told(waves: &[Wave]) -> Vec<String> {
        waves.iter().map(|wave| wave.to_string().replace(".service", "")).collect()
    }

    #[test]
    fn what_depends_on_nothing_of_its_wave_goes_side_by_side() {
        for (services, start, stop) in [
            (vec![], vec![], vec![]),
            (vec!["db:", "api: db"], vec!["db", "api"], vec!["api", "db"]),
            (vec!["a:", "b:", "c:"], vec!["a,b,c"], vec!["a,b,c"]),
            // One that needs nothing starts first, and stops first where nothing needs it.
            (vec!["db:", "cron:", "api: db"], vec!["db,cron", "api"], vec!["cron,api", "db"]),
            (
                vec!["db:", "cache:", "api: db cache", "web: api", "worker: db"],
                vec!["db,cache", "api,worker", "web"],
                vec!["web,worker", "api", "db,cache"],
            ),
            // A service of another configuration is nobody to wait for.
            (vec!["api: gone"], vec!["api"], vec!["api"]),
        ] {
            let services: Vec<(UnitName, Vec<UnitName>)> = services
                .iter()
                .map(|line: &&str| line.split_once(':').unwrap())
                .map(|(name, after)| (unit(name), after.split_whitespace().map(unit).collect()))
                .collect();
            assert_eq!(told(&start_waves(&services)), start, "{services:?}");
            assert_eq!(told(&stop_waves(&services)), stop, "{services:?}");
        }
    }

    #[test]
    fn a_wave_reads_back_from_its_name() {
        for name in ["mongod.service", "api.service,app@1.service,x-y.service"] {
            assert_eq!(name.parse::<Wave>().unwrap().to_string(), name);
        }
        for wrong in ["", ",", "mongod.service,", "mongod"] {
            assert!(wrong.parse::<Wave>().is_err(), "{wrong}");
        }
    }
}

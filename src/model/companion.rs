//! Units outside of the configuration that a stop concerns: what systemd stops along with a service and starts with nobody,
//! and what would start a service that is held. Pure: relations in, companions out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{UnitName, UnitRelations};

/// A unit that goes down with a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companion {
    pub unit: UnitName,
    /// The unit because of which it goes down: the service, or another companion.
    pub via: UnitName,
    /// It would start `via`; else it is bound to it.
    pub triggers: bool,
}

/// Units that start another one when they are asked to, and that need no process for it.
const TRIGGERS: [&str; 4] = [".socket", ".path", ".timer", ".automount"];

/// Whether the unit is one that starts another.
pub fn is_trigger(unit: &UnitName) -> bool {
    TRIGGERS.iter().any(|suffix| unit.as_str().ends_with(suffix))
}

/// Whether the unit must be there before the one that it starts: systemd hands it over, and refuses to open it once the
/// service runs.
pub fn is_handed_over(unit: &UnitName) -> bool {
    unit.as_str().ends_with(".socket")
}

impl Companion {
    /// In words, as in `sidecar.service is bound to api.service`.
    pub fn described(&self) -> String {
        let Self { unit, via, triggers } = self;
        if *triggers { format!("{unit} starts {via} when it is asked to") } else { format!("{unit} is bound to {via}") }
    }
}

/// All active companions of a service, near and far, in the order in which they may start: what comes after another one
/// stands behind it. Services of the configuration are no companions: they have a stop of their own.
pub fn companions(
    service: &UnitName,
    known: &BTreeMap<UnitName, UnitRelations>,
    configured: &[UnitName],
) -> Vec<Companion> {
    let mut seen: BTreeSet<&UnitName> = BTreeSet::from([service]);
    let mut queue = VecDeque::from([service]);
    let mut found: Vec<Companion> = Vec::new();
    while let Some(at) = queue.pop_front() {
        let Some(relations) = known.get(at) else { continue };
        let bound = relations.stops.iter().map(|unit| (unit, false));
        let triggers = relations.triggered_by.iter().map(|unit| (unit, true));
        for (unit, triggers) in bound.chain(triggers) {
            let is_active = known.get(unit).is_some_and(|relations| relations.is_active);
            if !is_active || configured.contains(unit) || !seen.insert(unit) {
                continue;
            }
            found.push(Companion { unit: unit.clone(), via: at.clone(), triggers });
            queue.push_back(unit);
        }
    }
    in_order(found, known)
}

/// Configured services that a stop of this one takes along: they should have stopped before it, by a stop of their own.
pub fn taken_along<'a>(
    service: &UnitName,
    known: &BTreeMap<UnitName, UnitRelations>,
    configured: &'a [UnitName],
) -> Vec<&'a UnitName> {
    let mut seen: BTreeSet<&UnitName> = BTreeSet::from([service]);
    let mut queue = VecDeque::from([service]);
    while let Some(relations) = queue.pop_front().and_then(|at| known.get(at)) {
        for unit in &relations.stops {
            if known.get(unit).is_some_and(|relations| relations.is_active) && seen.insert(unit) {
                queue.push_back(unit);
            }
        }
    }
    configured.iter().filter(|unit| *unit != service && seen.contains(unit)).collect()
}

/// Whoever comes after another one stands behind it; units that wait for each other stay as they are.
fn in_order(mut left: Vec<Companion>, known: &BTreeMap<UnitName, UnitRelations>) -> Vec<Companion> {
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |one: &Companion| {
            let after = known.get(&one.unit).map(|relations| relations.after.as_slice()).unwrap_or_default();
            left.iter().any(|other| other.unit != one.unit && after.contains(&other.unit))
        };
        let next = left.iter().position(|one| !waits(one)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> UnitName {
        name.parse().unwrap()
    }

    /// Each as `unit: what a stop of it stops | what triggers it | what it comes after`; in brackets, it is not active.
    fn known(lines: &[&str]) -> BTreeMap<UnitName, UnitRelations> {
        let units = |text: &str| text.split_whitespace().map(unit).collect::<Vec<_>>();
        let one = |line: &&str| {
            let (name, rest) = line.split_once(':').unwrap();
            let parts: Vec<&str> = rest.split('|').chain(["", ""]).collect();
            let relations = UnitRelations {
                stops: units(parts[0]),
                triggered_by: units(parts[1]),
                after: units(parts[2]),
                is_active: !name.starts_with('['),
                ..UnitRelations::default()
            };
            (unit(name.trim_matches(['[', ']'])), relations)
        };
        lines.iter().map(one).collect()
    }

    fn told(lines: &[&str], configured: &[&str]) -> Vec<String> {
        let configured: Vec<UnitName> = configured.iter().map(|name| unit(name)).collect();
        companions(&unit("db.service"), &known(lines), &configured).iter().map(Companion::described).collect()
    }

    #[test]
    fn what_goes_down_with_a_service_is_found_near_and_far() {
        for (lines, configured, expected) in [
            (vec!["db.service:"], vec![], vec![]),
            (vec!["db.service: a.service", "a.service:"], vec![], vec!["a.service is bound to db.service"]),
            // Far, and in a circle.
            (
                vec!["db.service: a.service", "a.service: b.target db.service", "b.target: a.service"],
                vec![],
                vec!["a.service is bound to db.service", "b.target is bound to a.service"],
            ),
            // What does not run need not be started again.
            (vec!["db.service: a.service", "[a.service]: b.service", "b.service:"], vec![], vec![]),
            // What has a stop of its own, and what is behind it, is not taken along.
            (vec!["db.service: api.service", "api.service: a.service", "a.service:"], vec!["api.service"], vec![]),
            (
                vec!["db.service: | db.socket x.timer", "db.socket:", "[x.timer]:"],
                vec![],
                vec!["db.socket starts db.service when it is asked to"],
            ),
            // What would start a companion that is held, too.
            (
                vec!["db.service: a.service", "a.service: | a.path", "a.path:"],
                vec![],
                vec!["a.service is bound to db.service", "a.path starts a.service when it is asked to"],
            ),
            // In the order in which they start.
            (
                vec!["db.service: b.service a.service", "b.service: | | a.service", "a.service:"],
                vec![],
                vec!["a.service is bound to db.service", "b.service is bound to db.service"],
            ),
            (
                vec!["db.service: b.service a.service", "b.service: | | a.service", "a.service: | | b.service"],
                vec![],
                vec!["b.service is bound to db.service", "a.service is bound to db.service"],
            ),
        ] {
            assert_eq!(told(&lines, &configured), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_configured_service_that_goes_down_with_another_is_known() {
        let known = known(&["db.service: a.service", "a.service: api.service", "api.service:", "web.service:"]);
        let configured = [unit("db.service"), unit("api.service"), unit("web.service")];
        assert_eq!(taken_along(&configured[0], &known, &configured), [&configured[1]]);
        assert!(taken_along(&configured[1], &known, &configured).is_empty());
    }

    #[test]
    fn sockets_come_before_and_other_triggers_after() {
        for (name, triggers, before) in [
            ("a.socket", true, true),
            ("a.path", true, false),
            ("a.timer", true, false),
            ("a.automount", true, false),
            ("a.service", false, false),
        ] {
            assert_eq!((is_trigger(&unit(name)), is_handed_over(&unit(name))), (triggers, before), "{name}");
        }
    }
}

//! The order of services.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::UnitName;

/// Indices in dependency order: everything in a service's `after` comes before it, and services that do not depend on
/// each other stay in the order they were given in. Names that are not among the services are ignored.
///
/// # Errors
///
/// A cycle, as the services on the way, beginning with the one given first and ending with the same one again.
pub fn dependency_order(services: &[(UnitName, Vec<UnitName>)]) -> Result<Vec<usize>, Vec<UnitName>> {
    let index: BTreeMap<&UnitName, usize> = services.iter().enumerate().map(|(at, (unit, _))| (unit, at)).collect();
    let before: Vec<BTreeSet<usize>> =
        services.iter().map(|(_, after)| after.iter().filter_map(|unit| index.get(unit).copied()).collect()).collect();
    let mut placed = vec![false; services.len()];
    let mut order = Vec::with_capacity(services.len());
    while order.len() < services.len() {
        let next = (0..services.len()).find(|at| !placed[*at] && before[*at].iter().all(|other| placed[*other]));
        let Some(next) = next else {
            let left: Vec<usize> = (0..services.len()).filter(|at| !placed[*at]).collect();
            return Err(cycle(&left, &before).into_iter().map(|at| services[at].0.clone()).collect());
        };
        placed[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// A cycle among the services that are left. Each of them waits for another one that is left, so that whoever follows
/// these comes round.
fn cycle(left: &[usize], before: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut way: Vec<usize> = left.first().copied().into_iter().collect();
    while let Some(last) = way.last() {
        let Some(next) = before[*last].iter().copied().find(|other| left.contains(other)) else { break };
        if let Some(start) = way.iter().position(|at| *at == next) {
            let mut round = way.split_off(start);
            let first = round.iter().enumerate().min_by_key(|(_, at)| **at).map_or(0, |(position, _)| position);
            round.rotate_left(first);
            round.extend(round.first().copied());
            return round;
        }
        way.push(next);
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(list: &[(&str, &[&str])]) -> Vec<(UnitName, Vec<UnitName>)> {
        let unit = |name: &str| format!("{name}.service").parse::<UnitName>().unwrap();
        list.iter().map(|(name, after)| (unit(name), after.iter().map(|other| unit(other)).collect())).collect()
    }

    #[test]
    fn dependencies_come_first_and_equals_keep_their_order() {
        let order = |list: &[(&str, &[&str])]| dependency_order(&services(list));
        assert_eq!(order(&[]), Ok(vec![]));
        assert_eq!(order(&[("c", &[]), ("b", &[]), ("a", &[])]), Ok(vec![0, 1, 2]));
        assert_eq!(order(&[("web", &["api"]), ("api", &["db"]), ("db", &[]), ("x", &[])]), Ok(vec![2, 1, 0, 3]));
        assert_eq!(order(&[("a", &["unknown"]), ("b", &["a"])]), Ok(vec![0, 1]));
    }

    #[test]
    fn a_cycle_is_told_from_its_first_service_on() {
        let cycle = |list: &[(&str, &[&str])]| {
            let way = dependency_order(&services(list)).unwrap_err();
            way.iter().map(|unit| unit.as_str().trim_end_matches(".service").to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(cycle(&[("a", &["a"])]), "a a");
        assert_eq!(cycle(&[("a", &["b"]), ("b", &["a"])]), "a b a");
        // The cycle, not the way that led there.
        assert_eq!(cycle(&[("x", &["c"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a"])]), "a b c a");
    }
}

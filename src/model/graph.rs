//! Who waits for whom: the configured order, merged with systemd's own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{UnitName, UnitRelations};

/// How units hang together. An edge leads from a unit to one that must come before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DependencyGraph {
    configured: BTreeMap<UnitName, Vec<UnitName>>,
    relations: BTreeMap<UnitName, UnitRelations>,
}

impl DependencyGraph {
    /// Merges the services of the configuration, each with its `after`, with what systemd says.
    pub fn new(
        configured: impl IntoIterator<Item = (UnitName, Vec<UnitName>)>,
        relations: BTreeMap<UnitName, UnitRelations>,
    ) -> Self {
        Self { configured: configured.into_iter().collect(), relations }
    }

    /// What systemd says of a unit.
    pub fn relations(&self, unit: &UnitName) -> Option<&UnitRelations> {
        self.relations.get(unit)
    }

    /// Configured edges: each service with one that must be ready before it.
    pub fn edges(&self) -> impl Iterator<Item = (&UnitName, &UnitName)> {
        self.configured.iter().flat_map(|(unit, after)| after.iter().map(move |on| (unit, on)))
    }

    /// Configured edges that systemd does not know, neither directly nor by way of units that take part in a boot.
    pub fn missing(&self) -> Vec<(&UnitName, &UnitName)> {
        self.edges().filter(|(unit, on)| self.way(unit, on, |at| self.ordered(at)).is_none()).collect()
    }

    /// Configured edges that systemd has the other way round.
    pub fn contradictions(&self) -> Vec<(&UnitName, &UnitName)> {
        self.edges().filter(|(unit, on)| self.way(on, unit, |at| self.ordered(at)).is_some()).collect()
    }

    /// Units that wait for each other, as ways that begin and end with the same unit: one for each group of them.
    pub fn cycles(&self) -> Vec<Vec<UnitName>> {
        let before = |at: &UnitName| {
            let configured = self.configured.get(at).into_iter().flatten();
            configured.chain(self.ordered(at)).collect::<Vec<&UnitName>>()
        };
        let mut cycles = Vec::new();
        for group in components(self.configured.keys().chain(self.relations.keys()), before) {
            let Some(first) = group.iter().next() else { continue };
            let inside = |at: &UnitName| before(at).into_iter().filter(|next| group.contains(*next)).collect();
            // A group of one is a cycle only where the unit waits for itself.
            if let Some(way) = self.way(first, first, inside) {
                cycles.push(way.into_iter().cloned().collect());
            }
        }
        cycles
    }

    /// The unit that failed first among all that this one needs or comes after, near and far; none if there is
    /// none. Needs weigh more than order: a unit that was only to start earlier explains little.
    pub fn first_cause(&self, unit: &UnitName, is_broken: impl Fn(&UnitName) -> bool) -> Option<UnitName> {
        let mut cause = None;
        let mut seen = BTreeSet::from([unit]);
        let mut at = unit;
        loop {
            let configured = self.configured.get(at).into_iter().flatten();
            let relations = self.relations.get(at);
            let needs = relations.into_iter().flat_map(|known| known.needs.iter().chain(&known.wants));
            let next = configured.chain(needs).find(|other| is_broken(other) && !seen.contains(*other));
            let Some(next) = next else { return cause };
            seen.insert(next);
            cause = Some(next.clone());
            at = next;
        }
    }

    /// What systemd starts before this unit. An order by way of a unit that no boot starts holds nobody back.
    fn ordered(&self, unit: &UnitName) -> Vec<&UnitName> {
        let known = self.relations.get(unit).filter(|known| known.takes_part || self.configured.contains_key(unit));
        known.map_or_else(Vec::new, |known| known.after.iter().collect())
    }

    /// The shortest way of at least one edge, both ends included.
    fn way<'a>(
        &'a self,
        from: &'a UnitName,
        to: &UnitName,
        next: impl Fn(&'a UnitName) -> Vec<&'a UnitName>,
    ) -> Option<Vec<&'a UnitName>> {
        let mut came_from: BTreeMap<&UnitName, &UnitName> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            for other in next(at) {
                if came_from.contains_key(other) {
                    continue;
                }
                came_from.insert(other, at);
                if other == to {
                    let mut way = vec![other];
                    let mut back = at;
                    while back != from {
                        way.push(back);
                        back = came_from.get(back)?;
                    }
                    way.push(from);
                    way.reverse();
                    return Some(way);
                }
                queue.push_back(other);
            }
        }
        None
    }
}

/// Strongly connected components (Tarjan's), without recursion: a host has thousands of units.
fn components<'a>(
    nodes: impl Iterator<Item = &'a UnitName>,
    next: impl Fn(&'a UnitName) -> Vec<&'a UnitName>,
) -> Vec<BTreeSet<&'a UnitName>> {
    let mut numbers: BTreeMap<&UnitName, usize> = BTreeMap::new();
    let mut lowest: BTreeMap<&UnitName, usize> = BTreeMap::new();
    let mut open: Vec<&UnitName> = Vec::new();
    let mut is_open: BTreeSet<&UnitName> = BTreeSet::new();
    let mut found = Vec::new();
    for root in nodes {
        if numbers.contains_key(root) {
            continue;
        }
        let mut visits = vec![(root, next(root).into_iter())];
        numbers.insert(root, numbers.len());
        lowest.insert(root, numbers[root]);
        open.push(root);
        is_open.insert(root);
        while let Some((at, others)) = visits.last_mut() {
            let at = *at;
            if let Some(other) = others.next() {
                if !numbers.contains_key(other) {
                    let number = numbers.len();
                    numbers.insert(other, number);
                    lowest.insert(other, number);
                    open.push(other);
                    is_open.insert(other);
                    visits.push((other, next(other).into_iter()));
                } else if is_open.contains(other) {
                    let low = lowest[at].min(numbers[other]);
                    lowest.insert(at, low);
                }
                continue;
            }
            visits.pop();
            if let Some((parent, _)) = visits.last() {
                let low = lowest[parent].min(lowest[at]);
                lowest.insert(parent, low);
            }
            if lowest[at] == numbers[at] {
                let mut group = BTreeSet::new();
                while let Some(member) = open.pop() {
                    is_open.remove(member);
                    group.insert(member);
                    if member == at {
                        break;
                    }
                }
                found.push(group);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> UnitName {
        let name = if name.contains('.') { name.to_owned() } else { format!("{name}.service") };
        name.parse().unwrap()
    }

    fn units(names: &str) -> Vec<UnitName> {
        names.split_whitespace().map(unit).collect()
    }

    /// Configured order and systemd's own, each as `unit: those before it`; a unit in brackets takes no part.
    fn graph(configured: &[&str], systemd: &[&str]) -> DependencyGraph {
        let pair = |line: &str| {
            let (name, others) = line.split_once(':').unwrap();
            (unit(name.trim_matches(['[', ']'])), units(others), !name.starts_with('['))
        };
        let relations = systemd.iter().map(|line| {
            let (name, after, takes_part) = pair(line);
            (name, UnitRelations { needs: after.clone(), after, takes_part, ..UnitRelations::default() })
        });
        DependencyGraph::new(
            configured.iter().map(|line| {
                let (name, after, _) = pair(line);
                (name, after)
            }),
            relations.collect(),
        )
    }

    fn told(edges: Vec<(&UnitName, &UnitName)>) -> Vec<String> {
        edges.into_iter().map(|(unit, on)| format!("{unit} {on}").replace(".service", "")).collect()
    }

    #[test]
    fn what_systemd_does_not_order_is_missing() {
        for (systemd, missing) in [
            (vec!["api: db"], vec![]),
            (vec!["api: data.target", "data.target: db"], vec![]),
            (vec!["api: data.target", "[data.target]: db"], vec!["api db"]),
            (vec!["api:", "db:"], vec!["api db"]),
            (vec![], vec!["api db"]),
        ] {
            assert_eq!(told(graph(&["api: db", "db:"], &systemd).missing()), missing, "{systemd:?}");
        }
    }

    #[test]
    fn what_systemd_orders_the_other_way_round_is_a_contradiction() {
        let wrong = graph(&["api: db", "db:"], &["db: cache", "cache: api"]);
        assert_eq!(told(wrong.contradictions()), ["api db"]);
        let cycle = wrong.cycles().into_iter().map(|way| way.iter().map(ToString::to_string).collect::<Vec<_>>());
        let cycle: Vec<String> = cycle.map(|way| way.join(" ").replace(".service", "")).collect();
        assert_eq!(cycle, ["api db cache api"]);
        assert!(graph(&["api: db", "db:"], &["api: db"]).contradictions().is_empty());
    }

    #[test]
    fn cycles_are_told_once_each() {
        let graph = graph(&["a: a", "b: c", "c:"], &["c: b", "x: y", "y: z", "z: x", "w: x"]);
        let cycles: Vec<usize> = graph.cycles().iter().map(Vec::len).collect();
        assert_eq!(cycles.len(), 3, "{:?}", graph.cycles());
    }

    #[test]
    fn the_first_cause_is_the_deepest_one() {
        let graph = graph(&["web: api", "api: db"], &["db: data.mount", "data.mount: disk.mount"]);
        let cause = |broken: &str| {
            let broken = units(broken);
            graph.first_cause(&unit("web"), |other| broken.contains(other)).map(|cause| cause.to_string())
        };
        assert_eq!(cause("web api db data.mount").as_deref(), Some("data.mount"));
        assert_eq!(cause("web api").as_deref(), Some("api.service"));
        assert_eq!(cause("web"), None);
        // A break in the chain: what is whole explains nothing behind it.
        assert_eq!(cause("web db"), None);
    }

    #[test]
    fn two_thousand_units_in_one_chain_are_no_trouble() {
        let name = |at: usize| unit(&format!("u{at}"));
        let relations = (0..2000).map(|at| {
            let after = if at == 0 { vec![] } else { vec![name(at - 1)] };
            (name(at), UnitRelations { after, takes_part: true, ..UnitRelations::default() })
        });
        let graph = DependencyGraph::new([(name(1999), vec![name(0)]), (name(0), vec![])], relations.collect());
        assert!(graph.missing().is_empty() && graph.contradictions().is_empty() && graph.cycles().is_empty());
    }
}

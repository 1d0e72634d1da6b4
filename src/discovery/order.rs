//! What comes after what.

use super::Candidate;
use super::servers::Role;
use crate::config::{dependency_order, takes_unit};
use crate::model::UnitName;

/// A candidate, and the ones that it comes after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed<'c> {
    pub(super) candidate: &'c Candidate,
    pub(super) after: Vec<(&'c Candidate, Why)>,
}

/// Why one comes after another. The first that applies is the one that counts: what was seen comes before what a unit says,
/// and what a unit says before what is only likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It held connections to what other services need, too.
    Connected,
    /// It held connections to what as a rule needs it, as to a proxy in front of a database.
    ConnectedAhead,
    Ordered,
    /// Nothing was seen at all, and this is how such servers hang together.
    Likely,
}

/// Candidates in dependency order, servers before their clients.
///
/// A database never comes after anything else, whatever the units say, and neither do two servers of a kind that hold
/// connections to each other, as the members of a replica set do.
pub(super) fn placed(candidates: &[Candidate]) -> Vec<Placed<'_>> {
    let mut chosen: Vec<&Candidate> = Vec::new();
    for candidate in candidates.iter().filter(|candidate| takes_unit(&candidate.unit)) {
        if !chosen.iter().any(|other| other.unit == candidate.unit) {
            chosen.push(candidate);
        }
    }
    chosen.sort_by_key(|candidate| (candidate.role(), &candidate.unit));
    let mut edges: Vec<(UnitName, Vec<UnitName>)> =
        chosen.iter().map(|candidate| (candidate.unit.clone(), Vec::new())).collect();
    let mut reasons: Vec<Vec<(&Candidate, Why)>> = vec![Vec::new(); chosen.len()];
    for why in [Why::Connected, Why::ConnectedAhead, Why::Ordered, Why::Likely] {
        for (at, candidate) in chosen.iter().enumerate() {
            if why == Why::Likely && !edges[at].1.is_empty() {
                continue;
            }
            for other in chosen.iter().filter(|other| other.unit != candidate.unit) {
                if !is_so(why, candidate, other, &chosen) || edges[at].1.contains(&other.unit) {
                    continue;
                }
                edges[at].1.push(other.unit.clone());
                if dependency_order(&edges).is_err() {
                    edges[at].1.pop();
                } else {
                    reasons[at].push((other, why));
                }
            }
        }
    }
    let order = dependency_order(&edges).unwrap_or_default();
    order.into_iter().map(|at| Placed { candidate: chosen[at], after: reasons[at].clone() }).collect()
}

fn is_so(why: Why, one: &Candidate, other: &Candidate, all: &[&Candidate]) -> bool {
    if one.role() == Role::Database && other.role() != Role::Database {
        return false;
    }
    let are_of_a_kind = one.server.is_some() && one.server == other.server;
    let is_connected = !are_of_a_kind && one.connections.iter().any(|(server, _)| *server == other.unit);
    match why {
        Why::Connected => is_connected && other.role() <= one.role(),
        Why::ConnectedAhead => is_connected && other.role() > one.role(),
        Why::Ordered => one.after.contains(&other.unit),
        Why::Likely => {
            let below = all.iter().map(|any| any.role()).filter(|role| *role < one.role()).max();
            Some(other.role()) == below
        }
    }
}

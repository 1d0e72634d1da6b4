//! What comes after what.

use super::Candidate;
use crate::config::{dependency_order, takes_unit};
use crate::model::UnitName;

/// A candidate, and the ones that it comes after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed<'c> {
    pub(super) candidate: &'c Candidate,
    pub(super) after: Vec<UnitName>,
}

/// Candidates in dependency order, servers of MongoDB first.
///
/// A service comes after every MongoDB if it holds connections to one, since it is not known to which, and after what
/// its unit is ordered after. MongoDB never comes after its clients, whatever the units say.
pub(super) fn placed(candidates: &[Candidate]) -> Vec<Placed<'_>> {
    let mut chosen: Vec<&Candidate> = Vec::new();
    for candidate in candidates.iter().filter(|candidate| takes_unit(&candidate.unit)) {
        if !chosen.iter().any(|other| other.unit == candidate.unit) {
            chosen.push(candidate);
        }
    }
    chosen.sort_by_key(|candidate| !candidate.mongodb);
    let mut edges: Vec<(UnitName, Vec<UnitName>)> =
        chosen.iter().map(|candidate| (candidate.unit.clone(), Vec::new())).collect();
    // Connections were seen and come first; what a unit says gives way where both cannot be.
    for by_connections in [true, false] {
        for (at, candidate) in chosen.iter().enumerate() {
            for other in chosen.iter().filter(|other| other.unit != candidate.unit) {
                let holds = candidate.holds_connections_to_mongodb > 0 && other.mongodb && !candidate.mongodb;
                let ordered = candidate.after.contains(&other.unit) && (other.mongodb || !candidate.mongodb);
                let wanted = if by_connections { holds } else { ordered };
                if wanted && !edges[at].1.contains(&other.unit) {
                    edges[at].1.push(other.unit.clone());
                    if dependency_order(&edges).is_err() {
                        edges[at].1.pop();
                    }
                }
            }
        }
    }
    let order = dependency_order(&edges).unwrap_or_default();
    order.into_iter().map(|at| Placed { candidate: chosen[at], after: edges[at].1.clone() }).collect()
}

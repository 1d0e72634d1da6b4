//! Which of the services that run belong into the file.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::left_alone::{left_alone, starts_for_others};
use super::servers::{Role, Server, known};
use super::{Candidate, LeftOut, Selection};
use crate::config::takes_unit;
use crate::model::{ListeningSocket, UnitName, UnitRelations};

/// A service that is active, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub unit: UnitName,
    pub relations: UnitRelations,
    /// Its processes, by name; none for a job that is done.
    pub programs: Vec<String>,
    /// The TCP addresses that its processes listen on.
    pub listens: Vec<SocketAddr>,
    /// The Unix sockets that its processes listen on, by path.
    pub sockets: Vec<String>,
    /// Services of this host to which it holds TCP connections, and how many.
    pub connections: Vec<(UnitName, usize)>,
    /// Why a plan would refuse to run with it.
    pub obstacles: Vec<String>,
}

/// Every service that listens, is known as a server, holds connections to another one, or is ordered after a database.
pub fn choose(seen: &[Seen]) -> Selection {
    let mut selection = Selection::default();
    for one in seen {
        if !takes_unit(&one.unit) && left_alone(&one.unit).is_none() {
            continue;
        }
        match verdict(one, seen) {
            Verdict::Taken => selection.candidates.push(candidate(one, seen)),
            Verdict::LeftOut(why) => {
                selection.left_out.push(LeftOut { what: one.unit.to_string(), why });
            }
            Verdict::NoService => {}
        }
    }
    selection
}

/// What listens in no service of its own: nothing stops it cleanly, and nothing starts it again.
pub fn strays(listening: &[ListeningSocket]) -> Vec<LeftOut> {
    // A socket that systemd holds is a socket unit's, and of what runs in another network nothing is known.
    let is_stray = |socket: &&ListeningSocket| {
        let is_of_its_own = |unit: &UnitName| {
            unit.as_str() == "init.scope" || (unit.as_str().ends_with(".service") && !starts_for_others(unit))
        };
        !socket.unit.as_ref().is_some_and(is_of_its_own) && !socket.program.is_empty()
    };
    let why = |unit: Option<&UnitName>| match unit {
        Some(unit) if starts_for_others(unit) => format!("{unit} has started it, and a run cannot stop it"),
        Some(unit) => format!("it runs in {unit}, and no boot starts it by that"),
        None => "it runs in no service".to_owned(),
    };
    let told = listening.iter().filter(is_stray).map(|socket| LeftOut {
        what: format!("{} on {}", socket.program, socket.address),
        why: why(socket.unit.as_ref()),
    });
    told.collect()
}

enum Verdict {
    Taken,
    LeftOut(String),
    /// A job that is done, which nobody would miss.
    NoService,
}

fn verdict(one: &Seen, seen: &[Seen]) -> Verdict {
    if one.programs.is_empty() {
        return without_process(one, seen);
    }
    if let Some(why) = left_alone(&one.unit) {
        return Verdict::LeftOut(why.to_owned());
    }
    let is_database = |one: &Seen| server(one).is_some_and(|server| server.role == Role::Database);
    let serves = |unit: &UnitName| unit != &one.unit && left_alone(unit).is_none();
    let belongs_to_a_database = is_database(one)
        || one.connections.iter().any(|(server, _)| serves(server))
        || after(one, seen).iter().any(|unit| seen.iter().any(|other| other.unit == *unit && is_database(other)));
    // A run must not go past one of these; of the others nothing depends on it.
    if belongs_to_a_database {
        return Verdict::Taken;
    }
    if server(one).is_none() && one.listens.is_empty() && one.sockets.is_empty() {
        let socket = one.relations.triggered_by.iter().find(|unit| unit.as_str().ends_with(".socket"));
        return Verdict::LeftOut(match socket {
            Some(_) => "its socket unit listens, and starts it when it is asked for".to_owned(),
            None => "it listens on no TCP or Unix socket, and talks to no service here".to_owned(),
        });
    }
    match one.obstacles.first() {
        Some(obstacle) => Verdict::LeftOut(obstacle.replace(one.unit.as_str(), "it")),
        None => Verdict::Taken,
    }
}

fn server(one: &Seen) -> Option<&'static Server> {
    known(one.programs.iter().map(String::as_str))
}

/// Debian's `postgresql.service` and its kind, or a job that has started something elsewhere.
fn without_process(one: &Seen, seen: &[Seen]) -> Verdict {
    if left_alone(&one.unit).is_some() {
        return Verdict::NoService;
    }
    let is_real = |unit: &&UnitName| seen.iter().any(|other| other.unit == **unit && !other.programs.is_empty());
    if let Some(real) = one.relations.stops.iter().find(is_real) {
        return Verdict::LeftOut(format!("it has no process; {real} does the work"));
    }
    match one.relations.has_stop_program {
        true => Verdict::LeftOut("it has no process; add it if its stop ends a service elsewhere".to_owned()),
        false => Verdict::NoService,
    }
}

/// What its unit is ordered after; where that has no process, as an umbrella has none, what that is ordered after.
fn after(one: &Seen, seen: &[Seen]) -> Vec<UnitName> {
    let mut known: BTreeSet<&UnitName> = BTreeSet::new();
    let mut open: Vec<&UnitName> = one.relations.after.iter().collect();
    while let Some(unit) = open.pop() {
        if known.insert(unit)
            && let Some(other) = seen.iter().find(|other| other.unit == *unit && other.programs.is_empty())
        {
            open.extend(&other.relations.after);
        }
    }
    known.into_iter().filter(|unit| **unit != one.unit).cloned().collect()
}

fn candidate(one: &Seen, seen: &[Seen]) -> Candidate {
    Candidate {
        unit: one.unit.clone(),
        server: server(one),
        program: one.programs.first().cloned().unwrap_or_default(),
        listens: one.listens.clone(),
        sockets: one.sockets.clone(),
        connections: one.connections.clone(),
        after: after(one, seen),
        obstacles: one.obstacles.clone(),
        unproven: None,
        accepts: None,
        http_answers: None,
    }
}

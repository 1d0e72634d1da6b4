//! The whole file.

use std::net::{Ipv4Addr, SocketAddr};

use super::order::{Placed, Why, placed};
use super::servers::{Bears, Role};
use super::write::{Text, one_line};
use super::{Candidate, LeftOut, Selection, reachable};
use crate::config::literal::{list, string};
use crate::config::{keys, takes_url};
use crate::model::ServiceKind;

const DEFAULT_PORT: u16 = 27017;
/// Where a service listens is told of so many places.
const TOLD: usize = 4;

/// A configuration file for a host with these services: what was found, why, and nothing that has a default.
pub fn render(selection: &Selection) -> String {
    let mut text = Text::default();
    text.comment("Written by `patchday init` from what runs on this host. Read it, then: patchday plan");
    text.comment("What is not set has its default. All keys: patchday.toml(5), or docs/configuration.md.");
    let services = placed(&selection.candidates);
    text.gap();
    if services.is_empty() {
        text.comment(
            "No service was found that belongs here: the host is upgraded, rebooted and compared with what ran before.",
        );
    } else {
        text.comment(
            "The services that stop cleanly before the upgrade and must be ready after the reboot. They start in the \
             order of their `after`, and stop in the reverse order.",
        );
    }
    for service in &services {
        one_service(&mut text, service);
    }
    if !selection.left_out.is_empty() {
        text.gap();
        text.comment("Runs too, and was left out:");
        left_out_lines(&selection.left_out).iter().for_each(|line| text.comment(line));
    }
    text.text
}

/// What was left out, a line for each reason.
pub fn left_out_lines(left_out: &[LeftOut]) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for LeftOut { what, why } in left_out {
        match by_reason.iter_mut().find(|(known, _)| known == why) {
            Some((_, all)) => all.push(one_line(what)),
            None => by_reason.push((why, vec![one_line(what)])),
        }
    }
    by_reason.into_iter().map(|(why, all)| format!("{}: {}", all.join(", "), one_line(why))).collect()
}

fn one_service(text: &mut Text, service: &Placed<'_>) {
    let candidate = service.candidate;
    text.gap();
    text.comment(&about(candidate));
    text.table(keys::UNIT.table);
    let obstacles = one_line(&candidate.obstacles.join("; "));
    let note = format!("NOTE: {obstacles}. Mend that, or take it out: a plan refuses to run with it.");
    text.set(&keys::UNIT, string(candidate.unit.as_str()), (!obstacles.is_empty()).then_some(note.as_str()));
    if candidate.kind() == ServiceKind::Mongodb {
        text.set(&keys::KIND, "\"mongodb\"", None);
    }
    match (candidate.server.and_then(|server| server.stop_proof), &candidate.unproven) {
        (Some(proof), None) => text.set(&keys::STOP_PROOF, string(proof), None),
        (Some(proof), Some(why)) => text.comment(&format!(
            "NOTE: no {} = {}: {}. A command of your own may prove its clean end (docs/databases.md).",
            keys::STOP_PROOF.name,
            string(proof),
            one_line(why)
        )),
        (None, _) => {}
    }
    if !service.after.is_empty() {
        let units = service.after.iter().map(|(other, _)| other.unit.as_str());
        text.set(&keys::AFTER, list(units), Some(&reasons(service)));
    }
    text.gap();
    if candidate.kind() == ServiceKind::Mongodb {
        text.table(keys::URI.table);
        text.set(&keys::URI, string(&format!("mongodb://{}", server(candidate))), None);
    } else {
        text.table(keys::PROBE.table);
        readiness(text, candidate);
    }
}

/// What it is, and where it listens.
fn about(candidate: &Candidate) -> String {
    let name = candidate.server.map_or_else(|| one_line(&candidate.program), |server| server.name.to_owned());
    let addresses = candidate.listens.iter().map(SocketAddr::to_string);
    let places: Vec<String> = addresses.chain(candidate.sockets.iter().map(|path| one_line(path))).collect();
    let told = places.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
    match places.len() {
        0 => format!("{name}, listens nowhere"),
        all if all > TOLD => format!("{name}, on {told} and {} more", all - TOLD),
        _ => format!("{name}, on {told}"),
    }
}

/// Why it comes after the others.
fn reasons(service: &Placed<'_>) -> String {
    let of = |whys: &[Why]| -> Vec<&Candidate> {
        service.after.iter().filter(|(_, why)| whys.contains(why)).map(|(other, _)| *other).collect()
    };
    let names = |others: &[&Candidate]| others.iter().map(|o| o.unit.as_str()).collect::<Vec<_>>().join(", ");
    let mut told = Vec::new();
    for other in of(&[Why::Connected, Why::ConnectedAhead]) {
        let held = service.candidate.connections.iter().filter(|(unit, _)| *unit == other.unit);
        let count: usize = held.map(|(_, count)| count).sum();
        let plural = if count == 1 { "" } else { "s" };
        told.push(format!("It held {count} connection{plural} to {}.", other.unit));
    }
    let ordered = of(&[Why::Ordered]);
    if !ordered.is_empty() {
        told.push(format!("Its unit is ordered after {}.", names(&ordered)));
    }
    if let Some(other) = of(&[Why::Likely]).first() {
        let (first, second) = (plural(other.role()), plural(service.candidate.role()));
        told.push(format!("Nothing was seen between them; as a rule {first} are needed by {second}."));
    }
    told.join(" ")
}

fn plural(role: Role) -> &'static str {
    match role {
        Role::Database => "databases",
        Role::Application => "applications",
        Role::Front => "web servers and proxies",
    }
}

fn readiness(text: &mut Text, candidate: &Candidate) {
    let answer = candidate.http_answers.as_ref();
    let good = answer.filter(|answer| (200..400).contains(&answer.status) && takes_url(&answer.url));
    if let Some(answer) = good {
        text.set(&keys::PROBE, "\"http\"", Some("A page that needs the database is the best proof."));
        text.set(&keys::URL, string(&answer.url), None);
        if answer.status != 200 {
            text.set(&keys::STATUS, answer.status, None);
        }
    } else if let Some(address) = candidate.accepts {
        let bad = answer.map(|answer| {
            let url = one_line(&answer.url);
            format!("{url} answered {}: a page that answers 200 would be the better proof.", answer.status)
        });
        text.set(&keys::PROBE, "\"tcp\"", bad.as_deref());
        text.set(&keys::ADDRESS, string(&address.to_string()), None);
    } else {
        text.set(&keys::PROBE, "\"unit\"", Some(&why_unit(candidate)));
    }
}

fn why_unit(candidate: &Candidate) -> String {
    match (candidate.listens.first(), candidate.server) {
        (Some(_), Some(server)) if server.bears == Bears::Nothing => {
            format!("{} counts a connection without a login as an error.", server.name)
        }
        (Some(address), _) => format!("{} did not accept when it was tried.", reachable(*address)),
        (None, _) if candidate.sockets.is_empty() => "It listens nowhere.".to_owned(),
        (None, _) => "No probe connects to a Unix socket.".to_owned(),
    }
}

/// Where a mongod is reached from this host: on its lowest port, over the loopback where it listens there.
fn server(candidate: &Candidate) -> SocketAddr {
    let port = candidate.listens.iter().map(SocketAddr::port).min().unwrap_or(DEFAULT_PORT);
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let own: Vec<SocketAddr> =
        candidate.listens.iter().filter(|address| address.port() == port).map(|address| reachable(*address)).collect();
    if own.contains(&loopback) { loopback } else { own.first().copied().unwrap_or(loopback) }
}

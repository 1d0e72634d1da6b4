//! The whole file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Candidate;
use super::order::{Placed, placed};
use super::write::{Text, list, one_line, string};
use crate::config::keys::{self, Key};
use crate::config::takes_url;

const DEFAULT_PORT: u16 = 27017;

/// A complete configuration file for a host with these services: every key is there, with what it means; what was found
/// is set, and what has a default is a comment that shows it. `cpus` is the number of CPUs of the host.
pub fn render(candidates: &[Candidate], cpus: u32) -> String {
    let mut text = Text::default();
    text.comment(
        "Configuration of Patchday, written by `patchday init` from what runs on this host. Read it before the",
    );
    text.comment("first run. Lines that begin with #key show a default. Check the file with: patchday plan");
    let services = placed(candidates);
    text.gap();
    if services.is_empty() {
        text.comment(
            "No MongoDB was found, and no service that belongs here: the host is upgraded, rebooted and compared with \
             what ran before.",
        );
    }
    text.comment("The services of this host that must stop cleanly before the upgrade and be ready after the reboot.");
    text.comment("They start in the order of their `after`, and stop in the reverse order.");
    for service in &services {
        one_service(&mut text, service);
    }
    // A file that lacks either kind would lack its keys.
    if services.iter().all(|service| service.candidate.mongodb) {
        example(&mut text, &services);
    } else if !services.iter().any(|service| service.candidate.mongodb) {
        text.gap();
        text.comment("A MongoDB of this host would be:");
        example_tables(&mut text, &MONGODB_EXAMPLE, None);
        mention_others(&mut text, &keys::URI);
    }
    tables(&mut text, cpus);
    text.text
}

fn one_service(text: &mut Text, service: &Placed<'_>) {
    let candidate = service.candidate;
    text.gap();
    let description = one_line(&candidate.description);
    if !description.is_empty() {
        text.comment(&description);
    }
    text.table(keys::UNIT.table);
    let notes = candidate.notes.iter().map(|note| format!("NOTE: {}", one_line(note)));
    let notes = notes.collect::<Vec<_>>().join(" ");
    text.set(&keys::UNIT, string(candidate.unit.as_str()), (!notes.is_empty()).then_some(notes.as_str()));
    if candidate.mongodb {
        text.set(&keys::KIND, "\"mongodb\"", None);
    } else {
        text.keep(&keys::KIND, "\"service\"", None);
    }
    after(text, service);
    text.keep(&keys::STOP_TIMEOUT, if candidate.mongodb { "\"2m\"" } else { "\"90s\"" }, None);
    text.keep(&keys::START_TIMEOUT, keys::START_TIMEOUT.default, None);
    if candidate.mongodb {
        text.keep(&keys::DRAIN_TIMEOUT, keys::DRAIN_TIMEOUT.default, None);
    }
    text.gap();
    text.table(keys::PROBE.table);
    readiness(text, candidate);
    if candidate.mongodb {
        text.gap();
        text.table(keys::URI.table);
        text.set(&keys::URI, string(&format!("mongodb://{}", server(candidate))), None);
        mention_others(text, &keys::URI);
    }
}

/// Every other key of the table: its default, or an example where it has none.
fn mention_others(text: &mut Text, of: &Key) {
    for key in keys::KEYS.iter().filter(|key| key.table == of.table && key.name != of.name) {
        if key.default == "none" {
            text.mention(key);
        } else {
            text.keep(key, key.default, None);
        }
    }
}

fn after(text: &mut Text, service: &Placed<'_>) {
    let connections = match service.candidate.holds_connections_to_mongodb {
        0 => None,
        1 => Some("It held 1 connection to MongoDB.".to_owned()),
        many => Some(format!("It held {many} connections to MongoDB.")),
    };
    let why = connections.or_else(|| Some("Its unit is ordered after these.".to_owned()));
    if service.after.is_empty() {
        text.keep(&keys::AFTER, keys::AFTER.default, None);
    } else {
        text.set(&keys::AFTER, list(service.after.iter().map(|unit| unit.as_str())), why.as_deref());
    }
}

fn readiness(text: &mut Text, candidate: &Candidate) {
    let answer = candidate.http_answers.as_ref();
    let good = answer.filter(|answer| (200..400).contains(&answer.status) && takes_url(&answer.url));
    if candidate.mongodb {
        text.keep(&keys::PROBE, "\"mongodb\"", None);
    } else if let Some(answer) = good {
        text.set(&keys::PROBE, "\"http\"", Some("A page that needs the database is the best proof."));
        text.set(&keys::URL, string(&answer.url), None);
        if answer.status == 200 {
            text.keep(&keys::STATUS, keys::STATUS.default, None);
        } else {
            text.set(&keys::STATUS, answer.status, None);
        }
    } else if let Some(address) = candidate.listens.first() {
        let bad = answer.map(|answer| {
            let url = one_line(&answer.url);
            format!("{url} answered {}: a page that answers 200 would be the better proof.", answer.status)
        });
        text.set(&keys::PROBE, "\"tcp\"", bad.as_deref());
        text.set(&keys::ADDRESS, string(&reachable(*address).to_string()), None);
    } else {
        text.keep(&keys::PROBE, "\"unit\"", Some("It listens nowhere."));
    }
    if !candidate.mongodb {
        mention_probes(text);
    }
}

/// Where a mongod is reached from this host: over the loopback where it listens there.
fn server(candidate: &Candidate) -> SocketAddr {
    let port = candidate.mongod_port.unwrap_or(DEFAULT_PORT);
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let own: Vec<SocketAddr> =
        candidate.listens.iter().filter(|address| address.port() == port).map(|address| reachable(*address)).collect();
    if own.contains(&loopback) { loopback } else { own.first().copied().unwrap_or(loopback) }
}

/// An address to connect to, for one that is listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other.to_canonical(),
    };
    SocketAddr::new(ip, address.port())
}

/// Their defaults count only beside another key, and without it they are refused.
const LONELY: [&Key; 5] =
    [&keys::USERS_LIMIT, &keys::USERS_FIELD, &keys::USERS_WITHIN, &keys::SILENCE_TIMEOUT, &keys::SILENCE_SANDBOX];

type Lines = &'static [(&'static Key, &'static str)];

const MONGODB_EXAMPLE: [(&str, Lines); 2] = [
    (
        keys::UNIT.table,
        &[
            (&keys::UNIT, "\"mongod.service\""),
            (&keys::KIND, "\"mongodb\""),
            (&keys::DRAIN_TIMEOUT, keys::DRAIN_TIMEOUT.default),
        ],
    ),
    (keys::URI.table, &[(&keys::URI, keys::URI.default)]),
];

const CLIENT_EXAMPLE: [(&str, Lines); 2] = [
    (
        keys::UNIT.table,
        &[
            (&keys::UNIT, "\"api.service\""),
            (&keys::KIND, keys::KIND.default),
            (&keys::AFTER, "[\"mongod.service\"]"),
            (&keys::STOP_TIMEOUT, "\"90s\""),
            (&keys::START_TIMEOUT, keys::START_TIMEOUT.default),
        ],
    ),
    (
        keys::PROBE.table,
        &[(&keys::PROBE, "\"http\""), (&keys::URL, keys::URL.example), (&keys::STATUS, keys::STATUS.default)],
    ),
];

/// Services as they could be, all of it commented out.
fn example(text: &mut Text, services: &[Placed<'_>]) {
    let mongodb = services.iter().find(|service| service.candidate.mongodb);
    text.gap();
    text.comment("Example; to use it, take the # away from the lines that begin with #key or #[:");
    text.gap();
    if mongodb.is_none() {
        example_tables(text, &MONGODB_EXAMPLE, None);
        mention_others(text, &keys::URI);
        text.gap();
    }
    let after = mongodb.map(|service| list([service.candidate.unit.as_str()]));
    example_tables(text, &CLIENT_EXAMPLE, after);
    mention_probes(text);
}

/// Every key of a readiness probe that was not explained yet.
fn mention_probes(text: &mut Text) {
    for key in keys::KEYS.iter().filter(|key| key.table == keys::PROBE.table) {
        text.mention(key);
    }
}

fn example_tables(text: &mut Text, tables: &[(&str, Lines)], after: Option<String>) {
    for (table, keys) in tables {
        text.hidden_table(table);
        for (key, value) in *keys {
            let value = after.as_deref().filter(|_| **key == keys::AFTER).unwrap_or(value);
            text.keep(key, value, None);
        }
    }
}

/// Everything but the services: defaults, which are the same everywhere.
fn tables(text: &mut Text, cpus: u32) {
    let machine = match cpus {
        0 | 1 => "This host has 1 CPU.".to_owned(),
        many => format!("This host has {many} CPUs."),
    };
    let mut table = "";
    for key in keys::KEYS.iter().filter(|key| !key.table.starts_with("service")) {
        if key.table != table {
            table = key.table;
            text.gap();
            if keys::LISTS.contains(&table) {
                text.comment(&format!("{}, as often as there is one:", keys::header(table)));
            } else {
                text.table(table);
            }
        }
        // There is none unless somebody wants it, so that it has no defaults either.
        if keys::LISTS.contains(&table) {
            text.example(key);
        } else if key.default == "none" || LONELY.contains(&key) {
            text.mention(key);
        } else {
            text.keep(key, key.default, (*key == keys::CPU).then_some(machine.as_str()));
        }
    }
}

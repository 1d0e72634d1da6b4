//! What `patchday init` writes for the hosts it may meet.

// Helpers of tests may fail as tests do.

use std::path::Path;

use jiff::SignedDuration;
use patchday::config::keys::KEYS;
use patchday::config::{MongodbSettings, ServiceSettings, Settings, parse};
use patchday::discovery::{Candidate, HttpAnswer, render};
use patchday::model::{DatabaseAccess, ReadinessProbe, ServiceKind, UnitName};

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

fn candidate(name: &str, description: &str) -> Candidate {
    Candidate {
        unit: unit(name),
        description: description.to_owned(),
        mongodb: false,
        mongod_port: None,
        listens: Vec::new(),
        holds_connections_to_mongodb: 0,
        after: Vec::new(),
        notes: Vec::new(),
        http_answers: None,
    }
}

fn mongod(name: &str, port: u16, listens: &[&str]) -> Candidate {
    Candidate {
        mongodb: true,
        mongod_port: Some(port),
        listens: listens.iter().map(|address| address.parse().unwrap()).collect(),
        after: vec![unit("network-online.target")],
        ..candidate(name, "MongoDB Database Server")
    }
}

fn service(unit: UnitName, after: &[&str], readiness: ReadinessProbe) -> ServiceSettings {
    ServiceSettings {
        unit,
        kind: ServiceKind::Service,
        after: after.iter().map(|name| self::unit(name)).collect(),
        stop_timeout: SignedDuration::from_secs(90),
        start_timeout: SignedDuration::from_secs(120),
        readiness,
        probe_timeout: SignedDuration::from_secs(5),
        database: None,
        drain_timeout: SignedDuration::ZERO,
        mongodb: MongodbSettings::default(),
        stop_proof: None,
    }
}

fn server(name: &str, uri: &str) -> ServiceSettings {
    let access = DatabaseAccess { uri: Some(uri.to_owned()), ..DatabaseAccess::default() };
    ServiceSettings {
        kind: ServiceKind::Mongodb,
        stop_timeout: SignedDuration::from_secs(120),
        database: Some(access.clone()),
        drain_timeout: SignedDuration::from_secs(30),
        ..service(unit(name), &[], ReadinessProbe::Mongodb(access))
    }
}

/// The defaults of all else.
fn settings(services: Vec<ServiceSettings>) -> Settings {
    Settings { services, ..parse("", Path::new("empty"), 4, &[]).unwrap().settings }
}

/// The text for the candidates; it is a valid file, names every key, and is narrow enough to be read.
fn rendered(candidates: &[Candidate]) -> (String, Settings) {
    let text = render(candidates, 4);
    let located = parse(&text, Path::new("init"), 4, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    for key in KEYS {
        assert!(text.contains(&format!("{} = ", key.name)), "{} is missing in\n{text}", key.path());
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
    (text, located.settings)
}

/// The text with every `#key` and `#[table]` made real.
fn uncommented(text: &str) -> String {
    let real = |line: &str| {
        let rest = line.strip_prefix('#').filter(|rest| rest.starts_with(|first: char| first != ' '));
        rest.unwrap_or(line).to_owned() + "\n"
    };
    text.lines().map(real).collect()
}

#[test]
fn mongodb_and_its_clients() {
    let api = Candidate {
        listens: vec!["0.0.0.0:8080".parse().unwrap()],
        holds_connections_to_mongodb: 5,
        after: vec![unit("mongod.service"), unit("network.target")],
        http_answers: Some(HttpAnswer { url: "http://127.0.0.1:8080/".to_owned(), status: 200 }),
        ..candidate("sample-api.service", "Sample API")
    };
    let worker = Candidate {
        holds_connections_to_mongodb: 1,
        after: vec![unit("sample-api.service")],
        notes: vec!["no boot starts worker@1.service.\n[[service]]".to_owned()],
        ..candidate("worker@1.service", "Nightly\n[[service]]\nunit = \"evil\"")
    };
    let web = Candidate {
        listens: vec!["[::]:443".parse().unwrap()],
        after: vec![unit("sample-api.service")],
        http_answers: Some(HttpAnswer { url: "https://127.0.0.1/".to_owned(), status: 404 }),
        ..candidate("web.service", "")
    };
    let (text, got) = rendered(&[web, worker, api, mongod("mongod.service", 27017, &["127.0.0.1:27017"])]);
    insta::assert_snapshot!("mongodb_and_its_clients", text);
    let http = ReadinessProbe::Http { url: "http://127.0.0.1:8080/".to_owned(), status: 200, header: None, body: None };
    let wanted = settings(vec![
        server("mongod.service", "mongodb://127.0.0.1:27017"),
        service(unit("sample-api.service"), &["mongod.service"], http),
        service(unit("web.service"), &["sample-api.service"], ReadinessProbe::Tcp { address: "[::1]:443".to_owned() }),
        service(unit("worker@1.service"), &["mongod.service", "sample-api.service"], ReadinessProbe::Unit),
    ]);
    assert_eq!(got, wanted);
    let real = uncommented(&text);
    let defaults = parse(&real, Path::new("init"), 4, &[]).unwrap_or_else(|error| panic!("{error}\n{real}"));
    assert_eq!(defaults.settings, wanted, "a commented key does not show its default");
}

#[test]
fn a_host_without_services() {
    let (text, got) = rendered(&[]);
    insta::assert_snapshot!("without_services", text);
    assert_eq!(got, settings(Vec::new()));
    let real = parse(&uncommented(&text), Path::new("init"), 4, &[]).unwrap_or_else(|error| panic!("{error}"));
    let units: Vec<&str> = real.settings.services.iter().map(|service| service.unit.as_str()).collect();
    assert_eq!(units, ["mongod.service", "api.service"]);
    assert_eq!(Settings { services: Vec::new(), ..real.settings }, settings(Vec::new()));
}

#[test]
fn only_mongodb_or_only_a_service() {
    let (text, got) = rendered(&[mongod("db.service", 27018, &["10.0.0.7:27018"])]);
    assert_eq!(got, settings(vec![server("db.service", "mongodb://10.0.0.7:27018")]));
    let real = parse(&uncommented(&text), Path::new("init"), 4, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(real.settings.services[1].after, [unit("db.service")]);
    let (text, got) = rendered(&[candidate("cron.service", "Regular background program processing daemon")]);
    assert_eq!(got, settings(vec![service(unit("cron.service"), &[], ReadinessProbe::Unit)]));
    assert!(parse(&uncommented(&text), Path::new("init"), 4, &[]).is_ok());
}

#[test]
fn an_order_that_cannot_be_is_not_written() {
    let ordered = |name: &str, after: &[&str], connections| Candidate {
        after: after.iter().map(|name| unit(name)).collect(),
        holds_connections_to_mongodb: connections,
        ..candidate(name, "")
    };
    let mut first = mongod("mongod.service", 27017, &["0.0.0.0:27017"]);
    first.after = vec![unit("a.service"), unit("mongod.service")];
    let second = mongod("mongod-second.service", 27018, &[]);
    let (_, got) = rendered(&[
        ordered("a.service", &["b.service", "a.service"], 2),
        ordered("b.service", &["a.service", "unknown.service"], 0),
        first,
        second,
    ]);
    let after = |name: &str| got.service(&unit(name)).unwrap().after.clone();
    assert_eq!(after("mongod.service"), []);
    assert_eq!(after("a.service"), [unit("mongod.service"), unit("mongod-second.service"), unit("b.service")]);
    assert_eq!(after("b.service"), []);
    let units: Vec<&str> = got.services.iter().map(|service| service.unit.as_str()).collect();
    assert_eq!(units, ["mongod.service", "mongod-second.service", "b.service", "a.service"]);
}

#[test]
fn what_no_service_may_name_is_left_out() {
    let names = ["api.socket", "app@.service", "patchday.service", "ok.service", "ok.service"];
    let mut candidates: Vec<Candidate> = names.iter().map(|name| candidate(name, "")).collect();
    let answer = HttpAnswer { url: "no URL \"at all".to_owned(), status: 200 };
    candidates[3].http_answers = Some(answer);
    let (_, got) = rendered(&candidates);
    assert_eq!(got.services, [service(unit("ok.service"), &[], ReadinessProbe::Unit)]);
}

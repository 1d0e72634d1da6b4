//! What `patchday init` writes for the hosts it may meet.

// Helpers of tests may fail as tests do.

use std::path::Path;

use jiff::SignedDuration;
use patchday::config::{MongodbSettings, ServiceSettings, Settings, parse};
use patchday::discovery::{
    Bears, HttpAnswer, LeftOut, Seen, Selection, choose, left_out_lines, reachable, render, strays,
};
use patchday::model::{
    DatabaseAccess, ListeningSocket, ReadinessProbe, ServiceKind, UnitName, UnitRelations, WantedProof,
};

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

fn units(names: &[&str]) -> Vec<UnitName> {
    names.iter().map(|name| unit(name)).collect()
}

/// A service with these processes, that listens there: on addresses, and on paths.
fn seen(name: &str, programs: &[&str], listens: &[&str]) -> Seen {
    let (sockets, addresses): (Vec<&str>, Vec<&str>) =
        listens.iter().copied().partition(|place| place.starts_with('/'));
    Seen {
        unit: unit(name),
        relations: UnitRelations::default(),
        programs: programs.iter().map(|&name| name.to_owned()).collect(),
        listens: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        sockets: sockets.into_iter().map(str::to_owned).collect(),
        connections: Vec::new(),
        obstacles: Vec::new(),
    }
}

fn after(seen: Seen, names: &[&str]) -> Seen {
    Seen { relations: UnitRelations { after: units(names), ..seen.relations.clone() }, ..seen }
}

fn connected(mut seen: Seen, server: &str, connections: usize) -> Seen {
    seen.connections.push((unit(server), connections));
    seen
}

fn mongod(name: &str, listens: &[&str]) -> Seen {
    after(seen(name, &["mongod"], listens), &["network-online.target"])
}

/// What was chosen, as `init` has it when it has asked everything and all accepted.
fn asked(seen: &[Seen]) -> Selection {
    let mut selection = choose(seen);
    for candidate in &mut selection.candidates {
        let asks = candidate.kind() == ServiceKind::Service && candidate.bears() != Bears::Nothing;
        candidate.accepts = candidate.listens.first().filter(|_| asks).map(|address| reachable(*address));
    }
    selection
}

fn answers(selection: &mut Selection, name: &str, url: &str, status: u16) {
    let candidate = selection.candidates.iter_mut().find(|candidate| candidate.unit == unit(name)).unwrap();
    candidate.http_answers = Some(HttpAnswer { url: url.to_owned(), status });
}

fn service(name: &str, after: &[&str], readiness: ReadinessProbe) -> ServiceSettings {
    ServiceSettings {
        unit: unit(name),
        kind: ServiceKind::Service,
        after: units(after),
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

fn proven(service: ServiceSettings, proof: WantedProof) -> ServiceSettings {
    ServiceSettings { stop_proof: Some(proof), ..service }
}

fn tcp(address: &str) -> ReadinessProbe {
    ReadinessProbe::Tcp { address: address.to_owned() }
}

fn http(url: &str, status: u16) -> ReadinessProbe {
    ReadinessProbe::Http { url: url.to_owned(), status, header: None, body: None }
}

fn server(name: &str, uri: &str) -> ServiceSettings {
    let access = DatabaseAccess { uri: Some(uri.to_owned()), ..DatabaseAccess::default() };
    ServiceSettings {
        kind: ServiceKind::Mongodb,
        stop_timeout: SignedDuration::from_secs(120),
        database: Some(access.clone()),
        drain_timeout: SignedDuration::from_secs(30),
        ..service(name, &[], ReadinessProbe::Mongodb(access))
    }
}

/// The text, which is a valid file, narrow enough to be read, and sets nothing but services; and these.
fn rendered(selection: &Selection) -> (String, Vec<ServiceSettings>) {
    let text = render(selection);
    let Settings { services, .. } =
        parse(&text, Path::new("init"), 4, &[]).unwrap_or_else(|error| panic!("{error}\n{text}")).settings;
    let wide = text.lines().find(|line| line.chars().count() > 120);
    assert_eq!(wide, None);
    (text, services)
}

fn reasons(selection: &Selection) -> Vec<String> {
    left_out_lines(&selection.left_out)
}

#[test]
fn mongodb_and_its_clients() {
    let api = seen("sample-api.service", &["sample-api"], &["0.0.0.0:8080"]);
    let api = after(connected(api, "mongod.service", 5), &["mongod.service", "network.target"]);
    let worker = after(seen("worker@1.service", &["Nightly\n[[service]]"], &[]), &["sample-api.service"]);
    let mut worker = connected(worker, "mongod.service", 1);
    worker.obstacles.push("no boot starts worker@1.service\n[[service]]".to_owned());
    let web = after(seen("web.service", &["node"], &["[::]:443"]), &["sample-api.service"]);
    let mut selection = asked(&[web, worker, api, mongod("mongod.service", &["127.0.0.1:27017"])]);
    answers(&mut selection, "sample-api.service", "http://127.0.0.1:8080/", 200);
    answers(&mut selection, "web.service", "https://127.0.0.1/", 404);
    let (text, got) = rendered(&selection);
    insta::assert_snapshot!("mongodb_and_its_clients", text);
    assert_eq!(
        got,
        [
            server("mongod.service", "mongodb://127.0.0.1:27017"),
            service("sample-api.service", &["mongod.service"], http("http://127.0.0.1:8080/", 200)),
            service("web.service", &["sample-api.service"], tcp("[::1]:443")),
            service("worker@1.service", &["mongod.service", "sample-api.service"], ReadinessProbe::Unit),
        ]
    );
}

/// Debian's packages as they were seen on bookworm: PostgreSQL's own unit has no process, and PHP-FPM has no address.
#[test]
fn a_host_with_six_services_of_other_people() {
    let mut umbrella = after(seen("postgresql.service", &[], &[]), &["postgresql@15-main.service"]);
    umbrella.relations.stops = units(&["postgresql@15-main.service"]);
    let postgresql = seen(
        "postgresql@15-main.service",
        &["postgres", "postgres"],
        &["127.0.0.1:5432", "[::1]:5432", "/run/postgresql/.s.PGSQL.5432"],
    );
    let shop = after(seen("shop.service", &["php"], &["127.0.0.1:8090"]), &["postgresql.service"]);
    let mut selection = asked(&[
        seen("cron.service", &["cron"], &[]),
        seen("dbus.service", &["dbus-daemon"], &[]),
        seen("mariadb.service", &["mariadbd"], &["127.0.0.1:3306", "/run/mysqld/mysqld.sock"]),
        seen("nginx.service", &["nginx", "nginx"], &["0.0.0.0:80", "[::]:80"]),
        seen("php8.2-fpm.service", &["php-fpm8.2", "php-fpm8.2"], &["/run/php/php8.2-fpm.sock"]),
        umbrella,
        postgresql,
        seen("redis-server.service", &["redis-server"], &["127.0.0.1:6379", "[::1]:6379"]),
        connected(shop, "redis-server.service", 1),
        seen("ssh.service", &["sshd"], &["0.0.0.0:22", "[::]:22"]),
    ]);
    answers(&mut selection, "nginx.service", "http://127.0.0.1:80/", 200);
    answers(&mut selection, "shop.service", "http://127.0.0.1:8090/", 301);
    let (text, got) = rendered(&selection);
    insta::assert_snapshot!("six_services", text);
    let databases = ["mariadb.service", "postgresql@15-main.service", "redis-server.service"];
    assert_eq!(
        got,
        [
            proven(service(databases[0], &[], ReadinessProbe::Unit), WantedProof::Mariadb),
            proven(service(databases[1], &[], tcp("127.0.0.1:5432")), WantedProof::Postgresql),
            proven(service(databases[2], &[], tcp("127.0.0.1:6379")), WantedProof::Redis),
            service("php8.2-fpm.service", &databases, ReadinessProbe::Unit),
            service("shop.service", &[databases[2], databases[1]], http("http://127.0.0.1:8090/", 301)),
            service("nginx.service", &["php8.2-fpm.service", "shop.service"], http("http://127.0.0.1:80/", 200)),
        ]
    );
}

#[test]
fn a_host_without_services() {
    let (text, got) = rendered(&Selection::default());
    insta::assert_snapshot!("without_services", text);
    assert_eq!(got, []);
}

#[test]
fn a_mongod_is_reached_where_it_listens() {
    for (listens, uri) in [
        (&["10.0.0.7:27018"][..], "mongodb://10.0.0.7:27018"),
        (&["10.0.0.7:27018", "127.0.0.1:27018"], "mongodb://127.0.0.1:27018"),
        (&["0.0.0.0:27019", "0.0.0.0:27018"], "mongodb://127.0.0.1:27018"),
        (&["/tmp/mongodb-27017.sock"], "mongodb://127.0.0.1:27017"),
    ] {
        let (_, got) = rendered(&asked(&[mongod("db.service", listens)]));
        assert_eq!(got, [server("db.service", uri)], "{listens:?}");
    }
}

/// What comes after what, in the order of the file.
fn order(seen: &[Seen]) -> Vec<(String, Vec<String>)> {
    let (_, services) = rendered(&asked(seen));
    let names = |units: Vec<UnitName>| units.iter().map(|unit| unit.as_str().replace(".service", "")).collect();
    services.into_iter().map(|one| (one.unit.as_str().replace(".service", ""), names(one.after))).collect()
}

#[test]
fn the_order_is_what_was_seen_then_what_units_say_then_what_is_likely() {
    let a = || seen("a.service", &["a"], &["127.0.0.1:8001"]);
    let b = || seen("b.service", &["b"], &["127.0.0.1:8002"]);
    let mongo = || mongod("m.service", &["127.0.0.1:27017"]);
    let redis = |name: &str| seen(name, &["redis-server"], &["127.0.0.1:6379"]);
    let proxy = || seen("p.service", &["haproxy"], &["127.0.0.1:5000"]);
    let nginx = || seen("n.service", &["nginx"], &["127.0.0.1:80"]);
    for (what, seen, expected) in [
        (
            "a connection counts more than a unit's order",
            vec![after(connected(a(), "b.service", 1), &[]), after(b(), &["a.service"])],
            "b; a after b",
        ),
        (
            "a unit's order counts where nothing was seen",
            vec![after(a(), &["b.service", "a.service", "x.service"]), b()],
            "b; a after b",
        ),
        ("a cycle of units is broken", vec![after(a(), &["b.service"]), after(b(), &["a.service"])], "b; a after b"),
        (
            "a database is not after its client",
            vec![
                connected(after(a(), &["b.service"]), "m.service", 2),
                b(),
                after(mongo(), &["a.service", "m.service"]),
            ],
            "m; b after m; a after m b",
        ),
        (
            "members of a set are not after each other",
            vec![connected(redis("r1.service"), "r2.service", 1), connected(redis("r2.service"), "r1.service", 1)],
            "r1; r2",
        ),
        (
            "an application needs the proxy to which it is connected",
            vec![connected(a(), "p.service", 1), proxy()],
            "p; a after p",
        ),
        (
            "a proxy is after the application that it asks, whoever asks back",
            vec![connected(a(), "n.service", 1), connected(nginx(), "a.service", 1)],
            "a; n after a",
        ),
        (
            "databases, applications, web servers",
            vec![nginx(), b(), a(), mongo(), redis("r.service")],
            "m; r; a after m r; b after m r; n after a b",
        ),
        ("no application is between them", vec![nginx(), mongo()], "m; n after m"),
        (
            "what is likely counts only where nothing was seen",
            vec![connected(a(), "r.service", 1), mongo(), redis("r.service")],
            "m; r; a after r",
        ),
    ] {
        let got = order(&seen).into_iter().map(|(unit, after)| match after.is_empty() {
            true => unit,
            false => format!("{unit} after {}", after.join(" ")),
        });
        assert_eq!(got.collect::<Vec<_>>().join("; "), expected, "{what}");
    }
}

#[test]
fn what_is_left_out_is_told_with_its_reason() {
    let stray = |mut seen: Seen, relations: UnitRelations, obstacles: &[&str]| {
        seen.relations = relations;
        seen.obstacles = obstacles.iter().map(|&line| line.to_owned()).collect();
        seen
    };
    let stops = |names: &[&str]| UnitRelations { stops: units(names), ..UnitRelations::default() };
    let by_socket = UnitRelations { triggered_by: units(&["on-demand.socket"]), ..UnitRelations::default() };
    let with_stop = UnitRelations { has_stop_program: true, ..UnitRelations::default() };
    let plain = UnitRelations::default;
    let selection = choose(&[
        stray(seen("by-hand.service", &["by-hand"], &["127.0.0.1:8000"]), plain(), &["no boot starts by-hand.service"]),
        stray(seen("compose.service", &[], &[]), with_stop.clone(), &[]),
        seen("dropbear.service", &["dropbear"], &["0.0.0.0:2222"]),
        seen("idle.service", &["sleep"], &[]),
        seen("job.service", &[], &[]),
        stray(seen("networking.service", &[], &[]), with_stop, &[]),
        stray(seen("on-demand.service", &["on-demand"], &[]), by_socket, &[]),
        stray(seen("postgresql.service", &[], &[]), stops(&["postgresql@15-main.service"]), &[]),
        stray(seen("postgresql@15-main.service", &["postgres"], &[]), plain(), &["no boot starts it"]),
        seen("ssh.service", &["sshd"], &["0.0.0.0:22"]),
        connected(seen("shipper.service", &["shipper"], &[]), "ssh.service", 1),
    ]);
    let taken: Vec<&str> = selection.candidates.iter().map(|candidate| candidate.unit.as_str()).collect();
    assert_eq!(taken, ["postgresql@15-main.service"], "a database is taken whatever speaks against it");
    assert_eq!(
        reasons(&selection),
        [
            "by-hand.service: no boot starts it",
            "compose.service: it has no process; add it if its stop ends a service elsewhere",
            "dropbear.service, ssh.service: the way into this host",
            "idle.service, shipper.service: it listens on no TCP or Unix socket, and talks to no service here",
            "on-demand.service: its socket unit listens, and starts it when it is asked for",
            "postgresql.service: it has no process; postgresql@15-main.service does the work",
        ]
    );
}

#[test]
fn what_listens_in_no_service_is_told() {
    let socket = |program: &str, unit: Option<&str>| ListeningSocket {
        protocol: "tcp".to_owned(),
        address: "0.0.0.0:3000".to_owned(),
        program: program.to_owned(),
        unit: unit.map(self::unit),
    };
    let told = strays(&[
        socket("node", Some("session-3.scope")),
        socket("java", None),
        socket("systemd", Some("init.scope")),
        socket("", None),
        socket("nginx", Some("nginx.service")),
        socket("ruby", Some("cron.service")),
        socket("vite", Some("user@1000.service")),
    ]);
    let told: Vec<String> = told.into_iter().map(|LeftOut { what, why }| format!("{what}: {why}")).collect();
    assert_eq!(
        told,
        [
            "node on 0.0.0.0:3000: it runs in session-3.scope, and no boot starts it by that",
            "java on 0.0.0.0:3000: it runs in no service",
            "ruby on 0.0.0.0:3000: cron.service has started it, and a run cannot stop it",
            "vite on 0.0.0.0:3000: user@1000.service has started it, and a run cannot stop it",
        ]
    );
}

#[test]
fn a_proof_that_could_not_be_taken_is_not_written() {
    let mut selection = asked(&[seen("cache.service", &["redis-server"], &["127.0.0.1:6379"])]);
    selection.candidates[0].unproven = Some("it has several servers".to_owned());
    let (text, got) = rendered(&selection);
    assert_eq!(got, [service("cache.service", &[], tcp("127.0.0.1:6379"))]);
    assert!(text.contains("# NOTE: no stop-proof = \"redis\": it has several servers."), "{text}");
}

#[test]
fn what_no_service_may_name_is_never_written() {
    let names = ["api.socket", "app@.service", "patchday.service", "ok.service", "ok.service"];
    let mut selection = asked(&names.map(|name| seen(name, &["x"], &["127.0.0.1:8000"])));
    answers(&mut selection, "ok.service", "no URL \"at all", 200);
    let (_, got) = rendered(&selection);
    assert_eq!(got, [service("ok.service", &[], tcp("127.0.0.1:8000"))]);
}

/// A connection that says nothing is too much for MariaDB, and a GET for PostgreSQL; a refused one is no probe.
#[test]
fn a_probe_is_what_was_tried_and_bore_it() {
    let of = |program: &str, accepts: bool| {
        let mut selection = asked(&[seen("x.service", &[program], &["0.0.0.0:7000"])]);
        if !accepts {
            selection.candidates[0].accepts = None;
        }
        let bears = selection.candidates[0].bears();
        let (text, mut services) = rendered(&selection);
        (bears, services.remove(0).readiness, text)
    };
    for (program, accepts, bears, probe, why) in [
        ("postgres", true, Bears::Connection, tcp("127.0.0.1:7000"), ""),
        (
            "postgres",
            false,
            Bears::Connection,
            ReadinessProbe::Unit,
            "127.0.0.1:7000 did not accept when it was tried.",
        ),
        (
            "mariadbd",
            true,
            Bears::Nothing,
            ReadinessProbe::Unit,
            "MariaDB counts a connection without a login as an error.",
        ),
        ("shop", true, Bears::Http, tcp("127.0.0.1:7000"), ""),
    ] {
        let (got_bears, got, text) = of(program, accepts);
        assert_eq!((got_bears, got), (bears, probe), "{program}");
        // A comment has as many lines as it needs.
        assert!(text.replace("\n# ", " ").contains(why), "{program}: {text}");
    }
}

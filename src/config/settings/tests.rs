use jiff::civil::date;

use super::*;
use crate::model::{HookPolicy, PackageSelection};

fn settings() -> Settings {
    let service = |unit: &str, kind, after: &[&str]| ServiceSettings {
        unit: unit.parse().unwrap(),
        kind,
        after: after.iter().map(|unit| unit.parse().unwrap()).collect(),
        stop_timeout: SignedDuration::from_secs(90),
        start_timeout: SignedDuration::from_secs(120),
        readiness: ReadinessProbe::Http {
            url: "http://127.0.0.1:8080/ready".into(),
            status: 204,
            header: Some("X-Ready: yes".into()),
            body: Some("ok".into()),
        },
        probe_timeout: SignedDuration::from_secs(7),
        database: Some(DatabaseAccess { uri_file: Some("/etc/patchday/uri".into()), ..DatabaseAccess::default() }),
        drain_timeout: SignedDuration::from_secs(30),
        mongodb: MongodbSettings {
            operation_limit: SignedDuration::from_secs(7),
            long_operations: LongOperations::Kill,
            leftover_clients: LeftoverClients::Abort,
            client_limit: 50,
            max_lag: SignedDuration::from_secs(3),
            canary: Some("patchday.canary".into()),
        },
    };
    Settings {
        services: vec![
            service("mongod.service", ServiceKind::Mongodb, &[]),
            service("api.service", ServiceKind::Service, &["mongod.service"]),
        ],
        windows: vec![Window {
            calendar: "Sun *-*-8..14 02:00 Europe/Berlin".parse().unwrap(),
            duration: SignedDuration::from_hours(4),
            reserve: SignedDuration::from_mins(15),
        }],
        blackouts: vec![Blackout {
            from: date(2026, 12, 20).at(0, 0, 0, 0),
            until: date(2027, 1, 3).at(0, 0, 0, 0),
            reason: "end of the year".into(),
        }],
        limits: Limits { cpu_percent: 50, cpu_weight: 20, io_weight: 10, memory_high: Some(1 << 30), nice: 7, cpus: 2 },
        upgrade: UpgradeSettings {
            allow_removals: vec!["old-helper".into()],
            selection: PackageSelection::default(),
            only_planned: true,
            ahead: true,
            order: StopOrder::StopFirst,
            lock_timeout: SignedDuration::from_mins(10),
            stall_timeout: SignedDuration::from_mins(10),
            fetch_timeout: SignedDuration::from_hours(1),
        },
        kernel: KernelSettings {
            dkms: true,
            optional_modules: Vec::new(),
            remove_old: false,
            build_timeout: SignedDuration::from_hours(12),
            modules_timeout: SignedDuration::from_hours(1),
            source: None,
        },
        reboot: RebootSettings {
            when: RebootWhen::Always,
            grace: SignedDuration::from_mins(5),
            force_after: Some(SignedDuration::from_mins(8)),
            restart_outdated: false,
        },
        verify: VerifySettings {
            settle: SignedDuration::from_secs(30),
            boot_timeout: SignedDuration::from_mins(10),
            on_failure: OnFailure::Restart,
        },
        allowed_checks: vec!["boot-space".into()],
        preflight: PreflightSettings {
            min_free_mib: 2000,
            max_restarts: 1,
            max_connections: 7,
            trusted_origins: vec!["mongodb".into()],
            deployments: vec!["/srv/app".into()],
            users: Some(UserCount { source: UserSource::Page { url: "http://127.0.0.1/users".into() }, limit: 3 }),
        },
        keep_runs: 24,
        announce: AnnounceSettings { grace: SignedDuration::from_mins(5), message: "soon".into() },
        silence: Some(SilenceSettings {
            begin: vec!["/usr/local/sbin/silence".into(), "on".into()],
            end: vec!["/usr/local/sbin/silence".into(), "off".into()],
            timeout: SignedDuration::from_secs(8),
            sandbox: true,
        }),
        hooks: vec![Hook {
            point: HookPoint::AfterStop,
            command: vec!["/usr/local/sbin/snapshot".into(), "-q".into()],
            timeout: SignedDuration::from_secs(9),
            policy: HookPolicy::MustSucceed,
            sandbox: true,
        }],
        notify: vec![Channel {
            way: crate::model::Way::Wall,
            when: crate::model::NotifyWhen::Failure,
            retry_for: SignedDuration::from_mins(7),
        }],
    }
}

/// They are saved beside the run, and read again after the reboot.
#[test]
fn settings_survive_their_file() {
    let text = serde_json::to_string(&settings()).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings());
    for readiness in [ReadinessProbe::Command { argv: vec!["/bin/true".into()] }, ReadinessProbe::Unit] {
        let text = serde_json::to_string(&readiness).unwrap();
        assert_eq!(serde_json::from_str::<ReadinessProbe>(&text).unwrap(), readiness);
    }
    for when in [RebootWhen::Needed, RebootWhen::Always, RebootWhen::Never] {
        let text = serde_json::to_string(&when).unwrap();
        assert_eq!(serde_json::from_str::<RebootWhen>(&text).unwrap(), when);
    }
}

/// Settings that were saved before `[service.mongodb]` had them mean their defaults.
#[test]
fn settings_of_mongodb_may_be_missing() {
    assert_eq!(serde_json::from_str::<MongodbSettings>("{}").unwrap(), MongodbSettings::default());
}

#[test]
fn decisions_know_the_grace_period_and_two_boots() {
    let expected = Policy {
        reboot_grace: SignedDuration::from_mins(5),
        reboot_force_after: Some(SignedDuration::from_mins(8)),
        max_boots: 2,
    };
    assert_eq!(settings().policy(), expected);
}

#[test]
fn services_are_planned_in_their_order() {
    let planned = settings().planned_services();
    let names: Vec<&str> = planned.iter().map(|service| service.unit.as_str()).collect();
    assert_eq!(names, ["mongod.service", "api.service"]);
    assert_eq!(planned[0].kind, ServiceKind::Mongodb);
    assert_eq!(planned[1].after, [planned[0].unit.clone()]);
    assert_eq!(settings().service(&planned[1].unit).unwrap().kind, ServiceKind::Service);
    assert!(settings().service(&"other.service".parse().unwrap()).is_none());
}

/// Saved by a Patchday that knew pages only; and by this one, either way.
#[test]
fn users_are_counted_by_a_page_or_by_documents() {
    let page: UserCount = serde_json::from_str(r#"{ "url": "http://127.0.0.1/users", "limit": 3 }"#).unwrap();
    assert_eq!(page.source, UserSource::Page { url: "http://127.0.0.1/users".into() });
    let documents = UserCount {
        source: UserSource::Documents {
            unit: "mongod.service".parse().unwrap(),
            collection: "shop.sessions".into(),
            field: "lastSeen".into(),
            within: SignedDuration::from_mins(5),
        },
        limit: 0,
    };
    for count in [page, documents] {
        let text = serde_json::to_string(&count).unwrap();
        assert_eq!(serde_json::from_str::<UserCount>(&text).unwrap(), count);
    }
}

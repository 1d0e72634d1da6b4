//! Who is there before the services, on a host in memory: between which moments each is seen to become ready, and how often
//! it is asked.

use crate::fake_host::{API, MONGOD, Scenario, host};
use jiff::SignedDuration;
use patchday::host::clock::RunClock;
use patchday::host::{Clock, Host};
use patchday::model::{DatabaseAccess, ReadinessProbe, Sighting};
use patchday::verify::{Witnessing, witness};

/// The clock that is handed on by the run's.
struct Kernel(RunClock);

#[async_trait::async_trait]
impl Clock for Kernel {
    fn wall(&self) -> jiff::Timestamp {
        self.0.wall()
    }

    fn since_boot(&self) -> SignedDuration {
        self.0.now().duration_since(jiff::Timestamp::UNIX_EPOCH)
    }

    fn zone(&self) -> jiff::tz::TimeZone {
        self.0.zone()
    }

    async fn sleep(&self, duration: SignedDuration) {
        self.0.sleep(duration).await;
    }
}

/// In milliseconds since the boot: when each starts, and when it is ready; and whether the API is silent until then.
fn booted(mongod: (i64, i64), api: (i64, i64), is_silent: bool) -> (Scenario, Host) {
    let mut scenario = Scenario::new();
    for service in &mut scenario.settings.services {
        service.readiness = match service.unit.as_str() {
            MONGOD => ReadinessProbe::Mongodb(DatabaseAccess::default()),
            _ => ReadinessProbe::Http { url: "http://127.0.0.1/".into(), status: 200, header: None, body: None },
        };
    }
    {
        let mut world = scenario.world();
        world.booted = world.now;
        let booted = world.now;
        for (unit, (starts, ready)) in [(MONGOD, mongod), (API, api)] {
            let fake = world.unit(unit);
            fake.active = "inactive";
            fake.starts_at = Some(booted + SignedDuration::from_millis(starts));
            fake.ready_at = Some(booted + SignedDuration::from_millis(ready));
        }
        world.unit(API).is_silent = is_silent;
    }
    let host = host(&scenario.world);
    (scenario, host)
}

fn watch(scenario: &Scenario, host: &Host, patience: SignedDuration) -> Vec<Sighting> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = Kernel(host.clock.clone());
        let with = Witnessing {
            units: &*host.units,
            prober: &*host.prober,
            system: &*host.system,
            witness: &*host.witness,
            clock: &clock,
            services: &scenario.settings.services,
            patience,
        };
        let mut ears = host.units.listen().await.unwrap();
        witness(&with, &mut *ears).await;
        host.witness.sightings().await.unwrap()
    })
}

const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

#[test]
fn each_is_seen_between_two_moments_that_are_near() {
    for (case, mongod, api, is_silent, apart) in [
        ("one after the other", (100, 700), (110, 1130), false, 60),
        ("the dependent hard on the heels", (100, 700), (110, 718), false, 10),
        ("silent until it has its database", (100, 700), (110, 705), true, 12),
        ("silent for long", (100, 4000), (110, 4007), true, 12),
        ("ready before its database", (100, 700), (110, 150), false, 12),
        ("after minutes", (100, 120_000), (110, 121_000), false, 110),
    ] {
        let (scenario, host) = booted(mongod, api, is_silent);
        let seen = watch(&scenario, &host, PATIENCE);
        assert_eq!(seen.len(), 2, "{case}: {seen:?}");
        for (unit, (starts, ready)) in [(MONGOD, mongod), (API, api)] {
            let seen = seen.iter().find(|seen| seen.unit.as_str() == unit).unwrap();
            let (before, after) = (seen.not_ready_usec.unwrap() / 1000, seen.ready_usec / 1000);
            let ready = u64::try_from(ready).unwrap();
            assert!(before <= ready && ready <= after, "{case}, {unit}: {before} to {after}, not {ready}");
            // A server is asked more seldom: its log is exact.
            let apart = if unit == MONGOD { 110 } else { apart };
            assert!(after - before <= apart, "{case}, {unit}: {before} to {after}");
            // Cut to microseconds.
            let off = seen.booted.duration_since(scenario.world().booted);
            assert!(off.abs() < SignedDuration::from_micros(1), "{case}, {unit}: {off}");
            let asked = scenario.world().probes.iter().filter(|(_, asked)| asked == unit).cloned().collect::<Vec<_>>();
            let first = asked[0].0.duration_since(scenario.world().booted).as_millis();
            assert!(first >= i128::from(starts), "{case}: {unit} was asked before it was there");
            assert!(asked.len() < 400, "{case}: {unit} was asked {} times", asked.len());
        }
    }
}

/// A program is started for each question, and a service that never becomes ready is left alone in the end.
#[test]
fn programs_are_seldom_asked_and_nobody_for_ever() {
    let (mut scenario, host) = booted((100, 700), (110, 1_000_000), false);
    scenario.settings.services[1].readiness = ReadinessProbe::Command { argv: vec!["/bin/true".into()] };
    let began = scenario.world().now;
    let seen = watch(&scenario, &host, PATIENCE);
    assert_eq!(seen.iter().map(|seen| seen.unit.as_str()).collect::<Vec<_>>(), [MONGOD]);
    let asked = scenario.world().probes.iter().filter(|(_, unit)| unit == API).count();
    assert!((100..300).contains(&asked), "{asked}");
    assert!(scenario.world().now.duration_since(began) < PATIENCE + SignedDuration::from_secs(2));
}

//! The faults that are injected, and when.

use super::experiment::Experiment;
use super::moment::Moment;
use std::fmt;

/// What is done to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to the coordinator, wherever it runs; then, if need be, `patchday resume`.
    Kill,
    /// The power is cut; the machine is switched on again, and nobody helps it.
    PowerCut,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kill => "kill",
            Self::PowerCut => "power cut",
        })
    }
}

const API: &str = "sample-api.service";
const MONGOD: &str = "mongod.service";

const STEPS: [&str; 11] = [
    "preflight",
    "fetch",
    "baseline",
    "stop:sample-api.service",
    "stop:mongod.service",
    "upgrade",
    "build-kernel",
    "stage-check",
    "reboot",
    "verify",
    "report",
];

/// Every kind of event of a run that succeeds, for each step and service that has it; but for the last one, after which
/// no coordinator is left to be killed.
pub fn kills() -> Vec<Moment> {
    let mut moments = vec![Moment::event("run-started")];
    for step in STEPS {
        moments.push(Moment::event_of("step-started", step));
        // After its report a coordinator is gone before anybody could kill it.
        moments.extend((step != "report").then(|| Moment::event_of("step-ended", step)));
    }
    moments.push(Moment::event("upgrade-planned"));
    moments.extend([API, MONGOD].map(|unit| Moment::event_of("service-stopped", unit)));
    moments.extend(
        [("fetch", 0.3), ("upgrade", 0.01), ("upgrade", 0.3), ("upgrade", 0.6), ("upgrade", 0.9)]
            .map(|(step, fraction)| Moment::progress(step, fraction)),
    );
    moments.push(Moment::event("reboot-requested"));
    moments.push(Moment::event("boot-changed"));
    moments.push(Moment::event("run-resumed"));
    moments.extend([MONGOD, API].map(|unit| Moment::event_of("service-ready", unit)));
    moments.push(Moment::event("verdict-reached"));
    moments
}

/// Moments spread over the whole run, with many in dpkg's unpack and configure. The odd delays put them into the middle
/// of something.
pub fn cuts() -> Vec<Moment> {
    vec![
        Moment::event("run-started"),
        Moment::event_of("step-started", "preflight").plus_millis(130),
        Moment::event_of("step-started", "fetch").plus_millis(310),
        Moment::event_of("step-started", "baseline").plus_millis(90),
        Moment::event_of("step-started", "stop:sample-api.service").plus_millis(70),
        Moment::event_of("service-stopped", API).plus_millis(40),
        Moment::event_of("step-started", "stop:mongod.service").plus_millis(210),
        Moment::event_of("service-stopped", MONGOD).plus_millis(20),
        Moment::event_of("step-started", "upgrade").plus_millis(150),
        Moment::dpkg("upgrade lab-runtime").plus_millis(400),
        Moment::dpkg("upgrade lab-data").plus_millis(1130),
        Moment::dpkg("status half-installed lab-data"),
        Moment::dpkg("status unpacked lab-data").plus_millis(15),
        Moment::dpkg("status half-installed lab-plugins").plus_millis(60),
        Moment::dpkg("status unpacked lab-server").plus_millis(35),
        Moment::dpkg("status half-configured lab-runtime").plus_millis(500),
        Moment::dpkg("status half-configured lab-daemon").plus_millis(1700),
        Moment::dpkg("status half-configured lab-plugins").plus_millis(777),
        Moment::dpkg("status installed lab-tools").plus_millis(5),
        Moment::dpkg("status installed lab-server"),
        Moment::event_of("step-ended", "upgrade").plus_millis(25),
        Moment::event_of("step-started", "build-kernel").plus_millis(45),
        Moment::event_of("step-started", "stage-check").plus_millis(110),
        Moment::event_of("step-started", "reboot").plus_millis(10),
        Moment::event("reboot-requested"),
        Moment::event("reboot-requested").plus_millis(900),
        Moment::event("boot-changed").plus_millis(30),
        Moment::event_of("step-started", "verify").plus_millis(300),
        Moment::event_of("service-ready", MONGOD).plus_millis(100),
        Moment::event("verdict-reached"),
        Moment::event_of("step-started", "report").plus_millis(20),
        Moment::event("run-ended"),
    ]
}

/// Moments anywhere in the first part of a run, `within` milliseconds long: the same ones for the same seed.
pub fn at_random(seed: u64, within: u64, count: usize) -> Vec<Moment> {
    let mut state = seed;
    (0..count).map(|_| Moment::event("run-started").plus_millis(splitmix(&mut state) % within.max(1))).collect()
}

/// The clock's ways to go wrong, in turn, as `date --set` takes them.
const CLOCKS: [&str; 4] = ["+1 day", "-1 day", "+40 minutes", "-3 hours"];

/// The clock is set at one random moment of a run, and the coordinator killed at another.
pub fn with_clock_set(seed: u64, within: u64, count: usize) -> Vec<Experiment> {
    let moments = at_random(seed, within, count * 2);
    let pairs = moments.chunks_exact(2).zip(CLOCKS.iter().cycle());
    pairs
        .filter_map(|(pair, to)| Some((pair.first()?, pair.last()?, to)))
        .map(|(kill, set, to)| Experiment { fault: Fault::Kill, moment: kill.clone(), clock: Some((set.clone(), to)) })
        .collect()
}

/// Sebastiano Vigna's SplitMix64, public domain.
pub(super) fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A few moments for machines whose page cache survives.
pub fn pulls() -> Vec<Moment> {
    vec![
        Moment::event_of("step-started", "baseline"),
        Moment::event_of("service-stopped", MONGOD).plus_millis(20),
        Moment::progress("upgrade", 0.3),
        Moment::progress("upgrade", 0.7).plus_millis(330),
        Moment::event("reboot-requested").plus_millis(300),
        Moment::event_of("step-started", "verify").plus_millis(200),
    ]
}

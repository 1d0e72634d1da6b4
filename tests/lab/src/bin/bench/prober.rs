//! Is the API there? Asked from outside, ten times a second.

use patchday_lab::{Machine, request_within};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(100);
/// Of fewer answers the slowest hundredth tells nothing.
const ENOUGH: usize = 100;
/// An answer takes a few milliseconds. What takes longer than this is none.
const PATIENCE: Duration = Duration::from_secs(1);

/// One question, by the instant at which it was asked.
#[derive(Debug, Clone, Copy)]
struct Probe {
    at: Instant,
    /// Which boot of the machine it was, the first being 1.
    boot: u32,
    answered: bool,
    /// Until the answer, or until nobody waited for it any more.
    took: Duration,
}

/// Asks one machine, until it is told to stop.
pub(crate) struct Prober<'a> {
    machine: &'a Machine,
    probes: Mutex<Vec<Probe>>,
    over: AtomicBool,
}

impl<'a> Prober<'a> {
    pub(crate) fn new(machine: &'a Machine) -> Self {
        Self { machine, probes: Mutex::default(), over: AtomicBool::new(false) }
    }

    /// Asks on a fixed schedule. A question that takes longer than its turn is the only one of those turns.
    pub(crate) fn ask(&self) {
        let mut turn = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            let (at, boot) = (Instant::now(), self.machine.boot_count());
            let answer = request_within(PATIENCE, self.machine.api_port(), "GET", "/health");
            let answered = answer.is_ok_and(|response| response.status == 200);
            let now = Instant::now();
            self.lock().push(Probe { at, boot, answered, took: now - at });
            while turn <= now {
                turn += EVERY;
            }
            thread::sleep(turn - now);
        }
    }

    pub(crate) fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// How long every question has been answered now, all of them in the second boot or later.
    pub(crate) fn back_for(&self) -> Duration {
        let probes = self.lock();
        let good = probes.iter().rev().take_while(|probe| probe.answered && probe.boot > 1);
        match (good.last(), probes.last()) {
            (Some(first), Some(last)) => last.at - first.at,
            _ => Duration::ZERO,
        }
    }

    pub(crate) fn downtime(&self) -> Downtime {
        Downtime::of(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Probe>> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the API was away: each time from the first question without an answer to the next that has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Downtime {
    pub(crate) longest: Duration,
    /// In the first boot, which includes going down.
    pub(crate) before_boot: Duration,
    /// From the beginning of the second boot.
    pub(crate) after_boot: Duration,
    /// 99 of 100 answers in the first boot, beside the work, came within it; none if there were fewer than a hundred.
    pub(crate) p99: Option<Duration>,
}

impl Downtime {
    pub(crate) fn total(&self) -> Duration {
        self.before_boot + self.after_boot
    }

    fn of(probes: &[Probe]) -> Self {
        let mut downtime = Self { p99: p99(probes), ..Self::default() };
        let mut away = Duration::ZERO;
        for pair in probes.windows(2) {
            let [asked, next] = pair else { continue };
            if asked.answered {
                away = Duration::ZERO;
                continue;
            }
            let took = next.at - asked.at;
            away += took;
            downtime.longest = downtime.longest.max(away);
            if next.boot > 1 { downtime.after_boot += took } else { downtime.before_boot += took }
        }
        downtime
    }
}

fn p99(probes: &[Probe]) -> Option<Duration> {
    let mut answers: Vec<Duration> =
        probes.iter().filter(|probe| probe.answered && probe.boot == 1).map(|probe| probe.took).collect();
    answers.sort_unstable();
    (answers.len() >= ENOUGH).then(|| answers[(answers.len() * 99).div_ceil(100) - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_without_an_answer_counts_up_to_the_next_answer() {
        let start = Instant::now();
        let took = Duration::from_millis(3);
        let probe =
            |(millis, boot, answered)| Probe { at: start + Duration::from_millis(millis), boot, answered, took };
        // A restart by a package; then a question that is never answered, the boot, and the service after it.
        let story = [
            (0, 1, true),
            (100, 1, false),
            (200, 1, true),
            (300, 1, false),
            (1300, 1, false),
            (1400, 2, false),
            (1500, 2, false),
            (1600, 2, true),
            (1700, 2, true),
        ];
        let downtime = Downtime::of(&story.map(probe));
        let millis = Duration::from_millis;
        let told = Downtime { longest: millis(1300), before_boot: millis(1100), after_boot: millis(300), p99: None };
        assert_eq!(downtime, told);
        assert_eq!(downtime.total(), millis(1400));
        assert_eq!(Downtime::of(&[]), Downtime::default());
    }
    #[test]
    fn the_slowest_hundredth_is_of_what_was_answered_beside_the_work() {
        let at = Instant::now();
        let probe = |millis, boot, answered| Probe { at, boot, answered, took: Duration::from_millis(millis) };
        let mut probes: Vec<Probe> = (1..=99).rev().map(|millis| probe(millis, 1, true)).collect();
        probes.extend([probe(1000, 1, false), probe(900, 2, true)]);
        assert_eq!(p99(&probes), None);
        probes.push(probe(800, 1, true));
        assert_eq!(p99(&probes), Some(Duration::from_millis(99)));
    }
}

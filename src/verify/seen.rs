//! What else tells when a service became ready: the witness of the boot, and the server's own log. Each only narrows what
//! was seen; what contradicts it is left aside.

use jiff::Timestamp;

use super::watch::Watched;
use crate::model::{DatabaseReturn, ReadinessProbe, Sighting};

/// mongod cuts the times of its records to milliseconds.
const LOG_RESOLUTION_USEC: u64 = 1000;

/// Narrows each readiness by what was seen of the same start, and by what the server's log says of it.
pub(super) fn narrow(watched: &mut [Watched], sightings: &[Sighting], databases: &[DatabaseReturn]) {
    for one in watched {
        // Where systemd's word is all there is, it is exact.
        if one.service.readiness == ReadinessProbe::Unit {
            continue;
        }
        let (Some(own), Some(seen)) = (one.ready_usec, sightings.iter().rev().find(|seen| is_of(one, seen))) else {
            continue;
        };
        // A member of a set takes connections long before it serves.
        let log = databases.iter().find(|back| back.unit == seen.unit && is_standalone(back));
        let (not_ready, ready) = narrowed(seen, log.and_then(|back| back.start.ready_at));
        one.not_ready_usec = one.not_ready_usec.max(not_ready);
        if ready < own {
            one.ready_usec = Some(ready);
            one.ready_at = one.ready_at.map(|at| earlier(at, own - ready));
        }
    }
}

fn is_of(one: &Watched, seen: &Sighting) -> bool {
    let invocation = one.state.as_ref().map(|state| state.invocation.as_str()).unwrap_or_default();
    seen.unit == *one.unit() && !invocation.is_empty() && seen.invocation == invocation
}

fn is_standalone(back: &DatabaseReturn) -> bool {
    back.facts.as_ref().is_some_and(|facts| facts.role == "standalone")
}

/// Between which moments it became ready. What the log says counts where it lies between those that were seen: otherwise
/// the wall's clock was set meanwhile, or the record is of another start.
fn narrowed(seen: &Sighting, logged: Option<Timestamp>) -> (Option<u64>, u64) {
    let not_ready = seen.not_ready_usec.unwrap_or_default();
    let Some(logged) = logged.and_then(|at| seen.moment_of(at)) else { return (seen.not_ready_usec, seen.ready_usec) };
    let logged_at_last = logged + LOG_RESOLUTION_USEC;
    if logged_at_last < not_ready || logged > seen.ready_usec {
        return (seen.not_ready_usec, seen.ready_usec);
    }
    let ready = seen.ready_usec.min(logged_at_last);
    (seen.not_ready_usec.map(|not_ready| not_ready.min(ready)), ready)
}

fn earlier(at: Timestamp, by_usec: u64) -> Timestamp {
    let by = jiff::SignedDuration::from_micros(i64::try_from(by_usec).unwrap_or_default());
    at.checked_sub(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All in milliseconds since the boot, as the log has it.
    #[test]
    fn the_servers_log_narrows_what_was_seen_and_never_contradicts_it() {
        let booted: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        for (case, not_ready, ready, logged, expected) in [
            ("no log", Some(690), 720, None, (Some(690), 720)),
            ("between what was seen", Some(690), 720, Some(700), (Some(690), 701)),
            ("with the last look", Some(690), 720, Some(689), (Some(690), 690)),
            ("with the first look that found it", Some(690), 720, Some(720), (Some(690), 720)),
            ("before: the clock was set, or another start", Some(690), 720, Some(600), (Some(690), 720)),
            ("after: the clock was set", Some(690), 720, Some(721), (Some(690), 720)),
            ("nobody saw it not ready", None, 720, Some(300), (None, 301)),
        ] {
            let usec = |ms: u64| ms * 1000;
            let seen = Sighting {
                unit: "mongod.service".parse().unwrap(),
                invocation: "0f3a".into(),
                not_ready_usec: not_ready.map(usec),
                ready_usec: usec(ready),
                booted,
            };
            let logged = logged.map(|ms| booted + jiff::SignedDuration::from_millis(ms));
            let expected = (expected.0.map(usec), usec(expected.1));
            assert_eq!(narrowed(&seen, logged), expected, "{case}");
        }
    }
}

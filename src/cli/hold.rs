//! `patchday hold` and `patchday release`.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::app::{App, require_root};
use super::args::HoldArgs;
use super::page;
use super::person::operator;
use crate::error::{Failure, FailureKind};
use crate::exit_code;
use crate::host::Clock as _;
use crate::host::clock::SystemClock;
use crate::model::{Hold, HoldEntry};
use crate::window::clock_time;

pub(super) fn hold(app: &App, args: &HoldArgs) -> Result<u8, Failure> {
    require_root("hold")?;
    let (now, zone) = (Timestamp::now(), SystemClock.zone());
    let until = until(&args.until, now, &zone)?;
    if args.reason.trim().is_empty() || args.reason.chars().any(char::is_control) {
        return Err(usage("--reason: expected a few words in one line", "--reason \"quarterly closing\""));
    }
    let locked = app.state.lock("hold")?;
    if let Some(longer) = app.state.hold()?.filter(|other| other.until > until && !args.replace) {
        // Somebody else's reason lasts longer than this one.
        let message = format!("this host is {longer}, until {}", clock_time(longer.until, &zone));
        return Err(Failure::new(FailureKind::Refused, message)
            .hint("leave it so, or end it earlier: patchday hold --replace with the same --until and --reason"));
    }
    let hold = Hold { since: now, until, reason: args.reason.trim().to_owned(), by: operator() };
    let told = format!("no run begins until {}: {}\n", clock_time(until, &zone), hold.reason);
    locked.record_hold(HoldEntry::Held(hold))?;
    page::print(&told)?;
    Ok(exit_code::DONE)
}

pub(super) fn release(app: &App) -> Result<u8, Failure> {
    require_root("release")?;
    let now = Timestamp::now();
    let locked = app.state.lock("release")?;
    let told = match app.state.hold()?.filter(|hold| hold.is_in_force(now)) {
        Some(hold) => {
            locked.record_hold(HoldEntry::Released { at: now, by: operator() })?;
            format!("no longer {hold}\n")
        }
        None => "this host is not held\n".to_owned(),
    };
    page::print(&told)?;
    Ok(exit_code::DONE)
}

/// A duration from now, a minute, or a day, which still belongs to the hold.
fn until(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, Failure> {
    let wrong = || {
        let message =
            format!("--until {text}: expected a duration, a day, or a day and a time, which is still to come");
        usage(message, "--until 3d, --until 2026-12-01 or --until \"2026-12-01 18:00\"")
    };
    let civil = match text.parse::<Date>() {
        Ok(date) if text.len() == 10 => date.tomorrow().ok().map(|next| next.to_datetime(Time::midnight())),
        _ => text.parse::<DateTime>().ok(),
    };
    let at = match civil {
        Some(civil) => zone.to_timestamp(civil).ok(),
        // By the calendar: in three days at this time, also where a day has another length.
        None => text
            .parse::<Span>()
            .ok()
            .and_then(|span| now.to_zoned(zone.clone()).checked_add(span).ok())
            .map(|at| at.timestamp()),
    };
    at.filter(|at| *at > now).ok_or_else(wrong)
}

fn usage(message: impl Into<String>, example: &str) -> Failure {
    Failure::new(FailureKind::Usage, message).hint(format!("for example: patchday hold {example}"))
}

//! Calendar expressions against systemd itself, and what windows, blackouts and a hold make of them.

use std::process::Command;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use patchday::model::Hold;
use patchday::window::{Blackout, Closed, Expression, Schedule, Window};

const SUMMER: &str = "2026-07-15 12:34:56";
/// Berlin's clocks go from 02:00 to 03:00 at 01:00 UTC.
const FORWARD: &str = "2026-03-28 22:20:00";
/// Berlin's clocks go from 03:00 back to 02:00 at 01:00 UTC.
const BACK: &str = "2026-10-24 21:20:00";
/// Berlin's clocks show 02:10 for the second time.
const SECOND_TIME: &str = "2026-10-25 01:10:00";

/// Base (UTC), expression, time zone of the host.
const CASES: [(&str, &str, &str); 64] = [
    (SUMMER, "minutely", "UTC"),
    (SUMMER, "hourly", "UTC"),
    (SUMMER, "daily", "Europe/Berlin"),
    (SUMMER, "weekly", "Europe/Berlin"),
    (SUMMER, "monthly", "America/New_York"),
    (SUMMER, "quarterly", "UTC"),
    (SUMMER, "semiannually", "UTC"),
    (SUMMER, "semi-annually", "UTC"),
    (SUMMER, "biannually", "UTC"),
    (SUMMER, "yearly", "Asia/Kolkata"),
    (SUMMER, "Annually", "UTC"),
    (SUMMER, "weekly Europe/Berlin", "UTC"),
    (SUMMER, "Sun", "UTC"),
    (SUMMER, "sunday 02:00", "UTC"),
    (SUMMER, "Sat,Sun 03:30", "UTC"),
    (SUMMER, "Mon..Fri 22:00", "UTC"),
    (SUMMER, "Mon-Wed,Sat 22:00", "UTC"),
    (SUMMER, "Sat,Mon..Wed,Sun", "UTC"),
    (SUMMER, "Mon, 02:00", "UTC"),
    (SUMMER, "Tue *-*-8..14 02:00", "UTC"),
    (SUMMER, "Tue *-*-08..14 02:00:00 Europe/Berlin", "America/New_York"),
    (SUMMER, "*-*-1,15 04:00", "UTC"),
    (SUMMER, "*-*-1/7 04:00", "UTC"),
    (SUMMER, "*-*-31 01:00", "UTC"),
    (SUMMER, "*-02-29 01:00", "UTC"),
    (SUMMER, "02-29", "UTC"),
    (SUMMER, "*-*~1 23:00", "UTC"),
    (SUMMER, "*-*~7/1", "UTC"),
    (SUMMER, "*-*~02..04", "UTC"),
    (SUMMER, "*-*~1..6/2", "UTC"),
    (SUMMER, "Sun *-*~7/1 02:00", "UTC"),
    (SUMMER, "Mon *-05~07/1", "UTC"),
    (SUMMER, "*-02~03", "UTC"),
    (SUMMER, "2026,2028-12-24..26 00:00", "UTC"),
    (SUMMER, "2026..2030/2-1/6-1", "UTC"),
    (SUMMER, "26-8-1", "UTC"),
    (SUMMER, "*:2/3", "UTC"),
    (SUMMER, "*:*:0/17", "UTC"),
    (SUMMER, "9..17/2:30", "UTC"),
    (SUMMER, "00/6:15", "Asia/Kolkata"),
    (SUMMER, "8..10,20:00/20", "UTC"),
    (SUMMER, "*:*:5..9/2", "UTC"),
    (SUMMER, "Fri *-*-13 13:13:13", "UTC"),
    (SUMMER, "2025-01-01", "UTC"),
    (SUMMER, "@1900000000", "Europe/Berlin"),
    (SUMMER, "Wed *-1..3,12-* 00:00", "UTC"),
    (SUMMER, "*-*-* 00:00:00 UTC", "Asia/Tokyo"),
    (FORWARD, "02:30", "Europe/Berlin"),
    (FORWARD, "*-*-* 02:30 Europe/Berlin", "UTC"),
    (FORWARD, "Sun 02:30", "Europe/Berlin"),
    (FORWARD, "*:00/30", "Europe/Berlin"),
    (FORWARD, "hourly", "Europe/Berlin"),
    (FORWARD, "*:59:59", "Europe/Berlin"),
    (BACK, "02:30", "Europe/Berlin"),
    (BACK, "Sun 02:00", "Europe/Berlin"),
    (BACK, "*:00/30", "Europe/Berlin"),
    (BACK, "hourly", "Europe/Berlin"),
    (BACK, "daily", "Europe/Berlin"),
    (SECOND_TIME, "*:00/30", "Europe/Berlin"),
    (SECOND_TIME, "02:45", "Europe/Berlin"),
    ("2026-10-25 00:40:00", "*:00/15", "Europe/Berlin"),
    ("2018-11-03 12:00:00", "00:00", "America/Sao_Paulo"),
    ("2026-10-03 12:00:00", "02:15", "Australia/Lord_Howe"),
    ("2026-04-04 12:00:00", "*:00/30", "Australia/Lord_Howe"),
];

const REFUSED: [&str; 22] = [
    "",
    "Fri..Mon 10:00",
    "*/5:00",
    "10",
    "24:00",
    "12:60",
    "12:00:60",
    "*-13-01",
    "*-*-32",
    "*-*-0",
    "*-*~29",
    "*-*~7/7",
    "1969-01-01",
    "2200-01-01",
    "10..9:00",
    "0/24:00",
    "0/0:00",
    "Mon..",
    "Someday",
    "12:00 Mars/Olympus",
    "1-2-3-4",
    "2026-01-01 x",
];

fn at(text: &str) -> Timestamp {
    text.replace(' ', "T").parse::<jiff::civil::DateTime>().unwrap().to_zoned(TimeZone::UTC).unwrap().timestamp()
}

/// What systemd says: the next five instants.
fn systemd(base: &str, expression: &str, zone: &str) -> Vec<Timestamp> {
    let output = Command::new("systemd-analyze")
        .args(["calendar", "--iterations=5", &format!("--base-time={base} UTC"), "--", expression])
        .env("TZ", format!(":{zone}"))
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(output.status.success(), "{expression}: {}", String::from_utf8_lossy(&output.stderr));
    // Where the zone is not UTC, that time follows in a line of its own: it is the one without doubt.
    let next =
        lines.iter().enumerate().filter(|(_, line)| line.starts_with("Next elapse") || line.starts_with("Iter."));
    next.filter(|(_, line)| !line.ends_with("never"))
        .map(|(number, line)| {
            let in_utc = lines.get(number + 1).filter(|next| next.starts_with("(in UTC)")).unwrap_or(line);
            let words: Vec<&str> = in_utc.split_whitespace().collect();
            let [.., date, time, "UTC"] = words.as_slice() else { panic!("{expression}: {in_utc}") };
            at(&format!("{date} {time}"))
        })
        .collect()
}

#[test]
fn expressions_elapse_as_systemd_says() {
    for (base, text, zone) in CASES {
        let expression: Expression = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let local = TimeZone::get(zone).unwrap();
        let mut ours = Vec::new();
        let mut from = at(base);
        while let Some(next) = expression.next_after(from, &local).filter(|_| ours.len() < 5) {
            ours.push(next);
            from = next;
        }
        assert_eq!(ours, systemd(base, text, zone), "{text} after {base} UTC in {zone}");
    }
}

#[test]
fn what_systemd_refuses_is_refused_with_a_reason() {
    for text in REFUSED {
        let error = text.parse::<Expression>().err().unwrap_or_else(|| panic!("{text:?} was taken")).to_string();
        assert!(!error.is_empty());
        let systemd = Command::new("systemd-analyze").args(["calendar", "--", text]).output().unwrap();
        assert!(!systemd.status.success(), "systemd takes {text:?}; we say: {error}");
    }
    // systemd takes fractions; nobody opens a window at one.
    assert!("12:00:00.5".parse::<Expression>().is_err());
}

fn window(calendar: &str, hours: i64) -> Window {
    let (duration, reserve) = (SignedDuration::from_hours(hours), SignedDuration::from_mins(15));
    Window { calendar: calendar.parse().unwrap(), duration, reserve }
}

fn blackout(from: &str, until: &str) -> Blackout {
    let civil = |text: &str| text.replace(' ', "T").parse().unwrap();
    Blackout { from: civil(from), until: civil(until), reason: "frozen".into() }
}

fn hold(since: &str, until: &str) -> Hold {
    Hold { since: at(since), until: at(until), reason: "closing".into(), by: "ada".into() }
}

/// The next pieces in UTC: `from-until`, with `!` where it is blocked.
fn pieces(schedule: &Schedule<'_>, now: &str, hold: Option<&Hold>) -> Vec<String> {
    let short = |at: Timestamp| at.strftime("%d %H:%M").to_string();
    let pieces = schedule.pieces(at(now), hold, 3);
    let told = pieces.iter().map(|piece| {
        let mark = if piece.blocked.is_some() { "!" } else { "" };
        format!("{mark}{}-{}", short(piece.from), short(piece.until))
    });
    told.collect()
}

#[test]
fn windows_open_without_blackouts_and_hold() {
    let utc = TimeZone::UTC;
    let nightly = [window("22:00", 4)];
    let schedule = |windows, blackouts| Schedule { windows, blackouts, zone: &utc };
    let plain = schedule(&nightly, &[]);
    assert_eq!(
        pieces(&plain, "2026-07-01 12:00:00", None),
        ["01 22:00-02 02:00", "02 22:00-03 02:00", "03 22:00-04 02:00"]
    );
    // It opened yesterday, and is open.
    assert_eq!(pieces(&plain, "2026-07-02 01:59:00", None)[0], "01 22:00-02 02:00");
    assert_eq!(pieces(&plain, "2026-07-02 02:00:00", None)[0], "02 22:00-03 02:00");

    // Those that overlap, or follow one another, are one.
    let both = [window("22:00", 4), window("Thu 01:00", 3), window("Thu 04:00", 1)];
    assert_eq!(
        pieces(&schedule(&both, &[]), "2026-07-01 12:00:00", None)[..2],
        ["01 22:00-02 05:00", "02 22:00-03 02:00"]
    );

    let frozen = [
        blackout("2026-07-02 00:00:00", "2026-07-03 00:00:00"),
        blackout("2026-07-03 22:30:00", "2026-07-03 23:00:00"),
    ];
    let cut = schedule(&nightly, &frozen);
    let all = [
        "01 22:00-02 00:00",
        "!02 00:00-02 02:00",
        "!02 22:00-03 00:00",
        "03 00:00-03 02:00",
        "03 22:00-03 22:30",
        "!03 22:30-03 23:00",
        "03 23:00-04 02:00",
    ];
    assert_eq!(pieces(&cut, "2026-07-01 12:00:00", None), all);
    let held = hold("2026-07-01 09:00:00", "2026-07-01 23:00:00");
    assert_eq!(pieces(&plain, "2026-07-01 12:00:00", Some(&held))[..2], ["!01 22:00-01 23:00", "01 23:00-02 02:00"]);
    assert_eq!(pieces(&plain, "2026-07-01 23:30:00", Some(&held))[0], "01 22:00-02 02:00", "a hold ends by itself");
}

#[test]
fn a_run_begins_only_while_a_window_is_open() {
    let utc = TimeZone::UTC;
    let (nightly, frozen) = ([window("22:00", 4)], [blackout("2026-07-02 00:00:00", "2026-07-03 00:00:00")]);
    let schedule = Schedule { windows: &nightly, blackouts: &frozen, zone: &utc };
    let told = |now: &str, hold: Option<&Hold>| match schedule.open_at(at(now), hold) {
        Ok(piece) => format!("until {}", piece.until.strftime("%d %H:%M")),
        Err(closed) => closed.told(&utc),
    };
    assert_eq!(told("2026-07-01 22:00:00", None), "until 02 00:00");
    assert_eq!(told("2026-07-03 01:59:59", None), "until 03 02:00");
    let outside = "no maintenance window is open; the next one opens Wed 2026-07-01 22:00 UTC";
    assert_eq!(told("2026-07-01 21:59:59", None), outside);
    // The next one that is no blackout.
    assert_eq!(
        told("2026-07-02 12:00:00", None),
        "no maintenance window is open; the next one opens Fri 2026-07-03 00:00 UTC"
    );
    assert_eq!(told("2026-07-02 01:00:00", None), "this time is blacked out until Thu 2026-07-02 02:00 UTC: frozen");
    let held = hold("2026-07-01 09:00:00", "2026-07-05 00:00:00");
    assert_eq!(told("2026-07-01 22:00:00", Some(&held)), "held by ada: closing (until Sun 2026-07-05 00:00 UTC)");

    // Without windows the host may always be patched, but for blackouts.
    let schedule = Schedule { windows: &[], ..schedule };
    assert_eq!(schedule.open_at(at("2026-07-05 00:00:00"), None).unwrap().until, Timestamp::MAX);
    assert_eq!(schedule.open_at(at("2026-07-01 12:00:00"), None).unwrap().until, at("2026-07-02 00:00:00"));
    assert!(matches!(schedule.open_at(at("2026-07-02 12:00:00"), None), Err(Closed::BlackedOut { .. })));
    // None that opens any more.
    let past = [window("2020-01-01 00:00", 4)];
    assert_eq!(Schedule { windows: &past, ..schedule }.open_at(at(SUMMER), None), Err(Closed::Outside { next: None }));
}

/// Four hours are four hours, whatever the clocks do meanwhile.
#[test]
fn a_window_keeps_its_length_when_clocks_change() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let nightly = [window("01:00", 4)];
    let schedule = Schedule { windows: &nightly, blackouts: &[], zone: &berlin };
    for (now, opens, closes) in [
        ("2026-03-28 22:00:00", "29 00:00", "29 04:00"),
        ("2026-03-29 03:59:00", "29 00:00", "29 04:00"),
        ("2026-10-24 21:00:00", "24 23:00", "25 03:00"),
        ("2026-10-25 02:59:00", "24 23:00", "25 03:00"),
    ] {
        assert_eq!(pieces(&schedule, now, None)[0], format!("{opens}-{closes}"), "{now}");
    }
    // A window at a time that the clocks leave out does not open on that day.
    let skipped = [window("02:30", 1)];
    let schedule = Schedule { windows: &skipped, ..schedule };
    assert_eq!(pieces(&schedule, "2026-03-28 22:00:00", None)[0], "30 00:30-30 01:30");
    // At one that comes twice it opens once, also for whoever asks in between.
    for now in ["2026-10-25 00:10:00", "2026-10-25 00:40:00"] {
        assert_eq!(pieces(&schedule, now, None)[0], "25 00:30-25 01:30", "{now}");
    }
    assert_eq!(pieces(&schedule, "2026-10-25 01:40:00", None)[0], "26 01:30-26 02:30");
}

/// A configuration without services, with this window, on a state directory of its own. As root, or not at all.
struct Site(tempfile::TempDir);

impl Site {
    fn with_window(calendar: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        let text = format!("[[window]]\ncalendar = \"{calendar}\"\nduration = \"4h\"\n");
        std::fs::write(site.0.path().join("patchday.toml"), text).unwrap();
        site
    }

    /// Exit code, and what was said.
    fn patchday(&self, args: &[&str]) -> (i32, String) {
        let path = self.0.path();
        let output = Command::new(env!("CARGO_BIN_EXE_patchday"))
            .args(["--config".as_ref(), path.join("patchday.toml").as_os_str()])
            .args(["--state".as_ref(), path.join("state").as_os_str()])
            .args(args)
            .env("TZ", "UTC")
            .env("SUDO_USER", "ada")
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }
}

#[test]
fn a_hold_keeps_runs_out_until_it_is_taken_back() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let site = Site::with_window("yearly");
    let (code, said) = site.patchday(&["hold", "--until", "2199-12-24", "--reason", "the books are closed"]);
    assert_eq!((code, said.as_str()), (0, "no run begins until Wed 2199-12-25 00:00 UTC: the books are closed\n"));
    let refusal = "error: held by ada: the books are closed (until Wed 2199-12-25 00:00 UTC)\nhint: patchday release\n";
    for run in [&["run", "--yes"][..], &["run", "--yes", "--outside-window"], &["run", "--yes", "--foreground"]] {
        assert_eq!(site.patchday(run), (10, refusal.to_owned()), "{run:?}");
    }
    assert!(site.patchday(&["windows"]).1.starts_with("  hold"));
    let shown: serde_json::Value = serde_json::from_str(&site.patchday(&["windows", "--json", "-n", "2"]).1).unwrap();
    assert_eq!((&shown["format"], &shown["hold"]["by"]), (&1.into(), &"ada".into()));
    assert_eq!(shown["pieces"].as_array().unwrap().len(), 2);
    assert_eq!(shown["pieces"][0]["blocked"], "held by ada: the books are closed");

    assert_eq!(site.patchday(&["release"]), (0, "no longer held by ada: the books are closed\n".to_owned()));
    assert_eq!(site.patchday(&["release"]), (0, "this host is not held\n".to_owned()));
    let (code, said) = site.patchday(&["run", "--yes"]);
    assert!(code == 10 && said.contains("no maintenance window is open; the next one opens "), "{said}");
    let record = std::fs::read_to_string(site.0.path().join("state/holds.json")).unwrap();
    assert!(record.contains("\"released\"") && record.contains("\"ada\""), "who did what stays on record: {record}");

    // Whether the host is held is not known: then it is not patched.
    std::fs::write(site.0.path().join("state/holds.json"), "{").unwrap();
    assert_eq!(site.patchday(&["run", "--yes", "--outside-window"]).0, 30);
    assert_eq!(site.patchday(&["windows"]).0, 30);
}

#[test]
fn a_hold_that_makes_no_sense_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let site = Site::with_window("daily");
    for until in ["2020-01-01", "yesterday", "-3h", ""] {
        let (code, said) = site.patchday(&["hold", &format!("--until={until}"), "--reason", "x"]);
        assert!(code == 2 && said.contains("\nhint: for example: patchday hold "), "{said}");
    }
    assert_eq!(site.patchday(&["hold", "--until", "3h", "--reason", " "]).0, 2);
    assert_eq!(site.patchday(&["hold", "--until", "3h", "--reason", "rest"]).0, 0);
}

#[test]
fn a_longer_hold_is_not_cut_short_unasked() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let site = Site::with_window("daily");
    let hold = |until: &str, more: &[&str]| {
        site.patchday(&[&["hold", "--until", until, "--reason", "a deploy"][..], more].concat())
    };
    assert_eq!(site.patchday(&["hold", "--until", "2199-12-24", "--reason", "the books are closed"]).0, 0);
    let (code, said) = hold("3h", &[]);
    assert!(code == 10 && said.contains("the books are closed") && said.contains("hold --replace"), "{said}");
    assert!(site.patchday(&["windows"]).1.contains("the books are closed"));
    // A longer one lasts in any case.
    assert_eq!(hold("2199-12-30", &[]).0, 0);
    assert_eq!(hold("3h", &["--replace"]).0, 0);
    assert!(site.patchday(&["windows"]).1.contains("a deploy"));
}

//! How long 32 services take to stop and to start, by Patchday and by one command of systemd: four levels of eight, each
//! service a second to stop and a second to start.

use crate::deadline::{succeeds_within, within};
use crate::figures::{Shown, Table};
use anyhow::{Context, Result, bail, ensure};
use patchday_lab::{Lab, Machine, Shipped, Suite};
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;

const LEVELS: usize = 4;
const WIDTH: usize = 8;

const LOOK: Duration = Duration::from_secs(120);
const RUN_TIMEOUT: Duration = Duration::from_secs(600);
/// The one package that a run upgrades, if it is pending: the smallest work there is.
const SMALL: &str = "tzdata";

const SETTINGS: &str = "[limits]\ncpu = \"100%\"\n[verify]\nsettle = \"1s\"\n[preflight]\nallow = [\"boot-space\"]\n[reboot]\nwhen = \"never\"\n";

/// Seconds to stop, and to start, all of them.
#[derive(Debug, Clone, Copy)]
struct Took {
    stop: f64,
    start: f64,
}

/// One round on a machine of its own.
struct Round {
    systemctl: Took,
    /// From the first stop to the last service that was down, and so on, as systemd noted it.
    patchday: Took,
    /// With the proofs, as Patchday's report has its steps.
    steps: Took,
}

pub(crate) fn measure(shipped: &Shipped, suite: Suite, rounds: u32) -> Result<Shown> {
    let mut measured = Vec::new();
    let mut is_whole = true;
    for number in 1..=rounds {
        eprintln!("bench: waves, round {number} of {rounds}");
        match once(shipped, suite) {
            Ok(round) => {
                eprintln!("bench: {:?}, {:?}, steps {:?}", round.systemctl, round.patchday, round.steps);
                measured.push(round);
            }
            Err(error) => {
                eprintln!("bench: FAILED: waves: {error:#}");
                is_whole = false;
            }
        }
    }
    ensure!(!measured.is_empty(), "no round of the waves went well");
    Ok(Shown { tables: vec![("waves", table(&measured, suite))], is_whole })
}

fn table(measured: &[Round], suite: Suite) -> Table {
    let median = |of: &dyn Fn(&Round) -> f64| {
        let mut values: Vec<f64> = measured.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        format!("{:.1} s", values[values.len() / 2])
    };
    let mut table = Table::new(
        format!("{suite}, {} services in {LEVELS} levels, the median of {}", LEVELS * WIDTH, measured.len()),
        &["who", "first stop to last down", "first start to last ready"],
    );
    let mut row = |who: &str, of: &dyn Fn(&Round) -> Took| {
        table.row([who.to_owned(), median(&|round| of(round).stop), median(&|round| of(round).start)]);
    };
    row("`systemctl stop`, `systemctl start`, all in one command", &|round| round.systemctl);
    row("Patchday, as systemd noted it", &|round| round.patchday);
    row("Patchday, with its records and proofs", &|round| round.steps);
    table
}

fn once(shipped: &Shipped, suite: Suite) -> Result<Round> {
    let machine = Lab::new()?.booted_machine(suite, "waves")?;
    one_is_pending(&machine)?;
    let names: Vec<String> = (0..LEVELS).flat_map(|level| (0..WIDTH).map(move |place| name(level, place))).collect();
    for level in 0..LEVELS {
        for place in 0..WIDTH {
            machine.write_file(&format!("/etc/systemd/system/{}", name(level, place)), &unit(level, place))?;
        }
    }
    let systemctl = |verb: &[&str], names: &[&str]| {
        let command = [&["systemctl"], verb, names].concat();
        succeeds_within(&machine, LOOK, &command)
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // systemd heeds the order among jobs that it has: those that stop last must be named last.
    let latest_first: Vec<&str> = names.iter().rev().copied().collect();
    let stamps = STAMPS.join(",");
    let show = ["show", "--property", &stamps];
    succeeds_within(&machine, LOOK, &["systemctl", "daemon-reload"])?;
    systemctl(&["--quiet", "enable"], &names)?;
    systemctl(&["start"], &names)?;
    systemctl(&["stop"], &latest_first)?;
    systemctl(&["start"], &names)?;
    let by_systemctl = noted(&systemctl(&show, &names)?)?;

    machine.install(&shipped.patchday, &shipped.systemd)?;
    machine.write_file("/etc/patchday/patchday.toml", &configuration())?;
    let run = within(&machine, RUN_TIMEOUT, &["patchday", "run", "--yes"])?;
    ensure!(run.success(), "the run ended with {}: {}{}", run.status, run.stdout, run.stderr);
    let patchday = noted(&systemctl(&show, &names)?)?;
    let report = succeeds_within(&machine, LOOK, &["patchday", "report", "--json"])?;
    let report: Value = serde_json::from_str(&report).context("the report is no JSON")?;
    Ok(Round { systemctl: by_systemctl, patchday, steps: steps(&report)? })
}

/// Holds back all packages but one.
fn one_is_pending(machine: &Machine) -> Result<()> {
    let pending = machine.pending_upgrades()?;
    let kept = pending.iter().find(|name| *name == SMALL).or(pending.first()).context("no update is pending")?;
    let mut hold = vec!["apt-mark", "hold"];
    hold.extend(pending.iter().filter(|name| *name != kept).map(String::as_str));
    succeeds_within(machine, LOOK, &hold).map(drop)
}

fn name(level: usize, place: usize) -> String {
    format!("wave-{level}-{place}.service")
}

/// What a service comes after: two of the level before.
fn before(level: usize, place: usize) -> Vec<String> {
    let Some(level) = level.checked_sub(1) else { return Vec::new() };
    vec![name(level, place), name(level, (place + 1) % WIDTH)]
}

fn unit(level: usize, place: usize) -> String {
    format!(
        "[Unit]\nAfter={}\n[Service]\nType=exec\nExecStartPre=/bin/sleep 1\nExecStart=/bin/sleep infinity\n\
         ExecStop=/bin/sleep 1\n[Install]\nWantedBy=multi-user.target\n",
        before(level, place).join(" ")
    )
}

fn configuration() -> String {
    let mut text = String::new();
    for level in 0..LEVELS {
        for place in 0..WIDTH {
            let after = before(level, place);
            // A list of strings is written in the same way here and in TOML.
            let _ = write!(text, "[[service]]\nunit = \"{}\"\nafter = {after:?}\n\n", name(level, place));
        }
    }
    text + SETTINGS
}

/// In microseconds: it began to stop, was down, began to start, was up.
const STAMPS: [&str; 4] = [
    "ActiveExitTimestampMonotonic",
    "InactiveEnterTimestampMonotonic",
    "InactiveExitTimestampMonotonic",
    "ActiveEnterTimestampMonotonic",
];

/// From the first to the last of what systemd has noted of all services.
fn noted(shown: &str) -> Result<Took> {
    let mut stamps: [Vec<u64>; 4] = Default::default();
    for line in shown.lines() {
        let Some((property, stamp)) = line.split_once('=') else { continue };
        let Some(place) = STAMPS.iter().position(|name| *name == property) else { continue };
        stamps[place].push(stamp.parse().with_context(|| format!("systemd shows no time: {line}"))?);
    }
    ensure!(stamps.iter().all(|stamps| stamps.len() == LEVELS * WIDTH), "systemd does not show all services: {shown}");
    let first = |place: usize| stamps[place].iter().min().copied().unwrap_or_default();
    let last = |place: usize| stamps[place].iter().max().copied().unwrap_or_default();
    // A stop is never noted as later than the start after it, unless one of them never stopped.
    ensure!(first(0) > 0 && last(1) <= first(2), "a service did not stop and start with the others: {shown}");
    let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
    Ok(Took { stop: seconds(first(0), last(1)), start: seconds(first(2), last(3)) })
}

/// The time of the steps that stop, and of the one that brings back, from a report.
fn steps(report: &Value) -> Result<Took> {
    let mut stops: Vec<(f64, f64)> = Vec::new();
    let mut start = None;
    for step in report["steps"].as_array().context("a report without steps")? {
        let text = |field: &str| step[field].as_str();
        let (Some(name), Some(began), Some(took)) = (text("step"), text("began"), text("took")) else { continue };
        if name.starts_with("stop:") {
            let began = second_of_day(began)?;
            stops.push((began, began + lasted(took)?));
        } else if name == "restore" {
            start = Some(lasted(took)?);
        }
    }
    let (Some((began, _)), Some((_, ended))) = (stops.first(), stops.last()) else { bail!("nothing was stopped") };
    // Around midnight the end looks earlier.
    let stop = (ended - began).rem_euclid(86_400.0);
    Ok(Took { stop, start: start.context("nothing was brought back")? })
}

/// Of a time as in `2026-11-24T00:27:05.348500105Z`.
fn second_of_day(time: &str) -> Result<f64> {
    let unread = || format!("no time: {time}");
    let (_, clock) = time.split_once('T').with_context(unread)?;
    let parts = clock.trim_end_matches('Z').splitn(3, ':').map(str::parse);
    let parts: Vec<f64> = parts.collect::<Result<_, _>>().with_context(unread)?;
    let [hours, minutes, seconds] = parts[..] else { bail!(unread()) };
    Ok((hours * 60.0 + minutes) * 60.0 + seconds)
}

/// The seconds of a duration as in `PT1M0.085S`.
fn lasted(duration: &str) -> Result<f64> {
    let unread = || format!("no duration: {duration}");
    let mut seconds = 0.0;
    for part in duration.strip_prefix("PT").with_context(unread)?.split_inclusive(['H', 'M', 'S']) {
        let (number, unit) = part.split_at(part.len() - 1);
        let each = match unit {
            "H" => 3600.0,
            "M" => 60.0,
            "S" => 1.0,
            _ => bail!(unread()),
        };
        seconds += number.parse::<f64>().with_context(unread)? * each;
    }
    Ok(seconds)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_time_of_all_is_from_the_first_to_the_last() {
        let mut shown = String::new();
        for service in 0..(LEVELS * WIDTH) as u64 {
            for (name, begin) in STAMPS.iter().zip([1_000_000, 2_000_000, 9_000_000, 9_500_000]) {
                let _ = writeln!(shown, "{name}={}", begin + service * 100_000);
            }
        }
        let took = noted(&shown).unwrap();
        assert_eq!((took.stop, took.start), (4.1, 3.6));
        assert!(noted(shown.lines().next().unwrap()).is_err());
        assert!(noted(&shown.replace("=1000000", "=0")).is_err());
    }

    #[test]
    fn a_report_tells_how_long_its_steps_took() {
        let step = |name: &str, began: &str, took: &str| json!({ "step": name, "began": began, "took": took });
        let steps_of = |last_stop: &str| {
            let began = "2026-11-24T23:59:59.5Z";
            let told = [
                step("upgrade", began, "PT1H"),
                step("stop:a,b", began, "PT1S"),
                step("stop:c", last_stop, "PT1.25S"),
                step("restore", began, "PT1M2.5S"),
                json!({ "step": "report", "began": null, "took": null }),
            ];
            steps(&json!({ "steps": told })).unwrap()
        };
        let took = steps_of("2026-11-25T00:00:01.0Z");
        assert_eq!((took.stop, took.start), (2.75, 62.5));
        assert!(steps(&json!({ "steps": [] })).is_err());
        assert!(second_of_day("now").is_err() && lasted("PT").unwrap() == 0.0 && lasted("P1D").is_err());
    }
}

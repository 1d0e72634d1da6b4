//! Does the progress of an upgrade tell the truth? Real upgrades on disposable machines, judged by the events that
//! Patchday told of them: a bar must never go back, nor be full before the end. How near the time that it told was left
//! came to the truth is printed, and not judged: it says as much about the host as about the estimate.

mod estimates;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use patchday_lab::{Lab, Machine, Shipped, Suite, ended, services};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Where of the bar the told time is held against the truth.
const MARKS: [f64; 4] = [0.2, 0.4, 0.6, 0.8];

/// Hold the progress of real upgrades against what they took
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    shipped: Shipped,
    /// What to measure
    #[arg(long, value_enum, default_value_t = Part::Progress)]
    only: Part,
    /// Print every piece of progress, too
    #[arg(long)]
    trace: bool,
    /// Of the estimates, only upgrades whose names contain this
    #[arg(long, default_value = "")]
    upgrade: String,
    /// More of the configuration for the estimates, as in `[limits]` and `nice = 0` on a host that others keep busy
    #[arg(long, default_value = "")]
    settings: String,
    /// Where plans and runs of the estimates are kept
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What is told while an upgrade is under way
    Progress,
    /// What a plan says beforehand
    Estimates,
}

/// One machine, and the upgrades that it gets, each with what is done before it.
struct Story {
    suite: Suite,
    name: &'static str,
    upgrades: &'static [(&'static str, &'static str)],
}

/// A kernel with what builds its initrd, and manual pages with their index, as they were released.
const KERNEL: &str = "apt-get -qy install -t bookworm linux-image-cloud-amd64 initramfs-tools man-db vim >/dev/null";

const STORIES: [Story; 3] = [
    Story {
        suite: Suite::Bookworm,
        name: "halves",
        upgrades: &[
            (
                "every second package",
                "apt-get -s dist-upgrade | awk '/^Inst/ { if (n++ % 2) print $2 }' | xargs apt-mark hold",
            ),
            ("the others, after that run", "apt-mark showhold | xargs apt-mark unhold"),
        ],
    },
    Story {
        suite: Suite::Bookworm,
        name: "kernel",
        upgrades: &[
            (
                "a kernel, its initrd, manual pages",
                "apt-get -s dist-upgrade | awk '/^Inst/ && !/linux|vim|man|initramfs/ { print $2 }' | xargs apt-mark hold",
            ),
            ("all that was left, after that run", "apt-mark showhold | xargs apt-mark unhold"),
        ],
    },
    Story { suite: Suite::Trixie, name: "trixie", upgrades: &[("Debian 13, everything pending", "true")] },
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let measured = match arguments.only {
        Part::Progress => measure(&arguments),
        Part::Estimates => estimates::measure(&arguments),
    };
    ended("progress", measured.map(|()| true))
}

fn measure(arguments: &Arguments) -> Result<()> {
    let mut rows: Vec<Row> = Vec::new();
    for story in &STORIES {
        eprintln!("progress: booting a machine ({}, {})", story.suite, story.name);
        let machine = Lab::new()?.booted_machine(story.suite, story.name)?;
        machine.install(&arguments.shipped.patchday, &arguments.shipped.systemd)?;
        machine
            .write_file("/etc/patchday/patchday.toml", &(services(&machine, "", "") + "[verify]\nsettle = \"3s\"\n"))?;
        machine.wait_until_healthy(Duration::from_secs(60))?;
        machine.exec_ok(&["apt-get", "-q", "update"])?;
        if story.name == "kernel" {
            machine.exec_ok(&["sh", "-c", KERNEL])?;
        }
        for (what, prepare) in story.upgrades {
            machine.exec_ok(&["sh", "-c", prepare])?;
            rows.push(upgrade(&machine, what, arguments.trace)?);
        }
    }
    print(&rows);
    Ok(())
}

/// What was told of one upgrade.
struct Row {
    what: &'static str,
    packages: u64,
    took: f64,
    /// By how much the told total was wrong at each mark, as a share of what it took.
    errors: Vec<f64>,
}

fn upgrade(machine: &Machine, what: &'static str, trace: bool) -> Result<Row> {
    eprintln!("progress: {what}");
    let run = machine.exec(&["patchday", "run", "--yes", "--no-reboot"])?;
    ensure!(run.success(), "the run ended with {}: {}{}", run.status, run.stdout, run.stderr);
    let told = machine.exec(&["patchday", "attach", "--last", "--json"])?;
    let events: Vec<Value> = told.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of_upgrade = |kind: &str| {
        let kind = kind.to_owned();
        events.iter().filter(move |event| event["event"] == kind.as_str() && event["step"] == "upgrade")
    };
    let began = instant(&of_upgrade("step-started").next().context("no upgrade began")?["at"])?;
    // A run may cross midnight.
    let since = |event: &Value| anyhow::Ok((instant(&event["at"])? - began).rem_euclid(24.0 * 3_600.0));
    let took = since(of_upgrade("step-ended").next().context("no upgrade ended")?)?;
    let planned = events.iter().find(|event| event["event"] == "upgrade-planned").context("nothing was planned")?;

    let mut errors = Vec::new();
    let mut last = 0.0;
    for event in of_upgrade("step-progressed") {
        let Some(fraction) = event["fraction"].as_f64() else { continue };
        let elapsed = since(event)?;
        if trace {
            println!(
                "{elapsed:7.1} s of {took:.1}  {:5.1} %  {}  {}",
                fraction * 100.0,
                event["remaining"],
                event["message"]
            );
        }
        ensure!(fraction >= last, "{what}: the bar went back from {last} to {fraction}");
        ensure!(fraction < 1.0, "{what}: the bar was full {:.1} s before the end", took - elapsed);
        last = fraction;
        let left = event["remaining"].as_str().map(seconds).transpose()?.unwrap_or_default();
        while MARKS.get(errors.len()).is_some_and(|mark| fraction >= *mark) {
            errors.push((elapsed + left - took) / took);
        }
    }
    ensure!(errors.len() == MARKS.len(), "{what}: the bar ended at {:.0} %", last * 100.0);
    Ok(Row { what, packages: planned["changes"].as_u64().unwrap_or_default(), took, errors })
}

fn print(rows: &[Row]) {
    let percent = |error: f64| format!("{:+.0} %", error * 100.0);
    println!("| upgrade | packages | took | told total at 20 % | at 40 % | at 60 % | at 80 % |");
    println!("|---|---|---|---|---|---|---|");
    for row in rows {
        let errors: Vec<String> = row.errors.iter().map(|error| percent(*error)).collect();
        println!("| {} | {} | {:.0} s | {} |", row.what, row.packages, row.took, errors.join(" | "));
    }
    let medians: Vec<String> = (0..MARKS.len())
        .map(|mark| {
            let mut errors: Vec<f64> = rows.iter().map(|row| row.errors[mark].abs()).collect();
            errors.sort_by(f64::total_cmp);
            percent(errors[errors.len() / 2]).replace('+', "")
        })
        .collect();
    println!("| median, either way | | | {} |", medians.join(" | "));
}

/// Seconds since midnight, by the clock of the machine.
fn instant(at: &Value) -> Result<f64> {
    let at = at.as_str().context("no instant")?;
    let (_, time) = at.trim_end_matches('Z').split_once('T').with_context(|| format!("no instant: {at}"))?;
    let parts: Vec<f64> = time.split(':').map(str::parse).collect::<Result<_, _>>()?;
    match parts.as_slice() {
        [hours, minutes, seconds] => Ok(hours * 3_600.0 + minutes * 60.0 + seconds),
        _ => bail!("no instant: {at}"),
    }
}

/// Seconds of a duration as in `PT1M20S`.
fn seconds(text: &str) -> Result<f64> {
    let mut seconds = 0.0;
    let mut number = String::new();
    for letter in text.trim_start_matches("PT").chars() {
        let unit = match letter {
            'H' => 3_600.0,
            'M' => 60.0,
            'S' => 1.0,
            digit => {
                number.push(digit);
                continue;
            }
        };
        seconds += std::mem::take(&mut number).parse::<f64>().with_context(|| format!("no duration: {text}"))? * unit;
    }
    Ok(seconds)
}

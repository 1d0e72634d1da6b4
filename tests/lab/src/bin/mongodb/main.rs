//! MongoDB under Patchday, on machines with a real mongod: shapes, writers, troubles, refusals, times. Prints tables.

mod certificates;
mod refusals;
mod replica_set;
mod setup;
mod timing;
mod trouble;
mod work;
mod writer;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use patchday_lab::{Shipped, ended};
use setup::{PASSWORD, Shape, Site};
use std::process::ExitCode;
use std::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Whole runs with their reboots, under a writer
    Runs,
    /// What stands in the way of a stop
    Trouble,
    /// Ways to make mongod refuse to start
    Refusals,
    /// The time of a stop beside systemctl's
    Timing,
}

/// Show what Patchday does with MongoDB
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    shipped: Shipped,
    /// Only these parts; all by default
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only these shapes; all by default
    #[arg(long, value_enum, value_delimiter = ',')]
    shape: Vec<Shape>,
    /// Whole runs of each shape
    #[arg(long, default_value_t = 7)]
    runs: u32,
    /// How often each stop is timed; the median counts
    #[arg(long, default_value_t = 3)]
    times: u32,
}

fn main() -> ExitCode {
    ended("mongodb", show(&Arguments::parse()))
}

fn show(arguments: &Arguments) -> Result<bool> {
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let site = |shape, name: &str| Site::new(&arguments.shipped.patchday, &arguments.shipped.systemd, shape, name);
    let shapes = Shape::value_variants().iter().copied();
    let shapes = shapes.filter(|shape| arguments.shape.is_empty() || arguments.shape.contains(shape));
    let mut good = true;
    if wanted(Part::Runs) {
        for shape in shapes.clone() {
            good &= runs(&site(shape, "db-runs")?, arguments.runs)?;
        }
    }
    if wanted(Part::Trouble) {
        for shape in shapes.clone() {
            let cases = match shape {
                Shape::Standalone => trouble::standalone(&site(shape, "db-trouble")?)?,
                Shape::Secured => trouble::secured(&site(shape, "db-login")?)?,
                Shape::Set => trouble::set(&site(shape, "db-set")?)?,
                // What stands in the way of a stop is the same as in one machine.
                Shape::Machines => continue,
            };
            good &= cases.iter().all(trouble::Case::is_good);
        }
    }
    if wanted(Part::Refusals) {
        good &= refusals(&site(Shape::Standalone, "db-doctor")?)?;
    }
    if wanted(Part::Timing) {
        let site = site(Shape::Standalone, "db-timing")?;
        for connections in [0, 100, 1000] {
            let timing = timing::measure(&site, connections, arguments.times)?;
            println!(
                "{:>5} connections: systemctl {:.3} s, patchday {:.3} s ({:.2} x), with all its questions {:.3} s \
                 ({:.2} x), with the wait for clients {:.3} s",
                timing.connections,
                timing.systemctl,
                timing.patchday,
                timing.patchday / timing.systemctl,
                timing.with_questions,
                timing.with_questions / timing.systemctl,
                timing.with_drain
            );
        }
    }
    Ok(good)
}

/// Whole runs, each with its reboot, while a writer writes.
fn runs(site: &Site, count: u32) -> Result<bool> {
    let canary = if site.shape == Shape::Secured { "patchday.canary" } else { "sample.orders" };
    site.configure(&format!("canary = \"{canary}\""))?;
    let (mut acknowledged, mut refused, mut lost, mut good) = (0, 0, 0, 0);
    for round in 1..=count {
        let began = Instant::now();
        let ((code, report), account) = writer::during(site, i64::from(round), || site.run())?;
        acknowledged += account.acknowledged;
        refused += account.refused;
        lost += account.lost;
        let is_good = code == 0 && account.lost == 0 && report.contains("\"verdict\": \"healthy\"");
        good += u32::from(is_good);
        println!(
            "{:<14} run {round}: exit {code}, {:.0} s, {} writes acknowledged, {} refused, {} lost",
            site.shape.name(),
            began.elapsed().as_secs_f64(),
            account.acknowledged,
            account.refused,
            account.lost
        );
        if !is_good {
            println!("{}", site.machine.exec(&["patchday", "report"])?.stdout);
        }
        if site.shape.is_set() {
            site.wait_until_whole()?;
        }
    }
    println!(
        "{:<14} {good} of {count} runs healthy; {acknowledged} acknowledged writes, {refused} refused, {lost} lost",
        site.shape.name()
    );
    if site.shape == Shape::Secured {
        search_password(site)?;
    }
    Ok(good == count)
}

/// The password must be nowhere but in its own file.
fn search_password(site: &Site) -> Result<()> {
    let found = site.machine.exec(&["grep", "-rlF", PASSWORD, "/var/lib/patchday", "/etc", "/run", "/var/log"])?;
    let journal = site.machine.exec(&["journalctl", "--no-pager", "-o", "export", "-g", PASSWORD])?;
    let places: Vec<&str> = found.stdout.lines().filter(|path| *path != "/etc/patchday/mongodb.uri").collect();
    if !places.is_empty() || journal.stdout.contains(PASSWORD) {
        bail!("the password is in {places:?}, or in the journal");
    }
    println!("the password is in its file and nowhere else");
    Ok(())
}

fn refusals(site: &Site) -> Result<bool> {
    let mut named = 0;
    for refusal in &refusals::ALL {
        match refusals::provoke(site, refusal) {
            Ok((key, said)) => {
                let is_right = key == refusal.key;
                named += usize::from(is_right);
                println!("{:<32} {} {key}", refusal.name, if is_right { "named:" } else { "NOT NAMED:" });
                println!("{}", said.lines().map(|line| format!("    {line}\n")).collect::<String>());
            }
            Err(error) => println!("{:<32} NOT PROVOKED: {error:#}", refusal.name),
        }
    }
    println!("{named} of {} named", refusals::ALL.len());
    Ok(named == refusals::ALL.len())
}

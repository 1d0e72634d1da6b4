//! Does a verification see what is wrong, and nothing where nothing is? Ways of coming back wrong, and healthy hosts, on
//! disposable machines; prints one table.

use anyhow::Result;
use clap::Parser;
use patchday_lab::{Comeback, FAULTS, OrderServer, OrderedBoot, Shipped, Suite, Way, ended, median};
use std::process::ExitCode;

/// Break a server in many ways, reboot it, and see what Patchday says of it
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    shipped: Shipped,
    /// The Debian release: bookworm or trixie
    #[arg(long, default_value_t = Suite::Bookworm)]
    suite: Suite,
    /// Only the faults whose name holds this text
    #[arg(long, default_value = "")]
    only: String,
    /// Print all that is said of a fault that is not seen
    #[arg(long)]
    explain: bool,
    /// How many healthy boots, and how many whole healthy runs, must have no finding
    #[arg(long, default_value_t = 0)]
    healthy: u32,
    /// Measure instead, on a server with this many more units, a tenth of which are configured and probed over HTTP
    #[arg(long)]
    units: Option<u32>,
    /// Boot a server so many times instead, every other time under load, and hold the order that is told against the
    /// services' own logs
    #[arg(long, value_name = "BOOTS")]
    order: Option<u32>,
}

fn main() -> ExitCode {
    ended("verify", all(&Arguments::parse()))
}

fn all(arguments: &Arguments) -> Result<bool> {
    if let Some(units) = arguments.units {
        return measure(arguments, units);
    }
    if let Some(boots) = arguments.order {
        return order(arguments, boots);
    }
    let mut good = true;
    eprintln!("verify: a server with a baseline ({})", arguments.suite);
    let server =
        Comeback::prepare(arguments.suite, "verify", &arguments.shipped.patchday, &arguments.shipped.systemd, "8s")?;
    let first = server.run()?;
    println!("{:<50} {:<9} {}", "whole run", first.verdict, said(&first.findings));
    good &= first.findings.is_empty();
    server.remember()?;
    for _ in 0..arguments.healthy {
        let (judgement, took) = server.come_back(None)?;
        let line = format!("{:.0} s, {}", took.as_secs_f64(), said(&judgement.findings));
        println!("{:<50} {:<9} {line}", "healthy boot", judgement.verdict);
        good &= judgement.findings.is_empty();
    }
    let faults: Vec<_> = FAULTS.iter().filter(|fault| fault.name.contains(&arguments.only)).collect();
    let (mut seen, mut shown) = (0, 0);
    if !faults.is_empty() {
        println!(
            "\n{:<50} {:<9} {:<9} {:<5} {:>6}  first finding (and how many more)",
            "way", "expected", "seen", "", "took"
        );
    }
    for fault in &faults {
        if let Some(why) = server.cannot_show(fault)? {
            println!("{:<50} {why}", fault.name);
            continue;
        }
        shown += 1;
        let judged = server.come_back(Some(fault));
        let line = match &judged {
            Ok((judgement, took)) => {
                let right = judgement.is_right(fault);
                seen += usize::from(right);
                let mark = if right { "right" } else { "WRONG" };
                if !right && arguments.explain {
                    println!("{:#}", judgement.json);
                }
                let took = took.as_secs_f64();
                format!(
                    "{:<9} {:<9} {mark} {took:>4.0} s  {}",
                    fault.verdict,
                    judgement.verdict,
                    said(&judgement.findings)
                )
            }
            Err(error) => format!("{error:#}"),
        };
        println!("{:<50} {line}", fault.name);
    }
    println!("\n{seen} of {shown} right: the verdict, and the first cause first");
    Ok(good && seen == shown)
}

/// A server of many units: how long a verdict takes, and what it costs.
fn measure(arguments: &Arguments, units: u32) -> Result<bool> {
    let server =
        Comeback::prepare(arguments.suite, "verify", &arguments.shipped.patchday, &arguments.shipped.systemd, "1s")?;
    let probes = units / 10;
    eprintln!("verify: {units} units, {probes} probes");
    server.add_units(units, probes)?;
    let cost = server.cost_of_a_verdict()?;
    println!("{units} units, {probes} probed, settle time 1 s, {}", arguments.suite);
    println!("{:<50} {:>8.2} s", "from the last service's readiness to the verdict", cost.to_verdict);
    println!("{:<50} {:>8.2} s", "CPU time of patchday verify", cost.cpu);
    println!("{:<50} {:>9}", "findings", said(&cost.findings));
    Ok(cost.findings.is_empty())
}

/// Boots with an open run: no order may be unknown, and each must be what the logs say.
fn order(arguments: &Arguments, boots: u32) -> Result<bool> {
    eprintln!("verify: a server with an open run ({})", arguments.suite);
    let server = OrderServer::prepare(arguments.suite, &arguments.shipped.patchday, &arguments.shipped.systemd)?;
    println!("{:<5} {:<7} {:<16} {:<8} {:<14} {:>12}  ", "boot", "host", "services", "told", "logs say", "API after");
    let mut seen: Vec<(Way, OrderedBoot)> = Vec::new();
    // A fifth more without a witness, to compare with.
    let ways = (0..boots).map(Way::of_boot).chain((0..boots.div_ceil(5)).map(|_| Way::WithoutWitness));
    for (number, way) in (0_u32..).zip(ways) {
        let is_loaded = number % 2 == 1;
        let boot = server.boot(way, is_loaded)?;
        let host = if is_loaded { "loaded" } else { "quiet" };
        let after = boot.api_after_database as f64 / 1000.0;
        let mark = match (boot.agrees(), boot.told.as_str()) {
            (true, _) => String::new(),
            (false, "unknown") => format!("UNKNOWN: {}", boot.why),
            (false, _) => "WRONG".to_owned(),
        };
        let logged = boot.logged.join(", ");
        println!("{number:<5} {host:<7} {:<16} {:<8} {logged:<14} {after:>9.1} ms  {mark}", way.name(), boot.told);
        seen.push((way, boot));
    }
    let with: Vec<&OrderedBoot> =
        seen.iter().filter(|(way, _)| *way != Way::WithoutWitness).map(|(_, boot)| boot).collect();
    let without: Vec<&OrderedBoot> =
        seen.iter().filter(|(way, _)| *way == Way::WithoutWitness).map(|(_, boot)| boot).collect();
    let unknown = |boots: &[&OrderedBoot]| boots.iter().filter(|boot| boot.told == "unknown").count();
    let wrong = with.iter().filter(|boot| !boot.agrees()).count();
    let basic = |boots: &[&OrderedBoot]| median(boots.iter().map(|boot| boot.basic_ms));
    let longest = with.iter().map(|boot| boot.witness_ms).fold(0.0, f64::max);
    println!("\n{} boots with a witness: {} unknown, {} not as the logs say", with.len(), unknown(&with), wrong);
    println!("{} boots without: {} unknown", without.len(), unknown(&without));
    println!(
        "start of the witness: {:.0} ms, at most {longest:.0} ms; basic.target after {:.0} ms with it, {:.0} ms without",
        median(with.iter().map(|boot| boot.witness_ms)),
        basic(&with),
        basic(&without)
    );
    Ok(wrong == 0)
}

fn said(findings: &[(String, String, String)]) -> String {
    match findings.split_first() {
        None => "no finding".to_owned(),
        Some(((key, _, title), [])) => format!("{key}: {title}"),
        Some(((key, _, title), rest)) => format!("{key}: {title} (+{})", rest.len()),
    }
}

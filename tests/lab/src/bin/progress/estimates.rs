//! Are the estimates of a plan right? Ten different upgrades on fresh machines, each followed by a second one that has the
//! first as its history: what `patchday plan` says of the time without services and of each step, against what each took.

use anyhow::{Context, Result, bail, ensure};
use patchday_lab::{Lab, Machine, Suite, services, wait_for};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use crate::{Arguments, KERNEL, instant, seconds};

const RUN_TIMEOUT: Duration = Duration::from_secs(900);

/// Shorter steps are held against nothing: half a second beside them says nothing.
const SHORT: f64 = 1.0;

/// A first upgrade; the second is all that it left.
struct Story {
    suite: Suite,
    name: &'static str,
    /// Packages from the release itself, for which updates are pending.
    prepare: &'static str,
    /// A condition of awk on the pending packages' names (`$2`) and their numbers (`n`): those of the first upgrade.
    first: &'static str,
}

const fn story(suite: Suite, name: &'static str, prepare: &'static str, first: &'static str) -> Story {
    Story { suite, name, prepare, first }
}

const STORIES: [Story; 10] = [
    story(Suite::Bookworm, "every second", "", "n % 2"),
    story(Suite::Bookworm, "Perl", "", "/perl/"),
    story(Suite::Bookworm, "a kernel", KERNEL, "/linux|initramfs/"),
    story(Suite::Bookworm, "libraries", "", "/^lib/ && !/perl/"),
    story(Suite::Bookworm, "all but libraries", "", "!/^lib/ && !/perl/"),
    story(Suite::Bookworm, "editor and manual", KERNEL, "/vim|man-db|xz|tzdata/"),
    story(Suite::Trixie, "every third", "", "n % 3 == 0"),
    story(Suite::Trixie, "PHP", "", "/php/"),
    story(Suite::Trixie, "Ruby", "", "/ruby/"),
    story(Suite::Trixie, "without PHP", "", "!/php/"),
];

/// What was said of one upgrade, and what it took, in seconds.
struct Row {
    what: String,
    packages: usize,
    said: f64,
    took: f64,
    /// Of each step that was not short.
    steps: Vec<(String, f64, f64)>,
}

impl Row {
    fn error(&self) -> f64 {
        self.said / self.took - 1.0
    }
}

/// What was told and recorded of each upgrade is kept where that is asked for.
pub(crate) fn measure(arguments: &Arguments) -> Result<()> {
    let (shipped, keep) = (&arguments.shipped, arguments.keep.as_deref());
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for story in STORIES.iter().filter(|story| story.name.contains(&arguments.upgrade)) {
        let machine = Lab::new()?.booted_machine(story.suite, "estimates")?;
        machine.install(&shipped.patchday, &shipped.systemd)?;
        // There is no /boot of its own, and the new kernel is not booted: neither is the estimate's business.
        let lab = "[verify]\nsettle = \"1s\"\n[preflight]\nallow = [\"boot-space\"]\n";
        let settings = services(&machine, "", "") + lab + &arguments.settings;
        machine.write_file("/etc/patchday/patchday.toml", &settings)?;
        machine.exec_ok(&["apt-get", "-q", "update"])?;
        machine.exec_ok(&["sh", "-c", story.prepare])?;
        let hold =
            "apt-get -s dist-upgrade | awk '/^Inst/ { n++; if (!(CONDITION)) print $2 }' | xargs -r apt-mark hold";
        machine.exec_ok(&["sh", "-c", &hold.replace("CONDITION", story.first)])?;
        first.extend(upgrade(&machine, story, "", keep)?);
        machine.exec_ok(&["sh", "-c", "apt-mark showhold | xargs -r apt-mark unhold"])?;
        second.extend(upgrade(&machine, story, ", the rest", keep)?);
    }
    print("without history", &first, 25.0);
    print("with one run of history", &second, 15.0);
    Ok(())
}

/// None where nothing is pending.
fn upgrade(machine: &Machine, story: &Story, part: &str, keep: Option<&Path>) -> Result<Option<Row>> {
    let what = format!("{}, {}{part}", story.suite, story.name);
    // What was there before has restarted services: soon after a boot that looks like a slow boot.
    let boot = machine.boot_id()?;
    machine.exec(&["systemctl", "reboot"])?;
    machine.wait_for_reboot(&boot, RUN_TIMEOUT)?;
    machine.wait_until_healthy(Duration::from_secs(60))?;
    let plan: Value = serde_json::from_str(&machine.exec(&["patchday", "plan", "--json"])?.stdout)?;
    let packages = plan["upgrade"]["changes"].as_array().context("a plan without changes")?.len();
    if packages == 0 {
        return Ok(None);
    }
    run(machine)?;
    let last = "cd /var/lib/patchday/runs && cat \"$(ls | tail -n 1)\"/run.json";
    let run: Value = serde_json::from_str(&machine.exec_ok(&["sh", "-c", last])?)?;
    if let Some(directory) = keep {
        let name = what.replace([' ', ','], "-");
        fs::write(directory.join(format!("{name}.plan.json")), plan.to_string())?;
        fs::write(directory.join(format!("{name}.run.json")), run.to_string())?;
    }
    let row = row(what, packages, &plan, &run["run"])?;
    eprintln!("progress: {}: said {:.0} s, took {:.1} s ({:+.0} %)", row.what, row.said, row.took, row.error() * 100.0);
    for (step, said, took) in &row.steps {
        eprintln!("progress:     {step}: said {said:.1} s, took {took:.1} s");
    }
    Ok(Some(row))
}

/// Carries a run to its end, over a reboot where one is due.
fn run(machine: &Machine) -> Result<()> {
    let boots = machine.boot_count();
    let mut work: Child = machine.spawn(&["patchday", "run", "--yes"])?;
    let over = || {
        let ended = work.try_wait().context("cannot wait for the run")?;
        Ok((machine.boot_count() > boots || ended.is_some()).then_some(()))
    };
    machine.explain(wait_for("the end of the run, or its reboot", RUN_TIMEOUT, over))?;
    machine.wait_until_up(RUN_TIMEOUT)?;
    let followed = machine.exec(&["patchday", "attach", "--last"])?;
    let report: Value = serde_json::from_str(&machine.exec_ok(&["patchday", "report", "--json"])?)?;
    ensure!(report["ending"] == "judged", "{}{}", followed.stdout, followed.stderr);
    Ok(())
}

fn row(what: String, packages: usize, plan: &Value, run: &Value) -> Result<Row> {
    let mut steps = Vec::new();
    let mut began = None;
    for record in run["history"].as_array().context("a run without a history")? {
        let step = record["attempt"]["step"].as_str().context("an attempt without a step")?;
        let from = instant(&record["attempt"]["began"])?;
        let took = (instant(&record["ended"])? - from).rem_euclid(24.0 * 3_600.0);
        began = began.or(step.starts_with("stop:").then_some(from));
        let said = plan["estimate"]["steps"].as_array().and_then(|all| all.iter().find(|one| one["step"] == step));
        if let Some(said) = said.filter(|_| took >= SHORT && record["outcome"] == "succeeded") {
            steps.push((step.to_owned(), seconds(said["takes"].as_str().unwrap_or_default())?, took));
        }
    }
    let ready = run["verification"]["services"].as_array().context("a run without a verification")?;
    let ready: Vec<f64> = ready.iter().map(|service| instant(&service["ready_at"])).collect::<Result<_>>()?;
    let (Some(began), Some(back)) = (began, ready.into_iter().reduce(f64::max)) else {
        bail!("{what}: the services were not stopped, or are not back")
    };
    let took = (back - began).rem_euclid(24.0 * 3_600.0);
    let said = seconds(plan["downtime"].as_str().context("a plan without a downtime")?)?;
    Ok(Row { what, packages, said, took, steps })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// How far a step's estimate was off, in percent.
fn of_steps(rows: &[Row]) -> f64 {
    let errors = rows.iter().flat_map(|row| &row.steps).map(|(_, said, took)| (said / took - 1.0).abs() * 100.0);
    median(errors.collect())
}

fn print(title: &str, rows: &[Row], aim: f64) {
    println!("| upgrade, {title} | packages | said | took | off by | its steps |");
    println!("|---|---|---|---|---|---|");
    for row in rows {
        let steps = of_steps(std::slice::from_ref(row));
        let error = row.error() * 100.0;
        let Row { what, packages, said, took, .. } = row;
        println!("| {what} | {packages} | {said:.0} s | {took:.1} s | {error:+.0} % | {steps:.0} % |");
    }
    let error = median(rows.iter().map(|row| row.error().abs() * 100.0).collect());
    let verdict = if error <= aim { "met" } else { "**missed**" };
    let steps = of_steps(rows);
    println!("| median, either way; aim {aim:.0} %, {verdict} | | | | {error:.0} % | {steps:.0} % |\n");
}

//! The first hour with Patchday: from its package to the verdict of its first run, screen by screen.
//!
//! Nothing is played: an ordinary server has updates waiting, and somebody logs in by ssh and types. Each wait is for what
//! the screen shows, so a page is written only of an hour that went as it tells.

mod page;
mod seat;

use crate::first_hour::page::{Page, commit_of};
use crate::first_hour::seat::{HOME, Seat, last_line};
use crate::{BOOT_TIMEOUT, systemd_directory};
use anyhow::{Context, Result, ensure};
use clap::Args;
use patchday_lab::{Image, Lab, Machine, Suite, request, wait_for};
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

const PREPARE: &str = include_str!("../../../recipe/first-hour/prepare.sh");
const SITE: &str = include_str!("../../../recipe/first-hour/site.conf");

const HOST: &str = "web1";
/// Where a reader expects them.
const WEB: u16 = 80;
const API: u16 = 8080;
const DATABASE: u16 = 27017;

/// For what asks the host, and changes little.
const LOOK: Duration = Duration::from_secs(120);
/// For a whole run until its reboot, or after it.
const WORK: Duration = Duration::from_secs(1200);

/// How many percent of the upgrade are done when it is looked at.
const MIDST: u32 = 30;

#[derive(Debug, Args)]
pub(crate) struct FirstHour {
    /// The package, as `tests/lab/package` builds it
    package: PathBuf,
    /// Write the page there; without it, it is printed
    #[arg(long)]
    write: Option<PathBuf>,
}

impl FirstHour {
    pub(crate) fn show(&self) -> Result<ExitCode> {
        let package = fs::read(&self.package).with_context(|| format!("cannot read {}", self.package.display()))?;
        let commit = commit_of(&package, &systemd_directory())?;
        let name = file_name(&self.package)?;

        let lab = Lab::new()?;
        let (machine, port) = server(&lab)?;
        machine.write_file("/etc/ssh/sshd_config.d/lab.conf", &format!("Port {port}\n"))?;
        machine.write_program(&format!("{HOME}/{name}"), &package)?;
        machine.boot()?;
        machine.wait_until_up(BOOT_TIMEOUT)?;
        wait_for("the site", BOOT_TIMEOUT, || Ok(site_answers().then_some(())))?;

        let hour = Hour { machine: &machine, seat: Seat::take(&machine, port)?, page: Page::default() };
        let page = hour.pass(&commit)?.finished(&private(&lab, &machine)?)?;
        match &self.write {
            Some(path) => fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?,
            None => print!("{page}"),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What a package is called by those who publish it.
fn file_name(package: &Path) -> Result<String> {
    let mut show = Command::new("dpkg-deb");
    show.args(["--show", "--showformat", "${Package}_${Version}_${Architecture}.deb"]).arg(package);
    let shown = show.output().context("cannot run dpkg-deb")?;
    ensure!(shown.status.success(), "dpkg-deb failed: {}", String::from_utf8_lossy(&shown.stderr).trim());
    String::from_utf8(shown.stdout).context("a package without a name")
}

/// A server, still off, that has nginx before the API and MongoDB behind it, and the port of its sshd.
fn server(lab: &Lab) -> Result<(Machine, u16)> {
    for port in [WEB, API, DATABASE] {
        let free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
        free.with_context(|| format!("port {port} of this host must be free: machines share its network"))?;
    }
    let image = Image::ensure(lab, Suite::Bookworm)?.with(lab, PREPARE)?;
    let machine = Machine::create(lab, &image, HOST)?;
    for file in ["/etc/mongod.conf", "/etc/systemd/system/sample-api.service"] {
        let text = machine.read_file(file)?.replace(&machine.mongod_port().to_string(), &DATABASE.to_string());
        machine.write_file(file, &text.replace(&machine.api_port().to_string(), &API.to_string()))?;
    }
    machine.write_file("/etc/nginx/sites-available/default", SITE)?;
    let port = machine.reserve_port()?;
    Ok((machine, port))
}

/// What no page may show: where the lab is, and where this host's packages come from.
fn private(lab: &Lab, machine: &Machine) -> Result<Vec<String>> {
    let sources = machine.read_file("/etc/apt/sources.list")?;
    let hosts = sources.split("://").skip(1).filter_map(|rest| rest.split(['/', ':', ' ']).next());
    Ok(hosts.map(str::to_owned).chain([lab.cache().display().to_string()]).collect())
}

fn site_answers() -> bool {
    request(WEB, "GET", "/health").is_ok_and(|answer| answer.status == 200)
}

struct Hour<'a> {
    machine: &'a Machine,
    seat: Seat<'a>,
    page: Page,
}

impl Hour<'_> {
    fn pass(mut self, commit: &str) -> Result<Page> {
        let pending = self.machine.pending_upgrades()?;
        ensure!(!pending.is_empty(), "no update is pending on the server");
        self.seat.log_in()?;
        self.install(commit)?;
        self.set_up()?;
        self.run()?;
        self.come_back()?;
        self.read()?;
        self.is_as_told(&pending)?;
        Ok(self.page)
    }

    fn install(&mut self, commit: &str) -> Result<()> {
        let installed = self.seat.does("sudo apt install ./patchday_*.deb", LOOK)?;
        let said = |command: &[&str]| Ok::<_, anyhow::Error>(self.machine.exec_ok(command)?.trim().to_owned());
        let version = said(&["dpkg-query", "--show", "--showformat", "${Version}", "patchday"])?;
        let (debian, day) = (said(&["cat", "/etc/debian_version"])?, said(&["date", "+%F"])?);
        let page = &mut self.page;
        page.heading("The first hour");
        page.says(
            "Somebody puts Patchday on a server and takes it through its first patch and reboot, in a terminal of 80 \
             columns and 24 rows. The server has nginx, an API behind it, MongoDB behind that, and updates waiting.",
        );
        page.says(&format!(
            "`tests/lab/first-hour` typed and wrote all of this, on {day}, with Patchday {version} of commit {commit} \
             on Debian {debian}, in a container of the lab.",
        ));
        page.heading("Install");
        page.shows("apt installs the package, and nothing is started.", &installed);
        Ok(())
    }

    fn set_up(&mut self) -> Result<()> {
        self.page.heading("Set up");
        let found = self.seat.does("sudo patchday init", LOOK)?;
        self.page.shows("`patchday init` looks at what runs, and writes a configuration.", &found);
        let file = "/etc/patchday/patchday.toml";
        self.seat.begins(&format!("less {file}"))?;
        let first = self.seat.sees("the configuration", LOOK, |screen| last_line(screen).starts_with(file))?;
        self.page.shows("It is short, and says of each service why it stands there.", &first);
        self.seat.presses("q")?;
        self.seat.ends("the configuration", LOOK)?;

        self.page.heading("Plan");
        let first = self.first_page("sudo patchday plan")?;
        self.page.shows(
            "`patchday plan` says what a run would do and what stands in its way, and changes nothing. What is longer \
             than the screen is shown page by page: the space bar goes on, q ends.",
            &first,
        );
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        let page = &mut self.page;
        page.heading("Run");
        self.seat.begins("sudo patchday run")?;
        let asks = self.seat.sees("the question", LOOK, |screen| last_line(screen).ends_with("[y/N]"))?;
        page.shows("`patchday run` asks first. Nothing is touched before the answer.", &asks);
        self.seat.answers("y")?;
        let fetches = self.seat.sees("the download", WORK, |screen| percent(screen, "fetch the packages").is_some())?;
        page.shows(
            "The run is a service of its own; the terminal only follows it. It checks the host and downloads everything \
             while all services run.",
            &fetches,
        );
        let is_amid = |screen: &str| percent(screen, "upgrade the packages").is_some_and(|done| done >= MIDST);
        let upgrades = self.seat.sees("the upgrade", WORK, is_amid)?;
        ensure!(!site_answers(), "the site answers while its packages are upgraded");
        page.shows("The services are down, each proven to be, and apt is at work. The bar shows how far it is, and how long it will take.", &upgrades);
        self.seat.presses("l")?;
        let output = self.seat.sees("the output of apt", LOOK, |screen| last_line(screen).contains('│'))?;
        page.shows("The key `l` shows what apt and dpkg print, and hides it again.", &output);
        self.seat.presses("l")?;
        let gone = self.seat.is_cut_off(WORK)?;
        page.heading("Reboot");
        page.shows("All is installed, and the server reboots, which ends the connection.", &gone);
        Ok(())
    }

    /// The run has gone on by itself when somebody can log in again.
    fn come_back(&mut self) -> Result<()> {
        self.machine.wait_for_boot(2, BOOT_TIMEOUT)?;
        let open = ["systemctl", "is-active", "--quiet", "ssh.service", "systemd-user-sessions.service"];
        wait_for("logins to be allowed", BOOT_TIMEOUT, || {
            Ok(self.machine.exec(&open).is_ok_and(|output| output.success()).then_some(()))
        })?;
        self.seat.log_in()?;
        let page = &mut self.page;
        let status = self.seat.does("sudo patchday status", LOOK)?;
        page.shows("Logged in again: the run has gone on by itself, and `patchday status` says where it is.", &status);
        self.seat.begins("sudo patchday attach")?;
        let watches =
            |screen: &str| at_work(screen, "verify what came back").is_some_and(|row| row.contains("watching"));
        let verifies = self.seat.sees("the verification", LOOK, watches)?;
        page.shows("`patchday attach` tells it from its beginning, and follows it on: what came back is compared with what ran before, and watched for a minute.", &verifies);
        let verdict = self.seat.ends("the end of the run", WORK)?;
        page.heading("The verdict");
        page.shows("The last screen says what the run came to.", &verdict);
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        let report = self.first_page("sudo patchday report last")?;
        self.page.shows("`patchday report` has all of it, the verdict first.", &report);
        let history = self.seat.does("sudo patchday history", LOOK)?;
        self.page.shows("`patchday history` lists the runs.", &history);
        self.page.says(
            "Next: [the monthly run](monthly.md), [its timer](setup.md#by-timer), [what to do when it \
             fails](when-it-fails.md).",
        );
        Ok(())
    }

    /// What a pager shows first of a command that succeeds.
    fn first_page(&self, command: &str) -> Result<String> {
        self.seat.begins(command)?;
        let first = self.seat.sees(command, LOOK, |screen| last_line(screen).starts_with("lines 1-"))?;
        self.seat.presses("q")?;
        self.seat.ends(command, LOOK)?;
        Ok(first)
    }

    /// Whether the run did what its screens say.
    fn is_as_told(&self, pending: &[String]) -> Result<()> {
        let report = self.machine.exec_ok(&["patchday", "report", "--json"])?;
        let report: Value = serde_json::from_str(&report).context("the report is no JSON")?;
        let (verdict, code) = (&report["verdict"], &report["exit_code"]);
        ensure!(verdict == "healthy" && code == 0, "the verdict is {verdict}, with exit code {code}");
        ensure!(self.machine.boot_count() == 2, "the server was booted {} times", self.machine.boot_count());
        let left = self.machine.pending_upgrades()?;
        ensure!(left.is_empty(), "of the {} updates are left: {}", pending.len(), left.join(" "));
        ensure!(site_answers(), "the site does not answer after the run");
        Ok(())
    }
}

/// The line of the step at work: it begins with an arrow before a bar, else with a sign that turns.
fn at_work<'a>(screen: &'a str, step: &str) -> Option<&'a str> {
    let is_sign = |sign| sign == '▸' || ('\u{2800}'..='\u{28ff}').contains(&sign);
    screen.lines().find(|line| {
        let row = line.trim_start().strip_prefix(is_sign);
        row.is_some_and(|row| row.trim_start().starts_with(step))
    })
}

/// How many percent of a step are done; none before its bar says so.
fn percent(screen: &str, step: &str) -> Option<u32> {
    at_work(screen, step)?.split(" %").next()?.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bar_of_the_step_at_work_tells_how_far_it_is() {
        for (row, done) in [
            ("  ▸ upgrade the packages  2 min 5 s    33 % ━━╸─────  ~3 min 45 s  Unpacking p…", Some(33)),
            ("  ▸ upgrade the packages       17 s   100 % ━━━━━━━━", Some(100)),
            ("  ⠙ upgrade the packages        0 s   waiting", None),
            ("  ✓ upgrade the packages             5 min 22 s   26 packages, 80 % of them small", None),
            ("  ▸ fetch the packages          3 s    40 % ━━━─────", None),
        ] {
            assert_eq!(percent(&format!("patchday x on web1\n{row}\n"), "upgrade the packages"), done, "{row}");
        }
    }
}

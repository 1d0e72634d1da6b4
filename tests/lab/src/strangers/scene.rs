//! A machine on which one situation is made.

use super::package::Package;
use super::running::Running;
use super::said::Said;
use super::situation::Situation;
use crate::machine::Machine;
use crate::settings::services;
use crate::wait::wait_for;
use anyhow::{Context, Result};
use serde_json::Value;
use std::cell::RefCell;
use std::time::Duration;

/// The package that waits to be upgraded when a scene begins.
pub const UPDATE: &str = "lab-update";

const CONFIG: &str = "/etc/patchday/patchday.toml";
const REPOSITORY: &str = "/srv/repo";

/// How long a whole run may take, with its reboot.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// How long services may take to be back when a command has ended.
const SOON: Duration = Duration::from_secs(30);

/// The lab's own settings; a situation's table of the same name takes the place of one.
const SETTINGS: [(&str, &str); 3] = [
    ("[verify]", "settle = \"1s\"\n"),
    ("[limits]", "cpu = \"100%\"\nnice = 0\n"),
    ("[preflight]", "allow = [\"boot-space\"]\n"),
];

/// Makes the list of the repository anew, and reads it.
const INDEX: &str = r#"
cd /srv/repo
for deb in *.deb; do
    [ -e "$deb" ] || continue
    dpkg-deb --field "$deb"
    echo "Filename: ./$deb"
    echo "Size: $(stat -c %s "$deb")"
    echo "SHA256: $(sha256sum "$deb" | cut -d ' ' -f 1)"
    echo
done >Packages
apt-get -qq update
"#;

/// The machine, with Patchday and both services on it, and one update pending.
pub struct Scene<'a> {
    machine: &'a Machine,
    pub(super) units: Vec<String>,
    undos: RefCell<Vec<String>>,
    pub(super) last: RefCell<Option<Said>>,
    /// The report of the last run, as JSON.
    pub(super) report: RefCell<Option<String>>,
    boot: String,
}

impl<'a> Scene<'a> {
    /// Puts the settings of a situation onto the machine, and an update into its repository.
    pub(super) fn set(machine: &'a Machine, situation: &Situation) -> Result<Self> {
        let scene = Self {
            machine,
            units: situation.units.clone(),
            undos: RefCell::default(),
            last: RefCell::default(),
            report: RefCell::default(),
            boot: machine.boot_id()?,
        };
        let mut text = services(machine, &situation.database, &situation.api);
        for (table, lines) in SETTINGS {
            if !situation.settings.lines().any(|line| line.trim() == table) {
                text.push_str(&format!("{table}\n{lines}\n"));
            }
        }
        scene.configure(&(text + &situation.settings))?;
        if !machine.exists(REPOSITORY)? {
            let sources = format!("rm -f /etc/apt/sources.list.d/*; mkdir -p {REPOSITORY}");
            machine.exec_ok(&["sh", "-c", &sources])?;
            machine.write_file("/etc/apt/sources.list", &format!("deb [trusted=yes] file:{REPOSITORY} ./\n"))?;
            // It stays, for the situations that share the machine.
            scene.put(&Package::new(UPDATE, "1"))?;
            scene.install_published(UPDATE, "1")?;
        }
        let installed = machine.exec_ok(&["dpkg-query", "-W", "-f", "${Version}", UPDATE])?;
        let installed: u32 =
            installed.trim().parse().with_context(|| format!("the version of {UPDATE}: {installed}"))?;
        scene.put(&Package::new(UPDATE, (installed + 1).to_string()))?;
        Ok(scene)
    }

    /// The machine itself, for whatever else is to be done with it.
    pub fn machine(&self) -> &Machine {
        self.machine
    }

    /// Replaces the whole configuration.
    pub fn configure(&self, text: &str) -> Result<()> {
        self.machine.write_file(CONFIG, text)
    }

    /// The `[[service]]` blocks of the database and of the API, with more lines for each.
    pub fn services(&self, database: &str, api: &str) -> String {
        services(self.machine, database, api)
    }

    /// Runs a shell script that must succeed, and returns what it printed.
    pub fn shell(&self, script: &str) -> Result<String> {
        self.machine.exec_ok(&["sh", "-euc", script])
    }

    /// Takes something back when the scene is over, the last first.
    pub fn undo(&self, script: impl Into<String>) {
        self.undos.borrow_mut().push(script.into());
    }

    /// Writes a file; what was there comes back when the scene is over.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        self.remember(path)?;
        self.machine.write_file(path, content)
    }

    /// Writes a program; what was there comes back when the scene is over.
    pub fn write_program(&self, path: &str, content: &str) -> Result<()> {
        self.remember(path)?;
        self.machine.write_program(path, content.as_bytes())
    }

    fn remember(&self, path: &str) -> Result<()> {
        let number = self.undos.borrow().len();
        let kept = format!("/var/lib/lab-undo/{number}");
        self.shell(&format!(
            "mkdir -p /var/lib/lab-undo; rm -rf {kept}; if [ -e '{path}' ]; then cp -a '{path}' {kept}; fi"
        ))?;
        self.undo(format!("rm -rf '{path}'; if [ -e {kept} ]; then mv {kept} '{path}'; fi"));
        Ok(())
    }

    /// Writes a unit, and lets systemd read it. It is stopped and gone when the scene is over.
    pub fn unit(&self, name: &str, text: &str) -> Result<()> {
        self.write(&format!("/etc/systemd/system/{name}"), text)?;
        self.undo(format!("systemctl disable --now {name} 2>/dev/null || true"));
        self.machine.exec_ok(&["systemctl", "daemon-reload"]).map(drop)
    }

    /// Writes a drop-in for a unit, and lets systemd read it.
    pub fn drop_in(&self, unit: &str, text: &str) -> Result<()> {
        self.write(&format!("/etc/systemd/system/{unit}.d/lab.conf"), text)?;
        self.machine.exec_ok(&["systemctl", "daemon-reload"]).map(drop)
    }

    /// Starts a unit that must start.
    pub fn start(&self, unit: &str) -> Result<()> {
        self.machine.exec_ok(&["systemctl", "start", unit]).map(drop)
    }

    /// A property of a unit.
    pub fn show(&self, unit: &str, property: &str) -> Result<String> {
        Ok(self.machine.exec_ok(&["systemctl", "show", "-P", property, unit])?.trim().to_owned())
    }

    /// Puts a package into the repository: it waits to be installed, or upgraded to.
    pub fn publish(&self, package: &Package) -> Result<()> {
        let name = &package.name;
        self.undo(format!("rm -f {REPOSITORY}/{name}_*.deb; {INDEX}"));
        self.undo(format!("dpkg --purge --force-all {name} >/dev/null 2>&1 || rm -f /var/lib/dpkg/info/{name}.*; dpkg --purge --force-all {name} >/dev/null 2>&1 || true"));
        self.put(package)
    }

    /// The pending update has this in it, in place of nothing: see [`Package::script`].
    pub fn update_has(&self, which: &'static str, script: &str) -> Result<()> {
        let installed = self.machine.exec_ok(&["dpkg-query", "-W", "-f", "${Version}", UPDATE])?;
        let installed: u32 =
            installed.trim().parse().with_context(|| format!("the version of {UPDATE}: {installed}"))?;
        // Whatever its scripts do, the next update can be installed over it.
        self.undo(format!(
            "rm -f /var/lib/dpkg/info/{UPDATE}.p* {REPOSITORY}/{UPDATE}_*.deb; dpkg --configure -a; {INDEX}"
        ));
        self.put(&Package::new(UPDATE, (installed + 1).to_string()).script(which, script))
    }

    /// No update is pending any more.
    pub fn nothing_pending(&self) -> Result<()> {
        self.shell(&format!("rm -f {REPOSITORY}/*.deb\n{INDEX}")).map(drop)
    }

    /// Puts packages that lie on the machine into the repository, until the scene is over.
    pub fn offer(&self, files: &str) -> Result<()> {
        self.undo(format!("cd {REPOSITORY}; for file in {files}; do rm -f \"${{file##*/}}\"; done\n{INDEX}"));
        self.shell(&format!("cp {files} {REPOSITORY}\n{INDEX}")).map(drop)
    }

    /// Publishes a package and installs it.
    pub fn install(&self, package: &Package) -> Result<()> {
        self.publish(package)?;
        self.install_published(&package.name, &package.version)
    }

    fn install_published(&self, name: &str, version: &str) -> Result<()> {
        let what = format!("{name}={version}");
        let install = ["apt-get", "-qq", "-y", "--no-install-recommends", "install", &what];
        self.machine.exec_ok(&[&["env", "DEBIAN_FRONTEND=noninteractive"][..], &install].concat()).map(drop)
    }

    fn put(&self, package: &Package) -> Result<()> {
        let Package { name, version, fields, files, copies, scripts } = package;
        let tree = format!("/srv/build/{name}");
        self.shell(&format!("rm -rf {tree}"))?;
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: lab <lab@localhost>\n{fields}\
             Description: lab\n"
        );
        self.machine.write_file(&format!("{tree}/DEBIAN/control"), &control)?;
        for (which, text) in scripts {
            let path = format!("{tree}/DEBIAN/{which}");
            match ["conffiles", "triggers", "shlibs", "md5sums"].contains(which) {
                true => self.machine.write_file(&path, text)?,
                false => self.machine.write_program(&path, text.as_bytes())?,
            }
        }
        for (path, content) in files {
            self.machine.write_program(&format!("{tree}/{}", path.trim_start_matches('/')), content.as_bytes())?;
        }
        for (path, of) in copies {
            self.shell(&format!("install -D -m 0755 {of} {tree}/{}", path.trim_start_matches('/')))?;
        }
        let deb = format!("{REPOSITORY}/{name}_{version}.deb");
        self.shell(&format!("dpkg-deb --root-owner-group --build {tree} {deb} >/dev/null\n{INDEX}")).map(drop)
    }

    /// `patchday VERB`, to its end.
    pub fn patchday(&self, arguments: &[&str]) -> Result<Said> {
        let limit = PATIENCE.as_secs().to_string();
        let output = self.machine.exec(&[&["timeout", &limit, "patchday"][..], arguments].concat())?;
        let text = format!("{}{}", output.stdout, output.stderr);
        let code = output.code().filter(|code| *code != 124);
        let said = Said { verb: arguments.join(" "), code, headline: first_error(&text), text };
        self.last.replace(Some(said.clone()));
        Ok(said)
    }

    /// `patchday plan`; the headline is what blocks a run, or how long it would take.
    pub fn plan(&self, arguments: &[&str]) -> Result<Said> {
        let mut said = self.patchday(&[&["plan"], arguments].concat())?;
        let lines = || said.text.lines().map(str::trim);
        let blocker = lines().find(|line| line.starts_with('✗'));
        let warning = lines().find(|line| line.starts_with("! "));
        let last = lines().rfind(|line| line.starts_with("a run "));
        if let Some(line) = blocker.or(warning).or(last) {
            said.headline = line.to_owned();
        }
        self.last.replace(Some(said.clone()));
        Ok(said)
    }

    /// `patchday run --yes`, to its end, over its reboot too; what is said includes the report.
    pub fn run(&self, arguments: &[&str]) -> Result<Said> {
        self.begin_run(arguments)?.ended()
    }

    /// Begins `patchday run --yes` and leaves it running.
    pub fn begin_run(&self, arguments: &[&str]) -> Result<Running<'_, 'a>> {
        let limit = PATIENCE.as_secs().to_string();
        let verb = [&["run", "--yes"], arguments].concat();
        let before = self.run_id();
        let child = self.machine.spawn(&[&["timeout", &limit, "patchday"][..], &verb].concat())?;
        Ok(Running { scene: self, child, verb: verb.join(" "), before })
    }

    /// What a verb says as JSON: `report --json`, `status --json`, `plan --json`.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.machine.exec(&[&["patchday"], arguments].concat())?;
        serde_json::from_str(&output.stdout).with_context(|| format!("{arguments:?}: {output:?}"))
    }

    pub(super) fn run_id(&self) -> Option<String> {
        Some(self.json(&["status", "--json"]).ok()?["run"].as_str()?.to_owned())
    }

    /// What is wrong with the host, in words: a service that does not serve, and what Patchday has left.
    pub fn wrongs(&self) -> Result<Vec<String>> {
        let mut wrongs = Vec::new();
        for unit in &self.units {
            let state = self.show(unit, "ActiveState")?;
            if state != "active" {
                wrongs.push(format!("{unit} is {state}"));
            }
            let drop_ins = self.show(unit, "DropInPaths")?;
            if drop_ins.contains("patchday") {
                wrongs.push(format!("{unit} is still held"));
            }
        }
        match self.machine.request("GET", "/health") {
            Ok(response) if response.status == 200 => {}
            Ok(response) => wrongs.push(format!("the API says {}", response.status)),
            Err(_) => wrongs.push("the API does not answer".to_owned()),
        }
        let left = self.shell(
            "systemctl list-units --all --plain --no-legend --type=service 'patchday-*' | cut -d ' ' -f 1 | \
             grep -v '^patchday-\\(resume\\|witness\\).service$' || true",
        )?;
        wrongs.extend(left.lines().map(|unit| format!("{unit} is left")));
        let inhibitors = self.shell("systemd-inhibit --list --no-legend | grep -ic patchday || true")?;
        if inhibitors.trim() != "0" {
            wrongs.push("Patchday still inhibits the shutdown".to_owned());
        }
        if !self.shell("dpkg --audit 2>&1 | head -n 3")?.trim().is_empty() {
            wrongs.push("dpkg is not clean".to_owned());
        }
        if self.machine.exists("/var/lib/patchday/open-run")? {
            wrongs.push("the run is open".to_owned());
        }
        Ok(wrongs)
    }

    /// Both services serve, and nothing of Patchday is left. The last coordinator may be a moment behind its own record.
    pub fn serves(&self) -> Result<()> {
        let mut last = Vec::new();
        let waited = wait_for("the host to serve again", SOON, || {
            last = self.wrongs()?;
            Ok(last.is_empty().then_some(()))
        });
        waited.with_context(|| last.join(", "))
    }

    /// The host afterwards, in words.
    pub(super) fn afterwards(&self) -> String {
        let wrongs = self.wrongs().unwrap_or_else(|error| vec![format!("{error}")]);
        let reboot = self.machine.boot_id().is_ok_and(|boot| boot != self.boot);
        let state = if wrongs.is_empty() { "in service".to_owned() } else { wrongs.join(", ") };
        if reboot { format!("rebooted, {state}") } else { state }
    }

    /// Puts back what was written, for the next situation on this machine.
    pub(super) fn take_back(&self) -> Result<()> {
        for undo in self.undos.take().into_iter().rev() {
            self.shell(&undo)?;
        }
        self.shell(
            "systemctl daemon-reload; systemctl reset-failed; systemctl restart mongod.service sample-api.service; \
             rm -rf /var/lib/patchday/* /var/cache/apt/archives/*.deb",
        )?;
        self.machine.wait_until_healthy(SOON)?;
        self.serves()
    }
}

/// The first error of a text, or its first line.
pub(super) fn first_error(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.clone().next().unwrap_or_default();
    lines.find(|line| line.starts_with("error:")).unwrap_or(first).to_owned()
}

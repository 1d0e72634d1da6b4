//! Machines with the three shapes of MongoDB, and the configuration of Patchday for each.

use crate::{certificates, work};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use patchday_lab::{Lab, Machine, Suite, wait_for};
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Patchday's password, looked for everywhere afterwards.
pub(crate) const PASSWORD: &str = "s3cret-of-patchday";
const API_PASSWORD: &str = "of-the-api";
pub(crate) const WAIT: Duration = Duration::from_secs(120);
const CERTIFICATES: &str = "/etc/mongodb";

/// The role of docs/mongodb.md.
const ACTIONS: [&str; 8] = [
    "shutdown",
    "serverStatus",
    "inprog",
    "getCmdLineOpts",
    "getParameter",
    "replSetGetStatus",
    "replSetGetConfig",
    "replSetStateChange",
];

/// What MongoDB is on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// A server alone.
    Standalone,
    /// With a login and TLS.
    Secured,
    /// Three members in one machine.
    Set,
    /// A member in each of three machines; the first, which is primary whenever it can be, is the one that is patched.
    Machines,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Secured => "login and TLS",
            Self::Set => "set of three",
            Self::Machines => "three machines",
        }
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::Set | Self::Machines)
    }
}

/// A machine with MongoDB of one shape.
pub(crate) struct Site {
    pub(crate) machine: Machine,
    /// Where the other members of [`Shape::Machines`] live.
    pub(crate) others: Vec<Machine>,
    pub(crate) shape: Shape,
    pub(crate) runtime: Runtime,
    /// Ports of the members; the first is that of `mongod.service`.
    pub(crate) ports: Vec<u16>,
    /// The CA's certificate on this host, for clients from here.
    certificates: tempfile_dir::Dir,
}

/// A directory of our own that is removed in the end.
mod tempfile_dir {
    use std::path::PathBuf;

    pub(crate) struct Dir(pub(crate) PathBuf);

    impl Drop for Dir {
        fn drop(&mut self) {
            // What stays in the directory for temporary files is nobody's harm.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl Site {
    pub(crate) fn new(patchday: &Path, systemd: &Path, shape: Shape, name: &str) -> Result<Self> {
        let machine = Lab::new()?.booted_machine(Suite::Bookworm, name)?;
        machine.install(patchday, systemd)?;
        machine.exec_ok(&["mkdir", "-p", "/etc/patchday", CERTIFICATES])?;
        let directory = std::env::temp_dir().join(format!("patchday-lab-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut site = Self {
            ports: vec![machine.mongod_port()],
            machine,
            others: Vec::new(),
            shape,
            runtime,
            certificates: tempfile_dir::Dir(directory),
        };
        match shape {
            Shape::Standalone => {}
            Shape::Secured => site.secure()?,
            Shape::Set => site.make_set()?,
            Shape::Machines => site.make_set_of_machines(name)?,
        }
        work::make_repository(&site.machine)?;
        site.configure("")?;
        Ok(site)
    }

    /// The units of the machine's databases, in the order of the ports.
    pub(crate) fn units(&self) -> Vec<String> {
        let name = |at: usize| if at == 0 { "mongod.service".into() } else { format!("mongod-{at}.service") };
        (0..self.ports.len() - self.others.len()).map(name).collect()
    }

    /// Writes Patchday's configuration. `extra` goes into every `[service.mongodb]`.
    pub(crate) fn configure(&self, extra: &str) -> Result<()> {
        let all: Vec<usize> = (0..self.units().len()).collect();
        self.configure_members(&all, extra)
    }

    /// The same, with some of the members only.
    pub(crate) fn configure_members(&self, members: &[usize], extra: &str) -> Result<()> {
        let units = self.units();
        let mut text = String::new();
        for at in members {
            let way = match self.shape {
                _ if extra.contains("uri") => String::new(),
                Shape::Secured => "uri-file = \"/etc/patchday/mongodb.uri\"".to_owned(),
                _ => format!("uri = \"mongodb://127.0.0.1:{}\"", self.ports[*at]),
            };
            text += &format!(
                "[[service]]\nunit = \"{}\"\nkind = \"mongodb\"\nstop-timeout = \"40s\"\nstart-timeout = \"90s\"\n\
                 drain-timeout = \"3s\"\n[service.mongodb]\n{way}\n{extra}\n\n",
                units[*at]
            );
        }
        let after: Vec<String> = members.iter().map(|at| format!("\"{}\"", units[*at])).collect();
        text += &format!(
            "[[service]]\nunit = \"sample-api.service\"\nafter = [{}]\nstart-timeout = \"90s\"\n[service.readiness]\n\
             probe = \"http\"\nurl = \"http://127.0.0.1:{}/health\"\n\n[limits]\ncpu = \"80%\"\n[verify]\nsettle = \"2s\"\n",
            after.join(", "),
            self.machine.api_port()
        );
        self.machine.write_file("/etc/patchday/patchday.toml", &text)
    }

    /// A client from this host, as the administrator where a login is wanted.
    pub(crate) fn client(&self, app: &str, options: &str) -> Result<Client> {
        let ports: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let set = if self.shape.is_set() { "&replicaSet=rs0" } else { "&directConnection=true" };
        self.client_of(&ports.join(","), app, &format!("{set}{options}"))
    }

    /// A client of one member.
    pub(crate) fn member(&self, at: usize, app: &str) -> Result<Client> {
        self.client_of(&format!("127.0.0.1:{}", self.ports[at]), app, "&directConnection=true")
    }

    fn client_of(&self, hosts: &str, app: &str, options: &str) -> Result<Client> {
        let (login, tls) = match self.shape {
            Shape::Secured => {
                let ca = self.certificates.0.join("ca.pem");
                (format!("root:{PASSWORD}-root@"), format!("&authSource=admin&tls=true&tlsCAFile={}", ca.display()))
            }
            _ => (String::new(), String::new()),
        };
        let uri = format!(
            "mongodb://{login}{hosts}/?appName={app}&serverSelectionTimeoutMS=2000&connectTimeoutMS=2000{tls}{options}"
        );
        self.runtime.block_on(async { Client::with_uri_str(uri).await }).context("cannot set up a client")
    }

    pub(crate) fn admin(&self, at: usize) -> Result<Database> {
        Ok(self.member(at, "lab")?.database("admin"))
    }

    pub(crate) fn command(&self, at: usize, command: Document) -> Result<Document> {
        let admin = self.admin(at)?;
        let answer = self.runtime.block_on(async { admin.run_command(command).await });
        answer.context("the database refuses")
    }

    pub(crate) fn wait_for_database(&self, at: usize) -> Result<()> {
        wait_for(&format!("mongod {at}"), WAIT, || Ok(self.command(at, doc! { "ping": 1 }).ok().map(drop)))
    }

    /// Users, certificates, and a configuration that asks for both.
    fn secure(&mut self) -> Result<()> {
        let root = format!("{PASSWORD}-root");
        let make = |site: &Self, command: Document| {
            let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", site.ports[0]);
            site.runtime
                .block_on(async { Client::with_uri_str(uri).await?.database("admin").run_command(command).await })
        };
        let privilege = doc! { "resource": { "cluster": true }, "actions": ACTIONS.to_vec() };
        let canary = doc! { "resource": { "db": "patchday", "collection": "" }, "actions": ["find", "dbHash"] };
        let open = format!("mongodb://127.0.0.1:{}/?directConnection=true", self.ports[0]);
        self.runtime.block_on(async {
            let canaries = Client::with_uri_str(&open).await?.database("patchday").collection::<Document>("canary");
            canaries.insert_one(doc! { "_id": 1, "sings": true }).await
        })?;
        make(self, doc! { "createRole": "patchday", "privileges": [privilege, canary], "roles": [] })?;
        make(
            self,
            doc! { "createRole": "watcher", "privileges": [
                { "resource": { "cluster": true }, "actions": ACTIONS[1..].to_vec() },
            ], "roles": [] },
        )?;
        for (user, password, role) in [
            ("root", root.as_str(), "root"),
            ("patchday", PASSWORD, "patchday"),
            ("watcher", PASSWORD, "watcher"),
            ("api", API_PASSWORD, "readWriteAnyDatabase"),
        ] {
            make(self, doc! { "createUser": user, "pwd": password, "roles": [role] })?;
        }
        // Who logs in with a certificate is named by its subject.
        let role = doc! { "role": "patchday", "db": "admin" };
        let external = doc! { "createUser": "CN=patchday,OU=clients,O=lab", "roles": [role] };
        self.runtime
            .block_on(async { Client::with_uri_str(&open).await?.database("$external").run_command(external).await })?;
        certificates::make(&self.machine, &self.certificates.0, CERTIFICATES)?;
        let conf = self.machine.read_file("/etc/mongod.conf")?;
        let tls = format!(
            "net:\n  tls:\n    mode: requireTLS\n    certificateKeyFile: {CERTIFICATES}/server.pem\n    CAFile: \
             {CERTIFICATES}/ca.pem\n    allowConnectionsWithoutCertificates: true\n"
        );
        let conf = conf.replace("net:\n", &tls) + "security:\n  authorization: enabled\n";
        self.machine.write_file("/etc/mongod.conf", &conf)?;
        self.machine.exec_ok(&["systemctl", "restart", "mongod.service"])?;
        self.login("patchday", PASSWORD)?;
        let uri = format!(
            "mongodb://api:{API_PASSWORD}@127.0.0.1:{}/?authSource=admin&tls=true&tlsCAFile={CERTIFICATES}/ca.pem",
            self.ports[0]
        );
        self.set_api_database(&uri)
    }

    /// The connection string with which Patchday logs in.
    pub(crate) fn login(&self, user: &str, password: &str) -> Result<()> {
        let uri = format!(
            "mongodb://{user}:{password}@127.0.0.1:{}/?authSource=admin&tls=true&tlsCAFile={CERTIFICATES}/ca.pem\n",
            self.ports[0]
        );
        self.machine.write_file("/etc/patchday/mongodb.uri", &uri)?;
        self.machine.exec_ok(&["chmod", "0600", "/etc/patchday/mongodb.uri"]).map(drop)
    }

    fn set_api_database(&self, uri: &str) -> Result<()> {
        let drop_in = format!(
            "[Service]\nExecStart=\nExecStart=/usr/bin/sample-api --listen 127.0.0.1:{} --database {}\n",
            self.machine.api_port(),
            // systemd has a meaning of its own for this sign.
            uri.replace('%', "%%")
        );
        self.machine.write_file("/etc/systemd/system/sample-api.service.d/database.conf", &drop_in)?;
        self.machine.exec_ok(&["systemctl", "daemon-reload"])?;
        self.machine.exec_ok(&["systemctl", "restart", "sample-api.service"])?;
        self.machine.wait_until_healthy(WAIT)
    }

    /// A run has something to do: one small package to upgrade, and a reboot that is wanted.
    pub(crate) fn want_work(&self) -> Result<()> {
        self.machine.exec_ok(&["dpkg", "--install", "/srv/old.deb"])?;
        self.machine.write_file("/run/reboot-required", "*** System restart required ***\n")?;
        self.machine.write_file("/run/reboot-required.pkgs", "libc6\n")
    }

    /// A whole run with its reboot; its exit code and its report.
    pub(crate) fn run(&self) -> Result<(i32, String)> {
        self.want_work()?;
        let boot = self.machine.boot_id()?;
        let mut run = self.machine.spawn(&["patchday", "run", "--yes"])?;
        let gave_up = wait_for("the reboot or the end of the run", Duration::from_secs(600), || {
            if self.machine.boot_id().is_ok_and(|now| now != boot) {
                return Ok(Some(false));
            }
            // A command that goes down with its machine has the exit code of a signal.
            Ok(run.try_wait()?.and_then(|status| status.code()).filter(|code| (1..128).contains(code)).map(|_| true))
        })?;
        if gave_up {
            bail!("the run ended without its reboot:\n{}", self.machine.exec(&["patchday", "report"])?.stdout);
        }
        self.machine.wait_for_reboot(&boot, Duration::from_secs(120))?;
        let _went_down_with_the_machine = run.wait()?;
        let end = self.machine.exec(&["patchday", "attach", "--last"])?;
        let report = self.machine.exec_ok(&["patchday", "report", "--json"])?;
        Ok((end.code().unwrap_or(-1), report))
    }

    /// A run without a reboot; its exit code and everything that it said.
    pub(crate) fn stop_only(&self, arguments: &[&str]) -> Result<(i32, String)> {
        self.want_work()?;
        let command = [&["patchday", "run", "--yes", "--no-reboot"], arguments].concat();
        let output = self.machine.exec(&command)?;
        Ok((output.code().unwrap_or(-1), format!("{}{}", output.stderr, output.stdout)))
    }

    /// Whether every service is active and nothing holds it.
    pub(crate) fn is_in_service(&self) -> bool {
        let mut units = self.units();
        units.push("sample-api.service".to_owned());
        self.machine.wait_until_healthy(Duration::from_secs(60)).is_ok()
            && units.iter().all(|unit| {
                let show = |property: &str| self.machine.exec_ok(&["systemctl", "show", "-P", property, unit]);
                show("ActiveState").is_ok_and(|state| state.trim() == "active")
                    && show("DropInPaths").is_ok_and(|paths| !paths.contains("patchday"))
            })
    }
}

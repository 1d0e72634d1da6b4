//! The Debian package: built twice in two places of a Debian 12, whose C library is the oldest that it runs with, and
//! compared.

use anyhow::{Context, Result, bail};
use clap::Args;
use patchday_lab::{CleanRoom, Lab};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use toml::Table;

use crate::clean_room::{PATH, said, source};

const ROOM: [&str; 4] = ["build-essential", "ca-certificates", "lintian", "man-db"];

/// What Debian has not: cargo's own packages, built in the room.
const TOOLS: [(&str, &str); 3] = [("cargo-auditable", "0.7.7"), ("cargo-about", "0.9.3"), ("cargo-deb", "3.8.0")];

/// Of other lengths, so that a path that gets into the program is seen.
const PLACES: [&str; 2] = ["one", "another/place"];

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Beside the sources, where `Cargo.toml` names what is made.
const MADE: &str = "target/package";

#[derive(Debug, Args)]
pub(crate) struct Package {
    /// The directory where the package is put
    #[arg(long, default_value = MADE)]
    out: PathBuf,
    /// Build it once, and compare nothing
    #[arg(long)]
    once: bool,
    /// The room's directory, and its tree: for the part of this that runs with mounts of its own
    #[arg(long, hide = true, num_args = 2)]
    inside: Vec<PathBuf>,
}

impl Package {
    pub(crate) fn make(&self) -> Result<ExitCode> {
        match &self.inside[..] {
            [directory, tree] => self.inside(directory, tree)?,
            _ => self.outside()?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn places(&self) -> &[&str] {
        if self.once { &PLACES[..1] } else { &PLACES }
    }

    fn outside(&self) -> Result<()> {
        let this = env::current_exe().context("cannot tell the path of this program")?;
        let lab = Lab::new()?;
        let room = CleanRoom::with(&lab, "package", "bookworm", &ROOM)?;
        let source = source()?;
        if !said(Command::new("git").arg("-C").arg(&source).args(["status", "--porcelain"]))?.is_empty() {
            eprintln!("lab: what is not committed is not in the package");
        }
        for place in self.places() {
            let place = room.directory().join(place);
            succeeds(Command::new("git").args(["clone", "--quiet"]).arg(&source).arg(&place))?;
        }
        succeeds(Command::new("cargo").args(["fetch", "--locked", "--quiet"]).current_dir(&source))?;
        fs::create_dir_all(tools(&lab)).context("cannot make a directory for cargo's tools")?;
        fs::create_dir_all(&self.out).with_context(|| format!("cannot make {}", self.out.display()))?;
        let mut command = CleanRoom::entered_by(&this);
        command.arg("package").arg("--out").arg(self.out.canonicalize().context("cannot resolve --out")?);
        if self.once {
            command.arg("--once");
        }
        succeeds(command.arg("--inside").arg(room.directory()).arg(room.tree()))
    }

    fn inside(&self, directory: &Path, tree: &Path) -> Result<()> {
        let lab = Lab::new()?;
        let builder = Builder::enter(&lab, directory, tree)?;
        builder.install_tools()?;
        // Each is kept as soon as it is there: a build takes minutes, and what comes after it may fail.
        let mut kept = Vec::new();
        let mut packages = Vec::new();
        for (number, place) in (1..).zip(self.places()) {
            let began = Instant::now();
            let package = builder.build(&directory.join(place))?;
            eprintln!("lab: built {} in {:.0} s", package.display(), began.elapsed().as_secs_f64());
            let copy = self.out.join(format!("build-{number}-{}", name_of(&package)?));
            fs::copy(&package, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
            kept.push(copy);
            packages.push(package);
        }
        let contents =
            kept.iter().map(|file| fs::read(file).with_context(|| format!("cannot read {}", file.display())));
        let contents: Vec<Vec<u8>> = contents.collect::<Result<_>>()?;
        println!("{}", builder.hashes(&packages)?);
        if contents.iter().any(|content| content != &contents[0]) {
            bail!(
                "two builds of one commit differ, see {}: something of the place or of the time is in them",
                self.out.display()
            );
        }
        println!("{}", builder.said("dpkg-deb", &["--info", &packages[0].display().to_string()])?);
        let package = self.out.join(name_of(&packages[0])?);
        fs::rename(&kept[0], &package).with_context(|| format!("cannot write {}", package.display()))?;
        for other in &kept[1..] {
            fs::remove_file(other).with_context(|| format!("cannot remove {}", other.display()))?;
        }
        println!("{}: {} KiB", package.display(), contents[0].len() / 1024);
        builder.run("lintian", &["--fail-on", "error,warning", "--info", &packages[0].display().to_string()])
    }
}

/// Programs of a room in which things are built.
struct Builder {
    root: PathBuf,
    rust: String,
    cargo_home: PathBuf,
    tools: PathBuf,
    place: Option<PathBuf>,
}

impl Builder {
    fn enter(lab: &Lab, directory: &Path, tree: &Path) -> Result<Self> {
        let home = env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
        let cargo_home = env::var_os("CARGO_HOME").map_or_else(|| Path::new(&home).join(".cargo"), PathBuf::from);
        let rust = said(Command::new("rustc").args(["--print", "sysroot"]))?;
        let tools = tools(lab);
        let shown = [rust.clone().into(), "/etc/ssl/certs".into()];
        let places = PLACES.map(|place| directory.join(place));
        let writable: Vec<PathBuf> =
            places.into_iter().filter(|place| place.exists()).chain([cargo_home.clone(), tools.clone()]).collect();
        let root = CleanRoom::mount(tree, directory, &shown, &writable)?;
        fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf")).context("cannot copy /etc/resolv.conf")?;
        Ok(Self { root, rust, cargo_home, tools, place: None })
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.root).args(["env", "-i"]);
        if let Some(place) = &self.place {
            command.arg("-C").arg(place);
        }
        let tools = self.tools.join("bin");
        command.arg(format!("PATH={}:{}/bin:{PATH}", tools.display(), self.rust));
        command.arg(format!("CARGO_HOME={}", self.cargo_home.display()));
        command.args(["HOME=/root", "LC_ALL=C.UTF-8", "TZ=UTC", "CARGO_INCREMENTAL=0"]);
        for variable in ["http_proxy", "https_proxy", "SSL_CERT_FILE"] {
            if let Ok(value) = env::var(variable) {
                command.arg(format!("{variable}={value}"));
            }
        }
        if let Some(place) = &self.place {
            command.args(self.reproducible(place));
        }
        command.arg(program).args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        succeeds(&mut self.command(program, arguments))
    }

    fn said(&self, program: &str, arguments: &[&str]) -> Result<String> {
        said(&mut self.command(program, arguments))
    }

    fn hashes(&self, packages: &[PathBuf]) -> Result<String> {
        let packages: Vec<String> = packages.iter().map(|package| package.display().to_string()).collect();
        self.said("sha256sum", &packages.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn install_tools(&self) -> Result<()> {
        for (tool, version) in TOOLS {
            if !self.tools.join("bin").join(tool).exists() {
                let root = self.tools.display().to_string();
                let wanted = format!("{tool}@{version}");
                let features: &[&str] = if tool == "cargo-about" { &["--features", "cli"] } else { &[] };
                self.run("cargo", &[&["install", "--locked", "--quiet", "--root", &root, &wanted], features].concat())?;
            }
        }
        Ok(())
    }

    /// What keeps the place and the time out of what is built.
    fn reproducible(&self, place: &Path) -> Vec<String> {
        let epoch = said(Command::new("git").arg("-C").arg(place).args(["log", "-1", "--format=%ct"]));
        let epoch = epoch.unwrap_or_default();
        let (place, home) = (place.display(), self.cargo_home.display());
        let places = [format!("{place}=/usr/src/patchday"), format!("{home}=/usr/src/cargo")];
        let rust = places.iter().map(|place| format!("--remap-path-prefix={place}")).collect::<Vec<_>>().join(" ");
        let c = places.iter().map(|place| format!("-ffile-prefix-map={place}")).collect::<Vec<_>>().join(" ");
        vec![format!("SOURCE_DATE_EPOCH={epoch}"), format!("RUSTFLAGS={rust}"), format!("CFLAGS={c}")]
    }

    /// Builds it in a clone of the project, and returns where it is.
    fn build(&self, place: &Path) -> Result<PathBuf> {
        let here = Self {
            place: Some(place.to_owned()),
            root: self.root.clone(),
            rust: self.rust.clone(),
            cargo_home: self.cargo_home.clone(),
            tools: self.tools.clone(),
        };
        let own = ["--locked", "--offline", "--profile", "dist"];
        here.run("cargo", &[&["auditable", "build", "--package", "patchday", "--bin", "patchday"], &own[..]].concat())?;
        let made = place.join(MADE);
        for directory in ["man", "completions"] {
            fs::create_dir_all(made.join(directory)).with_context(|| format!("cannot make {directory}"))?;
        }
        let program = "target/dist/patchday";
        here.run(program, &["man", &format!("{MADE}/man")])?;
        for (shell, file) in [("bash", "patchday"), ("zsh", "_patchday"), ("fish", "patchday.fish")] {
            let script = here.said(program, &["completions", shell])?;
            fs::write(made.join("completions").join(file), script + "\n")
                .context("cannot write a completion script")?;
        }
        fs::write(made.join("about.toml"), accepted(place)?).context("cannot write about.toml")?;
        let (about, third_party) = (format!("{MADE}/about.toml"), format!("{MADE}/THIRD-PARTY"));
        let generate = ["about", "generate", "--locked", "--offline", "--fail", "--config", &about, "--output-file"];
        here.run("cargo", &[&generate[..], &[&third_party, "systemd/deb/third-party.hbs"]].concat())?;
        here.run("cargo", &[&["deb", "--no-build", "--no-strip", "--output", MADE], &own[..]].concat())?;
        let mut files = fs::read_dir(&made).context("cannot list what was made")?.flatten();
        let package = files.find(|file| file.path().extension().is_some_and(|extension| extension == "deb"));
        Ok(package.context("cargo deb left no package")?.path())
    }
}

/// The licences that the project takes, as `cargo about` wants to be told.
fn accepted(place: &Path) -> Result<String> {
    let rules = fs::read_to_string(place.join(".deny.toml")).context("cannot read .deny.toml")?;
    let rules: Table = rules.parse().context("cannot read .deny.toml")?;
    let mut about = Table::new();
    about.insert("accepted".into(), rules["licenses"]["allow"].clone());
    about.insert("targets".into(), vec![TARGET].into());
    for key in ["ignore-dev-dependencies", "ignore-build-dependencies"] {
        about.insert(key.into(), true.into());
    }
    Ok(about.to_string())
}

fn tools(lab: &Lab) -> PathBuf {
    let versions: Vec<String> = TOOLS.iter().map(|(tool, version)| format!("{tool}-{version}")).collect();
    lab.cache().join(versions.join("_"))
}

fn name_of(file: &Path) -> Result<&str> {
    file.file_name().and_then(|name| name.to_str()).context("a package without a name")
}

fn succeeds(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{:?} failed: {status}", command.get_args().collect::<Vec<_>>());
    }
    Ok(())
}

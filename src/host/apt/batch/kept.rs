//! How configuration files were before a batch. A file that a power cut has cut to nothing looks to dpkg, and to ucf, like one
//! that the administrator has changed, and would be kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::diversions::Diversions;
use super::super::{QUERY_TIMEOUT, below, conffiles};
use super::log;
use crate::atomic_file;
use crate::host::command;
use crate::host::{HostError, HostResult};
use crate::model::BatchPlan;

pub(super) const RECORD: &str = "files.json";
const COPIES: &str = "kept";
const FORMAT: u32 = 1;

/// Where ucf has the hashes of the files that it has put somewhere.
pub(super) const UCF: &str = "/var/lib/ucf/hashfile";

/// Written whole by scripts of packages and by apt itself, and by nobody synced: as they were they are right, since all of
/// the batch's scripts run again.
const REWRITTEN: [&str; 4] =
    [UCF, "/var/cache/debconf/config.dat", "/var/cache/debconf/templates.dat", "/var/cache/debconf/passwords.dat"];

/// The same, where what is there is newer and right, unless it is cut.
const RENEWED: [&str; 6] =
    ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/shells", "/var/lib/apt/extended_states"];

/// Where scripts write what neither dpkg nor ucf knows of.
const SETTINGS: &str = "/etc";

/// Files of it that are kept, and how large one may be: all of a host's settings, and no repository that somebody has there.
const MOST_SETTINGS: usize = 10_000;
const LARGEST_SETTING: u64 = 1 << 20;

/// A configuration file is a text. What is larger is somebody's data, and left alone.
pub(super) const LARGEST: u64 = 16 << 20;

/// What a file is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// dpkg's, as its package left it.
    AsPackaged,
    /// dpkg's, as somebody has changed it, or what lies where a package will have one.
    Changed,
    /// dpkg's, and somebody has removed it.
    Removed,
    /// Nothing lies where a package will have one.
    New,
    /// It is put back as it was.
    Rewritten,
    /// It is put back as it was if it is cut, or gone.
    Renewed,
    /// It is put back as it was if it is cut: a script may have removed it, and rightly.
    Setting,
}

/// A file as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Where it lies: behind a diversion, that is another place than its package says.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// The name of its copy; none where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) copy: Option<String>,
    #[serde(default)]
    pub(super) mode: u32,
    #[serde(default)]
    pub(super) user: u32,
    #[serde(default)]
    pub(super) group: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) format: u32,
    pub(super) files: Vec<Kept>,
    /// The new versions: their files, each with its configuration files and where those lie.
    pub(super) archives: Vec<Packaged>,
}

/// Configuration files of a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packaged {
    pub(super) file: String,
    /// In the package, and on the host.
    pub(super) conffiles: Vec<(String, String)>,
}

/// Records all of them in the directory of the log.
pub(super) async fn keep(root: &Path, directory: &Path, batch: &BatchPlan) -> HostResult<()> {
    let diversions =
        Diversions::read(root).map_err(|why| HostError::failed("find where configuration files lie", why))?;
    let names: Vec<&str> = batch.archives.iter().map(|archive| archive.package.as_str()).collect();
    let text = known_to_dpkg(root, &names).await?;
    // Of the versions that are installed: where each lies, and what dpkg knows of it.
    let old: BTreeMap<String, String> = conffiles::parse(&text)
        .iter()
        .map(|file| (diversions.place(file.path, file.package).to_owned(), file.md5.to_owned()))
        .collect();
    let archives: Vec<Packaged> = batch
        .archives
        .iter()
        .map(|archive| {
            let place = |path: &String| (path.clone(), diversions.place(path, &archive.package).to_owned());
            Packaged { file: archive.file.clone(), conffiles: archive.conffiles.iter().map(place).collect() }
        })
        .collect();
    let new = archives.iter().flat_map(|archive| archive.conffiles.iter().map(|(_, place)| place.clone()));
    let all: BTreeSet<String> = old.keys().cloned().chain(new).collect();
    let sums = sums(root, &all).await?;

    log::make(&directory.join(COPIES))?;
    let mut files = Vec::new();
    let mut keep = |path: &str, kind: Kind| -> HostResult<()> {
        let failed = |error| HostError::failed(format!("keep a copy of {path}"), error);
        let kept = copied(root, directory, path, kind, files.len()).map_err(failed)?;
        files.extend(kept);
        Ok(())
    };
    for path in &all {
        let is_there = fs::symlink_metadata(below(root, path)).is_ok();
        let kind = match (old.get(path), sums.get(path)) {
            (Some(md5), Some(sum)) if md5 == sum => Kind::AsPackaged,
            (Some(_), None) if !is_there => Kind::Removed,
            (None, None) if !is_there => Kind::New,
            _ => Kind::Changed,
        };
        keep(path, kind)?;
    }
    let renewed: BTreeSet<String> = registered(root).into_iter().chain(RENEWED.map(str::to_owned)).collect();
    for path in renewed.difference(&all) {
        keep(path, Kind::Renewed)?;
    }
    for path in settings(root).iter().filter(|path| !all.contains(*path) && !renewed.contains(*path)) {
        keep(path, Kind::Setting)?;
    }
    for path in REWRITTEN {
        keep(path, Kind::Rewritten)?;
    }
    let record = Record { format: FORMAT, files, archives };
    let path = directory.join(RECORD);
    let written = serde_json::to_vec(&record).map_err(std::io::Error::from);
    let written = written.and_then(|text| atomic_file::replace(&path, &text, 0o600));
    written.map_err(|error| HostError::failed(format!("write {}", path.display()), error))
}

/// What [`keep`] has recorded.
pub(super) fn read(directory: &Path) -> Result<Record, String> {
    let path = directory.join(RECORD);
    let text = fs::read(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
    let record: Record = serde_json::from_slice(&text)
        .map_err(|error| format!("{} is not as Patchday wrote it: {error}", path.display()))?;
    if record.format > FORMAT {
        return Err(format!("{} was written by a newer Patchday", path.display()));
    }
    Ok(record)
}

async fn known_to_dpkg(root: &Path, names: &[&str]) -> HostResult<String> {
    let admin_dir = format!("--admindir={}", below(root, "/var/lib/dpkg").display());
    let query: Vec<&str> =
        [admin_dir.as_str(), "-W", conffiles::FORMAT, "--"].into_iter().chain(names.iter().copied()).collect();
    // Fails for those that are new, and tells the others all the same.
    let said = command::read(root, "dpkg-query", &query, QUERY_TIMEOUT).await?;
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// The MD5 of each regular file that is there: dpkg's own hash.
async fn sums(root: &Path, paths: &BTreeSet<String>) -> HostResult<BTreeMap<String, String>> {
    let is_file = |path: &&String| fs::symlink_metadata(below(root, path)).is_ok_and(|metadata| metadata.is_file());
    let there: Vec<&String> = paths.iter().filter(is_file).collect();
    if there.is_empty() {
        return Ok(BTreeMap::new());
    }
    let real: Vec<String> = there.iter().map(|path| below(root, path).display().to_string()).collect();
    let arguments: Vec<&str> = ["--"].into_iter().chain(real.iter().map(String::as_str)).collect();
    let said = command::read(root, "md5sum", &arguments, QUERY_TIMEOUT).await?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let by_name: BTreeMap<&str, &str> =
        said.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name, sum)).collect();
    let known = there.into_iter().zip(&real);
    Ok(known.filter_map(|(path, real)| Some((path.clone(), (*by_name.get(real.as_str())?).to_owned()))).collect())
}

/// A file, with its copy where one may be needed. What is no regular file is the administrator's, and left alone.
fn copied(root: &Path, directory: &Path, path: &str, kind: Kind, number: usize) -> std::io::Result<Option<Kept>> {
    let real = below(root, path);
    let kept = |copy, metadata: Option<&Metadata>| Kept {
        path: path.to_owned(),
        kind,
        copy,
        mode: metadata.map_or(0, |metadata| metadata.mode() & 0o7777),
        user: metadata.map_or(0, |metadata| metadata.uid()),
        group: metadata.map_or(0, |metadata| metadata.gid()),
    };
    let metadata = match fs::symlink_metadata(&real) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(kept(None, None))),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Ok(None);
    }
    if kind == Kind::AsPackaged {
        return Ok(Some(kept(None, Some(&metadata))));
    }
    let copy = number.to_string();
    fs::copy(&real, directory.join(COPIES).join(&copy))?;
    Ok(Some(kept(Some(copy), Some(&metadata))))
}

/// Where a copy is.
pub(super) fn copy(directory: &Path, name: &str) -> PathBuf {
    directory.join(COPIES).join(name)
}

/// Every regular file of the host's settings, as far as it is one of a size that settings have.
pub(super) fn settings(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut waiting = vec![SETTINGS.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(below(root, &directory)).into_iter().flatten().flatten() {
            let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) else { continue };
            let path = format!("{directory}/{name}");
            if metadata.is_dir() && name != ".git" {
                waiting.push(path);
            } else if metadata.is_file() && metadata.len() <= LARGEST_SETTING && files.len() < MOST_SETTINGS {
                files.push(path);
            }
        }
    }
    files
}

/// Files that ucf has put somewhere.
fn registered(root: &Path) -> Vec<String> {
    let text = fs::read(below(root, UCF)).unwrap_or_default();
    registered_in(&String::from_utf8_lossy(&text))
}

/// `MD5  PATH`, line by line.
pub(super) fn registered_in(text: &str) -> Vec<String> {
    let path = |line: &str| line.split_once(char::is_whitespace).map(|(_, path)| path.trim().to_owned());
    text.lines().filter_map(path).filter(|path| path.starts_with('/')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ucf_is_a_hash_and_a_path() {
        assert_eq!(registered_in("aa  /etc/x y\nspoiled\nbb\t/etc/z\n"), ["/etc/x y", "/etc/z"]);
    }
}

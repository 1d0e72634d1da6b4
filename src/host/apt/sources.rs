//! Whether apt's sources answer. apt itself is asked where its indexes are, and fetches one small file of each
//! repository with its own methods, proxies and credentials, into a directory below `/run` that is removed again. The
//! package lists stay as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;

use super::{Apt, pinned};
use crate::host::command::{self, below};
use crate::host::{HostError, HostResult};
use crate::model::{SourceState, without_credentials};

/// Longer than a slow mirror, shorter than apt's own patience of two minutes for each.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);
const LIST_TIMEOUT: Duration = Duration::from_secs(20);
/// The forms in which apt takes a list of packages. It names only the first that it would try, and takes any.
const COMPRESSIONS: [&str; 7] = [".xz", ".gz", ".bz2", ".zst", ".lz4", ".lzma", ""];

/// What makes up a repository for us: where its index is, under each of the names that it may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repository {
    /// Its address, without credentials.
    pub(super) name: String,
    /// Addresses of its index, the best first. One that can be fetched is enough.
    pub(super) indexes: Vec<String>,
}

/// Asks every source at once.
pub(super) async fn look(apt: &Apt) -> HostResult<Vec<SourceState>> {
    let root = &apt.root;
    let uris = apt.ask("apt-get", &["update", "--print-uris"], LIST_TIMEOUT, "ask apt for its sources").await?;
    let repositories = repositories(&uris);
    if repositories.is_empty() {
        return Ok(Vec::new());
    }
    let scratch = Scratch::new(root)?;
    let asked = repositories.iter().enumerate().map(|(number, repository)| {
        let file = scratch.0.join(number.to_string());
        async move { SourceState { name: repository.name.clone(), problem: fetch_any(apt, repository, &file).await } }
    });
    Ok(join_all(asked).await)
}

/// Why none of the indexes can be fetched, in apt's words on the first of them; none if one can.
async fn fetch_any(apt: &Apt, repository: &Repository, file: &Path) -> Option<String> {
    let mut problem = None;
    for uri in &repository.indexes {
        let target = file.display().to_string();
        let fixed: Vec<String> = pinned::options().collect();
        let own = ["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=0", "download-file", uri, &target];
        let args: Vec<&str> = fixed.iter().map(String::as_str).chain(own).collect();
        match command::read(&apt.root, "apt-helper", &args, FETCH_TIMEOUT).await {
            Ok(output) if output.status.success() => return None,
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).replace(uri.as_str(), "");
                problem = problem.or_else(|| said.lines().find_map(reason)).or_else(|| Some(output.status.to_string()));
            }
            // A host that does not answer will not answer for the next file either.
            Err(error) => return Some(error.why),
        }
    }
    problem.or_else(|| Some("it has no index".to_owned()))
}

/// `E: Failed to fetch URI  404  Not Found [IP: …]`, the address taken out.
fn reason(line: &str) -> Option<String> {
    let said = line.strip_prefix("E: Failed to fetch ")?;
    Some(said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Reads `apt-get update --print-uris`: `'URI' FILE SIZE`, an `InRelease` for every repository. A flat repository that
/// nobody signed has nothing but its list of packages.
pub(super) fn repositories(text: &str) -> Vec<Repository> {
    let uris: Vec<String> = text
        .lines()
        // Neither a command line nor a report may show a password.
        .filter_map(|line| Some(without_credentials(line.strip_prefix('\'')?.split_once('\'')?.0)))
        .collect();
    let mut repositories: Vec<Repository> = Vec::new();
    for uri in &uris {
        let Some(base) = uri.strip_suffix("InRelease") else { continue };
        let packages = uris.iter().find(|other| other.starts_with(base) && other.contains("/Packages"));
        let packages = packages.into_iter().flat_map(|packages| forms(packages));
        let indexes = [uri.clone(), format!("{base}Release")].into_iter().chain(packages).collect();
        let repository = Repository { name: base.trim_end_matches(['/', '.']).to_owned(), indexes };
        if !repositories.contains(&repository) {
            repositories.push(repository);
        }
    }
    repositories
}

/// A list of packages under each of its names, the one that apt named first.
fn forms(packages: &str) -> Vec<String> {
    let plain = COMPRESSIONS.iter().find_map(|form| packages.strip_suffix(form)).unwrap_or(packages);
    let mut forms: Vec<String> = COMPRESSIONS.iter().map(|form| format!("{plain}{form}")).collect();
    forms.sort_by_key(|form| form != packages);
    forms
}

/// Where the fetched files go; removed on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn new(root: &Path) -> HostResult<Self> {
        let path = below(root, &format!("/run/patchday-sources-{}", std::process::id()));
        // One that was killed may have left it behind.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).map_err(|error| HostError::failed(format!("make {}", path.display()), error))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is below /run, and gone with the next boot.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_repository_is_told_once_with_what_may_be_its_index() {
        let text = "\
'http://deb.debian.org/debian/dists/bookworm/InRelease' a 0 \n\
'http://deb.debian.org/debian/dists/bookworm/main/binary-amd64/Packages.xz' b 0 \n\
'https://lab:secret@example.org/repo/./InRelease' c 0 \n\
'https://lab:secret@example.org/repo/./Packages.xz' d 0 \n\
'file:/srv/repo/./InRelease' e 0 \n\
Reading package lists...\n";
        let seen = repositories(text);
        let names: Vec<&str> = seen.iter().map(|repository| repository.name.as_str()).collect();
        assert_eq!(
            names,
            ["http://deb.debian.org/debian/dists/bookworm", "https://example.org/repo", "file:/srv/repo"]
        );
        assert_eq!(
            seen[1].indexes,
            [
                "https://example.org/repo/./InRelease",
                "https://example.org/repo/./Release",
                "https://example.org/repo/./Packages.xz",
                "https://example.org/repo/./Packages.gz",
                "https://example.org/repo/./Packages.bz2",
                "https://example.org/repo/./Packages.zst",
                "https://example.org/repo/./Packages.lz4",
                "https://example.org/repo/./Packages.lzma",
                "https://example.org/repo/./Packages"
            ]
        );
    }

    #[test]
    fn apt_says_why() {
        let line = "E: Failed to fetch   404  Not Found [IP: 192.0.2.80 80]";
        assert_eq!(reason(line).unwrap(), "404 Not Found [IP: 192.0.2.80 80]");
        assert_eq!(reason("E: Download Failed"), None);
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            "'http://deb.debian.org/debian/dists/bookworm/InRelease' a 0 \n'https://lab:secret@example.org/repo/./Packages.xz' d 0 \nE: Failed to fetch http://a  404  Not Found [IP: 1]\n",
        ];
        crate::host::hostile::survives(&samples, |text| {
            for repository in repositories(text) {
                assert!(!repository.name.is_empty(), "{text:?}");
            }
            let _ = text.lines().filter_map(reason).count();
        });
    }
}

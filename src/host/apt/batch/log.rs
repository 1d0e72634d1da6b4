//! The redo log: packages as files of ours.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::super::{Apt, QUERY_TIMEOUT, SIMULATION_TIMEOUT, sizes};
use super::TIMEOUT;
use crate::host::command;
use crate::host::{HostError, HostResult};
use crate::model::{BatchArchive, PackageAction, UpgradePlan};

/// A package that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// As the plan names it.
    pub(super) package: String,
    pub(super) version: String,
    pub(super) path: PathBuf,
    /// As the archive says it.
    pub(super) sha256: String,
}

/// For root alone: copies of configuration files lie in it.
pub(super) fn make(directory: &Path) -> HostResult<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| HostError::failed(format!("make {}", directory.display()), error))
}

/// Where apt has the packages of a plan; or why one of them is not to be trusted.
pub(super) async fn find(apt: &Apt, plan: &UpgradePlan) -> HostResult<Result<Vec<Found>, String>> {
    let names = sizes::names(plan);
    let arguments: Vec<&str> = ["show"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let text = apt.ask("apt-cache", &arguments, QUERY_TIMEOUT, "ask for hashes of packages").await?;
    let archives = apt.archives();
    let mut local: Option<BTreeMap<String, PathBuf>> = None;
    let mut all = Vec::new();
    for change in plan.changes.iter().filter(|change| change.action != PackageAction::Remove) {
        let version = change.to.clone().unwrap_or_default();
        let Some((file, sha256)) = hash(&text, &change.name, &version) else {
            return Ok(Err(format!("no SHA256 is known of {} {version}", change.name)));
        };
        let mut path = archives.join(&file);
        if !path.is_file() {
            if local.is_none() {
                let arguments = ["--print-uris", "-y", "dist-upgrade"];
                let text = apt.ask("apt-get", &arguments, SIMULATION_TIMEOUT, "look where packages are").await?;
                local = Some(on_this_host(&text));
            }
            match local.as_ref().and_then(|local| local.get(&file)) {
                Some(here) => path.clone_from(here),
                None => return Ok(Err(format!("{file} is not on this host"))),
            }
        }
        all.push(Found { package: change.name.clone(), version, path, sha256 });
    }
    Ok(Ok(all))
}

/// The name that apt gives to the file of a package, and its hash.
fn hash(text: &str, package: &str, version: &str) -> Option<(String, String)> {
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let (name, arch) = (field("Package")?, field("Architecture")?);
        let is_it = package == name || package.split_once(':') == Some((name, arch));
        let sha256 = field("SHA256")?;
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_it && field("Version")? == version && is_hash)
            .then(|| (sizes::file_name(name, version, arch), sha256.to_owned()))
    })
}

/// Reads `--print-uris`: `'file:/srv/lab_1_all.deb' lab_1_all.deb SIZE HASH`.
fn on_this_host(text: &str) -> BTreeMap<String, PathBuf> {
    let file = |line: &str| {
        let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
        let path = uri.strip_prefix("file:")?;
        Some((rest.split(' ').next()?.to_owned(), PathBuf::from(decoded(path)?)))
    };
    text.lines().filter_map(file).collect()
}

/// With `%7e` read as `~`.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Puts the packages into the log, and compares what is there with what the archive says.
pub(super) async fn keep(root: &Path, directory: &Path, found: Vec<Found>) -> HostResult<Vec<BatchArchive>> {
    let mut archives = Vec::new();
    for (number, found) in found.into_iter().enumerate() {
        let stem = found.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = format!("{number:04}-{stem}");
        let (from, to) = (found.path, directory.join(&file));
        let copied = tokio::task::spawn_blocking(move || take(&from, &to)).await;
        copied
            .map_err(std::io::Error::other)
            .and_then(|taken| taken)
            .map_err(|error| HostError::failed(format!("keep {stem}"), error))?;
        let path = directory.join(&file).display().to_string();
        // Fails where it has none.
        let said = command::read(root, "dpkg-deb", &["--info", &path, "conffiles"], TIMEOUT).await?;
        let conffiles = conffiles(&String::from_utf8_lossy(&said.stdout));
        archives.push(BatchArchive {
            package: found.package,
            version: found.version,
            file,
            sha256: found.sha256,
            conffiles,
        });
    }
    let (_, problems) = trusted(root, directory, &archives).await?;
    match problems.into_iter().next() {
        Some(problem) => Err(HostError::failed("compare the packages with what the archive says", problem)),
        None => Ok(archives),
    }
}

/// A second name of the same file where nobody but root can write it, else a copy.
fn take(from: &Path, to: &Path) -> std::io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    let is_ours =
        metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0;
    if is_ours && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to).map(drop)
}

/// One path a line; what stands before a path is of no new version.
fn conffiles(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| line.starts_with('/')).map(str::to_owned).collect()
}

/// Those that are as they were recorded, and what is wrong with the others.
pub(super) async fn trusted(
    root: &Path,
    directory: &Path,
    archives: &[BatchArchive],
) -> HostResult<(Vec<PathBuf>, Vec<String>)> {
    if archives.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let paths: Vec<PathBuf> = archives.iter().map(|archive| directory.join(&archive.file)).collect();
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let arguments: Vec<&str> = ["--"].into_iter().chain(names.iter().map(String::as_str)).collect();
    // Fails where one is missing; the others are told all the same.
    let said = command::read(root, "sha256sum", &arguments, TIMEOUT).await?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let sums: BTreeMap<&str, &str> =
        said.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name, sum)).collect();
    let (mut good, mut problems) = (Vec::new(), Vec::new());
    for ((archive, path), name) in archives.iter().zip(paths).zip(&names) {
        match sums.get(name.as_str()) {
            Some(sum) if *sum == archive.sha256 => good.push(path),
            Some(_) => problems.push(format!("{name} is not what was fetched")),
            None => problems.push(format!("{name} is gone")),
        }
    }
    Ok((good, problems))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_hashes_are_those_of_the_version() {
        let text = include_str!("../../../../tests/fixtures/apt/show-apt2.6.1.txt");
        let (file, sha256) = hash(text, "openssl", "3.0.22-1~deb12u2").unwrap();
        assert_eq!((file.as_str(), sha256.len()), ("openssl_3.0.22-1~deb12u2_amd64.deb", 64));
        assert!(hash(text, "openssl:amd64", "3.0.22-1~deb12u2").is_some());
        assert_eq!(hash(text, "openssl", "3.0.21"), None);
        let uris = "Reading package lists...\n'file:/srv/lab%7e1_2_all.deb' lab%7e1_2_all.deb 7 SHA256:00\n\
                    'http://deb/pool/x.deb' x.deb 1 SHA256:00\n'file:/srv/%zz' a 1\n";
        assert_eq!(
            on_this_host(uris),
            BTreeMap::from([("lab%7e1_2_all.deb".to_owned(), "/srv/lab~1_2_all.deb".into())])
        );
        assert_eq!(conffiles("/etc/a\nremove-on-upgrade /etc/b\n/etc/a b\n"), ["/etc/a", "/etc/a b"]);
        crate::host::hostile::survives(&[text, uris], |text| {
            let _ = (hash(text, "openssl", "3.0.22-1~deb12u2"), on_this_host(text), conffiles(text));
        });
    }

    #[tokio::test]
    async fn a_package_that_was_changed_since_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let archive = |file: &str| BatchArchive {
            package: "a".into(),
            version: "1".into(),
            file: file.into(),
            sha256: empty.into(),
            conffiles: Vec::new(),
        };
        fs::write(dir.path().join("good.deb"), "").unwrap();
        fs::write(dir.path().join("bad.deb"), "x").unwrap();
        let archives = [archive("good.deb"), archive("bad.deb"), archive("gone.deb")];
        let (good, problems) = trusted(Path::new("/"), dir.path(), &archives).await.unwrap();
        assert_eq!(good, [dir.path().join("good.deb")]);
        assert!(problems[0].contains("not what was fetched") && problems[1].contains("is gone"), "{problems:?}");
    }
}

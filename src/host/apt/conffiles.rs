//! Configuration files of packages which are not as their package left them.

use std::path::Path;
use std::time::Duration;

use crate::host::command::{self, below};
use crate::host::{HostError, HostResult};
use crate::model::ChangedConffile;

const TIMEOUT: Duration = Duration::from_secs(60);

/// One line for each package, then one for each of its files.
pub(super) const FORMAT: &str = "--showformat=${Package}\n${Conffiles}\n";

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conffile<'a> {
    pub(super) package: &'a str,
    pub(super) path: &'a str,
    pub(super) md5: &'a str,
}

/// Those of the given packages. A file that somebody removed is none: dpkg asks nothing about it.
pub(super) async fn changed(root: &Path, packages: &[String]) -> HostResult<Vec<ChangedConffile>> {
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let admin_dir = format!("--admindir={}", below(root, "/var/lib/dpkg").display());
    let query: Vec<&str> =
        [admin_dir.as_str(), "-W", FORMAT, "--"].into_iter().chain(packages.iter().map(String::as_str)).collect();
    // Fails for names that it does not know, as those of new packages; what it does know is told all the same.
    let output = command::read(root, "dpkg-query", &query, TIMEOUT).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let known = parse(&text);
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let paths: Vec<String> = known.iter().map(|file| below(root, file.path).display().to_string()).collect();
    let arguments: Vec<&str> = ["--"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    // Fails for files that are not there.
    let sums = command::read(root, "md5sum", &arguments, TIMEOUT).await?;
    if sums.stdout.is_empty() && !sums.status.success() && !paths.iter().all(|path| !Path::new(path).exists()) {
        return Err(HostError::failed("compare the configuration files", command::complaint(&sums)));
    }
    let sums = String::from_utf8_lossy(&sums.stdout).into_owned();
    let sum_of = |path: &str| sums.lines().find_map(|line| line.split_once("  ").filter(|(_, name)| *name == path));
    let changed = known.iter().zip(&paths).filter(|(file, path)| sum_of(path).is_some_and(|(sum, _)| sum != file.md5));
    Ok(changed
        .map(|(file, _)| ChangedConffile { package: file.package.to_owned(), path: file.path.to_owned() })
        .collect())
}

/// ` PATH MD5`, and maybe `obsolete` or `remove-on-upgrade`: those no longer belong to the package.
pub(super) fn parse(text: &str) -> Vec<Conffile<'_>> {
    let mut package = "";
    let mut files = Vec::new();
    for line in text.lines() {
        let Some(file) = line.strip_prefix(' ') else {
            package = if line.is_empty() { package } else { line };
            continue;
        };
        if let Some((path, md5)) = file.rsplit_once(' ').filter(|(_, md5)| md5.len() == 32) {
            files.push(Conffile { package, path, md5 });
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_the_package_above_them() {
        let sum = "8031d1483ffa9c819e6be94c6c77fd2a";
        let text = format!(
            "libc6\n\nbase-files\n /etc/debian_version {sum}\n /etc/old {sum} obsolete\n\nbash\n /etc/a b {sum}\n"
        );
        let seen: Vec<_> = parse(&text).iter().map(|file| (file.package, file.path)).collect();
        assert_eq!(seen, [("base-files", "/etc/debian_version"), ("bash", "/etc/a b")]);
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples =
            ["libc6\n\nbase-files\n /etc/debian_version 8031d1483ffa9c819e6be94c6c77fd2a\n /etc/old 8031 obsolete\n"];
        crate::host::hostile::survives(&samples, |text| {
            assert!(parse(text).iter().all(|file| text.contains(file.path)));
        });
    }
}

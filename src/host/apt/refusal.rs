//! What dpkg and apt would refuse to begin with. All of it only looks.

use std::path::Path;
use std::time::Duration;

use crate::host::command::{self, below};
use crate::host::{HostError, HostErrorKind, HostResult};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Which lists of commands may refuse: apt gives up where one of them fails, before dpkg begins.
const REFUSING: [&str; 2] = ["DPkg::Pre-Invoke::", "DPkg::Pre-Install-Pkgs::"];

/// Why dpkg would not begin, in its own words where it has any; empty where it would.
pub(super) async fn of_dpkg(root: &Path) -> HostResult<Vec<String>> {
    let admin_dir = format!("--admindir={}", below(root, "/var/lib/dpkg").display());
    // Reads its configuration, its database, diversions and triggers, and writes nothing but its log: it would note there
    // that it began, and did not.
    let args = [admin_dir.as_str(), "--log=/dev/null", "--no-act", "--configure", "-a"];
    let output = command::read(root, "dpkg", &args, TIMEOUT).await?;
    let mut refusals = Vec::new();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // A package that cannot be configured is another check's.
        let grave = said.contains("fatal error") || said.lines().next().is_some_and(|line| !is_of_package(line));
        refusals.extend(grave.then(|| command::complaint(&output)));
    }
    refusals.extend(overrides(root).await?);
    Ok(refusals)
}

/// `dpkg: error processing package NAME (--configure):`, and what it says of dependencies.
fn is_of_package(line: &str) -> bool {
    line.starts_with("dpkg: error processing package ") || line.starts_with("dpkg: dependency problems ")
}

/// Users and groups of the statoverride that nobody is: dpkg reads it only when it unpacks, and then refuses.
async fn overrides(root: &Path) -> HostResult<Vec<String>> {
    let path = below(root, "/var/lib/dpkg/statoverride");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(HostError::failed(format!("read {}", path.display()), error)),
    };
    let mut refusals = Vec::new();
    for line in text.lines() {
        let Some(entry) = Override::parse(line) else {
            refusals.push(format!("{}: {line:?} is no override", path.display()));
            continue;
        };
        for (database, what, name) in [("passwd", "user", entry.user), ("group", "group", entry.group)] {
            if !name.starts_with('#') && !exists(root, database, name).await? {
                let file = entry.file;
                refusals.push(format!("there is no {what} {name}, whom dpkg's statoverride gives {file}"));
            }
        }
    }
    Ok(refusals)
}

#[derive(Debug, PartialEq, Eq)]
struct Override<'a> {
    user: &'a str,
    group: &'a str,
    file: &'a str,
}

impl<'a> Override<'a> {
    /// `USER GROUP MODE PATH`; a number stands behind `#`.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(4, ' ');
        let (user, group, mode, file) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let valid = u32::from_str_radix(mode, 8).is_ok() && file.starts_with('/') && !user.is_empty();
        (valid && !group.is_empty()).then_some(Self { user, group, file })
    }
}

/// As dpkg looks it up: wherever the host keeps its users.
async fn exists(root: &Path, database: &str, name: &str) -> HostResult<bool> {
    const UNKNOWN: i32 = 2;
    let output = command::read(root, "getent", &[database, "--", name], TIMEOUT).await?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(UNKNOWN) => Ok(false),
        _ => {
            let what = format!("look up {name} in {database}");
            Err(HostError::new(HostErrorKind::Unknown, what, command::complaint(&output)))
        }
    }
}

/// Commands that apt calls before dpkg, from what `apt-config dump` prints: `DPkg::Pre-Invoke:: "COMMAND";`.
pub(super) fn hooks(dump: &str) -> Vec<String> {
    let command = |line: &str| {
        let name =
            REFUSING.iter().find(|name| line.get(..name.len()).is_some_and(|is| is.eq_ignore_ascii_case(name)))?;
        let value = line[name.len()..].trim().strip_suffix("\";")?.strip_prefix('"')?;
        Some(format!("{}: {value}", name.trim_end_matches(':')))
    };
    dump.lines().filter_map(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_has_a_user_a_group_a_mode_and_a_path() {
        let entry = Override { user: "_nobody_here", group: "root", file: "/usr/bin/some file" };
        assert_eq!(Override::parse("_nobody_here root 0644 /usr/bin/some file"), Some(entry));
        for broken in ["", "root root /usr/bin/x", "root root rwx /usr/bin/x", "root root 0644 usr/bin/x"] {
            assert_eq!(Override::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_apt_calls_before_dpkg_is_named() {
        let dump = "DPkg \"\";\nDPkg::Pre-Install-Pkgs \"\";\n\
                    DPkg::Pre-Install-Pkgs:: \"/usr/sbin/dpkg-preconfigure --apt || true\";\n\
                    Dpkg::Pre-Invoke:: \"echo \\\"uncommitted changes\\\" >&2; false\";\n\
                    DPkg::Post-Invoke:: \"false\";\n";
        assert_eq!(
            hooks(dump),
            [
                "DPkg::Pre-Install-Pkgs: /usr/sbin/dpkg-preconfigure --apt || true",
                "DPkg::Pre-Invoke: echo \\\"uncommitted changes\\\" >&2; false"
            ]
        );
    }

    #[tokio::test]
    async fn dpkg_says_itself_what_it_would_refuse() {
        if !Path::new("/usr/bin/dpkg").exists() {
            println!("skipped: this host has no dpkg");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let database = root.path().join("var/lib/dpkg");
        for directory in ["updates", "info", "triggers"] {
            std::fs::create_dir_all(database.join(directory)).unwrap();
        }
        std::fs::create_dir_all(root.path().join("usr/bin")).unwrap();
        for program in ["dpkg", "getent"] {
            std::os::unix::fs::symlink(Path::new("/usr/bin").join(program), root.path().join("usr/bin").join(program))
                .unwrap();
        }
        for (file, text, says) in [
            ("status", "", ""),
            ("statoverride", "root #0 0755 /usr/bin/x\nroot adm 2755 /var/log/x\n", ""),
            ("statoverride", "_nobody_here root 0644 /usr/bin/some-file\n", "no user _nobody_here"),
            ("statoverride", "root _nobody_here 0644 /usr/bin/some-file\n", "no group _nobody_here"),
            ("statoverride", "root root\n", "is no override"),
            ("diversions", "a\nb\n", "unexpected end of file"),
            ("triggers/File", "garbage\n", "syntax error"),
            ("status", "Package: x y\n", "invalid package name"),
        ] {
            std::fs::write(database.join("status"), "").unwrap();
            std::fs::write(database.join(file), text).unwrap();
            let refusals = of_dpkg(root.path()).await.unwrap().join("; ");
            assert!(refusals.contains(says), "{file} {text:?}: {refusals}");
            assert_eq!(refusals.is_empty(), says.is_empty(), "{file} {text:?}: {refusals}");
            std::fs::remove_file(database.join(file)).unwrap();
        }
    }
}

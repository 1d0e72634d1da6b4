//! Checkouts, through the `git` program.
//!
//! git runs what a checkout's own configuration names (filters, a file system monitor, hooks). So it never runs as root
//! in somebody else's checkout, but as the owner of the checkout; monitors and hooks are off, nothing is written, and no
//! other host is asked.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use super::command::{self, Identity, below};
use super::{Deployments, HostError, HostErrorKind, HostResult};
use crate::model::Checkout;

const TIMEOUT: Duration = Duration::from_secs(30);

/// More are not told one by one.
const TOLD: &str = "--max-count=100";

/// Checkouts of this host.
#[derive(Debug, Clone)]
pub struct Git {
    root: PathBuf,
}

impl Git {
    /// Finds git and the checkouts below `root`; `/` except in tests.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    async fn ask(&self, path: &Path, owner: Identity, args: &[&str]) -> HostResult<String> {
        let directory = path.display().to_string();
        let safe = format!("safe.directory={directory}");
        let fixed =
            ["--no-pager", "-C", &directory, "-c", &safe, "-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null"];
        let args: Vec<&str> = fixed.into_iter().chain(args.iter().copied()).collect();
        let environment = [
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_ALLOW_PROTOCOL", ""),
            ("HOME", "/nonexistent"),
        ];
        let output = command::read_as(&self.root, "git", &args, &environment, owner, TIMEOUT).await?;
        if !output.status.success() {
            let what = format!("ask git about {directory}");
            return Err(HostError::failed(what, command::complaint(&output)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[async_trait]
impl Deployments for Git {
    async fn look(&self, path: &str) -> HostResult<Checkout> {
        let place = below(&self.root, path);
        let owner = owner_of(&place)?;
        let status =
            self.ask(&place, owner, &["status", "--porcelain=v2", "--branch", "--untracked-files=normal"]).await?;
        let stashes = self.ask(&place, owner, &["stash", "list"]).await?;
        let unpushed =
            self.ask(&place, owner, &["log", "--oneline", TOLD, "--branches", "HEAD", "--not", "--remotes"]).await;
        // A repository without a commit has no HEAD.
        let unpushed = match unpushed {
            Err(error) if error.why.contains("HEAD") => String::new(),
            other => other?,
        };
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        let mut checkout = parse_status(&status);
        checkout.path = path.to_owned();
        checkout.owner = owner.user;
        checkout.stashes = lines(&stashes);
        checkout.unpushed = lines(&unpushed);
        Ok(checkout)
    }
}

/// Whose the checkout is. The directory itself may be root's, as a mount point is; what git trusts is `.git`.
fn owner_of(path: &Path) -> HostResult<Identity> {
    let what = || format!("look at the checkout {}", path.display());
    let inner = path.join(".git");
    let metadata = fs::symlink_metadata(if inner.exists() { &inner } else { path });
    let metadata = metadata.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => HostError::new(HostErrorKind::NotFound, what(), "there is nothing"),
        _ => HostError::failed(what(), error),
    })?;
    Ok(Identity { user: metadata.uid(), group: metadata.gid() })
}

/// Reads `git status --porcelain=v2 --branch`.
fn parse_status(text: &str) -> Checkout {
    let mut checkout = Checkout::default();
    for line in text.lines() {
        if let Some(branch) = line.strip_prefix("# branch.head ") {
            checkout.branch = Some(branch.to_owned()).filter(|branch| branch != "(detached)");
        } else if let Some(ahead_behind) = line.strip_prefix("# branch.ab ") {
            checkout.behind = ahead_behind.split_once(" -").and_then(|(_, behind)| behind.parse().ok());
        } else if let Some((kind, rest)) = line.split_once(' ').filter(|(kind, _)| *kind != "#") {
            checkout.changes.push(change(kind, rest));
        }
    }
    checkout
}

/// `1 XY … PATH`, `2 XY … PATH<tab>OLD`, `u XY … PATH`, `? PATH`: the state and the path.
fn change(kind: &str, rest: &str) -> String {
    let fields = match kind {
        "1" => 8,
        "2" => 9,
        "u" => 10,
        _ => return format!("?? {rest}"),
    };
    let path = rest.splitn(fields, ' ').last().unwrap_or_default();
    let path = path.split('\t').next().unwrap_or_default();
    format!("{} {path}", rest.split(' ').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read() {
        let text = "\
# branch.oid 7d1a2c
# branch.head main
# branch.upstream origin/main
# branch.ab +2 -3
1 .M N... 100644 100644 100644 aaa bbb src/a file.txt
2 R. N... 100644 100644 100644 aaa bbb R100 new.txt\told.txt
u UU N... 100644 100644 100644 100644 aaa bbb ccc both.txt
? untracked
";
        let seen = parse_status(text);
        assert_eq!((seen.branch.as_deref(), seen.behind), (Some("main"), Some(3)));
        assert_eq!(seen.changes, [".M src/a file.txt", "R. new.txt", "UU both.txt", "?? untracked"]);
        let detached = parse_status("# branch.oid 7d1a2c\n# branch.head (detached)\n");
        assert_eq!((detached.branch, detached.behind, detached.changes.len()), (None, None, 0));
    }
}

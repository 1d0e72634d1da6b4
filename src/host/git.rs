//! Checkouts, through the `git` program.
//!
//! git runs what a checkout's own configuration names (filters, a file system monitor, hooks, a program that looks at
//! signatures). So it never runs as root: `fence` says who runs it instead, and within which bounds. On top of that all of
//! these are off, nothing is written, and no other host is asked.

mod fence;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use super::command::{self, below};
use super::{Deployments, HostError, HostErrorKind, HostResult, foreign};
use crate::model::Checkout;
use fence::Asker;

/// The unit ends before; what is over that is systemd's.
const TIMEOUT: Duration = Duration::from_secs(fence::SECONDS as u64 + 10);

/// More are not told one by one.
const TOLD: &str = "--max-count=100";

/// What a checkout's own configuration says of these does not count.
const SETTINGS: [(&str, &str); 8] = [
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("gpg.program", "/bin/false"),
    ("gpg.ssh.program", "/bin/false"),
    ("gpg.x509.program", "/bin/false"),
    ("log.showSignature", "false"),
    ("status.submoduleSummary", "false"),
];

const ENVIRONMENT: [(&str, &str); 10] = [
    ("PATH", "/usr/bin:/bin"),
    ("LC_ALL", command::LOCALE),
    ("HOME", "/nonexistent"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", ""),
];

/// Checkouts of this host.
#[derive(Debug, Clone)]
pub struct Git {
    root: PathBuf,
}

/// A checkout that is asked.
struct Question<'a> {
    root: &'a Path,
    place: String,
    asker: Asker,
    /// Settings that name programs, and what they are set to instead.
    settings: Vec<(String, String)>,
}

impl Git {
    /// Finds git and the checkouts below `root`; `/` except in tests.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Question<'_> {
    /// Asks git, and gives back what it said; none if it ended with 1 and without a word.
    async fn ask(&self, args: &[&str]) -> HostResult<Option<String>> {
        let what = format!("ask git about {}", self.place);
        let git = command::find(self.root, "git");
        let git = git.ok_or_else(|| HostError::new(HostErrorKind::NotFound, &what, "git is not installed"))?;
        let mut words = vec!["-i".to_owned()];
        words.extend(ENVIRONMENT.map(|(name, value)| format!("{name}={value}")));
        words.push(format!("GIT_CONFIG_COUNT={}", self.settings.len()));
        for (at, (key, value)) in self.settings.iter().enumerate() {
            words.extend([format!("GIT_CONFIG_KEY_{at}={key}"), format!("GIT_CONFIG_VALUE_{at}={value}")]);
        }
        let place = Path::new(&self.place);
        if self.asker == Asker::Nobody {
            // What was looked at is this directory, and none above it.
            let above = place.parent().unwrap_or(place);
            words.push(format!("GIT_CEILING_DIRECTORIES={}", above.display()));
        }
        words.extend([git.display().to_string(), "--no-pager".into(), "-C".into(), self.place.clone()]);
        words.extend(args.iter().map(|&arg| arg.to_owned()));
        let (program, words) = match self.asker.words() {
            Some(unit) => ("systemd-run", [unit, vec!["/usr/bin/env".to_owned()], words].concat()),
            None => ("env", words),
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = command::read(self.root, program, &words, TIMEOUT).await;
        let output = output.map_err(|error| HostError { what: what.clone(), ..error })?;
        if output.status.success() {
            return Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()));
        }
        match (output.status.code(), output.stderr.is_empty()) {
            (Some(1), true) => Ok(None),
            (_, true) => {
                Err(HostError::failed(what, format!("git did not end within {} s, or was ended", fence::SECONDS)))
            }
            (_, false) => Err(HostError::failed(what, command::complaint(&output))),
        }
    }

    /// Sets every filter to nothing. What it would make of a file is not seen, so that a file that was touched may count
    /// as changed.
    async fn without_filters(mut self) -> HostResult<Self> {
        let named = self.ask(&["config", "--includes", "--null", "--name-only", "--get-regexp", r"^filter\."]).await?;
        for name in named.unwrap_or_default().split('\0').filter(|name| !name.is_empty()) {
            let value = if name.ends_with(".required") { "false" } else { "" };
            self.settings.push((name.to_owned(), value.to_owned()));
        }
        Ok(self)
    }
}

#[async_trait]
impl Deployments for Git {
    async fn look(&self, path: &str) -> HostResult<Checkout> {
        let place = below(&self.root, path);
        let told = path.to_owned();
        let what = format!("look at the checkout {path}");
        let look = move || {
            let owner = std::os::unix::fs::MetadataExt::uid;
            let asker = Asker::of(&place, &told)?;
            let uid = match asker {
                Asker::Owner { user, .. } => user,
                Asker::Nobody => 0,
                Asker::Ourselves => std::fs::metadata(&place).map_or(0, |metadata| owner(&metadata)),
            };
            Ok((place.display().to_string(), asker, uid))
        };
        let (place, asker, owner) = foreign::in_time(TIMEOUT, &what, look).await??;
        let mut settings: Vec<_> = SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        if matches!(asker, Asker::Nobody | Asker::Owner { is_mount_point: true, .. }) {
            settings.push(("safe.directory".to_owned(), place.clone()));
        }
        // In somebody's directory below, another repository may be waiting: it is not entered.
        let submodules = if asker == Asker::Nobody { "dirty" } else { "none" };
        let submodules = format!("--ignore-submodules={submodules}");
        let git = Question { root: &self.root, place, asker, settings }.without_filters().await?;
        let status = ["status", "--porcelain=v2", "--branch", "--untracked-files=normal", &submodules];
        let status = git.ask(&status).await?.unwrap_or_default();
        let stashes = git.ask(&["stash", "list"]).await?.unwrap_or_default();
        let unpushed = git.ask(&["log", "--oneline", TOLD, "--branches", "HEAD", "--not", "--remotes"]).await;
        // A repository without a commit has no HEAD.
        let unpushed = match unpushed {
            Err(error) if error.why.contains("HEAD") => String::new(),
            other => other?.unwrap_or_default(),
        };
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        let mut checkout = parse_status(&status);
        checkout.path = path.to_owned();
        checkout.owner = owner;
        checkout.stashes = lines(&stashes);
        checkout.unpushed = lines(&unpushed);
        Ok(checkout)
    }
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

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            "# branch.oid 1234\n# branch.head main\n# branch.upstream origin/main\n# branch.ab +1 -2\n# stash 1\n1 .M N... 100644 100644 100644 a b page.html\n? notes\n",
        ];
        crate::host::hostile::survives(&samples, |text| {
            let _ = parse_status(text);
        });
    }
}

//! The page: what is done and seen, and each screen below it.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// Columns of prose.
const WIDTH: usize = 120;

/// The first member of a package begins with its name; then comes its time, as dpkg-deb writes it.
const TIME_IN_PACKAGE: std::ops::Range<usize> = 24..36;

#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// A part of the hour begins.
    pub(super) fn heading(&mut self, title: &str) {
        let marks = if self.text.is_empty() { "#" } else { "##" };
        self.paragraph(&format!("{marks} {title}"));
    }

    /// Words between screens.
    pub(super) fn says(&mut self, text: &str) {
        self.paragraph(&wrapped(text));
    }

    /// A screen, below what is done and seen on it.
    pub(super) fn shows(&mut self, told: &str, screen: &str) {
        eprintln!("lab: {told}");
        self.says(told);
        self.paragraph(&format!("```text\n{screen}\n```"));
    }

    fn paragraph(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The page, if nothing of it is of the lab alone.
    pub(super) fn finished(self, private: &[String]) -> Result<String> {
        for word in private {
            ensure!(!self.text.contains(word.as_str()), "the page shows `{word}`, which is the lab's own");
        }
        Ok(self.text)
    }
}

/// The commit whose time the package has: that of `SOURCE_DATE_EPOCH`, as `lab package` builds it.
pub(super) fn commit_of(package: &[u8], source: &Path) -> Result<String> {
    let time = package.get(TIME_IN_PACKAGE).and_then(|field| str::from_utf8(field).ok());
    let time = time.map(str::trim).context("this is no Debian package")?;
    let mut log = Command::new("git");
    log.arg("-C").arg(source).args(["log", "--all", "--format=%ct %h"]);
    let log = log.output().context("cannot run git")?;
    ensure!(log.status.success(), "git log failed: {}", String::from_utf8_lossy(&log.stderr).trim());
    let log = String::from_utf8_lossy(&log.stdout);
    let commit = log.lines().find_map(|line| line.strip_prefix(time)?.strip_prefix(' '));
    commit.map(str::to_owned).with_context(|| {
        format!("no commit has the time of the package, {time}: build it with `tests/lab/package` from this repository")
    })
}

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| line.chars().count() + word.chars().count() >= WIDTH) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_shows_what_is_the_labs_own_is_refused() -> Result<()> {
        let page = || {
            let mut page = Page::default();
            page.heading("One hour");
            page.heading("Install");
            page.shows("apt installs it.", "$ apt\nfrom mirror.example");
            page
        };
        let text = "# One hour\n\n## Install\n\napt installs it.\n\n```text\n$ apt\nfrom mirror.example\n```\n";
        assert_eq!(page().finished(&["elsewhere.example".to_owned()])?, text);
        let refused = page().finished(&["mirror.example".to_owned()]);
        assert!(refused.is_err_and(|error| error.to_string().contains("mirror.example")));
        Ok(())
    }
}

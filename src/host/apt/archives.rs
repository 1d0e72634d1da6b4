//! Reads what `apt-cache policy` prints of the archives. Checked with apt 2.6 and 3.0.

use crate::model::Archive;

/// Reads the block "Package files". An archive with several lists is told once.
///
/// Strict: an answer without the block is an error, and no host without archives.
pub(super) fn parse(text: &str) -> Result<Vec<Archive>, String> {
    let block = text.split_once("Package files:\n").and_then(|(_, rest)| rest.split_once("Pinned packages:"));
    let (block, _) = block.ok_or("apt-cache printed no package files")?;
    let mut lists: Vec<List> = Vec::new();
    for line in block.lines() {
        match (line.trim_start().split_once(' '), lists.last_mut()) {
            (Some(("release", fields)), Some(list)) => list.fields = release(fields),
            (Some(("origin", host)), Some(list)) => list.host = host.trim().to_owned(),
            _ => lists.push(List::default()),
        }
    }
    let mut archives: Vec<Archive> = Vec::new();
    for archive in lists.iter().filter_map(List::archive) {
        if !archives.contains(&archive) {
            archives.push(archive);
        }
    }
    Ok(archives)
}

/// One list of packages.
#[derive(Default)]
struct List {
    /// Of its `Release`: `o` and `l`, `a` (the suite) and `v` (the version), among others.
    fields: Vec<(char, String)>,
    host: String,
}

impl List {
    fn field(&self, wanted: char) -> Option<&str> {
        self.fields.iter().find(|(name, value)| *name == wanted && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// None for dpkg's own list of what is installed.
    fn archive(&self) -> Option<Archive> {
        let host = Some(self.host.as_str()).filter(|host| !host.is_empty());
        if self.field('a') == Some("now") {
            return None;
        }
        let mut names: Vec<String> =
            [self.field('o'), self.field('l'), host].into_iter().flatten().map(str::to_owned).collect();
        names.dedup();
        // As apt puts it together for a version.
        let label = self.field('l').map(|label| format!("{label}:")).unwrap_or_default();
        let version = self.field('v').map(|version| format!("{version}/")).unwrap_or_default();
        let told = match self.field('a') {
            Some(suite) => format!("{label}{version}{suite}"),
            None => format!("{label}{}", host.unwrap_or("localhost")),
        };
        Some(Archive { names, told })
    }
}

/// `v=12.15,o=Debian,a=oldstable`. A value may have a comma in it.
fn release(fields: &str) -> Vec<(char, String)> {
    let mut read: Vec<(char, String)> = Vec::new();
    for part in fields.split(',') {
        let field = part.split_once('=').and_then(|(name, value)| {
            let mut letters = name.chars();
            Some((letters.next().filter(|_| letters.next().is_none())?, value))
        });
        match (field, read.last_mut()) {
            (Some((name, value)), _) => read.push((name, value.to_owned())),
            (None, Some((_, value))) => value.push_str(&format!(",{part}")),
            (None, None) => {}
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = include_str!("../../../tests/fixtures/apt/policy-apt2.6.1.txt");

    #[test]
    fn every_archive_is_told_once_with_its_names_and_apts_word_for_it() {
        let archives = parse(SAID).unwrap();
        let told: Vec<(String, &str)> =
            archives.iter().map(|archive| (archive.names.join(" | "), archive.told.as_str())).collect();
        let expected = [
            ("localhost.example", "localhost.example"),
            (". nodistro | deb.nodesource.com", ". nodistro:nodistro"),
            ("Docker | Docker CE | download.docker.com", "Docker CE:bookworm"),
            ("Debian | Debian-Security | deb.debian.org", "Debian-Security:12/oldstable-security"),
            ("Debian | deb.debian.org", "Debian:12.15/oldstable"),
        ];
        assert_eq!(told, expected.map(|(names, told)| (names.to_owned(), told)));
        assert_eq!(release("o=A, Inc,l=x=y"), [('o', "A, Inc".to_owned()), ('l', "x=y".to_owned())]);
        // A pin that lets nothing in.
        let pinned = SAID.replace(" 500 http://download.docker", "-32768 http://download.docker");
        assert_eq!(parse(&pinned).unwrap(), archives);
        for cut in ["", "Package files:\n 500 http://a", "Pinned packages:\n"] {
            assert!(parse(cut).is_err(), "{cut}");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        crate::host::hostile::survives(&[SAID], |text| {
            let _ = parse(text);
        });
    }
}

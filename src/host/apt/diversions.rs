//! Files that lie elsewhere than their packages say: dpkg's diversions.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::host::command::below;

#[derive(Debug, PartialEq, Eq)]
struct Diversion {
    from: String,
    to: String,
    /// The package whose own file keeps the name; `:` stands for none.
    by: String,
}

/// All of a host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Diversions(Vec<Diversion>);

impl Diversions {
    /// # Errors
    ///
    /// What cannot be read, or understood: where files lie is not known then.
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let path = below(root, "/var/lib/dpkg/diversions");
        match fs::read(&path) {
            Ok(bytes) => Self::parse(&String::from_utf8_lossy(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Three lines each, as in [`Diversion`].
    fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().collect();
        let one = |three: &[&str]| match three {
            [from, to, by] if from.starts_with('/') && to.starts_with('/') => {
                Ok(Diversion { from: (*from).into(), to: (*to).into(), by: (*by).into() })
            }
            _ => Err(format!("cannot read dpkg's diversion {three:?}")),
        };
        lines.chunks(3).map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Where a package's file lies.
    pub(super) fn place<'a>(&'a self, path: &'a str, package: &str) -> &'a str {
        let diverted = self.0.iter().find(|diversion| diversion.from == path && diversion.by != package);
        diverted.map_or(path, |diversion| &diversion.to)
    }

    /// Each place that is not the one that packages say, with that one.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|diversion| (diversion.to.as_str(), diversion.from.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_where_dpkg_has_diverted_it_to_unless_it_is_of_the_package_that_wanted_that() {
        let diversions = Diversions::parse("/etc/a\n/etc/a.real\nmine\n/etc/b\n/etc/b.distrib\n:\n").unwrap();
        for (path, package, place) in [
            ("/etc/a", "other", "/etc/a.real"),
            ("/etc/a", "mine", "/etc/a"),
            ("/etc/b", "any", "/etc/b.distrib"),
            ("/etc/c", "any", "/etc/c"),
        ] {
            assert_eq!(diversions.place(path, package), place, "{path} of {package}");
        }
        assert_eq!(Diversions::parse("").unwrap(), Diversions::default());
        for spoiled in ["/etc/cut\n", "/etc/a\n/etc/b\n", "a\nb\n:\n"] {
            assert!(Diversions::parse(spoiled).is_err(), "{spoiled:?}");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        crate::host::hostile::survives(
            &["/usr/bin/tool\n/usr/bin/tool.distrib\ntool-plus\n/bin/sh\n/bin/sh.x\n:\n"],
            |text| {
                if let Ok(diversions) = Diversions::parse(text) {
                    assert!(diversions.places().all(|(to, from)| from.starts_with('/') && to.starts_with('/')));
                }
            },
        );
    }
}

//! What installed packages need of each other, as `dpkg-query` prints it.

use crate::model::{InstalledPackage, without_architecture};

/// The format that is asked of `dpkg-query -W`, one line a package; alternatives have a `|` between them.
pub(super) const FORMAT: &str = "${db:Status-Abbrev}\t${Package}\t${source:Package}\t${Essential}\t${Pre-Depends}\t\
                                 ${Depends}\t${Recommends}\t${Provides}\n";

/// Reads `dpkg-query -W -f FORMAT`: the installed ones. A line that cannot be read is an error: half of what packages need
/// must not pass for all of it.
pub(super) fn parse(text: &str) -> Result<Vec<InstalledPackage>, String> {
    let mut packages: Vec<InstalledPackage> = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[status, name, source, essential, before, depends, recommends, provides] = fields.as_slice() else {
            return Err(format!("cannot read dpkg-query's line {line:?}"));
        };
        if name.is_empty() {
            return Err(format!("dpkg-query's line {line:?} names no package"));
        }
        // Neither there nor half there.
        if matches!(status.chars().nth(1), None | Some('n' | 'c' | 'H')) {
            continue;
        }
        packages.push(InstalledPackage {
            name: name.to_owned(),
            source: if source.is_empty() { name } else { source }.to_owned(),
            depends: [names(before), names(depends)].concat(),
            recommends: names(recommends),
            provides: names(provides),
            essential: essential == "yes",
        });
    }
    Ok(packages)
}

/// `libc6 (>= 2.34), gpgv | gpgv2 (<< 3), perl:any`
fn names(relation: &str) -> Vec<String> {
    let one = |part: &str| part.split_whitespace().next().map(|name| name.split('(').next().unwrap_or(name).to_owned());
    let all = relation.split([',', '|']).filter_map(one);
    all.map(|name| without_architecture(&name).to_owned()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ii \tapt\tapt\tno\t\tadduser, gpgv | gpgv2 | gpgv1, libapt-pkg6.0 (>= 2.6.1), perl:any\t\
                        ca-certificates\tapt-transport-https (= 2.6.1)\n\
                        ii \tbash\tbash\tyes\tlibc6 (>= 2.36), libtinfo6(>= 6)\tbase-files (>= 2.1.12)\t\
                        bash-completion (>= 20060301-0)\t\n\
                        rc \tgone\tgone\tno\t\tlibc6\t\t\n\
                        hi \theld\t\tno\t\t\t\t\nun \tnever\t\t\t\t\t\t\n";

    #[test]
    fn what_packages_need_is_read_without_versions_and_architectures() {
        let packages = parse(TEXT).unwrap();
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let names: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["apt", "bash", "held"]);
        assert_eq!(packages[0].depends, list(&["adduser", "gpgv", "gpgv2", "gpgv1", "libapt-pkg6.0", "perl"]));
        assert_eq!(packages[0].provides, list(&["apt-transport-https"]));
        assert_eq!(packages[1].depends, list(&["libc6", "libtinfo6", "base-files"]));
        assert_eq!(packages[1].recommends, list(&["bash-completion"]));
        assert!(packages[1].essential && !packages[0].essential);
        assert_eq!(packages[2].source, "held");
        for text in ["ii \tapt\tapt\n", "ii \t\tapt\tno\t\t\t\t\n"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        crate::host::hostile::survives(&[TEXT], |text| {
            if let Ok(packages) = parse(text) {
                assert!(packages.iter().all(|package| !package.name.is_empty()), "{packages:?}");
            }
        });
    }
}

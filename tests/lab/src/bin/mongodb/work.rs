//! One small package of a local repository, so that every run has work to do and none needs the network.

use anyhow::Result;
use patchday_lab::Machine;

/// Builds versions 1 and 2 of it, and leaves apt with nothing but the second.
pub(crate) fn make_repository(machine: &Machine) -> Result<()> {
    for (version, name) in [("1", "/srv/old"), ("2", "/srv/repo/new")] {
        let control = format!(
            "Package: lab-tick\nVersion: {version}\nArchitecture: all\nMaintainer: lab <lab@localhost>\nDescription: tick\n"
        );
        machine.write_file(&format!("{name}/DEBIAN/control"), &control)?;
        machine.exec_ok(&["dpkg-deb", "--root-owner-group", "--build", name, &format!("{name}.deb")])?;
        if version == "2" {
            let sum = machine.exec_ok(&["sha256sum", "/srv/repo/new.deb"])?;
            let size = machine.exec_ok(&["stat", "-c", "%s", "/srv/repo/new.deb"])?;
            let sum = sum.split_whitespace().next().unwrap_or_default().to_owned();
            let index = format!("{control}Filename: ./new.deb\nSize: {}\nSHA256: {sum}\n\n", size.trim());
            machine.write_file("/srv/repo/Packages", &index)?;
        }
    }
    machine.write_file("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/repo ./\n")
}

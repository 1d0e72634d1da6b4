//! The processes of a work unit, and the packages' scripts among them.

use std::io::Read as _;
use std::path::Path;

use super::cgroup;
use crate::host::command::below;
use crate::model::{PackageScript, WorkProcess};

/// What is read of one file at most.
const MAX_READ: u64 = 64 * 1024;
/// How many processes are looked at: a build may have hundreds, and no more than a few of them wait.
const MAX_PROCESSES: usize = 256;
/// Where dpkg keeps the scripts of packages; those of a package that is being unpacked are below `tmp.ci`.
const SCRIPTS: [&str; 2] = ["/var/lib/dpkg/info/", "/var/lib/dpkg/tmp.ci/"];
const SCRIPT_NAMES: [&str; 5] = ["preinst", "postinst", "prerm", "postrm", "config"];
/// Clock ticks a second; see [`boot_clock`](crate::host::boot_clock).
const TICK_USEC: u64 = 10_000;

/// The processes of a control group. One that ends meanwhile is left out.
///
/// # Errors
///
/// The control group cannot be read.
pub(super) fn of_group(root: &Path, control_group: &str) -> std::io::Result<Vec<WorkProcess>> {
    let pids = cgroup::processes(root, control_group)?;
    Ok(pids.into_iter().take(MAX_PROCESSES).filter_map(|pid| process(root, pid)).collect())
}

fn process(root: &Path, pid: u32) -> Option<WorkProcess> {
    let directory = root.join(format!("proc/{pid}"));
    let (parent, cpu_usec) = of_stat(&text(&directory.join("stat"))?)?;
    let command: Vec<String> =
        text(&directory.join("cmdline"))?.split_terminator('\0').map(ToOwned::to_owned).collect();
    let script = script_path(&command).map(|path| {
        let environment = text(&directory.join("environ")).unwrap_or_default();
        let variable = |name: &str| environment.split('\0').find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
        let (package, name) = of_path(path);
        PackageScript {
            package: variable("DPKG_MAINTSCRIPT_PACKAGE").unwrap_or(package).to_owned(),
            name: name.to_owned(),
            text: text(&below(root, path)).unwrap_or_default(),
        }
    });
    Some(WorkProcess { pid, parent, command, cpu_usec, script })
}

/// The interpreter's first argument, or the program itself. What only is told of a script, as debconf's frontend, runs none.
fn script_path(command: &[String]) -> Option<&str> {
    let mut candidates = command.iter().take(3).map(String::as_str);
    let is_script = |path: &&str| {
        SCRIPTS.iter().any(|directory| path.starts_with(directory))
            && SCRIPT_NAMES.contains(&of_path(path).1)
            && !path.contains("/../")
    };
    let is_no_option = |argument: &&str| !argument.starts_with('-');
    let first = candidates.find(|argument| is_script(argument) || is_no_option(argument))?;
    let path = if is_script(&first) { first } else { candidates.find(is_no_option)? };
    is_script(&path).then_some(path)
}

/// `shop-db:amd64.postinst` is the `postinst` of `shop-db`.
fn of_path(path: &str) -> (&str, &str) {
    let file = path.rsplit('/').next().unwrap_or_default();
    let (package, name) = file.rsplit_once('.').unwrap_or(("a package", file));
    (package.split(':').next().unwrap_or(package), name)
}

/// Parent, and CPU time with that of children that ended (`utime`, `stime`, `cutime`, `cstime` of proc_pid_stat(5)).
fn of_stat(stat: &str) -> Option<(u32, u64)> {
    let (_, behind_comm) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_comm.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    Some((parent, ticks.saturating_mul(TICK_USEC)))
}

/// The beginning of a file, bounded; none if there is no regular file.
fn text(path: &Path) -> Option<String> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_READ).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree::write;

    #[test]
    fn scripts_are_found_among_the_processes_of_a_unit() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "/sys/fs/cgroup/patchday.slice/w.service/cgroup.procs", "10\n11\n12\n13\n14\n");
        let stat = |pid: u32, parent: u32| {
            let stat = format!("{pid} (a) b) S {parent} 1 1 0 -1 0 0 0 0 0 3 4 20 1 20 0 1 0 456 0 0");
            write(root, &format!("/proc/{pid}/stat"), &stat);
        };
        let script = "/var/lib/dpkg/info/shop-db:amd64.postinst";
        for (pid, parent, command) in [
            (10, 1, "/usr/bin/dpkg\0--configure\0-a\0".to_owned()),
            (11, 10, format!("/usr/bin/perl\0-w\0/usr/share/debconf/frontend\0{script}\0configure\0")),
            (12, 11, format!("/bin/sh\0-e\0{script}\0configure\0001.0\0")),
            (13, 12, "sleep\x001\0".to_owned()),
        ] {
            stat(pid, parent);
            write(root, &format!("/proc/{pid}/cmdline"), &command);
        }
        write(root, "/proc/12/environ", "A=b\0DPKG_MAINTSCRIPT_PACKAGE=shop-db\0");
        write(root, script, "until mongosh; do sleep 1; done\n");
        // Process 14 has ended meanwhile.
        let found = of_group(root, "/patchday.slice/w.service").unwrap();
        assert_eq!(
            found.iter().map(|one| (one.pid, one.parent)).collect::<Vec<_>>(),
            [(10, 1), (11, 10), (12, 11), (13, 12)]
        );
        assert_eq!(found[0].cpu_usec, 280_000);
        let scripts: Vec<_> = found.iter().filter_map(|one| Some((one.pid, one.script.clone()?))).collect();
        let expected = PackageScript {
            package: "shop-db".into(),
            name: "postinst".into(),
            text: "until mongosh; do sleep 1; done\n".into(),
        };
        assert_eq!(scripts, [(12, expected)]);
        assert!(of_group(root, "/patchday.slice/gone.service").unwrap().is_empty());
    }

    #[test]
    fn a_command_line_names_its_script() {
        for (command, expected) in [
            ("/var/lib/dpkg/info/a.preinst upgrade", Some("/var/lib/dpkg/info/a.preinst")),
            ("/bin/bash /var/lib/dpkg/tmp.ci/preinst install", Some("/var/lib/dpkg/tmp.ci/preinst")),
            ("/usr/bin/perl -w /var/lib/dpkg/info/a.postinst", Some("/var/lib/dpkg/info/a.postinst")),
            ("/bin/sh /var/lib/dpkg/info/../../../etc/a.postinst", None),
            ("/usr/bin/perl -w /usr/share/debconf/frontend /var/lib/dpkg/info/a.postinst", None),
            ("cat /var/lib/dpkg/info/a.list", None),
            ("sleep 1", None),
            ("", None),
        ] {
            let command: Vec<String> = command.split(' ').map(ToOwned::to_owned).collect();
            assert_eq!(script_path(&command), expected, "{command:?}");
        }
        assert_eq!(of_path("/var/lib/dpkg/tmp.ci/preinst"), ("a package", "preinst"));
    }
}

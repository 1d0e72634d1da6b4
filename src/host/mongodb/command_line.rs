//! The command line of the mongod that a unit starts: of the process that runs, or else as the unit would start it.

use std::fs;
use std::path::Path;

use crate::host::command::below;
use crate::host::foreign;

/// A command line is no longer (`ARG_MAX` has much more; no server needs it).
const MOST: u64 = 256 * 1024;

/// Programs that start another one under the same user, and are gone then.
const TRANSPARENT: [&str; 12] = [
    "numactl",
    "nice",
    "ionice",
    "chrt",
    "taskset",
    "prlimit",
    "env",
    "setsid",
    "nohup",
    "stdbuf",
    "systemd-cat",
    "exec",
];

/// What is known of a mongod's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    /// From mongod's own name on.
    pub(super) argv: Vec<String>,
    /// Whom it runs as, where that is not as the unit says.
    pub(super) user: Option<String>,
}

/// The mongod among these processes that listens to signals of nobody else's: the first.
pub(super) fn of_processes(root: &Path, pids: impl IntoIterator<Item = u32>) -> Option<CommandLine> {
    pids.into_iter().find_map(|pid| {
        let process = root.join("proc").join(pid.to_string());
        let line = foreign::read(&process.join("cmdline"), MOST).ok()?;
        let argv: Vec<String> = line.split_terminator('\0').map(str::to_owned).collect();
        if !is_mongod(argv.first()?) {
            return None;
        }
        // In a container its paths are not ours.
        let own = |name: &str| fs::read_link(process.join("ns").join(name)).ok();
        let ours = |name: &str| fs::read_link(root.join("proc/self/ns").join(name)).ok();
        if own("pid").is_some() && own("pid") != ours("pid") {
            return None;
        }
        let status = fs::read_to_string(process.join("status")).ok()?;
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().nth(1)?.to_owned();
        Some(CommandLine { argv, user: Some(uid) })
    })
}

/// The mongod that a unit's command starts, also by way of others; none if nobody can tell what that will be.
pub(super) fn of_unit(root: &Path, argv: &[String]) -> Option<CommandLine> {
    let at = argv.iter().position(|word| is_mongod(word))?;
    // An init script, or a wrapper that has the server's name.
    if is_script(root, &argv[at]) {
        return None;
    }
    let before = &argv[..at];
    let is_known = before.first().is_none_or(|first| TRANSPARENT.contains(&base(first)));
    is_known.then(|| CommandLine { argv: argv[at..].to_vec(), user: None })
}

/// No server is as short as a script.
fn is_script(root: &Path, program: &str) -> bool {
    program.starts_with('/') && foreign::read(&below(root, program), MOST).is_ok_and(|text| text.starts_with("#!"))
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn is_mongod(word: &str) -> bool {
    let name = base(word);
    name == "mongod" || name.strip_prefix("mongod").is_some_and(|rest| rest.starts_with(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_part_of_a_command_is_found() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("etc/init.d/mongod", "#!/bin/sh\nexec /usr/bin/mongod\n"),
            ("opt/bin/mongod", "#!/usr/bin/perl\n"),
            ("usr/bin/mongod", "\u{7f}ELF"),
        ] {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), text).unwrap();
        }
        for (command, expected) in [
            ("/usr/bin/mongod --config /etc/mongod.conf", Some("/usr/bin/mongod --config /etc/mongod.conf")),
            ("/usr/bin/numactl --interleave=all /usr/bin/mongod -f x", Some("/usr/bin/mongod -f x")),
            ("/usr/bin/env LC_ALL=C mongod-6.0 -f x", Some("mongod-6.0 -f x")),
            // As whom, with what paths, and whether at all: the script knows.
            ("/usr/local/sbin/start-mongod", None),
            ("/etc/init.d/mongod start", None),
            ("/usr/bin/numactl --interleave=all /opt/bin/mongod", None),
            ("/bin/sh -c mongod", None),
            ("/sbin/runuser -u mongodb -- /usr/bin/mongod -f x", None),
            ("/usr/bin/docker run mongo mongod", None),
            ("/usr/bin/mongodump --out x", None),
            ("/usr/bin/mongos -f x", None),
        ] {
            let seen = of_unit(dir.path(), &words(command)).map(|line| line.argv.join(" "));
            assert_eq!(seen.as_deref(), expected, "{command}");
        }
    }

    #[test]
    fn a_process_that_runs_tells_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let proc = dir.path().join("proc");
        for (pid, cmdline) in [(7, "/bin/sh\0start-mongod\0"), (8, "/usr/bin/mongod\0--dbpath\0/srv/my data\0")] {
            let process = proc.join(pid.to_string());
            fs::create_dir_all(&process).unwrap();
            fs::write(process.join("cmdline"), cmdline).unwrap();
            fs::write(process.join("status"), "Name:\tx\nUid:\t112\t112\t112\t112\n").unwrap();
        }
        let line = of_processes(dir.path(), [7, 8]).unwrap();
        assert_eq!(line.argv, ["/usr/bin/mongod", "--dbpath", "/srv/my data"]);
        assert_eq!(line.user.as_deref(), Some("112"));
        assert_eq!(of_processes(dir.path(), [7]), None);
    }
}

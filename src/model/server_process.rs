//! Which process of a unit is the database server that answers.

use super::{UnitName, UnitProcess};

/// What is known of the process that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerProcess {
    /// The server does not tell its number to our user.
    Untold,
    /// It is this process of the unit.
    Of {
        /// Its number on this host.
        pid: u32,
        /// The unit's main process: its exit status is the unit's. Otherwise a shell, `numactl`, a container's first
        /// process or the like stands between it and systemd, or nobody does.
        is_main: bool,
    },
    /// It is none of the unit's, which has a mongod of its own: why.
    Another(String),
    /// Nobody can tell: why.
    Unclear(String),
}

impl ServerProcess {
    /// Looks for the server, which knows itself as `server`, among the processes of the unit whose main process is `main`.
    pub fn find(unit: &UnitName, server: Option<u32>, main: Option<u32>, processes: &[UnitProcess]) -> Self {
        let Some(server) = server else { return Self::Untold };
        let mut found: Vec<&UnitProcess> = processes.iter().filter(|process| process.own_pid == server).collect();
        // Every namespace has a process 1.
        if found.len() > 1 && found.iter().any(|process| is_mongod(process)) {
            found.retain(|process| is_mongod(process));
        }
        match found.as_slice() {
            [one] => return Self::Of { pid: one.pid, is_main: Some(one.pid) == main },
            [] => {}
            several => {
                let named = named(several.iter().copied());
                return Self::Unclear(format!("the server that answers calls itself process {server}, as do {named}"));
            }
        }
        let answers = format!("the server that answers calls itself process {server}");
        let own: Vec<&UnitProcess> = processes.iter().filter(|process| is_mongod(process)).collect();
        if !own.is_empty() {
            return Self::Another(format!(
                "{answers}, but that of {unit} is {}: the connection string leads to another mongod",
                named(own)
            ));
        }
        Self::Unclear(match processes {
            [] => format!("{answers}, and {unit} has no process"),
            _ => format!("{answers}, and {unit} has {}", named(processes)),
        })
    }

    /// Its number on this host, where it is known.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Of { pid, .. } => Some(*pid),
            _ => None,
        }
    }
}

/// Distributions and wrappers name it `mongod`, `mongod-6.0`, `mongod.bin` and the like.
fn is_mongod(process: &UnitProcess) -> bool {
    process.name.starts_with("mongod")
}

/// At most a few of them: a unit that steers containers may have hundreds.
fn named<'a>(processes: impl IntoIterator<Item = &'a UnitProcess>) -> String {
    const NAMED: usize = 4;
    let processes: Vec<&UnitProcess> = processes.into_iter().collect();
    let one = |process: &&UnitProcess| {
        let own = if process.own_pid == process.pid { String::new() } else { format!(", itself {}", process.own_pid) };
        format!("{} ({}{own})", process.name, process.pid)
    };
    let mut named: Vec<String> = processes.iter().take(NAMED).map(one).collect();
    if processes.len() > NAMED {
        named.push(format!("{} more", processes.len() - NAMED));
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_found_wherever_in_the_unit_it_runs() {
        let process = |pid, own_pid, name: &str| UnitProcess { pid, own_pid, name: name.into() };
        let is = |pid, is_main| Ok((pid, is_main));
        let another = Err("leads to another mongod");
        let unclear = |text| Err::<(u32, bool), &str>(text);
        type Expected<'a> = Result<(u32, bool), &'a str>;
        type Case<'a> = (&'a str, Option<u32>, Option<u32>, Vec<UnitProcess>, Expected<'a>);
        let cases: Vec<Case<'_>> = vec![
            ("alone", Some(70), Some(70), vec![process(70, 70, "mongod")], is(70, true)),
            (
                "below a shell",
                Some(71),
                Some(70),
                vec![process(70, 70, "sh"), process(71, 71, "mongod")],
                is(71, false),
            ),
            ("renamed", Some(71), Some(70), vec![process(70, 70, "perl"), process(71, 71, "db")], is(71, false)),
            ("nobody is main", Some(71), None, vec![process(71, 71, "mongod")], is(71, false)),
            (
                "in a namespace",
                Some(1),
                Some(70),
                vec![process(70, 70, "unshare"), process(71, 1, "mongod")],
                is(71, false),
            ),
            (
                "in a namespace, with a first process of its own",
                Some(9),
                Some(70),
                vec![process(70, 70, "systemd-nspawn"), process(71, 1, "init"), process(80, 9, "mongod")],
                is(80, false),
            ),
            (
                "two namespaces, one with a mongod",
                Some(1),
                Some(70),
                vec![process(70, 70, "podman"), process(71, 1, "catatonit"), process(72, 1, "mongod")],
                is(72, false),
            ),
            (
                "two namespaces, each with a mongod",
                Some(1),
                Some(70),
                vec![process(71, 1, "mongod"), process(72, 1, "mongod")],
                unclear("as do mongod (71, itself 1), mongod (72, itself 1)"),
            ),
            ("another", Some(99), Some(70), vec![process(70, 70, "mongod")], another),
            (
                "another, below a shell",
                Some(99),
                Some(70),
                vec![process(70, 70, "sh"), process(71, 71, "mongod")],
                another,
            ),
            // The number of a wrapper is not the server's because it is the same in another namespace.
            (
                "another in a namespace",
                Some(5),
                Some(70),
                vec![process(70, 70, "sh"), process(71, 1, "mongod")],
                another,
            ),
            (
                "a client of containers",
                Some(1),
                Some(70),
                vec![process(70, 70, "docker")],
                unclear("mongod.service has docker (70)"),
            ),
            ("no process", Some(1), None, vec![], unclear("mongod.service has no process")),
        ];
        for (case, server, main, processes, expected) in cases {
            let unit = "mongod.service".parse().unwrap();
            match (ServerProcess::find(&unit, server, main, &processes), expected) {
                (ServerProcess::Of { pid, is_main }, Ok(expected)) => assert_eq!((pid, is_main), expected, "{case}"),
                (ServerProcess::Another(why) | ServerProcess::Unclear(why), Err(text)) => {
                    assert!(why.contains(text), "{case}: {why}");
                }
                (found, expected) => panic!("{case}: {found:?}, not {expected:?}"),
            }
        }
        let unit = "mongod.service".parse().unwrap();
        assert_eq!(ServerProcess::find(&unit, None, Some(70), &[]), ServerProcess::Untold);
    }
}

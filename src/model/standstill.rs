//! Work that stands still: who waits in it, and what for. Pure; the host tells the processes.

use serde::{Deserialize, Serialize};

use super::{Step, UnitName};

/// A process of a work unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkProcess {
    pub pid: u32,
    pub parent: u32,
    pub command: Vec<String>,
    /// CPU time that it and its children that ended have used, in microseconds.
    pub cpu_usec: u64,
    /// Set where it runs a script of a package.
    pub script: Option<PackageScript>,
}

/// A script that a package brings for its own installation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageScript {
    pub package: String,
    /// `preinst`, `postinst`, `prerm`, `postrm` or `config`.
    pub name: String,
    /// What is in it, as far as it is text.
    pub text: String,
}

/// A service that the run keeps down, and the words by which a script would name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptDown {
    pub unit: UnitName,
    /// Names and ports, as in `mongod` and `27017`.
    pub words: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// The process that matters: of the innermost script, or of the innermost program where no script runs.
    pub pid: u32,
    pub who: String,
    /// Services that the run keeps down, and that it names.
    pub wants: Vec<UnitName>,
}

/// Work that was left to itself since it stood still: nobody ends a dpkg, and nobody waits for it with services down either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standstill {
    pub step: Step,
    /// Which attempt at it.
    pub attempt: u32,
    /// The part of the step that stands still; names its unit and its files.
    pub work: String,
    /// Who waits, and for what.
    pub why: String,
}

/// How much of a command line is told.
const TOLD: usize = 60;

impl Waiting {
    /// Who of these processes waits; none if there are none.
    pub fn of(processes: &[WorkProcess], kept_down: &[KeptDown]) -> Option<Self> {
        let depth = |process: &WorkProcess| ancestors(processes, process).len();
        let script = processes.iter().filter(|process| process.script.is_some()).max_by_key(|process| depth(process));
        let Some((process, script)) = script.and_then(|process| Some((process, process.script.as_ref()?))) else {
            // The last that began, and that began none: what listens to dpkg all the time, as a status logger of
            // needrestart does, is older.
            let is_last = |process: &&WorkProcess| processes.iter().all(|other| other.parent != process.pid);
            let last = processes.iter().filter(is_last).max_by_key(|process| process.pid);
            let process = last.or_else(|| processes.first())?;
            return Some(Self { pid: process.pid, who: named(process), wants: Vec::new() });
        };
        let below_it = |other: &&WorkProcess| ancestors(processes, other).contains(&process.pid);
        let at_work = processes.iter().filter(below_it).max_by_key(|process| (depth(process), process.pid));
        let mut who = format!("{} of {} (process {}", script.name, script.package, process.pid);
        if let Some(child) = at_work {
            who.push_str(&format!(", at \"{}\"", line(child)));
        }
        who.push(')');
        let below = processes.iter().filter(below_it);
        let commands: Vec<String> = below.map(|process| process.command.join(" ")).collect();
        let names = |kept: &&KeptDown| {
            let said = |word: &String| is_named(&script.text, word) || commands.iter().any(|text| is_named(text, word));
            kept.words.iter().any(said)
        };
        let wants = kept_down.iter().filter(names).map(|kept| kept.unit.clone()).collect();
        Some(Self { pid: process.pid, who, wants })
    }
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} waits", self.who)?;
        if self.wants.is_empty() {
            return Ok(());
        }
        let wants: Vec<&str> = self.wants.iter().map(UnitName::as_str).collect();
        write!(f, "; it may want {}, which this run stopped", wants.join(" and "))
    }
}

/// The process's parents up to the first that is not of the work, nearest first.
fn ancestors(processes: &[WorkProcess], process: &WorkProcess) -> Vec<u32> {
    let mut found = Vec::new();
    let mut parent = process.parent;
    while let Some(next) = processes.iter().find(|other| other.pid == parent) {
        if found.contains(&next.pid) {
            break;
        }
        found.push(next.pid);
        parent = next.parent;
    }
    found
}

fn named(process: &WorkProcess) -> String {
    format!("\"{}\" (process {})", line(process), process.pid)
}

fn line(process: &WorkProcess) -> String {
    let line = process.command.join(" ");
    match line.char_indices().nth(TOLD) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The word stands by itself in a line that is no comment.
fn is_named(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.into_iter().any(|line| {
        line.match_indices(word).any(|(at, found)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            let after = line.get(at + found.len()..).and_then(|text| text.chars().next());
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, command: &str) -> WorkProcess {
        let command = command.split(' ').map(str::to_owned).collect();
        WorkProcess { pid, parent, command, ..WorkProcess::default() }
    }

    fn script(pid: u32, parent: u32, text: &str) -> WorkProcess {
        let script = PackageScript { package: "shop-db".into(), name: "postinst".into(), text: text.into() };
        let command = "/bin/sh /var/lib/dpkg/info/shop-db.postinst configure 1.0";
        WorkProcess { script: Some(script), ..process(pid, parent, command) }
    }

    fn kept_down() -> Vec<KeptDown> {
        let kept = |unit: &str, words: &[&str]| KeptDown {
            unit: unit.parse().unwrap(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        vec![kept("mongod.service", &["mongod", "mongosh", "27017"]), kept("shop-api.service", &["shop-api", "8080"])]
    }

    #[test]
    fn who_waits_is_the_innermost_script_and_what_it_names_is_what_it_may_want() {
        let above = [process(10, 1, "apt-get dist-upgrade"), process(11, 10, "/usr/bin/dpkg --configure")];
        let frontend = process(12, 11, "perl /usr/share/debconf/frontend /var/lib/dpkg/info/shop-db.postinst");
        for (text, child, wants) in [
            ("until (exec 3<>/dev/tcp/127.0.0.1/27017); do sleep 1; done", "sleep 1", vec!["mongod.service"]),
            ("until mongosh --quiet --eval 1; do sleep 1; done", "sleep 1", vec!["mongod.service"]),
            ("while ! systemctl is-active mongod.service; do sleep 1; done", "sleep 1", vec!["mongod.service"]),
            ("curl --retry 99 http://localhost:8080/", "curl --retry", vec!["shop-api.service"]),
            ("/usr/lib/shop/migrate", "/usr/lib/shop/migrate --url mongodb://[::1]:27017/", vec!["mongod.service"]),
            // Named in a comment, as a part of another word or number, or not at all.
            ("# mongod is asked elsewhere\nsleep 1", "sleep 1", vec![]),
            ("sleep 127017; my_mongod; mongodb", "sleep 127017", vec![]),
            ("read answer < /run/fifo", "cat /run/fifo", vec![]),
        ] {
            let mut all = above.to_vec();
            all.extend([frontend.clone(), script(13, 12, text), process(14, 13, child)]);
            let waiting = Waiting::of(&all, &kept_down()).unwrap();
            let named: Vec<&str> = waiting.wants.iter().map(UnitName::as_str).collect();
            assert_eq!(named, wants, "{text}");
            assert_eq!(waiting.pid, 13, "{text}");
            let told = waiting.to_string();
            let who = format!("postinst of shop-db (process 13, at \"{child}\") waits");
            assert!(told.starts_with(&who), "{told}");
            assert_eq!(told.contains("which this run stopped"), !wants.is_empty(), "{told}");
        }
    }

    #[test]
    fn without_a_script_the_innermost_program_waits() {
        let all = [process(10, 1, "apt-get dist-upgrade"), process(11, 10, "/usr/bin/dpkg-deb mongod")];
        let waiting = Waiting::of(&all, &kept_down()).unwrap();
        assert_eq!(waiting.to_string(), "\"/usr/bin/dpkg-deb mongod\" (process 11) waits");
        let listens = [
            process(12, 11, "sh -c /usr/lib/needrestart/dpkg-status"),
            process(13, 12, "/bin/sh /usr/lib/needrestart/dpkg-status"),
            process(20, 11, "sleep 7777"),
        ];
        let waiting = Waiting::of(&[all.to_vec(), listens.to_vec()].concat(), &kept_down()).unwrap();
        assert_eq!(waiting.to_string(), "\"sleep 7777\" (process 20) waits");
        assert_eq!(Waiting::of(&[], &kept_down()), None);
        // Process IDs that go round in a circle end the search.
        let circle = [process(10, 11, "a"), process(11, 10, "b")];
        assert!(Waiting::of(&circle, &[]).is_some());
        let long = [process(10, 1, &"x".repeat(200))];
        assert!(Waiting::of(&long, &[]).unwrap().who.len() < 100);
    }
}

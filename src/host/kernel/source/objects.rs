//! How far a build is, by its objects: make says in a dry run how many there are, and names each as it makes it.

use std::io::Write;

use crate::model::WorkProgress;

/// What Kbuild calls the making of an object, in the lines that it prints for people.
const MAKES_AN_OBJECT: [&str; 4] = ["CC", "AS", "LD", "AR"];

/// The part of the whole that is over when the last object is made; the rest is packing.
const OBJECTS: f64 = 0.9;

/// Begins every line of the status.
const WORD: &str = "kernel";

/// The object that a line of make's output names, as in `  CC [M]  fs/ext4/super.o`.
pub(super) fn object(line: &str) -> Option<&str> {
    let (tool, rest) = line.strip_prefix("  ")?.split_once(' ')?;
    let rest = rest.trim_start();
    let object = rest.strip_prefix("[M]").unwrap_or(rest).trim();
    (MAKES_AN_OBJECT.contains(&tool) && !object.is_empty()).then_some(object)
}

/// Whether this line of a dry run makes an object: there, the lines for people are still in the commands that print them.
pub(super) fn is_in(dry_run: &str) -> bool {
    let said = dry_run.split_once("echo '").and_then(|(_, rest)| rest.split_once('\''));
    said.is_some_and(|(said, _)| object(said).is_some())
}

/// Tells how far the build is to whoever reads the status, and what make says to whoever reads the log. A log that cannot
/// be written must not end a build.
pub(super) struct Teller<'a> {
    status: &'a mut dyn Write,
    log: &'a mut dyn Write,
    made: u32,
    all: u32,
}

impl<'a> Teller<'a> {
    pub(super) fn new(status: &'a mut dyn Write, log: &'a mut dyn Write) -> Self {
        Self { status, log, made: 0, all: 0 }
    }

    /// From now on, so many objects are made.
    pub(super) fn expect(&mut self, all: u32) {
        self.all = all;
    }

    /// What is done now.
    pub(super) fn say(&mut self, message: &str) {
        let _ = writeln!(self.status, "{WORD}:{}:{}:{message}", self.made, self.all);
    }

    /// A line for the log.
    pub(super) fn log(&mut self, line: &str) {
        let _ = writeln!(self.log, "{line}").and_then(|()| self.log.flush());
    }

    /// Takes note of a line of make's output.
    pub(super) fn hear(&mut self, line: &str) {
        self.log(line);
        if let Some(object) = object(line) {
            self.made = self.made.saturating_add(1);
            let message = format!("Compiling {object}");
            self.say(&message);
        } else if let Some(package) = line.strip_prefix("dpkg-deb: building package '") {
            let package = package.split('\'').next().unwrap_or_default();
            let message = format!("Packing {package}");
            self.made = self.all;
            self.say(&message);
        }
    }
}

/// Reads a line of the status.
pub(in crate::host::kernel) fn parse(line: &str) -> Option<WorkProgress> {
    let rest = line.strip_prefix(WORD)?.strip_prefix(':')?;
    let (made, rest) = rest.split_once(':')?;
    let (all, message) = rest.split_once(':')?;
    let (made, all) = (made.parse::<u32>().ok()?, all.parse::<u32>().ok()?);
    let fraction = (all > 0).then(|| f64::from(made.min(all)) / f64::from(all) * OBJECTS);
    Some(WorkProgress { fraction, package: None, message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_counted_before_and_while_they_are_made() {
        // linux 6.1, `make -n` and `make`.
        let dry_run = "set -e;  echo '  CC      init/main.o';    trap 'rm -f init/main.o; trap - HUP' HUP;  gcc -c\n\
                       set -e;  echo '  CC [M]  fs/ext4/super.o';  gcc -c\n\
                       set -e;  echo '  GEN     modules.builtin'; x\nmkdir -p fs\n";
        assert_eq!(dry_run.lines().filter(|line| is_in(line)).count(), 2);
        let (mut told, mut log) = (Vec::new(), Vec::new());
        let mut teller = Teller::new(&mut told, &mut log);
        teller.say("Configuring");
        teller.expect(2);
        for line in [
            "  UPD     include/generated/utsrelease.h",
            "  CC      init/main.o",
            "  CC [M]  fs/ext4/super.o",
            "dpkg-deb: building package 'linux-image-6.1.1' in '../x.deb'.",
        ] {
            teller.hear(line);
        }
        let told = String::from_utf8(told).unwrap();
        let told: Vec<_> = told.lines().map(|line| parse(line).unwrap()).collect();
        let told: Vec<_> = told.iter().map(|said| (said.fraction, said.message.as_str())).collect();
        assert_eq!(
            told,
            [
                (None, "Configuring"),
                (Some(0.45), "Compiling init/main.o"),
                (Some(0.9), "Compiling fs/ext4/super.o"),
                (Some(0.9), "Packing linux-image-6.1.1"),
            ]
        );
        for other in ["", "pmstatus:x:1:y", "kernel:1", "kernel:a:2:x"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = ["0.3 Compiling a.o\n0.9 Packing linux-image\n"];
        crate::host::hostile::survives(&samples, |text| {
            for said in text.lines().filter_map(parse) {
                let fraction = said.fraction.unwrap_or(0.0);
                assert!((0.0..=1.0).contains(&fraction), "{said:?}");
            }
        });
    }
}

//! A configuration of more than one file: which are read, who may have written them, and what is told of what is wrong.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::PathBuf;

use patchday::config::{Files, Settings, Trust, load_trusting};
use tempfile::TempDir;

/// Names of files, and what is in them.
pub(super) type Written<'t> = &'t [(&'t str, &'t str)];

type Change = fn(&Place);

/// A directory with `patchday.toml` and its drop-ins.
pub(super) struct Place {
    directory: TempDir,
    trust: Trust,
}

impl Place {
    /// Files by their names; `NAME.toml` is a drop-in, and an empty name the file itself.
    pub(super) fn with(files: Written<'_>) -> Self {
        let trust = Trust { uid: rustix::process::getuid().as_raw() };
        let place = Self { directory: tempfile::tempdir().unwrap(), trust };
        for (name, text) in files {
            place.write(name, text.as_bytes());
        }
        place
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("patchday.toml")
    }

    fn drop_ins(&self) -> PathBuf {
        self.directory.path().join("patchday.toml.d")
    }

    fn at(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.path() } else { self.drop_ins().join(name) }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        if !name.is_empty() && !self.drop_ins().exists() {
            fs::create_dir(self.drop_ins()).unwrap();
            self.mode("", 0o755);
        }
        fs::write(self.at(name), bytes).unwrap();
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Sets the mode of a drop-in, or of their directory.
    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.drop_ins().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn files(&self) -> Files {
        Files::read(self.trust, &self.path())
    }

    pub(super) fn settings(&self) -> Settings {
        self.files().settings(2, &["boot-space"]).unwrap_or_else(|error| panic!("{error}")).settings
    }

    /// All that is wrong, each with its hint, without the directory.
    pub(super) fn refused(&self) -> Vec<String> {
        let error = self.files().settings(2, &["boot-space"]).unwrap_err();
        let told = error.problems.iter().map(|problem| format!("{problem} | {}", problem.hint));
        told.map(|told| self.short(&told)).collect()
    }

    fn short(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.directory.path().display()), "").replace("patchday.toml.d/", "d/")
    }

    /// What the files set: `KEY = VALUE @ FILE:LINE`, with the number of the entry behind the table.
    pub(super) fn set(&self) -> Vec<String> {
        let effective = self.files().effective(2, &["boot-space"]).unwrap_or_else(|error| panic!("{error}"));
        let set = effective.into_iter().filter_map(|one| Some((one.place?, one.key, one.entry, one.value.unwrap())));
        set.map(|(place, key, entry, value)| {
            let entry = entry.map(|entry| format!(" {entry}")).unwrap_or_default();
            let file = self.short(&place.file.display().to_string()).replace("patchday.toml", "main");
            format!("{}{entry} = {value} @ {file}:{}", key.dotted(), place.line().unwrap())
        })
        .collect()
    }
}

#[test]
fn without_the_file_drop_ins_alone_count() {
    let place = Place::with(&[("10.toml", "[report]\nkeep = 3\n")]);
    assert_eq!(place.settings().keep_runs, 3);
    assert_eq!(place.files().paths(), [place.at("10.toml")]);
    // What is no drop-in does not stand for the file.
    fs::rename(place.at("10.toml"), place.at("10.toml~")).unwrap();
    let missing =
        "patchday.toml: cannot read the file: No such file or directory (os error 2) | write one with: patchday init";
    assert_eq!(place.refused(), [missing]);
    // A link that leads nowhere is no file that somebody left out.
    place.write("10.toml", b"");
    symlink("/nonexistent/patchday.toml", place.path()).unwrap();
    assert_eq!(place.refused(), [missing]);
}

#[test]
fn only_names_of_drop_ins_are_read() {
    let place = Place::with(&[("", ""), ("a.toml", "[report]\nkeep = 3\n")]);
    let others = [".a.toml", ".toml", "README", "a.tml", "a.toml.dpkg-old", "a.toml~", "atoml", "b.TOML"];
    for name in others {
        place.write(name, b"this is no TOML");
    }
    assert_eq!(place.settings().keep_runs, 3);
    let names: Vec<String> =
        place.files().ignored().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, others);
}

/// What is done to a place whose files are all right, and what is told then.
#[test]
fn what_cannot_be_trusted_or_read_is_told_with_its_file() {
    let made = |change: fn(&Place)| {
        let place = Place::with(&[("", "[report]\nkeep = 3\n"), ("a.toml", ""), ("x.toml", "")]);
        change(&place);
        place.refused()
    };
    let cases: [(Change, &str); 13] = [
        (
            |place| place.mode("x.toml", 0o664),
            "d/x.toml: expected a file that only its owner can write, found mode 0664 | chmod go-w d/x.toml",
        ),
        (
            |place| place.mode("", 0o775),
            "patchday.toml.d: expected a directory that only its owner can write, found mode 0775 | chmod go-w patchday.toml.d",
        ),
        (
            |place| {
                fs::remove_file(place.at("x.toml")).unwrap();
                fs::create_dir(place.at("x.toml")).unwrap();
            },
            "d/x.toml: expected a regular file, found something else | look at it: ls -ld d/x.toml",
        ),
        (
            |place| {
                fs::remove_file(place.at("x.toml")).unwrap();
                let fifo = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, place.at("x.toml"), fifo, 0o600.into(), 0).unwrap();
            },
            "d/x.toml: expected a regular file, found something else | look at it: ls -ld d/x.toml",
        ),
        (
            |place| {
                fs::remove_file(place.at("x.toml")).unwrap();
                symlink("/dev/zero", place.at("x.toml")).unwrap();
            },
            "d/x.toml: expected a regular file, found something else | look at it: ls -ld d/x.toml",
        ),
        (
            |place| {
                fs::remove_file(place.at("x.toml")).unwrap();
                symlink("nowhere", place.at("x.toml")).unwrap();
            },
            "d/x.toml: cannot read the file: No such file or directory (os error 2) | look at it: ls -ld d/x.toml",
        ),
        (
            |place| place.write("x.toml", &vec![b'\n'; 10 << 20]),
            "d/x.toml: expected at most 1048576 bytes, found more | look at it: ls -l d/x.toml",
        ),
        (
            |place| place.write("x.toml", b"\n# caf\xe9\n"),
            "d/x.toml:2:6: expected text in UTF-8, found another byte | convert it: iconv -f ISO-8859-1 -t UTF-8 d/x.toml",
        ),
        (
            |place| {
                fs::remove_dir_all(place.drop_ins()).unwrap();
                fs::write(place.drop_ins(), "").unwrap();
            },
            "patchday.toml.d: cannot read the directory: Not a directory (os error 20) | look at it: ls -ld patchday.toml.d",
        ),
        (
            |place| {
                fs::remove_dir_all(place.drop_ins()).unwrap();
                symlink("nowhere", place.drop_ins()).unwrap();
            },
            "patchday.toml.d: cannot read the directory: No such file or directory (os error 2) | look at it: ls -ld patchday.toml.d",
        ),
        (
            |place| (0..100).for_each(|number| place.write(&format!("{number}~"), b"")),
            "patchday.toml.d: expected at most 100 files, found more | look at it: ls -l patchday.toml.d",
        ),
        (
            |place| place.write("x.toml", b"[limits]\nnice = 1\n\n[limits\n"),
            "d/x.toml:4:8: not TOML: unclosed table, expected `]` | write one key = value a line; text, durations and shares stand in quotes",
        ),
        (
            |place| place.write("x.toml", b"[report]\nkep = 3\n"),
            "d/x.toml:2:1: [report] kep: unknown key, expected one of keep | did you mean \"keep\"?",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(made(change), [expected]);
    }
}

#[test]
fn files_of_another_user_are_refused_wherever_a_link_stands() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let told = |what: &str, kind: &str| {
        format!("{what}: expected a {kind} owned by root, found uid 64001 | chown root {what}")
    };
    let place = Place::with(&[("", ""), ("a.toml", ""), ("x.toml", "[report]\nkeep = 3\n")]);
    chown(place.at("x.toml"), Some(64_001), None).unwrap();
    assert_eq!(place.refused(), [told("d/x.toml", "file")]);
    let elsewhere = place.directory.path().join("theirs");
    fs::rename(place.at("x.toml"), &elsewhere).unwrap();
    symlink(&elsewhere, place.at("x.toml")).unwrap();
    assert_eq!(place.refused(), [told("d/x.toml", "file")]);
    chown(&elsewhere, Some(0), None).unwrap();
    assert_eq!(place.settings().keep_runs, 3, "a link to a file of root's");
    chown(place.drop_ins(), Some(64_001), None).unwrap();
    assert_eq!(place.refused(), [told("patchday.toml.d", "directory")]);
}

/// All of it at once: what cannot be read, what is no TOML and what is unknown, each with its file.
#[test]
fn every_file_that_is_wrong_is_told_in_their_order() {
    let place = Place::with(&[
        ("", "[limits]\nnice = \"x\"\n"),
        ("1.toml", "[report]\nkeep = 3\n"),
        ("2.toml", "[report\n"),
        ("3.toml", ""),
        ("4.toml", "report.kepe = 1\nlimits.cpu = 5\n"),
    ]);
    place.mode("3.toml", 0o666);
    let told: Vec<String> = place.refused().iter().map(|told| told.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(told, ["patchday.toml:2:8:", "d/2.toml:1:8:", "d/3.toml:", "d/4.toml:1:8:", "d/4.toml:2:14:"]);
}

/// The place of a secret is that of the file that names it.
#[test]
fn a_secret_that_a_drop_in_names_is_its_owners_alone() {
    let place = Place::with(&[("", "[[service]]\nunit = \"mongod.service\"\nkind = \"mongodb\"\n")]);
    let secret = place.directory.path().join("uri");
    fs::write(&secret, "mongodb://root:hunter2@127.0.0.1").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let text = format!("[[service]]\nunit = \"mongod.service\"\nmongodb.uri-file = \"{}\"\n", secret.display());
    place.write("x.toml", text.as_bytes());
    let told = "d/x.toml:3:20: [service.mongodb] uri-file: uri: expected a file that only its owner can read, found mode 0644 | chmod 0600 uri";
    assert_eq!(place.refused(), [told]);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(load_trusting(place.trust, &place.path(), 2, &[]).is_ok());
}

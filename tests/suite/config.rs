//! Configuration files, good and bad: `tests/fixtures/config`. Every bad one has its exact message in the snapshot.

// Helpers of tests may fail as tests do.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use patchday::config::keys::{KEYS, TABLES, header};
use patchday::config::{Ahead, ConfigError, Located, Trust, load_trusting, parse};
use patchday::report::words::list;

const CHECKS: [&str; 3] = ["boot-space", "disk-space", "other-updater"];

pub(super) fn fixtures(kind: &str) -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn parsed(name: &str, text: &str) -> Result<Located, ConfigError> {
    parse(text, Path::new(name), 4, &CHECKS)
}

#[test]
fn every_bad_file_has_its_own_clear_message() {
    let files = fixtures("bad");
    assert!(files.len() >= 25, "only {} bad files", files.len());
    let mut told = String::new();
    for (name, text) in files {
        let error = parsed(&name, &text).expect_err(&name);
        assert!(!error.to_string().contains("secret"), "{name} repeats a password: {error}");
        assert!(
            error.problems.iter().all(|problem| problem.place.position.is_some() && !problem.hint.is_empty()),
            "{name}"
        );
        let order: Vec<_> = error.problems.iter().map(|problem| problem.place.position).collect();
        assert!(order.is_sorted(), "{name}: {order:?}");
        writeln!(told, "error: {error}\nhint: {}\n", error.hint()).unwrap();
    }
    insta::assert_snapshot!("bad_files", told);
}

#[test]
fn good_files_become_settings() {
    for (name, text) in fixtures("good") {
        let located = parsed(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        let settings = serde_json::to_string_pretty(&located.settings).unwrap();
        insta::assert_snapshot!(format!("good_{}", name.trim_end_matches(".toml")), settings);
    }
}

#[test]
fn services_come_in_dependency_order_and_their_places_are_known() {
    let text = fixtures("good").into_iter().find(|(name, _)| name == "full.toml").unwrap().1;
    let located = parsed("full.toml", &text).unwrap();
    let units: Vec<&str> = located.settings.services.iter().map(|service| service.unit.as_str()).collect();
    assert_eq!(
        units,
        [
            "worker.service",
            "mongod.service",
            "api.service",
            "web@1.service",
            "mongod-second.service",
            "mongod-third.service"
        ]
    );
    for service in &located.settings.services {
        let place = located.positions.unit(&service.unit).unwrap();
        let line = text.lines().nth(place.line().unwrap() - 1).unwrap();
        assert!(line.contains(service.unit.as_str()), "{} at {place}", service.unit);
    }
    let api = "api.service".parse().unwrap();
    let problems = vec![located.unit_problem(&api, "this host has no such unit", "see: systemctl list-units")];
    let error = ConfigError { problems };
    let told = "full.toml:13:8: [[service]] unit: this host has no such unit";
    assert_eq!((error.to_string().as_str(), error.hint()), (told, "see: systemctl list-units"));
}

#[test]
fn settings_survive_the_way_to_disk_and_back() {
    for (name, text) in fixtures("good") {
        let settings = parsed(&name, &text).unwrap().settings;
        let saved = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<patchday::config::Settings>(&saved).unwrap(), settings, "{name}");
    }
}

#[test]
fn no_damaged_file_brings_the_reader_down() {
    let (_, text) = fixtures("good").into_iter().find(|(name, _)| name == "full.toml").unwrap();
    for (at, character) in text.char_indices() {
        let (before, rest) = text.split_at(at);
        let after = &rest[character.len_utf8()..];
        for damaged in [before.to_owned(), format!("{before}{after}"), format!("{before}\"é[{after}")] {
            if let Err(error) = parsed("damaged", &damaged) {
                assert!(error.problems.iter().all(|problem| problem.place.position.is_some()), "{error}");
            }
        }
    }
}

/// A directory with one file, and the trust in its owner.
fn written(name: &str, bytes: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf, Trust) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (directory, path, Trust { uid: rustix::process::getuid().as_raw() })
}

/// The error, with the directory taken out.
fn refused(directory: &Path, result: Result<Located, ConfigError>) -> String {
    let error = result.unwrap_err();
    format!("{error} | {}", error.hint()).replace(&format!("{}/", directory.display()), "")
}

#[test]
fn a_file_of_its_owner_alone_is_loaded() {
    for mode in [0o600, 0o640, 0o644] {
        let (directory, path, trust) = written("patchday.toml", b"[report]\nkeep = 3\n", mode);
        assert_eq!(load_trusting(trust, &path, 2, &CHECKS).unwrap().settings.keep_runs, 3);
        let link = directory.path().join("link.toml");
        symlink(&path, &link).unwrap();
        assert!(load_trusting(trust, &link, 2, &CHECKS).is_ok(), "the file behind the link counts");
    }
}

#[test]
fn a_file_that_others_can_change_is_refused() {
    for (mode, shown) in [(0o664, "0664"), (0o646, "0646"), (0o666, "0666")] {
        let (directory, path, trust) = written("patchday.toml", b"", mode);
        let message = format!(
            "patchday.toml: expected a file that only its owner can write, found mode {shown} | \
             chmod go-w patchday.toml"
        );
        assert_eq!(refused(directory.path(), load_trusting(trust, &path, 2, &CHECKS)), message);
    }
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    let (directory, path, Trust { uid }) = written("patchday.toml", b"", 0o644);
    let told = refused(directory.path(), load_trusting(Trust { uid: uid + 1 }, &path, 2, &CHECKS));
    let other = uid + 1;
    let message = format!(
        "patchday.toml: expected a file owned by uid {other}, found uid {uid} | \
         chown {other} patchday.toml"
    );
    assert_eq!(told, message);
}

#[test]
fn what_is_no_file_is_refused() {
    let (directory, path, trust) = written("patchday.toml", b"", 0o644);
    let missing = refused(directory.path(), load_trusting(trust, &path.with_file_name("none.toml"), 2, &CHECKS));
    assert_eq!(
        missing,
        "none.toml: cannot read the file: No such file or directory (os error 2) | write one with: patchday init"
    );
    let fifo = path.with_file_name("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for (name, at) in [("fifo", &fifo), ("sub", &path.with_file_name("sub"))] {
        if name == "sub" {
            fs::create_dir(at).unwrap();
        }
        let told = refused(directory.path(), load_trusting(trust, at, 2, &CHECKS));
        assert_eq!(told, format!("{name}: expected a regular file, found something else | look at it: ls -ld {name}"));
    }
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let (directory, path, trust) = written("patchday.toml", b"[report]\n# \xe9\n", 0o644);
    let told = refused(directory.path(), load_trusting(trust, &path, 2, &CHECKS));
    let message = "patchday.toml:2:3: expected text in UTF-8, found another byte | \
                   convert it: iconv -f ISO-8859-1 -t UTF-8 patchday.toml";
    assert_eq!(told, message);
    let (directory, path, trust) = written("patchday.toml", &vec![b'\n'; 1024 * 1024 + 1], 0o644);
    let told = refused(directory.path(), load_trusting(trust, &path, 2, &CHECKS));
    assert_eq!(told, "patchday.toml: expected at most 1048576 bytes, found more | look at it: ls -l patchday.toml");
}

#[test]
fn a_file_with_a_password_is_its_owners_alone() {
    let (directory, secret, trust) = written("mongodb.uri", b"mongodb://root:secret@127.0.0.1", 0o640);
    let text = format!(
        "[[service]]\nunit = \"mongod.service\"\nkind = \"mongodb\"\nmongodb.uri-file = \"{}\"\n",
        secret.display()
    );
    let path = directory.path().join("patchday.toml");
    fs::write(&path, text).unwrap();
    let told = refused(directory.path(), load_trusting(trust, &path, 2, &CHECKS));
    let message = "patchday.toml:4:20: [service.mongodb] uri-file: mongodb.uri: \
                   expected a file that only its owner can read, found mode 0640 | chmod 0600 mongodb.uri";
    assert_eq!(told, message);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(load_trusting(trust, &path, 2, &CHECKS).is_ok());
    fs::remove_file(&secret).unwrap();
    assert!(load_trusting(trust, &path, 2, &CHECKS).is_err());
}

/// A file that gives one key, with what the key needs beside it.
pub(super) fn with_key(table: &str, line: &str) -> String {
    let unit = if line.starts_with("unit =") { "" } else { "unit = \"api.service\"\n" };
    let other = "\n[[service]]\nunit = \"mongod.service\"\n";
    let needs = match line.split(' ').next().unwrap() {
        "address" => "probe = \"tcp\"\n",
        "url" => "probe = \"http\"\n",
        "command" => "probe = \"command\"\n",
        "stop-proof-command" => "stop-proof = \"command\"\n",
        "status" | "header" | "body" => "probe = \"http\"\nurl = \"http://127.0.0.1/\"\n",
        "probe" if line.ends_with("\"http\"") => "url = \"http://127.0.0.1/\"\n",
        "probe" if line.ends_with("\"command\"") => "command = [\"/bin/true\"]\n",
        "probe" if line.ends_with("\"tcp\"") => "address = \"127.0.0.1:80\"\n",
        _ => "",
    };
    let kind =
        if table == "service.mongodb" || line.starts_with("drain-timeout") { "kind = \"mongodb\"\n" } else { "" };
    let other = if line.contains("mongod.service") && !line.starts_with("unit") { other } else { "" };
    let others = |table: &str| {
        let required = KEYS.iter().filter(|key| key.table == table && key.default == "required");
        let missing = required.filter(|key| !line.starts_with(&format!("{} =", key.name)));
        missing.map(|key| format!("{} = {}\n", key.name, key.example)).collect::<String>()
    };
    match table {
        "window" | "blackout" | "hook" => format!("{}\n{line}\n{}", header(table), others(table)),
        "service" => format!("[[service]]\n{unit}{kind}{needs}{line}\n{other}"),
        "service.readiness" | "service.mongodb" => format!("[[service]]\n{unit}{kind}[{table}]\n{needs}{line}\n"),
        "notify" => format!("[[notify]]\n{}{line}\n", notify_needs(line.split(' ').next().unwrap())),
        "silence" => {
            let other = |name: &str| format!("{name} = [\"/bin/true\"]\n");
            let needs = ["begin", "end"].into_iter().filter(|name| !line.starts_with(name)).map(other);
            format!("[silence]\n{line}\n{}", needs.collect::<String>())
        }
        "kernel" if !["dkms", "optional-modules", "remove-old", "source"].iter().any(|name| line.starts_with(name)) => {
            format!("[{table}]\nsource = \"/usr/src/linux\"\n{line}\n")
        }
        _ if line.starts_with("users-collection") => {
            format!("[[service]]\nunit = \"mongod.service\"\nkind = \"mongodb\"\n[{table}]\n{line}\n")
        }
        _ if line.starts_with("users-field") || line.starts_with("users-within") => {
            with_key(table, "users-collection = \"a.b\"") + line + "\n"
        }
        _ if line.starts_with("users-limit") => format!("[{table}]\nusers-url = \"http://127.0.0.1/\"\n{line}\n"),
        _ => format!("[{table}]\n{line}\n"),
    }
}

/// What a key of `[[notify]]` needs beside it.
fn notify_needs(key: &str) -> &'static str {
    const MAIL: &str = "kind = \"mail\"\nto = [\"ops@example.org\"]\n";
    match key {
        "kind" => "to = [\"ops@example.org\"]\n",
        "to" => "kind = \"mail\"\n",
        "from" | "server" => MAIL,
        "security" => "kind = \"mail\"\nto = [\"ops@example.org\"]\nserver = \"smtp.example.org:465\"\n",
        "user" => {
            "kind = \"mail\"\nto = [\"ops@example.org\"]\nserver = \"localhost:25\"\npassword-file = \"/etc/x\"\n"
        }
        "password-file" | "password-credential" => {
            "kind = \"mail\"\nto = [\"ops@example.org\"]\nserver = \"localhost:25\"\nuser = \"me\"\n"
        }
        "template" => "kind = \"webhook\"\nurl = \"http://127.0.0.1/\"\n",
        "url" | "url-file" | "url-credential" => "kind = \"webhook\"\n",
        "file" => "kind = \"metrics\"\n",
        _ => "kind = \"wall\"\n",
    }
}

#[test]
fn every_key_of_the_table_is_taken_with_its_example() {
    for key in KEYS {
        let text = with_key(key.table, &format!("{} = {}", key.name, key.example));
        assert!(parsed(key.name, &text).is_ok(), "{}: {:?}", key.path(), parsed(key.name, &text));
    }
}

#[test]
fn what_comes_ahead_may_be_written_as_before() {
    for (written, ahead) in [
        ("false", Ahead::Nothing),
        ("true", Ahead::Kernel),
        ("\"kernel\"", Ahead::Kernel),
        ("\"unrelated\"", Ahead::Unrelated),
    ] {
        let located = parsed("ahead", &with_key("upgrade", &format!("ahead = {written}"))).unwrap();
        assert_eq!(located.settings.upgrade.ahead, ahead, "{written}");
    }
}

/// A key that nothing reads is taken, and does nothing.
#[test]
fn every_key_of_the_table_changes_the_settings() {
    for key in KEYS.iter().filter(|key| key.default != key.example) {
        let line = format!("{} = {}\n", key.name, key.example);
        let with = with_key(key.table, line.trim_end());
        let settings = |text: &str| parsed(key.name, text).map(|located| located.settings).ok();
        assert!(with.contains(&line));
        assert_ne!(settings(&with), settings(&with.replacen(&line, "", 1)), "{}", key.path());
    }
}

#[test]
fn the_documentation_has_every_key_and_its_examples_are_valid() {
    let page = include_str!("../../docs/configuration.md");
    let sections: Vec<(&str, &str)> =
        page.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    for table in TABLES {
        let name = format!("`{}`", header(table));
        let (_, section) = sections.iter().find(|(heading, _)| *heading == name).unwrap_or_else(|| panic!("no {name}"));
        let keys: Vec<_> = KEYS.iter().filter(|key| key.table == table).collect();
        for key in &keys {
            assert!(section.contains(&key.entry()), "below {name} it should say:\n{}", key.entry());
        }
        assert_eq!(section.matches("\n### ").count(), keys.len(), "{name} has an entry that is no key");
        let told_apart_by: Vec<_> =
            keys.iter().filter(|key| key.identifies()).map(|key| format!("`{}`", key.name)).collect();
        let row = format!("| {name} | {} |\n", list(told_apart_by.clone()));
        assert!(told_apart_by.is_empty() || page.contains(&row), "it should say:\n{row}");
    }
    assert_eq!(page.matches("\n### ").count(), KEYS.len());
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        assert!(parsed("docs", block).is_ok(), "{block}\n{:?}", parsed("docs", block));
    }
}

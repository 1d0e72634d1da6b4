//! Redis and Valkey: where they log, and what the log says of their end.
//!
//! The log is opened anew for each line, and the server's command line is overwritten by its title: so the unit's own
//! command and the file that it names say where it is.

use std::path::Path;

use super::{Server, log};
use crate::host::command::below;
use crate::host::{exec_line, foreign};
use crate::model::{LogPlace, RedisEnd};

pub(super) const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

const CONFIG_BYTES: u64 = 1024 * 1024;
/// Deeper than anybody includes one file from another.
const MOST_FILES: usize = 64;

/// What it says where its data is not on disk, whether or not it exits. Of the AOF it says so behind "Calling fsync()", and
/// exits all the same.
const NOT_SAVED: [&str; 5] = [
    "Error trying to save the DB",
    "Error writing to the AOF file",
    "Short write while writing to the AOF file",
    "Fail to fsync the AOF file",
    "Writing initial AOF",
];

/// What the server has written to its log from the stop on. The lines of others, as of a child that saves, are not its
/// own. Redis exits when all is saved, and says so last; one that must not wait for that (`shutdown-on-sigterm force`)
/// tells of its error before.
pub(super) fn end(log: &str, pid: u32) -> RedisEnd {
    let mut end = RedisEnd::Untold;
    let (mut saved, mut failed) = (false, false);
    for message in log.lines().filter_map(|line| message(line, pid)) {
        match message {
            "User requested shutdown..." => (saved, failed, end) = (false, false, RedisEnd::Untold),
            "DB saved on disk" | "Calling fsync() on the AOF file." => saved = true,
            message if NOT_SAVED.iter().any(|begin| message.starts_with(begin)) => failed = true,
            message if message.ends_with(" is now ready to exit, bye bye...") => {
                end = match (failed, saved) {
                    (true, _) => RedisEnd::NotSaved,
                    (false, true) => RedisEnd::Saved,
                    (false, false) => RedisEnd::WithoutSaving,
                };
            }
            _ => {}
        }
    }
    if failed && end == RedisEnd::Untold { RedisEnd::NotSaved } else { end }
}

/// What the process itself said, as a master, a replica or a sentinel, and not lightly: what a client says stands behind.
fn message(line: &str, pid: u32) -> Option<&str> {
    let (number, by_itself, said) = match line.strip_prefix("pid=") {
        Some(fields) => fields_of(fields)?,
        None => words_of(line)?,
    };
    (number.parse() == Ok(pid) && by_itself).then_some(said)
}

/// `PID:M 30 Nov 2026 06:21:55.819 * MESSAGE`; Valkey may be told to write the time as one word.
fn words_of(line: &str) -> Option<(&str, bool, &str)> {
    let (number, rest) = line.split_once(':')?;
    let (role, rest) = rest.split_once(' ')?;
    let behind = |time: usize| rest.splitn(time + 1, ' ').nth(time)?.split_once(' ');
    let (level, said) =
        [1, 4].into_iter().filter_map(behind).find(|(level, _)| matches!(*level, "." | "-" | "*" | "#"))?;
    Some((number, matches!(role, "M" | "S" | "X") && matches!(level, "*" | "#"), said))
}

/// `PID role=primary timestamp="…" level=notice message="MESSAGE"`, Valkey's `log-format logfmt`. A message has no such
/// quotes of its own.
fn fields_of(fields: &str) -> Option<(&str, bool, &str)> {
    let (number, rest) = fields.split_once(" role=")?;
    let (role, rest) = rest.split_once(" timestamp=\"")?;
    let (level, said) = rest.split_once("\" level=")?.1.split_once(" message=\"")?;
    let by_itself = matches!(role, "primary" | "replica" | "sentinel") && matches!(level, "notice" | "warning");
    Some((number, by_itself, said.strip_suffix('"')?))
}

/// Where the server logs, as its unit starts it.
pub(super) fn log(root: &Path, server: &Server, argv: Option<&[String]>) -> Result<LogPlace, String> {
    let words = argv.and_then(arguments).ok_or_else(|| {
        format!("the unit does not start {} itself, and nothing else tells where it logs", NAMES.join(" or "))
    })?;
    let [logfile, loglevel] = settings(root, words, ["logfile", "loglevel"])?;
    if loglevel.eq_ignore_ascii_case("nothing") {
        return Err("its loglevel is nothing, so that its log will not say how it ended".to_owned());
    }
    match logfile.as_str() {
        "" => log::of_descriptor(root, server, log::STDOUT),
        path if path.starts_with('/') => log::of_file(root, path),
        path => Err(format!("its logfile {path} is not named by an absolute path")),
    }
}

/// What follows the server's own name in a command.
fn arguments(argv: &[String]) -> Option<&[String]> {
    let is_server = |word: &String| NAMES.contains(&word.rsplit('/').next().unwrap_or(word));
    argv.iter().position(is_server).map(|at| &argv[at + 1..])
}

/// Each of these settings: as the command line has it, else the configuration, else empty. An empty `logfile` stands for
/// standard output.
fn settings<const N: usize>(root: &Path, words: &[String], names: [&str; N]) -> Result<[String; N], String> {
    let mut files = words.first().filter(|word| !word.starts_with('-')).cloned().into_iter().collect::<Vec<_>>();
    let mut found = names.map(|_| String::new());
    let mut read = 0;
    // Later lines count, and an included file stands where it is included.
    let mut lines: Vec<String> = Vec::new();
    while let Some(file) = files.pop() {
        read += 1;
        if read > MOST_FILES {
            return Err(format!("more than {MOST_FILES} files are included"));
        }
        if !file.starts_with('/') || file.contains(['*', '?', '[']) {
            return Err(format!("its configuration {file} is not named by an absolute path without patterns"));
        }
        let text = foreign::read(&below(root, &file), CONFIG_BYTES).map_err(|error| format!("{file}: {error}"))?;
        lines.extend(text.lines().rev().map(str::to_owned));
        while let Some(line) = lines.pop() {
            let mut words = exec_line::split(line.trim()).into_iter();
            let (name, value) = (words.next().unwrap_or_default().to_ascii_lowercase(), words.next());
            if let Some(at) = names.iter().position(|known| *known == name) {
                found[at] = value.unwrap_or_default();
            } else if let (Some(included), "include") = (value, name.as_str()) {
                files.push(included);
                break;
            }
        }
    }
    for (name, found) in names.iter().zip(&mut found) {
        let given = words.iter().rposition(|word| word.strip_prefix("--") == Some(name));
        if let Some(value) = given.and_then(|at| words.get(at + 1)) {
            value.clone_into(found);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree;

    macro_rules! log {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/end-proof/", $name))
        };
    }

    const CLEAN: &str = log!("clean-redis7.0.15.log");
    const FORCED: &str = log!("forced-redis7.0.15.log");
    const APPEND_ONLY: &str = log!("append-only-redis7.0.15.log");
    const VALKEY: &str = log!("clean-valkey8.1.1.log");

    #[test]
    fn the_servers_last_words_count() {
        for (log, pid, expected) in [
            (CLEAN, 16_099, RedisEnd::Saved),
            (log!("clean-redis8.0.2.log"), 18_474, RedisEnd::Saved),
            (VALKEY, 28_044, RedisEnd::Saved),
            (APPEND_ONLY, 16_267, RedisEnd::Saved),
            (log!("save-nothing-redis7.0.15.log"), 16_287, RedisEnd::WithoutSaving),
            (log!("warnings-only-redis8.0.2.log"), 18_517, RedisEnd::WithoutSaving),
            (log!("killed-redis7.0.15.log"), 16_213, RedisEnd::Untold),
            // It cannot save: it stays, until it is killed; or it is told to exit all the same.
            (log!("cannot-save-redis7.0.15.log"), 16_338, RedisEnd::NotSaved),
            (FORCED, 16_508, RedisEnd::NotSaved),
            // Another process of the same log.
            (CLEAN, 99, RedisEnd::Untold),
            ("", 1, RedisEnd::Untold),
            ("7:C 30 Nov 2026 06:21:55.820 # Redis is now ready to exit, bye bye...", 7, RedisEnd::Untold),
        ] {
            assert_eq!(end(log, pid), expected, "{}", log.lines().last().unwrap_or_default());
        }
    }

    #[test]
    fn what_could_not_be_written_is_not_saved_although_it_exits() {
        const BEHIND: &str = "Removing the unix socket file.";
        assert!(APPEND_ONLY.contains(BEHIND));
        for said in [
            "Fail to fsync the AOF file: No space left on device.",
            "Error writing to the AOF file: No space left on device",
            "Short write while writing to the AOF file: (nwritten=7, expected=70)",
            "Writing initial AOF. Exit anyway.",
        ] {
            let log = APPEND_ONLY.replace(BEHIND, &format!("{BEHIND}\n16267:M 30 Nov 2026 06:21:59.371 # {said}"));
            assert_eq!(end(&log, 16_267), RedisEnd::NotSaved, "{said}");
        }
    }

    /// The formats of Redis' and of Valkey's `log-timestamp-format` and `log-format`, a line with its light and its grave level.
    #[test]
    fn lines_are_read_in_every_format_and_what_a_client_says_in_none() {
        for (format, light, grave) in [
            ("7:M 30 Nov 2026 06:28:32.709 LEVEL SAID", "-", "*"),
            ("7:S 2026-11-30T06:28:32.709+01:00 LEVEL SAID", "-", "*"),
            ("7:M 1796020112709 LEVEL SAID", "-", "*"),
            ("7:X 30 Nov 2026 06:28:32.709 LEVEL SAID", "-", "*"),
            (
                "pid=7 role=primary timestamp=\"30 Nov 2026 06:28:32.709\" level=LEVEL message=\"SAID\"",
                "info",
                "notice",
            ),
        ] {
            let line = |level, said| format.replace("LEVEL", level).replace("SAID", said) + "\n";
            let said = ["User requested shutdown...", "DB saved on disk", "Valkey is now ready to exit, bye bye..."];
            let log = said.map(|said| line(grave, said)).concat();
            assert_eq!(end(&log, 7), RedisEnd::Saved, "{log}");
            assert_eq!(end(&log, 70), RedisEnd::Untold, "{log}");
            for client in ["a * x is now ready to exit, bye bye...", "x y * z is now ready to exit, bye bye..."] {
                assert_eq!(end(&line(light, client), 7), RedisEnd::Untold, "{}", line(light, client));
            }
        }
    }

    #[test]
    fn the_log_is_where_the_last_of_all_files_says() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        tree::write(
            root,
            "/etc/redis/redis.conf",
            "# logfile /no\ninclude /etc/redis/more.conf\nLOGFILE \"/var/log/a b\"\n",
        );
        tree::write(
            root,
            "/etc/redis/early.conf",
            "logfile /var/log/a\nport 1\ninclude /etc/redis/more.conf\nport 2\n",
        );
        tree::write(root, "/etc/redis/more.conf", "logfile /var/log/more\n");
        tree::write(root, "/etc/redis/plain.conf", "port 6379\n");
        tree::write(root, "/etc/redis/circle.conf", "include /etc/redis/circle.conf\n");
        tree::write(root, "/etc/redis/all.conf", "include /etc/redis/conf.d/*.conf\n");
        for (command, expected) in [
            ("/usr/bin/redis-server /etc/redis/redis.conf --supervised systemd", Ok("/var/log/a b")),
            ("/usr/bin/valkey-server /etc/redis/early.conf", Ok("/var/log/more")),
            ("/usr/bin/redis-server /etc/redis/plain.conf", Ok("")),
            ("/usr/bin/redis-server --port 1", Ok("")),
            ("/usr/bin/redis-server /etc/redis/early.conf --logfile /srv/x", Ok("/srv/x")),
            ("/usr/bin/redis-server /etc/redis/circle.conf", Err("more than 64 files")),
            ("/usr/bin/redis-server /etc/redis/none.conf", Err("none.conf")),
            ("/usr/bin/redis-server /etc/redis/all.conf", Err("conf.d/*.conf is not named by an absolute path")),
            ("/usr/bin/redis-server redis.conf", Err("redis.conf is not named by an absolute path")),
        ] {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            match (settings(root, arguments(&words).unwrap(), ["logfile"]), expected) {
                (Ok([found]), Ok(expected)) => assert_eq!(found, expected, "{command}"),
                (Err(why), Err(text)) => assert!(why.contains(text), "{command}: {why}"),
                (found, _) => panic!("{command}: {found:?}"),
            }
        }
        assert_eq!(arguments(&["/usr/local/sbin/start-redis".to_owned()]), None);
    }

    #[test]
    fn a_server_that_logs_nothing_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        tree::write(dir.path(), "/redis.conf", "logfile /var/log/redis.log\nloglevel NOTHING\n");
        let server = Server { pid: 7, own_pid: 7, invocation: "a1".into() };
        let log = |command: &str| {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            log(dir.path(), &server, Some(&words))
        };
        assert!(log("/usr/bin/redis-server /redis.conf").unwrap_err().contains("its loglevel is nothing"));
        assert!(log("/usr/bin/redis-server /redis.conf --loglevel notice").is_ok());
    }

    #[test]
    fn spoiled_text_is_survived() {
        crate::host::hostile::survives(&[CLEAN, FORCED], |text| {
            let _ = end(text, 16_099);
        });
        crate::host::hostile::survives(&["include \"/a b\"\nlogfile '/x'\n"], |text| {
            let dir = tempfile::tempdir().unwrap();
            tree::write(dir.path(), "/c", text);
            let _ = settings(dir.path(), &["/c".to_owned()], ["logfile"]);
        });
    }
}

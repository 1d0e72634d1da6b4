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
            message if message.starts_with("Error trying to save the DB") => failed = true,
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

/// `PID:M 30 Nov 2026 06:21:55.819 * MESSAGE`, of this process, as a master or a replica.
fn message(line: &str, pid: u32) -> Option<&str> {
    let (number, rest) = line.split_once(':')?;
    let mut words = rest.splitn(7, ' ');
    let is_its_own = number.parse() == Ok(pid) && matches!(words.next(), Some("M" | "S"));
    // Day, month, year, time, and how grave it is: what a client says stands behind.
    let is_said = matches!(words.nth(4), Some("*" | "#"));
    words.next().filter(|_| is_its_own && is_said)
}

/// Where the server logs, as its unit starts it.
pub(super) fn log(root: &Path, server: &Server, argv: Option<&[String]>) -> Result<LogPlace, String> {
    let words = argv.and_then(arguments).ok_or_else(|| {
        format!("the unit does not start {} itself, and nothing else tells where it logs", NAMES.join(" or "))
    })?;
    match logfile(root, words)?.as_str() {
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

/// `logfile` of the command line, else of the configuration, else none: an empty one stands for standard output.
fn logfile(root: &Path, words: &[String]) -> Result<String, String> {
    let mut files = words.first().filter(|word| !word.starts_with('-')).cloned().into_iter().collect::<Vec<_>>();
    let mut found = String::new();
    let mut read = 0;
    // Later lines count, and an included file stands where it is included.
    let mut lines: Vec<String> = Vec::new();
    while let Some(file) = files.pop() {
        read += 1;
        if read > MOST_FILES {
            return Err(format!("more than {MOST_FILES} files are included"));
        }
        let text = foreign::read(&below(root, &file), CONFIG_BYTES).map_err(|error| format!("{file}: {error}"))?;
        lines.extend(text.lines().rev().map(str::to_owned));
        while let Some(line) = lines.pop() {
            let mut words = exec_line::split(line.trim()).into_iter();
            match (words.next().map(|name| name.to_ascii_lowercase()).as_deref(), words.next()) {
                (Some("logfile"), path) => found = path.unwrap_or_default(),
                (Some("include"), Some(included)) => {
                    files.push(included);
                    break;
                }
                _ => {}
            }
        }
    }
    let given = words.iter().position(|word| word == "--logfile").and_then(|at| words.get(at + 1));
    Ok(given.cloned().unwrap_or(found))
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

    #[test]
    fn the_servers_last_words_count() {
        for (log, pid, expected) in [
            (CLEAN, 16_099, RedisEnd::Saved),
            (log!("clean-redis8.0.2.log"), 18_474, RedisEnd::Saved),
            (log!("clean-valkey8.1.1.log"), 28_044, RedisEnd::Saved),
            (log!("append-only-redis7.0.15.log"), 16_267, RedisEnd::Saved),
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
        for (command, expected) in [
            ("/usr/bin/redis-server /etc/redis/redis.conf --supervised systemd", Ok("/var/log/a b")),
            ("/usr/bin/valkey-server /etc/redis/early.conf", Ok("/var/log/more")),
            ("/usr/bin/redis-server /etc/redis/plain.conf", Ok("")),
            ("/usr/bin/redis-server --port 1", Ok("")),
            ("/usr/bin/redis-server /etc/redis/early.conf --logfile /srv/x", Ok("/srv/x")),
            ("/usr/bin/redis-server /etc/redis/circle.conf", Err("more than 64 files")),
            ("/usr/bin/redis-server /etc/redis/none.conf", Err("none.conf")),
        ] {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            match (logfile(root, arguments(&words).unwrap()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{command}"),
                (Err(why), Err(text)) => assert!(why.contains(text), "{command}: {why}"),
                (found, _) => panic!("{command}: {found:?}"),
            }
        }
        assert_eq!(arguments(&["/usr/local/sbin/start-redis".to_owned()]), None);
    }

    #[test]
    fn spoiled_text_is_survived() {
        crate::host::hostile::survives(&[CLEAN, FORCED], |text| {
            let _ = end(text, 16_099);
        });
        crate::host::hostile::survives(&["include \"/a b\"\nlogfile '/x'\n"], |text| {
            let dir = tempfile::tempdir().unwrap();
            tree::write(dir.path(), "/c", text);
            let _ = logfile(dir.path(), &["/c".to_owned()]);
        });
    }
}

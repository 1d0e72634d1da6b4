//! MariaDB and MySQL: what their error log says of InnoDB's end.
//!
//! It goes where the server's standard error goes, since `log_error` is opened as such; in Debian that is the journal.

use crate::model::InnodbEnd;

pub(super) const NAMES: [&str; 2] = ["mariadbd", "mysqld"];

/// What a server has written to its log from the stop on, judged by its last words on InnoDB.
pub(super) fn end(log: &str) -> InnodbEnd {
    let mut end = InnodbEnd::Untold;
    let mut recovers = false;
    for line in log.lines() {
        let Some(record) = Record::read(line) else { continue };
        if record.is_innodb && record.message.starts_with("Starting shutdown") {
            (end, recovers) = (InnodbEnd::Untold, false);
        }
        // "Executing innodb_fast_shutdown=2. Next startup will execute crash recovery!", and MySQL's longer words.
        recovers |= record.is_innodb && record.message.contains("crash recovery");
        let number = record.message.strip_prefix("Shutdown completed; log sequence number ");
        // Unlike its other records, MariaDB 10.11 and 11.8 write this one without InnoDB's name.
        let number = number.filter(|_| record.is_note).and_then(|rest| rest.split(';').next()?.trim().parse().ok());
        match number {
            Some(_) if recovers => end = InnodbEnd::ToRecover,
            Some(number) => end = InnodbEnd::Complete(number),
            None if record.code == Some(MYSQL_ENDED) && end == InnodbEnd::Untold => {
                end = if recovers { InnodbEnd::ToRecover } else { InnodbEnd::ServerOnly };
            }
            None => {}
        }
    }
    end
}

/// "Shutdown complete" of MySQL's server.
const MYSQL_ENDED: &str = "MY-010910";

/// A record of the error log: `DATE TIME THREAD [Note] InnoDB: MESSAGE` of MariaDB, `DATETIME THREAD [Note] [MY-012980]
/// [InnoDB] MESSAGE` of MySQL.
struct Record<'a> {
    is_note: bool,
    code: Option<&'a str>,
    is_innodb: bool,
    message: &'a str,
}

impl<'a> Record<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (head, rest) = line.split_once(" [")?;
        // A date, a time and a number: what a client says stands behind the level.
        if !head.starts_with(|first: char| first.is_ascii_digit())
            || head.chars().any(|sign| !sign.is_ascii_digit() && !" -:.TZ+".contains(sign))
        {
            return None;
        }
        let (level, rest) = rest.split_once("] ")?;
        let is_note = level == "Note";
        let Some((code, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
            let message = rest.strip_prefix("InnoDB: ");
            return Some(Self { is_note, code: None, is_innodb: message.is_some(), message: message.unwrap_or(rest) });
        };
        let (part, message) = rest.strip_prefix('[')?.split_once("] ")?;
        Some(Self { is_note, code: Some(code), is_innodb: part == "InnoDB", message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! log {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/end-proof/", $name))
        };
    }

    const CLEAN: &str = log!("clean-mariadb10.11.19.log");
    const KILLED: &str = log!("killed-mariadb10.11.19.log");
    const AS_IF_CRASHED: &str = log!("fast-shutdown-2-mariadb11.8.9.log");
    const MYSQL: &str = log!("clean-mysql9.7.4.log");
    const MYSQL_NOTES: &str = log!("clean-verbose-mysql9.7.4.log");

    #[test]
    fn the_last_word_on_innodb_counts() {
        for (log, expected) in [
            (CLEAN, InnodbEnd::Complete(35_819)),
            (log!("clean-mariadb11.8.9.log"), InnodbEnd::Complete(36_633)),
            (KILLED, InnodbEnd::Untold),
            (AS_IF_CRASHED, InnodbEnd::ToRecover),
            (MYSQL, InnodbEnd::ServerOnly),
            (MYSQL_NOTES, InnodbEnd::Complete(19_505_767)),
            (log!("killed-mysql9.7.4.log"), InnodbEnd::Untold),
            ("", InnodbEnd::Untold),
        ] {
            assert_eq!(end(log), expected, "{}", log.lines().last().unwrap_or_default());
        }
        // MySQL says so as a note: without notes it ends as if nothing were.
        let begin = "Starting shutdown...\n";
        let fast = "2026-11-30T06:29:07.086900Z 0 [Note] [MY-013091] [InnoDB] MySQL has requested a very fast shutdown without \
                    flushing the InnoDB buffer pool to data files. At the next mysqld startup InnoDB will do a crash recovery!\n";
        assert!(MYSQL_NOTES.contains(begin));
        assert_eq!(end(&MYSQL_NOTES.replace(begin, &format!("{begin}{fast}"))), InnodbEnd::ToRecover);
        // MariaDB before 10.11 names InnoDB here too.
        let older = "2023-05-01 10:00:00 0 [Note] InnoDB: Shutdown completed; log sequence number 7; transaction id 2";
        assert_eq!(end(older), InnodbEnd::Complete(7));
    }

    #[test]
    fn what_a_client_says_is_no_record() {
        let complete = "[Note] InnoDB: Shutdown completed; log sequence number 7; transaction id 2";
        for forged in [
            format!("2026-11-30  6:22:39 5 [Warning] Aborted connection 5 to user: 'x' {complete}"),
            format!("Version: {complete}"),
            complete.to_owned(),
            format!("2026-11-30  6:22:39 0 [Warning] {}", complete.replace("[Note] ", "")),
            "2026-11-30  6:22:39 0 [Note] InnoDB: Shutdown completed; log sequence number many".to_owned(),
        ] {
            assert_eq!(end(&forged), InnodbEnd::Untold, "{forged}");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        crate::host::hostile::survives(&[CLEAN, AS_IF_CRASHED, MYSQL_NOTES], |text| {
            let _ = end(text);
        });
    }
}

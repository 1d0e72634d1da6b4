//! Single values: text in, meaning out.

use std::net::Ipv6Addr;

use jiff::SignedDuration;

use super::kind::Kind;
use crate::model::{UnitName, nearest, redacted, split_authority};

/// A value that is not what its key takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What would have been right.
    pub expected: String,
    pub found: String,
    pub hint: String,
}

impl Wrong {
    pub(super) fn new(expected: impl Into<String>, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into(), hint: hint.into() }
    }
}

type Taken<T> = Result<T, Wrong>;

/// Text as TOML would show it.
pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// Whether a text, or an item of a list, is what the kind takes. What has a meaning of its own (a calendar, a label of a
/// check) is judged where that is known.
pub(super) fn check(kind: Kind, given: &str) -> Taken<()> {
    match kind {
        Kind::Unit | Kind::Units => unit(given).map(drop),
        Kind::Choice(_) | Kind::Switch(_) => choice(kind, given),
        Kind::Duration(_) => duration(kind, given).map(drop),
        Kind::Percent => percent(given).map(drop),
        Kind::Size => size(given).map(drop),
        Kind::Address => address(given),
        Kind::Url => url(given),
        Kind::MongodbUri => mongodb_uri(given),
        Kind::Credential => credential(given),
        Kind::Collection => collection(given),
        Kind::Field => field(given),
        Kind::Path | Kind::Paths => path(given),
        Kind::Packages => package(given),
        Kind::PackagePatterns => package_pattern(given),
        Kind::Archives => archive(given),
        Kind::Modules => module(given),
        Kind::Origins => origin(given),
        Kind::Mail | Kind::Mails => mail(given),
        Kind::Words => words(given),
        Kind::Announcement => announcement(given),
        Kind::Header => header(given),
        Kind::Text => text(given),
        Kind::Integer(..)
        | Kind::Boolean
        | Kind::Labels
        | Kind::Calendar
        | Kind::Day
        | Kind::Command
        | Kind::Arguments => Ok(()),
    }
}

/// A duration from one second up to `max` seconds.
pub(super) fn duration(kind: Kind, text: &str) -> Taken<SignedDuration> {
    let wrong = |hint: &str| Wrong::new(kind.expected(), quoted(text), hint);
    let max = if let Kind::Duration(max) = kind { max } else { i64::MAX };
    let parsed: SignedDuration = text
        .parse()
        .map_err(|_| wrong("write a number and its unit (s, m, h), as in \"90s\", \"2m\" or \"1h 30m\""))?;
    let bounds = SignedDuration::from_secs(1)..=SignedDuration::from_secs(max);
    if bounds.contains(&parsed) { Ok(parsed) } else { Err(wrong("choose a duration within the bounds")) }
}

/// A share in percent.
///
/// # Errors
///
/// What is wrong with the text.
pub fn percent(text: &str) -> Result<u8, Wrong> {
    let digits = text.strip_suffix('%').filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let share = digits.and_then(|number| number.parse::<u8>().ok());
    share.filter(|share| (1..=100).contains(share)).ok_or_else(|| {
        Wrong::new(Kind::Percent.expected(), quoted(text), "write a whole number and the sign, as in \"50%\"")
    })
}

/// An amount of memory in bytes: a whole number and `M` or `G`, by 1024 as systemd counts.
///
/// # Errors
///
/// What is wrong with the text.
pub fn size(text: &str) -> Result<u64, Wrong> {
    let mebi = 1u64 << 20;
    let unit_of = |suffix, unit| text.strip_suffix(suffix).map(|number| (number, unit));
    let bytes = unit_of('M', mebi)
        .or_else(|| unit_of('G', mebi << 10))
        .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|(number, unit)| number.parse::<u64>().ok()?.checked_mul(unit));
    bytes.filter(|bytes| (64 * mebi..=mebi << 20).contains(bytes)).ok_or_else(|| {
        Wrong::new(Kind::Size.expected(), quoted(text), "write a whole number and M or G, as in \"512M\" or \"2G\"")
    })
}

/// One of the kind's words.
pub(super) fn choice(kind: Kind, text: &str) -> Taken<()> {
    let words = if let Kind::Choice(words) | Kind::Switch(words) = kind { words } else { &[] };
    if words.contains(&text) {
        return Ok(());
    }
    let hint = match nearest(text, words.iter().copied()) {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => format!("choose {}", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" or ")),
    };
    Err(Wrong::new(kind.expected(), quoted(text), hint))
}

/// Whether a `[[service]]` may name the unit: a service, no template, and none of Patchday's own.
pub fn takes_unit(name: &UnitName) -> bool {
    unit(name.as_str()).is_ok()
}

/// A unit that Patchday can stop and start.
pub(super) fn unit(text: &str) -> Taken<UnitName> {
    let expected = "a service unit, as in mongod.service";
    let wrong = |hint: String| Wrong::new(expected, quoted(text), hint);
    let with_suffix = format!("{text}.service");
    let Ok(unit) = text.parse::<UnitName>() else {
        return Err(wrong(match with_suffix.parse::<UnitName>() {
            Ok(unit) if !text.contains('.') => format!("did you mean \"{unit}\"?"),
            _ => "list the units of this host with: systemctl list-units --type=service".to_owned(),
        }));
    };
    let Some(stem) = text.strip_suffix(".service") else {
        return Err(wrong("name the service itself: its sockets and timers are held while it is stopped".to_owned()));
    };
    if stem.ends_with('@') {
        return Err(wrong(format!("name an instance of the template, as in \"{stem}1.service\"")));
    }
    if stem == "patchday" || stem.starts_with("patchday-") {
        return Err(wrong("leave Patchday's own units out".to_owned()));
    }
    Ok(unit)
}

/// A Debian package, with or without its architecture.
fn package(text: &str) -> Taken<()> {
    if is_package(text) {
        return Ok(());
    }
    let hint = "name each package in full, as apt does; patterns are not taken";
    Err(Wrong::new("a package name, as in \"libold1\"", quoted(text), hint))
}

fn is_package(text: &str) -> bool {
    let (name, arch) = text.split_once(':').unwrap_or((text, "any"));
    let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    name.len() >= 2
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && word(&name.replace(['+', '.'], "-"))
        && !arch.is_empty()
        && word(arch)
}

/// A Debian package, or a pattern of them. A pin has no `all`: such a package counts as one of the host's own architecture.
fn package_pattern(text: &str) -> Taken<()> {
    let (name, arch) = text.split_once(':').unwrap_or((text, "any"));
    let hint = match text {
        text if text.ends_with(":all") => "leave out the architecture: a package for all of them has none of its own",
        text if text.ends_with(":native") => "leave out the architecture: a package counts in every one",
        text if text.starts_with("src:") => "name the packages that are built of the source, as apt lists them",
        text if !names_something(text) => {
            "name what stays; a run that takes security updates only has only-security = true"
        }
        _ if is_package(&format!("{}:{arch}", name.replace(['*', '?'], "xx"))) => return Ok(()),
        _ => "write names as apt does; in patterns * stands for any letters, and ? for one",
    };
    Err(Wrong::new("a package name or a pattern, as in \"docker-*\"", quoted(text), hint))
}

/// Whether a pattern has more than places for anything.
fn names_something(pattern: &str) -> bool {
    let name = pattern.split(':').next().unwrap_or_default();
    name.is_empty() || name.contains(|letter: char| letter.is_ascii_alphanumeric())
}

/// The name of a DKMS module, as `dkms status` writes it before the slash.
fn module(text: &str) -> Taken<()> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte)) {
        return Ok(());
    }
    let hint = "name each as `dkms status` does, without the version";
    Err(Wrong::new("the name of a module, as in \"rtl88x2bu\"", quoted(text), hint))
}

pub(super) fn path(text: &str) -> Taken<()> {
    if text.starts_with('/') && !text.ends_with('/') && !text.contains('\0') {
        return Ok(());
    }
    Err(Wrong::new(
        Kind::Path.expected(),
        quoted(&redacted(text)),
        "begin it with /, as in \"/etc/patchday/mongodb.uri\"",
    ))
}

/// The name of an archive, as apt writes it before the colon.
fn origin(text: &str) -> Taken<()> {
    if !text.is_empty() && text.trim() == text && !text.contains([':', ',', '\n']) {
        return Ok(());
    }
    let hint = "write what stands before the colon in: apt-get -s dist-upgrade";
    Err(Wrong::new("the name of an archive, as in \"mongodb\"", quoted(text), hint))
}

/// An archive by its origin, its label or its host, or a pattern of these; nothing that a pin would read otherwise.
fn archive(text: &str) -> Taken<()> {
    let is_taken = |letter: char| !letter.is_control() && !",\"\\[]".contains(letter);
    let hint = match text {
        text if text.starts_with("http") && text.contains("://") => "name the host alone, as in \"deb.nodesource.com\"",
        text if !names_something(text) => "name the archives; a run without any has nothing to upgrade",
        text if text.contains('=') => "write the name alone, without o=, origin= or site= before it",
        text if !text.is_empty() && !text.starts_with('/') && text.trim() == text && text.chars().all(is_taken) => {
            return Ok(());
        }
        _ => "write what stands behind o=, l= or origin in: apt-cache policy",
    };
    Err(Wrong::new("an origin, a label or a host, as in \"Docker\"", quoted(text), hint))
}

/// `NAME: VALUE`, as in an answer over HTTP.
fn header(text: &str) -> Taken<()> {
    let is_token = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    match text.split_once(':') {
        Some((name, value)) if is_token(name) && !value.trim().is_empty() && !value.contains(['\r', '\n']) => Ok(()),
        _ => Err(Wrong::new(Kind::Header.expected(), quoted(text), "write NAME: VALUE, as in \"X-Ready: yes\"")),
    }
}

/// Any text but an empty one, which everything holds.
fn text(text: &str) -> Taken<()> {
    if text.is_empty() {
        return Err(Wrong::new(Kind::Text.expected(), quoted(text), "take it out, or write what must be there"));
    }
    Ok(())
}

/// `HOST:PORT`.
fn address(text: &str) -> Taken<()> {
    if is_address(text, true) {
        return Ok(());
    }
    let hint = "write HOST:PORT, as in \"127.0.0.1:8080\" or \"[::1]:8080\"";
    Err(Wrong::new(Kind::Address.expected(), quoted(&redacted(text)), hint))
}

fn is_address(text: &str, port_needed: bool) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => (host, port.strip_prefix(':')),
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host_valid = !host.is_empty()
        && (text.starts_with('[') || host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)));
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let port_valid = match port {
        Some(port) => digits(port) && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => !port_needed,
    };
    host_valid && port_valid
}

/// Whether the HTTP probe may ask the URL.
pub fn takes_url(text: &str) -> bool {
    url(text).is_ok()
}

/// An URL for the HTTP probe.
pub(super) fn url(text: &str) -> Taken<()> {
    let wrong = |hint: &str| Err(Wrong::new(Kind::Url.expected(), quoted(&redacted(text)), hint));
    let Ok(url) = reqwest::Url::parse(text) else {
        return wrong("write the whole URL, as in \"http://127.0.0.1:8080/health\"");
    };
    // Url forgives what others, as those who hide secrets in a text, do not take for a URL.
    let is_odd = !text.contains("://") || text.contains(|sign: char| sign.is_whitespace() || "'\"<>\\".contains(sign));
    if is_odd || !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return wrong("write the whole URL, as in \"http://127.0.0.1:8080/health\"");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("leave the credentials out and probe a path that answers without them");
    }
    Ok(())
}

/// The host that a URL leads to: `HOOKS.slack.com` and `hooks%2eslack.com` lead to `hooks.slack.com`.
pub(super) fn host_of(url: &str) -> Option<String> {
    reqwest::Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// A mail address, with or without a name before it.
fn mail(text: &str) -> Taken<()> {
    let plain = text.trim_end_matches('>').rsplit('<').next().unwrap_or(text);
    let valid = plain.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && !plain.contains([' ', ',', ';'])
        && !text.contains(char::is_control);
    if valid {
        return Ok(());
    }
    Err(Wrong::new(Kind::Mail.expected(), quoted(text), "write it as in \"ops@example.org\""))
}

/// Words in one line.
fn words(text: &str) -> Taken<()> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(Wrong::new(Kind::Words.expected(), quoted(text), "say it in a few words"));
    }
    Ok(())
}

/// Terminals show it: one line, and nothing that would command them.
fn announcement(text: &str) -> Taken<()> {
    let other = text.split('{').skip(1).find(|rest| !rest.starts_with("time}") && !rest.starts_with("host}"));
    if text.trim().is_empty() || text.chars().any(char::is_control) || other.is_some() {
        let hint = "only {time} and {host} stand between braces, and it is one line";
        return Err(Wrong::new(Kind::Announcement.expected(), quoted(text), hint));
    }
    Ok(())
}

/// What options that hold secrets are called.
const SECRET_OPTIONS: [&str; 2] = ["password=", "aws_session_token"];

/// A connection string of one server, without credentials: the `shutdown` command must not reach another server than
/// the unit's own.
fn mongodb_uri(text: &str) -> Taken<()> {
    let wrong = |expected: &str, hint: &str| Err(Wrong::new(expected, quoted(&redacted(text)), hint));
    let expected = Kind::MongodbUri.expected();
    let example = "write it as in \"mongodb://127.0.0.1:27017\"";
    if text.starts_with("mongodb+srv://") {
        return wrong(&expected, "name the server that the unit runs: \"mongodb://127.0.0.1:27017\"");
    }
    let Some(rest) = text.strip_prefix("mongodb://") else {
        return wrong(&expected, example);
    };
    let (authority, options) = split_authority(rest);
    if authority.contains('@') || SECRET_OPTIONS.iter().any(|option| options.to_ascii_lowercase().contains(option)) {
        let hint = "move the whole connection string to a file (root, 0600) and name it with uri-file";
        return wrong("a connection string without credentials", hint);
    }
    if authority.contains(',') {
        return wrong(&expected, "name only the server that the unit runs, even if it is a member of a replica set");
    }
    // A Unix socket is percent-encoded.
    let socket = authority.to_ascii_lowercase();
    if is_address(authority, false) || (socket.starts_with("%2f") && socket.ends_with(".sock")) {
        Ok(())
    } else {
        wrong(&expected, example)
    }
}

/// As systemd takes them: a file name without anything that needs quoting.
fn credential(text: &str) -> Taken<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !text.is_empty() && text.len() <= 255 && !text.starts_with('.') && text.chars().all(plain) {
        return Ok(());
    }
    let hint = "letters, digits, dots, dashes and underscores, as in \"patchday-mongodb\"";
    Err(Wrong::new(Kind::Credential.expected(), quoted(text), hint))
}

/// A field of a document, as in `lastSeen` or `session.seen`: no operator of a query.
fn field(text: &str) -> Taken<()> {
    if text.is_empty() || text.starts_with('$') || text.contains(['\0', ' ']) || text.contains(".$") {
        return Err(Wrong::new("the name of a field", quoted(text), "write it as in \"lastSeen\""));
    }
    Ok(())
}

/// A collection may have dots in its name, a database may not.
fn collection(text: &str) -> Taken<()> {
    match text.split_once('.') {
        Some((database, collection))
            if !database.is_empty() && !collection.is_empty() && !text.contains(['$', '\0', ' ', '/']) =>
        {
            Ok(())
        }
        _ => {
            let hint = "write it as in \"patchday.canary\"";
            Err(Wrong::new(Kind::Collection.expected(), quoted(text), hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["127.0.0.1:80", "localhost:1", "db-1.example.org:65535", "[::1]:80", "[fe80::1]:8080"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ":80",
            "80",
            "localhost:",
            "localhost:0",
            "localhost:+1",
            "::1:80",
            "[::1]",
            "[::1]80",
            "[x]:80",
            "a b:1",
            "h/:1",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn connection_strings_name_one_server_and_no_password() {
        for good in [
            "mongodb://localhost",
            "mongodb://127.0.0.1:27017/",
            "mongodb://[::1]:27017/admin?directConnection=true",
            "mongodb://[::1]",
            "mongodb://%2Frun%2Fmongodb-27017.sock",
        ] {
            assert!(mongodb_uri(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "mongodb://",
            "mongodb:///admin",
            "mongodb://a,b",
            "mongodb://root@localhost",
            "mongodb://root:@localhost",
            "mongodb://localhost:27017:1",
            "mongodb://localhost/?authMechanismProperties=AWS_SESSION_TOKEN:x",
            "http://localhost",
        ] {
            assert!(mongodb_uri(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_and_durations_are_exact() {
        for bad in ["", "%", "+5%", "5 %", "0.5%", "5%%", "256%"] {
            assert!(percent(bad).is_err(), "{bad}");
        }
        assert_eq!((percent("1%"), percent("100%")), (Ok(1), Ok(100)));
        let kind = Kind::Duration(60);
        assert_eq!(duration(kind, "1m"), Ok(SignedDuration::from_secs(60)));
        for bad in ["61s", "999ms", "1m ago", "", "60"] {
            assert!(duration(kind, bad).is_err(), "{bad}");
        }
    }
}

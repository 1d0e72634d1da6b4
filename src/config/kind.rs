//! What a key takes.

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unit,
    /// A list of systemd units.
    Units,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A duration from one second up to this many seconds.
    Duration(i64),
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A share, as in `"50%"`.
    Percent,
    /// An amount of memory, as in `"2G"`.
    Size,
    /// `true` or `false`.
    Boolean,
    /// `false`, or one of some words; `true` stands for the first of them.
    Switch(&'static [&'static str]),
    /// `HOST:PORT`.
    Address,
    /// An `http://` or `https://` URL.
    Url,
    /// A MongoDB connection string without credentials.
    MongodbUri,
    /// The name of a systemd credential.
    Credential,
    /// `DATABASE.COLLECTION`.
    Collection,
    /// A field of a document.
    Field,
    Path,
    /// A list of Debian packages.
    Packages,
    /// A list of Debian packages, or patterns of them.
    PackagePatterns,
    /// A list of archives, as `apt-cache policy` has them, or patterns of them.
    Archives,
    /// A list of DKMS modules.
    Modules,
    /// A list of labels of preflight checks.
    Labels,
    /// A systemd calendar expression.
    Calendar,
    /// A day, or a day and a time.
    Day,
    /// Any words, in one line.
    Words,
    /// Words in one line, with places for the time and the host.
    Announcement,
    /// A list of absolute paths.
    Paths,
    /// A list of archives, as apt names them before the colon.
    Origins,
    Mail,
    /// A list of mail addresses.
    Mails,
    /// A program and its arguments.
    Command,
    /// A list of arguments.
    Arguments,
    /// A header's name and value.
    Header,
    /// Any text but an empty one.
    Text,
}

impl Kind {
    /// Whether it is written as a list of texts.
    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Self::Units
                | Self::Packages
                | Self::PackagePatterns
                | Self::Archives
                | Self::Modules
                | Self::Labels
                | Self::Paths
                | Self::Origins
                | Self::Mails
                | Self::Arguments
                | Self::Command
        )
    }

    /// What is expected, in words.
    pub fn expected(self) -> String {
        match self {
            Self::Unit => "a unit name".to_owned(),
            Self::Units => "a list of unit names".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Duration(max) => format!("a duration from 1s to {}", longest(max)),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Percent => "a share from 1% to 100%".to_owned(),
            Self::Size => "an amount from 64M to 1024G".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Switch(words) => format!("false, or one of {}", words.join(", ")),
            Self::Address => "an address and a port".to_owned(),
            Self::Url => "an http or https URL".to_owned(),
            Self::MongodbUri => "a connection string of one server".to_owned(),
            Self::Credential => "the name of a systemd credential".to_owned(),
            Self::Collection => "a database and a collection".to_owned(),
            Self::Field => "the name of a field".to_owned(),
            Self::Path => "an absolute path".to_owned(),
            Self::Packages => "a list of package names".to_owned(),
            Self::PackagePatterns => "a list of package names and patterns".to_owned(),
            Self::Archives => "a list of origins, labels and hosts of archives, and patterns of them".to_owned(),
            Self::Modules => "a list of names of modules".to_owned(),
            Self::Labels => "a list of labels of preflight checks".to_owned(),
            Self::Calendar => "a systemd calendar expression".to_owned(),
            Self::Day => "a day, or a day and a time".to_owned(),
            Self::Words | Self::Announcement => "a line of text".to_owned(),
            Self::Paths => "a list of absolute paths".to_owned(),
            Self::Origins => "a list of names of archives".to_owned(),
            Self::Mail => "a mail address".to_owned(),
            Self::Mails => "a list of mail addresses".to_owned(),
            Self::Command => "a list: a program's absolute path, then its arguments".to_owned(),
            Self::Arguments => "a list of arguments".to_owned(),
            Self::Header => "a header's name and value".to_owned(),
            Self::Text => "a text".to_owned(),
        }
    }
}

fn longest(seconds: i64) -> String {
    if seconds % 3600 == 0 { format!("{}h", seconds / 3600) } else { format!("{seconds}s") }
}

//! Who is told of a run, by which way, and what became of it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// On which occasion somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// Services are about to be stopped.
    Start,
    /// The host is about to reboot.
    Reboot,
    /// The run is over.
    End,
    /// Somebody tries whether messages arrive.
    Test,
}

impl Occasion {
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reboot => "reboot",
            Self::End => "end",
            Self::Test => "test",
        }
    }
}

/// Of which runs a channel tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotifyWhen {
    Always,
    /// Of those that did something, or failed.
    Change,
    /// Of those that ended with another exit code than 0.
    Failure,
}

/// One way to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    pub way: Way,
    pub when: NotifyWhen,
    /// How long a message of the run's end is tried again.
    #[serde(default = "Channel::usual_retry")]
    pub retry_for: SignedDuration,
}

impl Channel {
    /// After a boot the network may come late; longer than this hardly anybody wants to wait for it.
    pub const fn usual_retry() -> SignedDuration {
        SignedDuration::from_mins(2)
    }

    /// Whether it counts the time until the host is back.
    pub fn awaits_the_host(&self) -> bool {
        matches!(self.way, Way::Ping { .. })
    }
}

/// The ways to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    Mail {
        to: Vec<String>,
        /// From whom; none for `patchday@` and the host's name.
        from: Option<String>,
        /// How it leaves the host.
        by: MailRoute,
    },
    /// JSON, posted to a URL.
    Webhook {
        url: UrlSource,
        /// What the other end understands.
        template: WebhookTemplate,
    },
    /// A dead-man's switch: told before the reboot, and again afterwards. Who hears nothing raises the alarm.
    Ping { url: UrlSource },
    /// A file for node_exporter's textfile collector.
    Metrics { file: String },
    /// A line in the login message.
    Motd { file: String },
    /// A line on every terminal.
    Wall,
}

/// How a mail leaves the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailRoute {
    /// Through the host's own `sendmail`.
    Sendmail,
    Smtp {
        host: String,
        port: u16,
        /// How the connection is kept private.
        security: MailSecurity,
        /// As whom; none if the server does not ask.
        login: Option<MailLogin>,
    },
}

/// How the connection to a mail server is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailSecurity {
    /// TLS after a greeting in clear; without it no mail is sent.
    Starttls,
    /// TLS from the beginning.
    Tls,
    /// Not at all; only on this host.
    Plain,
}

/// A login at a mail server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailLogin {
    pub user: String,
    /// The file that holds the password; this or the next is set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub password_file: Option<String>,
    /// The systemd credential that holds it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub password_credential: Option<String>,
}

/// A URL, or where it is kept if it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UrlSource {
    Url(String),
    /// A file that only root can read.
    File(String),
    Credential(String),
}

/// What the other end of a webhook understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookTemplate {
    /// Everything about the run, for programs.
    Json,
    Slack,
    Mattermost,
    Discord,
    /// Teams, through its workflows.
    Teams,
}

impl WebhookTemplate {
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Slack => "slack",
            Self::Mattermost => "mattermost",
            Self::Discord => "discord",
            Self::Teams => "teams",
        }
    }
}

/// What is handed over to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parcel {
    Mail {
        /// How it leaves the host.
        by: MailRoute,
        from: String,
        to: Vec<String>,
        subject: String,
        text: String,
        /// A page that goes with it.
        page: Option<String>,
    },
    Post {
        url: UrlSource,
        /// What is added to the path of the URL, as in `/fail`.
        suffix: &'static str,
        /// `application/json` or `text/plain`.
        media: &'static str,
        body: String,
    },
    /// A file, replaced whole; removed where there is no content.
    File { path: String, content: Option<String> },
    /// What everybody reads who logs in, until it is taken away or the host reboots.
    LoginNotice {
        /// The text; none to take it away.
        text: Option<String>,
    },
    /// A text on every terminal.
    Wall { text: String },
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The channel's place in the configuration, from 1.
    pub number: u32,
    /// The channel in a few words; no secret is among them.
    pub channel: String,
    pub occasion: Occasion,
    /// When it was last tried.
    pub at: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// Why it did not arrive; none if it was taken.
    pub problem: Option<String>,
}

//! What `[[notify]]` means.

use super::keys::{self, Key};
use super::reader::Reader;
use super::values::{self, Wrong, quoted};
use crate::model::{Channel, MailLogin, MailRoute, MailSecurity, NotifyWhen, UrlSource, Way};

/// Keys that only some kinds take.
const KEYS_OF_KINDS: [(&[&str], &[&Key]); 4] = [
    (
        &["mail"],
        &[
            &keys::NOTIFY_TO,
            &keys::NOTIFY_FROM,
            &keys::NOTIFY_SERVER,
            &keys::NOTIFY_SECURITY,
            &keys::NOTIFY_USER,
            &keys::NOTIFY_PASSWORD_FILE,
            &keys::NOTIFY_PASSWORD_CREDENTIAL,
        ],
    ),
    (&["webhook", "ping"], &[&keys::NOTIFY_URL, &keys::NOTIFY_URL_FILE, &keys::NOTIFY_URL_CREDENTIAL]),
    (&["webhook"], &[&keys::NOTIFY_TEMPLATE]),
    (&["metrics", "motd"], &[&keys::NOTIFY_FILE]),
];

const METRICS_FILE: &str = "/var/lib/prometheus/node-exporter/patchday.prom";
const MOTD_FILE: &str = "/etc/motd.d/patchday";

/// Services whose URLs are as good as passwords.
const SECRET_HOSTS: [&str; 7] = [
    "hooks.slack.com",
    "discord.com",
    "discordapp.com",
    "hc-ping.com",
    "webhook.office.com",
    "logic.azure.com",
    "api.telegram.org",
];

impl Reader<'_> {
    pub(super) fn channel(self) -> Option<Channel> {
        let kind = self.word(&keys::NOTIFY_KIND)?;
        self.misplaced(kind);
        let when = match self.written(&keys::NOTIFY_WHEN) {
            Some(_) => self.choice(&keys::NOTIFY_WHEN).unwrap_or(NotifyWhen::Change),
            None if matches!(kind, "ping" | "metrics") => NotifyWhen::Always,
            None => NotifyWhen::Change,
        };
        let way = match kind {
            "mail" => self.mail()?,
            "webhook" => {
                let template = self.choice(&keys::NOTIFY_TEMPLATE)?;
                Way::Webhook { url: self.notify_url(kind)?, template }
            }
            "ping" => Way::Ping { url: self.notify_url(kind)? },
            "metrics" => Way::Metrics { file: self.notify_file(METRICS_FILE) },
            "motd" => Way::Motd { file: self.notify_file(MOTD_FILE) },
            _ => Way::Wall,
        };
        Some(Channel { way, when, retry_for: self.duration(&keys::NOTIFY_RETRY_FOR) })
    }

    fn misplaced(self, kind: &str) {
        for (kinds, keys) in KEYS_OF_KINDS.iter().filter(|(kinds, _)| !kinds.contains(&kind)) {
            for key in *keys {
                let message = format!("only for kind = {}, found kind = {}", either(kinds), quoted(kind));
                self.problem_of(key, message, format!("take {} out", key.name));
            }
        }
    }

    /// `lacking` is missing if `given` is there.
    fn lacking(self, lacking: &Key, given: &Key) {
        if let Some(span) = self.span(given) {
            self.missing(lacking, &span, given.name);
        }
    }

    fn mail(self) -> Option<Way> {
        let is_given = |key| self.span(key).is_some();
        if self.items(&keys::NOTIFY_TO).next().is_none() {
            self.missing(&keys::NOTIFY_TO, &self.span(&keys::NOTIFY_KIND)?, "kind = \"mail\"");
        }
        let (to, from) = (self.list(&keys::NOTIFY_TO), self.text(&keys::NOTIFY_FROM));
        let security = self.choice(&keys::NOTIFY_SECURITY)?;
        let user = self.text(&keys::NOTIFY_USER);
        let password_file = self.secret_file(&keys::NOTIFY_PASSWORD_FILE);
        let password_credential = self.text(&keys::NOTIFY_PASSWORD_CREDENTIAL);
        let passwords = [&keys::NOTIFY_PASSWORD_FILE, &keys::NOTIFY_PASSWORD_CREDENTIAL];
        self.one_secret(&passwords);
        match (is_given(&keys::NOTIFY_USER), passwords.into_iter().find(|key| is_given(*key))) {
            (true, None) => self.lacking(&keys::NOTIFY_PASSWORD_FILE, &keys::NOTIFY_USER),
            (false, Some(password)) => self.lacking(&keys::NOTIFY_USER, password),
            _ => {}
        }
        if !is_given(&keys::NOTIFY_SERVER) {
            self.lacking(&keys::NOTIFY_SERVER, &keys::NOTIFY_SECURITY);
            self.lacking(&keys::NOTIFY_SERVER, &keys::NOTIFY_USER);
            return Some(Way::Mail { to, from, by: MailRoute::Sendmail });
        }
        let address = self.text(&keys::NOTIFY_SERVER)?;
        let (host, port) = address.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let is_here = host == "localhost" || host == "::1" || host.starts_with("127.");
        if let Some(span) = self.span(&keys::NOTIFY_SECURITY).filter(|_| security == MailSecurity::Plain && !is_here) {
            let hint = "set security = \"starttls\", or name a server of this host";
            let wrong = Wrong::new("starttls or tls to another host", format!("\"plain\" to {host}"), hint);
            self.wrong(&span, &keys::NOTIFY_SECURITY, wrong);
        }
        let login = user.map(|user| MailLogin { user, password_file, password_credential });
        Some(Way::Mail { to, from, by: MailRoute::Smtp { host, port: port.parse().ok()?, security, login } })
    }

    fn one_secret(self, ways: &[&Key]) {
        self.one_of(ways, |first, last| {
            (format!("expected either {first} or {last}, found both"), format!("keep {last} if it is a secret"))
        });
    }

    fn notify_url(self, kind: &str) -> Option<UrlSource> {
        let url = self.text(&keys::NOTIFY_URL).filter(|url| self.may_be_known(url)).map(UrlSource::Url);
        let file = self.secret_file(&keys::NOTIFY_URL_FILE).map(UrlSource::File);
        let credential = self.text(&keys::NOTIFY_URL_CREDENTIAL).map(UrlSource::Credential);
        let ways = [&keys::NOTIFY_URL, &keys::NOTIFY_URL_FILE, &keys::NOTIFY_URL_CREDENTIAL];
        self.one_secret(&ways);
        if ways.iter().all(|key| self.span(key).is_none()) {
            let why = format!("kind = {}", quoted(kind));
            self.missing(&keys::NOTIFY_URL_FILE, &self.span(&keys::NOTIFY_KIND)?, &why);
        }
        url.or(file).or(credential)
    }

    /// Whether the URL may stand in the configuration, and so in the state.
    fn may_be_known(self, url: &str) -> bool {
        let secret = secret_host(url);
        if let Some(host) = secret {
            let message =
                format!("expected a URL that others may know, found one of {host}, which is as good as a password");
            let hint = "move it to a file (root, 0600) and name that with url-file";
            self.problem_of(&keys::NOTIFY_URL, message, hint);
        }
        secret.is_none()
    }

    fn notify_file(self, default: &str) -> String {
        self.text(&keys::NOTIFY_FILE).unwrap_or_else(|| default.to_owned())
    }
}

/// The service whose URL it is, however its name is written.
fn secret_host(url: &str) -> Option<&'static str> {
    let host = values::host_of(url)?;
    let is_of = |known: &str| host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    SECRET_HOSTS.into_iter().find(|known| is_of(known))
}

fn either(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" or ")
}

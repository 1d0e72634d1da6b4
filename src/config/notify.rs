//! What `[[notify]]` means.

use std::ops::Range;

use toml::Spanned;

use super::check::Check;
use super::file::{Notify, Positions};
use super::keys::{self, Key};
use super::place::Position;
use super::values::{self, Wrong, quoted};
use crate::model::{Channel, MailLogin, MailRoute, MailSecurity, NotifyWhen, UrlSource, Way};

/// A key, where it was given, and the kinds that take it.
type Given<'a> = (&'a Key, Option<Range<usize>>, &'a [&'a str]);

const METRICS_FILE: &str = "/var/lib/prometheus/node-exporter/patchday.prom";
const MOTD_FILE: &str = "/etc/motd.d/patchday";

/// Services whose URLs are as good as passwords.
const SECRET_HOSTS: [&str; 6] =
    ["hooks.slack.com", "discord.com", "discordapp.com", "hc-ping.com", "webhook.office.com", "logic.azure.com"];

impl Check<'_> {
    pub(super) fn channel(&mut self, given: &Spanned<Notify>, positions: &mut Positions) -> Option<Channel> {
        let notify = given.get_ref();
        let kind = self.word(&keys::NOTIFY_KIND, Some(&notify.kind))?;
        self.misplaced(notify, kind);
        let when = match &notify.when {
            Some(when) => self.choice(&keys::NOTIFY_WHEN, Some(when)).unwrap_or(NotifyWhen::Change),
            None if matches!(kind, "ping" | "metrics") => NotifyWhen::Always,
            None => NotifyWhen::Change,
        };
        let way = match kind {
            "mail" => self.mail(notify, positions)?,
            "webhook" => {
                let template = self.choice(&keys::NOTIFY_TEMPLATE, notify.template.as_ref())?;
                Way::Webhook { url: self.url(notify, positions)?, template }
            }
            "ping" => Way::Ping { url: self.url(notify, positions)? },
            "metrics" => Way::Metrics { file: self.file(notify, METRICS_FILE) },
            "motd" => Way::Motd { file: self.file(notify, MOTD_FILE) },
            _ => Way::Wall,
        };
        let retry_for = self.duration(&keys::NOTIFY_RETRY_FOR, notify.retry_for.as_ref());
        Some(Channel { way, when, retry_for })
    }

    /// Keys that belong to another kind.
    fn misplaced(&mut self, notify: &Notify, kind: &str) {
        let span = |value: &Option<Spanned<String>>| value.as_ref().map(Spanned::span);
        let mail: &[&str] = &["mail"];
        let given: [Given<'_>; 12] = [
            (&keys::NOTIFY_TO, notify.to.first().map(Spanned::span), mail),
            (&keys::NOTIFY_FROM, span(&notify.from), mail),
            (&keys::NOTIFY_SERVER, span(&notify.server), mail),
            (&keys::NOTIFY_SECURITY, span(&notify.security), mail),
            (&keys::NOTIFY_USER, span(&notify.user), mail),
            (&keys::NOTIFY_PASSWORD_FILE, span(&notify.password_file), mail),
            (&keys::NOTIFY_PASSWORD_CREDENTIAL, span(&notify.password_credential), mail),
            (&keys::NOTIFY_URL, span(&notify.url), &["webhook", "ping"]),
            (&keys::NOTIFY_URL_FILE, span(&notify.url_file), &["webhook", "ping"]),
            (&keys::NOTIFY_URL_CREDENTIAL, span(&notify.url_credential), &["webhook", "ping"]),
            (&keys::NOTIFY_TEMPLATE, span(&notify.template), &["webhook"]),
            (&keys::NOTIFY_FILE, span(&notify.file), &["metrics", "motd"]),
        ];
        for (key, span, kinds) in given {
            if let Some(span) = span.filter(|_| !kinds.contains(&kind)) {
                let message = format!("only for kind = {}, found kind = {}", either(kinds), quoted(kind));
                self.problem(&span, key.path(), message, format!("take {} out", key.name));
            }
        }
    }

    /// A key without which another one, or a kind, means nothing.
    fn lacking(&mut self, key: &Key, span: &Range<usize>, why: &str) {
        let hint = format!("for example: {} = {}", key.name, key.example);
        self.problem(span, key.path(), format!("missing key: {why} needs it"), hint);
    }

    fn mail(&mut self, notify: &Notify, positions: &mut Positions) -> Option<Way> {
        if notify.to.is_empty() {
            self.lacking(&keys::NOTIFY_TO, &notify.kind.span(), "kind = \"mail\"");
        }
        let to = self.list(&keys::NOTIFY_TO, &notify.to, values::mail);
        let from = self.text(&keys::NOTIFY_FROM, notify.from.as_ref(), values::mail);
        let security = self.choice(&keys::NOTIFY_SECURITY, notify.security.as_ref())?;
        let user = self.text(&keys::NOTIFY_USER, notify.user.as_ref(), values::name);
        let password_file = self.secret(&keys::NOTIFY_PASSWORD_FILE, notify.password_file.as_ref(), positions);
        let password_credential =
            self.text(&keys::NOTIFY_PASSWORD_CREDENTIAL, notify.password_credential.as_ref(), values::credential);
        self.one_of(&[
            (&keys::NOTIFY_PASSWORD_FILE, &notify.password_file),
            (&keys::NOTIFY_PASSWORD_CREDENTIAL, &notify.password_credential),
        ]);
        match (&notify.user, &notify.password_file, &notify.password_credential) {
            (Some(user), None, None) => self.lacking(&keys::NOTIFY_PASSWORD_FILE, &user.span(), "user"),
            (None, Some(file), _) => self.lacking(&keys::NOTIFY_USER, &file.span(), "password-file"),
            (None, None, Some(name)) => self.lacking(&keys::NOTIFY_USER, &name.span(), "password-credential"),
            _ => {}
        }
        let Some(server) = &notify.server else {
            for (key, value) in [(&keys::NOTIFY_SECURITY, &notify.security), (&keys::NOTIFY_USER, &notify.user)] {
                if let Some(value) = value {
                    self.lacking(&keys::NOTIFY_SERVER, &value.span(), key.name);
                }
            }
            return Some(Way::Mail { to, from, by: MailRoute::Sendmail });
        };
        let address = self.text(&keys::NOTIFY_SERVER, Some(server), values::address)?;
        let (host, port) = address.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let is_here = host == "localhost" || host == "::1" || host.starts_with("127.");
        if let Some(given) = notify.security.as_ref().filter(|_| security == MailSecurity::Plain && !is_here) {
            let found = format!("\"plain\" to {host}");
            let hint = "set security = \"starttls\", or name a server of this host";
            self.wrong(
                &given.span(),
                &keys::NOTIFY_SECURITY,
                Wrong::new("starttls or tls to another host", found, hint),
            );
        }
        let login = user.map(|user| MailLogin { user, password_file, password_credential });
        Some(Way::Mail { to, from, by: MailRoute::Smtp { host, port: port.parse().ok()?, security, login } })
    }

    /// A file that only root may read; the host is asked about it when the file is loaded.
    fn secret(
        &mut self,
        key: &'static Key,
        given: Option<&Spanned<String>>,
        positions: &mut Positions,
    ) -> Option<String> {
        let file = self.text(key, given, values::path)?;
        let at = Position::start(self.text, &given?.span());
        positions.secret_files.push((file.clone(), key, at));
        Some(file)
    }

    /// Of ways to the same thing, one is enough.
    fn one_of(&mut self, ways: &[(&Key, &Option<Spanned<String>>)]) {
        let given: Vec<_> = ways.iter().filter_map(|(key, way)| Some((*key, way.as_ref()?))).collect();
        if let [(first, _), .., (last, way)] = given.as_slice() {
            let message = format!("expected either {} or {}, found both", first.name, last.name);
            self.problem(&way.span(), last.path(), message, format!("keep {} if it is a secret", last.name));
        }
    }

    fn url(&mut self, notify: &Notify, positions: &mut Positions) -> Option<UrlSource> {
        let url = self.text(&keys::NOTIFY_URL, notify.url.as_ref(), no_secret);
        let file = self.secret(&keys::NOTIFY_URL_FILE, notify.url_file.as_ref(), positions);
        let name = self.text(&keys::NOTIFY_URL_CREDENTIAL, notify.url_credential.as_ref(), values::credential);
        let ways = [
            (&keys::NOTIFY_URL, &notify.url),
            (&keys::NOTIFY_URL_FILE, &notify.url_file),
            (&keys::NOTIFY_URL_CREDENTIAL, &notify.url_credential),
        ];
        self.one_of(&ways);
        if ways.iter().all(|(_, way)| way.is_none()) {
            let why = format!("kind = {}", quoted(notify.kind.get_ref()));
            self.lacking(&keys::NOTIFY_URL_FILE, &notify.kind.span(), &why);
        }
        url.map(UrlSource::Url).or(file.map(UrlSource::File)).or(name.map(UrlSource::Credential))
    }

    fn file(&mut self, notify: &Notify, default: &str) -> String {
        self.text(&keys::NOTIFY_FILE, notify.file.as_ref(), values::path).unwrap_or_else(|| default.to_owned())
    }
}

/// A URL that may stand in the configuration, and so in the state.
fn no_secret(text: &str) -> Result<(), Wrong> {
    values::url(text)?;
    match SECRET_HOSTS.iter().find(|host| text.contains(**host)) {
        None => Ok(()),
        Some(host) => {
            let hint = "move it to a file (root, 0600) and name that with url-file";
            Err(Wrong::new(
                "a URL that others may know",
                format!("one of {host}, which is as good as a password"),
                hint,
            ))
        }
    }
}

fn either(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" or ")
}

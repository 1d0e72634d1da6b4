//! Sends messages: mails, posts, files, words on terminals. Every try ends within seconds, and no error repeats a secret.

mod http;
mod mail;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;

use super::command::{below, feed};
use super::{HostError, HostResult, Messenger, secret};
use crate::atomic_file;
use crate::model::{MailLogin, MailRoute, Parcel, UrlSource};

/// How long one try may take; a server that is slower is tried again later.
const TIMEOUT: Duration = Duration::from_secs(15);

/// pam_motd of Debian 12 and 13 shows what is in this directory, and a boot empties it.
const LOGIN_NOTICE: &str = "/run/motd.d/patchday-maintenance";

/// The real way out.
pub struct Outbox {
    root: PathBuf,
    secrets_owner: u32,
    credentials: Option<PathBuf>,
    /// Made when it is first needed: it reads all certificates of this host, hundreds of files.
    http: OnceLock<Result<reqwest::Client, String>>,
}

impl Outbox {
    /// Files are below `root`; secrets belong to this user alone.
    pub fn new(root: PathBuf, secrets_owner: u32) -> Self {
        Self { root, secrets_owner, credentials: None, http: OnceLock::new() }
    }

    /// The directory of the credentials that systemd gave to this service.
    #[must_use]
    pub fn with_credentials(self, credentials: Option<PathBuf>) -> Self {
        Self { credentials, ..self }
    }

    async fn credential(&self, name: &str, meaning: &str) -> HostResult<String> {
        secret::credential(&self.root, self.secrets_owner, self.credentials.as_ref(), name, meaning).await
    }

    async fn url(&self, source: &UrlSource) -> HostResult<String> {
        match source {
            UrlSource::Url(url) => Ok(url.clone()),
            UrlSource::File(file) => secret::read(&self.root, self.secrets_owner, file, "the URL"),
            UrlSource::Credential(name) => self.credential(name, "the URL").await,
        }
    }

    /// Name and password at a mail server.
    async fn login(&self, login: &MailLogin) -> HostResult<(String, String)> {
        let password = match (&login.password_file, &login.password_credential) {
            (Some(file), _) => secret::read(&self.root, self.secrets_owner, file, "the password")?,
            (None, Some(name)) => self.credential(name, "the password").await?,
            (None, None) => return Err(HostError::failed("log in at the mail server", "no password is named")),
        };
        Ok((login.user.clone(), password))
    }
}

#[async_trait]
impl Messenger for Outbox {
    async fn send(&self, parcel: &Parcel) -> HostResult<()> {
        match parcel {
            Parcel::Mail { by, from, to, subject, text, page } => {
                let mail = mail::compose(from, to, subject, text, page.as_deref())?;
                match by {
                    MailRoute::Sendmail => mail::hand_over(&self.root, &mail).await,
                    MailRoute::Smtp { host, port, security, login } => {
                        let login = match login {
                            Some(login) => Some(self.login(login).await?),
                            None => None,
                        };
                        mail::send(host, *port, *security, login, &mail).await
                    }
                }
            }
            Parcel::Post { url, suffix, media, body } => {
                let made = self.http.get_or_init(http::client);
                let client = made.as_ref().map_err(|error| HostError::failed("set up HTTP", error))?;
                http::post(client, &self.url(url).await?, suffix, media, body).await
            }
            Parcel::File { path, content } => {
                let what = format!("write {path}");
                let path = below(&self.root, path);
                // pam_motd reads the files of `motd.d`, which no package of Debian 12 brings.
                let directory = path.parent().filter(|parent| content.is_some() && parent.ends_with("motd.d"));
                let made = directory.map_or(Ok(()), fs::create_dir_all);
                made.and_then(|()| write(&path, content.as_deref())).map_err(|error| HostError::failed(what, error))
            }
            Parcel::LoginNotice { text } => {
                let path = below(&self.root, LOGIN_NOTICE);
                let directory = path.parent().filter(|_| text.is_some());
                let made = directory.map_or(Ok(()), make_readable);
                let written = made.and_then(|()| write(&path, text.as_deref()));
                written.map_err(|error| HostError::failed(format!("write {LOGIN_NOTICE}"), error))
            }
            Parcel::Wall { text } => feed(&self.root, "wall", &[], text.as_bytes(), TIMEOUT).await,
        }
    }
}

/// Makes the directory for everybody to enter, whatever the umask; one that is there stays as it is.
fn make_readable(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
}

/// For anybody to read: collectors of metrics and login shells are not root.
const MODE: u32 = 0o644;

fn write(path: &Path, content: Option<&str>) -> std::io::Result<()> {
    match content {
        Some(content) => atomic_file::replace_shared(path, content.as_bytes(), MODE),
        None => atomic_file::remove(path).map(drop),
    }
}

#[cfg(test)]
mod tests;

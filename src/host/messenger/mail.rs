//! Mails, through the host's own sendmail or straight to a server.

use std::path::Path;

use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::TIMEOUT;
use crate::host::command::{feed, find};
use crate::host::{HostError, HostErrorKind, HostResult};
use crate::model::MailSecurity;

fn unreadable(address: &str, error: impl std::fmt::Display) -> HostError {
    HostError::new(HostErrorKind::Refused, format!("mail address {address}"), error)
}

pub(super) fn compose(from: &str, to: &[String], subject: &str, text: &str, page: Option<&str>) -> HostResult<Message> {
    let mailbox = |address: &str| address.parse::<Mailbox>().map_err(|error| unreadable(address, error));
    // So that no vacation notice is sent back, and no loop begins.
    let mut mail = Message::builder().from(mailbox(from)?).subject(subject).header(AutoSubmitted);
    for address in to {
        mail = mail.to(mailbox(address)?);
    }
    let text = SinglePart::plain(text.to_owned());
    let composed = match page {
        None => mail.singlepart(text),
        Some(page) => {
            let page = Attachment::new("report.html".to_owned()).body(page.to_owned(), ContentType::TEXT_HTML);
            mail.multipart(MultiPart::mixed().singlepart(text).singlepart(page))
        }
    };
    composed.map_err(|error| HostError::new(HostErrorKind::Refused, "compose the mail", error))
}

#[derive(Debug, Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Only there where systemd is the host's PID 1 (sd_booted(3)).
const SYSTEMD_RUNS: &str = "/run/systemd/system";

const OUTSIDE: [&str; 8] = [
    "--quiet",
    "--pipe",
    "--wait",
    "--collect",
    "--service-type=exec",
    "--description=Patchday: hands a mail over",
    "--property=KillMode=process",
    "--property=RuntimeMaxSec=60",
];

/// Gives the mail to the host's own `sendmail`.
pub(super) async fn hand_over(root: &Path, mail: &Message) -> HostResult<()> {
    let envelope = mail.envelope();
    let from = envelope.from().map(ToString::to_string).unwrap_or_default();
    let to: Vec<String> = envelope.to().iter().map(ToString::to_string).collect();
    let mut args = vec!["-i", "-f", from.as_str(), "--"];
    args.extend(to.iter().map(String::as_str));
    // It hands the mail to programs of other users, and goes on when it has ended: in a unit of its own, outside of our
    // sandbox, and nobody ends what delivers.
    if root == Path::new("/") && rustix::process::geteuid().is_root() && Path::new(SYSTEMD_RUNS).is_dir() {
        let program = find(root, "sendmail");
        let program =
            program.ok_or_else(|| HostError::new(HostErrorKind::NotFound, "sendmail", "it is not installed"))?;
        let program = program.display().to_string();
        let args = [&OUTSIDE[..], &["--", program.as_str()], &args].concat();
        let sent = feed(root, "systemd-run", &args, &mail.formatted(), TIMEOUT).await;
        return sent.map_err(|error| HostError { what: "sendmail".to_owned(), ..error });
    }
    feed(root, "sendmail", &args, &mail.formatted(), TIMEOUT).await
}

/// Sends the mail through a server, with a name and a password where it asks for them.
pub(super) async fn send(
    host: &str,
    port: u16,
    security: MailSecurity,
    login: Option<(String, String)>,
    mail: &Message,
) -> HostResult<()> {
    let what = format!("mail through {host}:{port}");
    let tls = || TlsParameters::new(host.to_owned()).map_err(|error| HostError::failed(&what, error));
    let tls = match security {
        MailSecurity::Starttls => Tls::Required(tls()?),
        MailSecurity::Tls => Tls::Wrapper(tls()?),
        MailSecurity::Plain => Tls::None,
    };
    let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port).tls(tls);
    if let Some((user, password)) = login {
        server = server.credentials(Credentials::new(user, password));
    }
    let transport = server.timeout(Some(TIMEOUT)).build();
    match tokio::time::timeout(TIMEOUT, transport.send(mail.clone())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            let kind = if error.is_permanent() { HostErrorKind::Refused } else { HostErrorKind::Unknown };
            Err(HostError::new(kind, what, error))
        }
        Err(_) => Err(HostError::new(HostErrorKind::Unknown, what, "no answer in time")),
    }
}

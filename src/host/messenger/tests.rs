//! Against servers of this test, which answer as real ones do. A whole run is told on a machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread::{JoinHandle, spawn};

use super::*;
use crate::host::HostErrorKind;
use crate::model::{MailLogin, MailRoute, MailSecurity};

const SECRET: &str = "swordfish";

/// A server that takes one connection, answers each line with the next answer, and gives back what it was told.
fn server(greeting: &'static str, answers: &'static [&'static str]) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(greeting.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut told = String::new();
        for answer in answers {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                break;
            }
            told += &line;
            let _ = stream.write_all(answer.as_bytes());
        }
        told
    });
    (port, told)
}

/// A server that reads one request and answers it.
fn web(answer: &'static str) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut told = Vec::new();
        let mut buffer = [0; 4_096];
        while !String::from_utf8_lossy(&told).ends_with("END") {
            let read = stream.read(&mut buffer).unwrap();
            told.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(told).unwrap()
    });
    (port, told)
}

fn outbox(root: &Path) -> Outbox {
    Outbox::new(root.to_owned(), rustix::process::getuid().as_raw())
}

fn secret_file(root: &Path, content: &str) -> String {
    std::fs::write(root.join("secret"), content).unwrap();
    std::fs::set_permissions(root.join("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    "/secret".to_owned()
}

fn post(url: UrlSource) -> Parcel {
    Parcel::Post { url, suffix: "/fail", media: "text/plain", body: "it failed END".into() }
}

fn mail_to(port: u16, security: MailSecurity, login: Option<MailLogin>) -> Parcel {
    Parcel::Mail {
        by: MailRoute::Smtp { host: "127.0.0.1".into(), port, security, login },
        from: "patchday@web1".into(),
        to: vec!["ops@example.org".into()],
        subject: "web1: healthy — ✓".into(),
        text: "All is well.\n".into(),
        page: Some("<!DOCTYPE html>".into()),
    }
}

#[tokio::test]
async fn what_is_posted_arrives_and_the_secret_url_is_never_told() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = outbox(directory.path());
    for (answer, kind) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Some(HostErrorKind::Refused)),
        ("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", Some(HostErrorKind::Unknown)),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            Some(HostErrorKind::Refused),
        ),
    ] {
        let (port, told) = web(answer);
        let file = secret_file(directory.path(), &format!("http://127.0.0.1:{port}/{SECRET}\n"));
        let sent = outbox.send(&post(UrlSource::File(file))).await;
        assert!(told.join().unwrap().starts_with(&format!("POST /{SECRET}/fail HTTP/1.1")));
        assert!(!format!("{sent:?}").contains(SECRET), "{sent:?}");
        assert_eq!(sent.err().map(|error| error.kind), kind, "{answer}");
    }
    let file = secret_file(directory.path(), SECRET);
    let error = outbox.send(&post(UrlSource::File(file))).await.unwrap_err();
    assert_eq!((error.kind, error.to_string().contains(SECRET)), (HostErrorKind::Refused, false));
}

#[tokio::test]
async fn a_secret_may_be_a_credential_of_systemd() {
    let directory = tempfile::tempdir().unwrap();
    let given = directory.path().join("given");
    std::fs::create_dir(&given).unwrap();
    let outbox = outbox(directory.path()).with_credentials(Some(given.clone()));
    let (port, told) = web("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    std::fs::write(given.join("hook"), format!("http://127.0.0.1:{port}/{SECRET}\n")).unwrap();
    outbox.send(&post(UrlSource::Credential("hook".into()))).await.unwrap();
    assert!(told.join().unwrap().starts_with(&format!("POST /{SECRET}/fail HTTP/1.1")));

    // One that is nowhere is named before the server is asked.
    let login = MailLogin { user: "me".into(), password_file: None, password_credential: Some("patchday-smtp".into()) };
    let error = outbox.send(&mail_to(1, MailSecurity::Plain, Some(login))).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::NotFound);
    assert!(error.to_string().contains("patchday-smtp"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_asked_again_later() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = outbox(directory.path());
    // Bound and dropped: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for parcel in [post(UrlSource::Url(format!("http://127.0.0.1:{port}/"))), mail_to(port, MailSecurity::Plain, None)]
    {
        assert_eq!(outbox.send(&parcel).await.unwrap_err().kind, HostErrorKind::Unknown);
    }
}

#[tokio::test]
async fn a_refused_recipient_is_not_asked_for_again() {
    let (port, told) = server("220 hi\r\n", &["250 hi\r\n", "250 ok\r\n", "550 no such user\r\n", "221 bye\r\n"]);
    let directory = tempfile::tempdir().unwrap();
    let error = outbox(directory.path()).send(&mail_to(port, MailSecurity::Plain, None)).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Refused);
    assert!(error.why.contains("no such user"), "{error}");
    assert!(told.join().unwrap().contains("RCPT TO:<ops@example.org>"));
}

#[tokio::test]
async fn without_tls_neither_password_nor_mail_leaves_the_host() {
    let directory = tempfile::tempdir().unwrap();
    let login = MailLogin {
        user: "root".into(),
        password_file: Some(secret_file(directory.path(), SECRET)),
        password_credential: None,
    };
    let (port, told) = server("220 hi\r\n", &["250-hi\r\n250 AUTH PLAIN\r\n", "500 what?\r\n", "221 bye\r\n"]);
    let error = outbox(directory.path()).send(&mail_to(port, MailSecurity::Starttls, Some(login))).await.unwrap_err();
    let told = told.join().unwrap();
    assert!(!told.contains("AUTH") && !told.contains("MAIL FROM"), "{told}");
    assert!(!format!("{error:?}").contains(SECRET), "{error}");
}

#[tokio::test]
async fn files_are_replaced_whole_and_links_are_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = outbox(directory.path());
    let path = directory.path().join("patchday.prom");
    std::fs::write(directory.path().join("precious"), "precious").unwrap();
    symlink(directory.path().join("precious"), &path).unwrap();
    let unfinished = directory.path().join(format!(".patchday.prom.{}.new", std::process::id()));
    symlink(directory.path().join("precious"), unfinished).unwrap();
    let file =
        |content: Option<&str>| Parcel::File { path: "/patchday.prom".into(), content: content.map(str::to_owned) };
    outbox.send(&file(Some("patchday_run_exit_code 0\n"))).await.unwrap();
    assert!(path.symlink_metadata().unwrap().is_file());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "patchday_run_exit_code 0\n");
    assert_eq!(std::fs::read_to_string(directory.path().join("precious")).unwrap(), "precious");
    for _ in 0..2 {
        outbox.send(&file(None)).await.unwrap();
        assert!(!path.exists());
    }
}

/// pam_motd shows the files of `motd.d`, which Debian 12 does not have at first; nobody else's directory is made.
#[tokio::test]
async fn the_directory_of_the_login_message_is_made_where_it_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = outbox(directory.path());
    let file = |path: &str| Parcel::File { path: path.into(), content: Some("well\n".into()) };
    outbox.send(&file("/etc/motd.d/patchday")).await.unwrap();
    assert_eq!(std::fs::read_to_string(directory.path().join("etc/motd.d/patchday")).unwrap(), "well\n");
    assert!(outbox.send(&file("/var/lib/collector/patchday.prom")).await.is_err());
}

#[test]
fn a_mail_says_that_a_program_wrote_it_and_has_the_page_with_it() {
    let mail =
        mail::compose("patchday@web1", &["ops@example.org".into()], "a\r\nBcc: x@y", "text", Some("<p>")).unwrap();
    let text = String::from_utf8(mail.formatted()).unwrap();
    assert!(text.contains("Auto-Submitted: auto-generated") && text.contains("report.html"), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
    assert!(mail::compose("nobody", &[], "", "", None).is_err());
}

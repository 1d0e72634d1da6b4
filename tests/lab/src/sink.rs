//! Where messages of a machine arrive: a mail server and a web server of the test, on the network that machines share
//! with it. They take everything, and keep it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

type Kept<T> = Arc<Mutex<Vec<T>>>;

fn all<T: Clone>(kept: &Kept<T>) -> Vec<T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Serves each connection in a thread of its own, until the process ends.
fn serve<T: Send + 'static>(take: fn(TcpStream) -> std::io::Result<Option<T>>) -> Result<(u16, Kept<T>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let kept: Kept<T> = Kept::default();
    let keep = kept.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let keep = keep.clone();
            thread::spawn(move || {
                if let Ok(Some(taken)) = take(stream) {
                    keep.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
                }
            });
        }
    });
    Ok((port, kept))
}

/// A mail as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Headers and body.
    pub text: String,
}

/// A mail server.
#[derive(Debug)]
pub struct MailSink {
    /// Its port on 127.0.0.1.
    pub port: u16,
    mails: Kept<Mail>,
}

impl MailSink {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub fn start() -> Result<Self> {
        let (port, mails) = serve(take_mail)?;
        Ok(Self { port, mails })
    }

    /// What arrived so far.
    pub fn mails(&self) -> Vec<Mail> {
        all(&self.mails)
    }
}

/// Speaks SMTP, as far as it takes to be given one mail.
fn take_mail(mut stream: TcpStream) -> std::io::Result<Option<Mail>> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut mail = Mail { to: Vec::new(), text: String::new() };
    stream.write_all(b"220 sink.invalid ESMTP\r\n")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let answer: &[u8] = match line.to_ascii_uppercase().split([' ', ':', '\r']).next().unwrap_or_default() {
            "EHLO" => b"250-sink.invalid\r\n250 8BITMIME\r\n",
            "RCPT" => {
                mail.to.extend(line.split(['<', '>']).nth(1).map(str::to_owned));
                b"250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                loop {
                    let mut line = String::new();
                    if lines.read_line(&mut line)? == 0 || line == ".\r\n" {
                        break;
                    }
                    mail.text.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                stream.write_all(b"250 taken\r\n")?;
                return Ok(Some(mail));
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer)?;
    }
}

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its path.
    pub path: String,
    /// Its body.
    pub body: String,
}

/// A web server.
#[derive(Debug)]
pub struct WebSink {
    /// Its port on 127.0.0.1.
    pub port: u16,
    requests: Kept<Request>,
}

impl WebSink {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub fn start() -> Result<Self> {
        let (port, requests) = serve(take_request)?;
        Ok(Self { port, requests })
    }

    /// What arrived so far.
    pub fn requests(&self) -> Vec<Request> {
        all(&self.requests)
    }
}

fn take_request(mut stream: TcpStream) -> std::io::Result<Option<Request>> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if lines.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    lines.read_exact(&mut body)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok(Some(Request { path, body: String::from_utf8_lossy(&body).into_owned() }))
}

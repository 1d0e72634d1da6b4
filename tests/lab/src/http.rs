//! The little HTTP that is needed to ask the sample API.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Long enough for an answer that waits for the database, short enough for a test.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer of the sample API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body, without the headers.
    pub body: String,
}

/// Sends one request to a port of this host and reads the whole answer.
pub fn request(port: u16, method: &str, path: &str) -> Result<Response> {
    request_within(TIMEOUT, port, method, path)
}

/// As [`request`], but nothing of it may take longer than `timeout`: to connect, to send, to read.
pub fn request_within(timeout: Duration, port: u16, method: &str, path: &str) -> Result<Response> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream =
        TcpStream::connect_timeout(&address, timeout).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text).with_context(|| format!("no whole answer from {address}{path}"))?;
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no HTTP answer from {address}{path}"))?;
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("no status code in the answer of {address}{path}"))?;
    Ok(Response { status, body: body.to_owned() })
}

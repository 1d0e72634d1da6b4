//! Why a server closes a connection at once. "unexpected end of file" is all that the driver has to say of it, and it
//! stands for two things that have nothing to do with each other.

use std::time::Duration;

use ::mongodb::options::ServerAddress;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};

/// A full server closes a connection when it takes it. One that waits this long for our first word waits for a word that
/// it understands.
const LISTEN_FOR: Duration = Duration::from_secs(1);

/// Whether the driver's words say no more than that the server closed the connection.
pub(super) fn says_no_more(why: &str) -> bool {
    ["unexpected end of file", "tls handshake eof", "Connection reset by peer", "Broken pipe", "early eof"]
        .iter()
        .any(|word| why.contains(word))
}

/// Listens without a word of ours, and tells what that means.
pub(super) async fn explain(address: &ServerAddress, with_tls: bool) -> String {
    let full = "the server closes every connection at once: it has as many as it takes (net.maxIncomingConnections, \
                `ulimit -n`), or it is about to end";
    let other_tongue = match with_tls {
        false => {
            "the server closes the connection at our first word: it wants TLS; add tls=true and tlsCAFile=FILE to the \
             connection string"
        }
        true => {
            "the server closes the connection at our first word: it speaks no TLS on this port (take tls=true out of the \
             connection string), or it wants a certificate of its clients (tlsCertificateKeyFile=FILE)"
        }
    };
    match closes_at_once(address).await {
        Some(true) => full.to_owned(),
        Some(false) => other_tongue.to_owned(),
        None => "the server closed the connection: it is full, about to end, or wants another kind of TLS".to_owned(),
    }
}

/// Whether a connection comes about. It is closed at once, before a word.
pub(super) async fn listens(address: &ServerAddress) -> bool {
    let connected = async {
        match address {
            ServerAddress::Tcp { host, port } => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                TcpStream::connect((host, port.unwrap_or(27017))).await.is_ok()
            }
            ServerAddress::Unix { path } => UnixStream::connect(path).await.is_ok(),
            _ => false,
        }
    };
    tokio::time::timeout(LISTEN_FOR, connected).await.unwrap_or(false)
}

/// None if no connection comes about.
async fn closes_at_once(address: &ServerAddress) -> Option<bool> {
    let listen = async {
        match address {
            ServerAddress::Tcp { host, port } => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let mut stream = TcpStream::connect((host, port.unwrap_or(27017))).await.ok()?;
                Some(stream.read(&mut [0; 1]).await)
            }
            ServerAddress::Unix { path } => Some(UnixStream::connect(path).await.ok()?.read(&mut [0; 1]).await),
            _ => None,
        }
    };
    match tokio::time::timeout(LISTEN_FOR, listen).await {
        // Nothing came and it is closed, or it was reset.
        Ok(Some(Ok(0) | Err(_))) => Some(true),
        Ok(Some(Ok(_))) => Some(false),
        Ok(None) => None,
        Err(_) => Some(false),
    }
}

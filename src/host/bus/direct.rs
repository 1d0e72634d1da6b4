//! systemd without a bus between: over the socket on which it answers root as early as there is a systemd.
//!
//! There systemd names itself as the sender of its messages by its well-known name. That is no unique name, and our library
//! refuses the message. So what comes from systemd goes through our hands, and the name is replaced by one of the same
//! length, which changes nothing else.

use std::os::unix::net;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// The same since the first versions of systemd.
const SOCKET: &str = "/run/systemd/private";

/// The field of a header that names the sender: code 7, signature `s`, and the text with its length.
const SENDER: &[u8] = b"\x07\x01s\0\x18\0\0\0org.freedesktop.systemd1\0";
const IN_ITS_PLACE: &[u8] = b"\x07\x01s\0\x18\0\0\0:1.000000000000000000000\0";

/// No message of D-Bus is longer.
const LONGEST: usize = 128 * 1024 * 1024;

/// The fixed part of a header: byte order, type, flags, version; lengths of the body and of the fields.
const FIXED: usize = 16;

/// A stream to systemd on which every sender has a unique name.
pub(super) async fn stream() -> std::io::Result<net::UnixStream> {
    let (ours, theirs) = net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    let theirs = UnixStream::from_std(theirs)?;
    let (from_systemd, to_systemd) = UnixStream::connect(SOCKET).await?.into_split();
    let (from_us, to_us) = theirs.into_split();
    // Each ends with its side, and closes the other one with it.
    tokio::spawn(hand_on(from_us, to_systemd));
    tokio::spawn(rename(from_systemd, to_us));
    Ok(ours)
}

async fn hand_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ended = tokio::io::copy(&mut from, &mut to).await;
}

async fn rename(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut buffer = Vec::new();
    while from.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        loop {
            let Ok(next) = whole(&buffer) else { return };
            let Some((length, header)) = next else { break };
            replace(&mut buffer[..header]);
            if to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
            buffer.drain(..length);
        }
    }
}

/// The length of what stands whole at the beginning, and of its header: a message, or a line of the authentication before.
fn whole(buffer: &[u8]) -> Result<Option<(usize, usize)>, ()> {
    match buffer.first() {
        None => Ok(None),
        Some(b'l') => {
            let number = |at: usize| {
                let bytes = buffer.get(at..at + 4)?.try_into().ok()?;
                usize::try_from(u32::from_le_bytes(bytes)).ok()
            };
            let (Some(body), Some(fields)) = (number(4), number(12)) else { return Ok(None) };
            let header = FIXED + fields.next_multiple_of(8);
            if body > LONGEST || fields > LONGEST {
                return Err(());
            }
            Ok((buffer.len() >= header + body).then_some((header + body, header)))
        }
        // The other byte order is no host's of Debian that systemd runs on.
        Some(b'B') => Err(()),
        Some(_) => Ok(buffer.iter().position(|byte| *byte == b'\n').map(|end| (end + 1, 0))),
    }
}

fn replace(header: &mut [u8]) {
    if let Some(at) = header.windows(SENDER.len()).position(|some| some == SENDER) {
        header[at..at + SENDER.len()].copy_from_slice(IN_ITS_PLACE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with these fields and this body.
    fn message(fields: &[u8], body: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut message = [&b"l\x02\0\x01"[..], &length(body), &[1, 0, 0, 0], &length(fields), fields].concat();
        message.resize(message.len().next_multiple_of(8), 0);
        message.extend(body);
        message
    }

    #[test]
    fn only_the_senders_name_is_another() {
        let (sent, renamed) = (message(SENDER, SENDER), message(IN_ITS_PLACE, SENDER));
        let mut seen = sent.clone();
        let (length, header) = whole(&seen).unwrap().unwrap();
        replace(&mut seen[..header]);
        assert_eq!((length, seen), (sent.len(), renamed));
        let mut other = message(b"\x07\x01s\0\x04\0\0\0:1.7\0", b"body");
        let before = other.clone();
        replace(&mut other);
        assert_eq!(other, before);
    }

    #[test]
    fn what_is_not_whole_waits_for_the_rest() {
        let sent = message(SENDER, b"body");
        let stream = [b"OK 0f3a\r\nAGREE_UNIX_FD\r\n".as_slice(), &sent, &sent].concat();
        let (mut at, mut seen) = (0, Vec::new());
        for end in 0..=stream.len() {
            while let Some((length, _)) = whole(&stream[at..end]).unwrap() {
                seen.push(length);
                at += length;
            }
        }
        assert_eq!(seen, [9, 15, sent.len(), sent.len()]);
        assert_eq!(whole(b"B\x01\0\x01"), Err(()));
        assert_eq!(whole(b"l\x01\0\x01\xff\xff\xff\xff\x01\0\0\0\0\0\0\0"), Err(()));
    }
}

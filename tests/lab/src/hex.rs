//! Bytes as text without blanks or line ends.

use anyhow::{Context, Result, bail};
use std::fmt::Write;

/// Two hexadecimal digits for each byte; `-` for none at all, so that it is always a word.
pub fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The bytes of such a text.
pub fn unhex(text: &str) -> Result<Vec<u8>> {
    if text == "-" {
        return Ok(Vec::new());
    }
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        bail!("no pairs of hexadecimal digits");
    }
    let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).context("no hexadecimal digits");
    (0..text.len()).step_by(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() -> Result<()> {
        for bytes in [&b""[..], b"\0\n ~\xff", b"text"] {
            assert_eq!(unhex(&hex(bytes))?, bytes);
        }
        for bad in ["0", "0g", "ä"] {
            assert!(unhex(bad).is_err(), "{bad}");
        }
        Ok(())
    }
}

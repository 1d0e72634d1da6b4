//! What services say of themselves.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::command;
use super::{HostResult, Journal};
use crate::model::{UnitName, with_redacted_urls};

/// A journal of gigabytes on a slow disk takes a while.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A longer line is cut: what matters of a stack trace or a dump stands at its beginning.
const LONGEST_LINE: usize = 300;

/// systemd's journal, by way of its own program: the format on disk is nobody else's.
#[derive(Debug, Clone)]
pub struct SystemdJournal {
    root: PathBuf,
}

impl SystemdJournal {
    /// Finds the program below `root`; `/` except in tests.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

#[async_trait]
impl Journal for SystemdJournal {
    async fn last_lines(&self, unit: &UnitName, count: usize) -> HostResult<Vec<String>> {
        let count = count.to_string();
        let unit = format!("--unit={unit}");
        let args = ["--boot", "--output=json", "--no-pager", "--quiet", "--all", "-n", &count, &unit];
        let text = command::read_text(&self.root, "journalctl", &args, TIMEOUT).await?;
        Ok(text.lines().filter_map(line_of).collect())
    }
}

/// One line of `journalctl -o json`. A message that is no text is an array of bytes.
fn line_of(json: &str) -> Option<String> {
    let record: Value = serde_json::from_str(json).ok()?;
    let message = match record.get("MESSAGE")? {
        Value::String(text) => text.clone(),
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> = bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
            String::from_utf8_lossy(&bytes?).into_owned()
        }
        _ => return None,
    };
    let who = record.get("SYSLOG_IDENTIFIER").or_else(|| record.get("_COMM")).and_then(Value::as_str).unwrap_or("?");
    let message: String = message.chars().filter(|sign| !sign.is_control()).take(LONGEST_LINE).collect();
    Some(format!("{who}: {}", with_redacted_urls(&message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_without_passwords() {
        for (json, line) in [
            (r#"{"MESSAGE":"started","SYSLOG_IDENTIFIER":"api"}"#, "api: started"),
            (
                r#"{"MESSAGE":"cannot reach mongodb://u:p@db:27017/x?y, nor http://a/","_COMM":"api"}"#,
                "api: cannot reach mongodb://…@db:27017/x?… nor http://a/",
            ),
            (r#"{"MESSAGE":[104,105,27],"SYSLOG_IDENTIFIER":"api"}"#, "api: hi"),
        ] {
            assert_eq!(line_of(json).as_deref(), Some(line));
        }
        assert_eq!(line_of(r#"{"MESSAGE":null}"#), None);
        assert_eq!(line_of("no JSON"), None);
    }
}

//! Whether the kernel's clock is kept right: the check before a run and the verification after it must ask alike.

use std::path::Path;
use std::time::Duration;

use super::command;
use super::{HostError, HostResult};

const ARGS: [&str; 4] = ["show", "--property=NTPSynchronized", "--value", "--no-pager"];
const TIMEOUT: Duration = Duration::from_secs(50);

/// What timedated says, by way of the host's own `timedatectl`.
///
/// # Errors
///
/// It does not answer, or with a word that is not known.
pub async fn synchronized(root: &Path) -> HostResult<bool> {
    parse(&command::read_text(root, "timedatectl", &ARGS, TIMEOUT).await?)
}

fn parse(said: &str) -> HostResult<bool> {
    match said.trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(HostError::failed("ask whether the clock is synchronised", format!("it said {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_no_answer() {
        assert_eq!((parse("yes\n"), parse("no\n")), (Ok(true), Ok(false)));
        assert!(parse("").is_err() && parse("perhaps").is_err());
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = ["yes\n", "NTPSynchronized=no\n"];
        crate::host::hostile::survives(&samples, |text| {
            let _ = parse(text);
        });
    }
}

//! The shape of `run.json`: a number that grows with the format, and the run.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{StoreError, StoreResult};
use crate::model::Run;

/// Version of the format. A reader takes its own and older ones, and refuses newer ones.
pub const FORMAT: u64 = 1;

#[derive(Serialize)]
struct Written<'a> {
    format: u64,
    run: &'a Run,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

#[derive(Deserialize)]
struct Read {
    run: Run,
}

/// The run as text.
///
/// # Errors
///
/// When the run cannot be written as JSON; never for a run that came from `decode`.
pub fn encode(run: &Run) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(&Written { format: FORMAT, run })?;
    text.push(b'\n');
    Ok(text)
}

/// The run of a text; `path` is for the message.
///
/// # Errors
///
/// When the text is no run, or a newer version wrote it.
pub fn decode(text: &[u8], path: &Path) -> StoreResult<Run> {
    let unreadable = |why: serde_json::Error| StoreError::Unreadable { path: path.to_owned(), why: why.to_string() };
    // The number is read first: a newer shape may not fit anything here.
    let FormatOnly { format } = serde_json::from_slice(text).map_err(unreadable)?;
    if format > FORMAT {
        return Err(StoreError::Newer { path: path.to_owned(), found: format });
    }
    let Read { run } = serde_json::from_slice(text).map_err(unreadable)?;
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            include_str!("../../tests/fixtures/state/v1-healthy.json"),
            include_str!("../../tests/fixtures/state/v1-mid-upgrade.json"),
            include_str!("../../tests/fixtures/state/v1-failed.json"),
        ];
        crate::host::hostile::survives(&samples, |text| {
            let path = Path::new("run.json");
            if let Ok(run) = decode(text.as_bytes(), path) {
                let again = decode(&encode(&run).unwrap(), path).unwrap();
                assert_eq!(run, again, "what was read is not what is written");
            }
        });
    }
}

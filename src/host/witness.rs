//! Where the witness of a boot writes what it sees: lines of JSON below `/run`, which a boot begins empty. Only root may
//! write there.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use async_trait::async_trait;

use super::command::below;
use super::{HostError, HostResult, Witness};
use crate::model::Sighting;

const FILE: &str = "/run/patchday/witness.jsonl";

/// Begins the file. A reader that knows another number passes over all of it.
const HEADING: &str = "{\"v\":1}";

/// A thousand services fit in.
const MOST_BYTES: u64 = 512 * 1024;

/// The file of the witness.
#[derive(Debug, Clone)]
pub struct WitnessFile {
    path: PathBuf,
}

impl WitnessFile {
    /// Below `root`, which is `/` but for tests.
    pub fn new(root: PathBuf) -> Self {
        Self { path: below(&root, FILE) }
    }

    fn open(&self, options: &mut OpenOptions) -> io::Result<File> {
        let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
        options.mode(0o600).custom_flags(no_link).open(&self.path)
    }

    fn failed(&self, action: &str) -> impl FnOnce(io::Error) -> HostError {
        let what = format!("{action} {}", self.path.display());
        move |error| HostError::failed(what, error)
    }

    fn text(&self) -> io::Result<String> {
        let mut text = String::new();
        match self.open(OpenOptions::new().read(true)) {
            Ok(file) => file.take(MOST_BYTES).read_to_string(&mut text).map(|_| text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(text),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Witness for WitnessFile {
    async fn begin(&self) -> HostResult<()> {
        let begun = || {
            if let Some(directory) = self.path.parent() {
                // As tmpfiles.d has it, which may not have been at it yet.
                DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
            }
            let mut file = self.open(OpenOptions::new().write(true).create(true).truncate(true))?;
            writeln!(file, "{HEADING}")
        };
        begun().map_err(self.failed("begin"))
    }

    async fn note(&self, seen: &Sighting) -> HostResult<()> {
        let noted = || {
            let mut line = serde_json::to_vec(seen)?;
            line.push(b'\n');
            let mut file = self.open(OpenOptions::new().append(true))?;
            if file.metadata()?.len() + line.len() as u64 > MOST_BYTES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            file.write_all(&line)
        };
        noted().map_err(self.failed("append to"))
    }

    async fn sightings(&self) -> HostResult<Vec<Sighting>> {
        Ok(parse(&self.text().map_err(self.failed("read"))?))
    }
}

/// A line that is not understood tells nothing, and takes nothing from the others.
fn parse(text: &str) -> Vec<Sighting> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADING) {
        return Vec::new();
    }
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn seen(unit: &str, ready_usec: u64) -> Sighting {
        let booted = "2026-11-24T00:00:00Z".parse().unwrap();
        let unit = unit.parse().unwrap();
        Sighting { unit, invocation: "0f3a".into(), not_ready_usec: Some(ready_usec - 5), ready_usec, booted }
    }

    #[tokio::test]
    async fn what_is_noted_is_read_back_until_another_begins() {
        let dir = tempfile::tempdir().unwrap();
        let witness = WitnessFile::new(dir.path().to_owned());
        assert_eq!(witness.sightings().await.unwrap(), []);
        assert!(witness.note(&seen("a.service", 10)).await.is_err(), "nobody has begun");
        witness.begin().await.unwrap();
        for at in [10, 20] {
            witness.note(&seen("a.service", at)).await.unwrap();
        }
        assert_eq!(witness.sightings().await.unwrap(), [seen("a.service", 10), seen("a.service", 20)]);
        witness.begin().await.unwrap();
        assert_eq!(witness.sightings().await.unwrap(), []);
    }

    #[tokio::test]
    async fn neither_a_link_nor_too_much_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let witness = WitnessFile::new(dir.path().to_owned());
        witness.begin().await.unwrap();
        fs::OpenOptions::new().write(true).open(&witness.path).unwrap().set_len(MOST_BYTES - 10).unwrap();
        assert!(witness.note(&seen("a.service", 10)).await.is_err());
        fs::remove_file(&witness.path).unwrap();
        fs::write(dir.path().join("other"), "kept").unwrap();
        symlink(dir.path().join("other"), &witness.path).unwrap();
        assert!(witness.begin().await.is_err());
        assert_eq!(fs::read_to_string(dir.path().join("other")).unwrap(), "kept");
    }

    #[test]
    fn spoiled_text_is_survived() {
        let line = serde_json::to_string(&seen("a.service", 10)).unwrap();
        assert_eq!(parse(&format!("{HEADING}\n{line}\nnonsense\n{line}")).len(), 2);
        assert_eq!(parse(&format!("{{\"v\":2}}\n{line}\n")), []);
        let sample = format!("{HEADING}\n{line}\n{line}\n");
        super::super::hostile::survives(&[sample.as_str()], |text| {
            assert!(parse(text).len() <= text.lines().count());
        });
    }
}

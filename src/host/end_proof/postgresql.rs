//! PostgreSQL: its control file, by `pg_controldata` of the server's own version.
//!
//! The server goes to its data directory when it starts, and the program stands beside its own: so no configuration has
//! to be read. The control file is marked "in production" by every start, so that "shut down" is always of the last end.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::process;
use crate::host::command::{self, below};
use crate::host::{HostError, HostErrorKind, HostResult, trusted};
use crate::model::{EndEvidence, ProofSource};

pub(super) const NAMES: [&str; 2] = ["postgres", "postmaster"];

const PROGRAM: &str = "pg_controldata";
/// It reads one small file.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the cluster of this process is, and who may ask about it: its owner, since the server takes no other.
pub(super) fn source(root: &Path, pid: u32) -> Result<ProofSource, String> {
    let (directory, metadata) = process::place(root, pid, "cwd")?;
    let control = directory.join("global/pg_control");
    if !below(root, &control.to_string_lossy()).exists() {
        return Err(format!("process {pid} runs in {}, which is no data directory", directory.display()));
    }
    let server = process::program(root, pid)?;
    let program = server.with_file_name(PROGRAM);
    if !below(root, &program.to_string_lossy()).exists() {
        return Err(format!("{} is not installed beside {}", program.display(), server.display()));
    }
    Ok(ProofSource::Cluster {
        program: program.display().to_string(),
        directory: directory.display().to_string(),
        user: metadata.uid(),
        group: metadata.gid(),
    })
}

/// Asks as the owner of the cluster: root follows nobody's links.
pub(super) async fn ask(root: &Path, source: &ProofSource) -> HostResult<EndEvidence> {
    let what = "ask pg_controldata";
    let ProofSource::Cluster { program, directory, user, group } = source else {
        return Err(HostError::failed(what, "there is no cluster"));
    };
    let path = below(root, program);
    trusted::check(&path).map_err(|why| HostError::new(HostErrorKind::Refused, what, why))?;
    let args = ["-D".to_owned(), below(root, directory).display().to_string()];
    let output = command::ask_as(&path, &args, (*user, *group), what, TIMEOUT).await?;
    if !output.status.success() {
        return Err(HostError::failed(what, command::complaint(&output)));
    }
    let state = state(&String::from_utf8_lossy(&output.stdout)).map_err(|why| HostError::failed(what, why))?;
    Ok(EndEvidence::Postgresql { directory: directory.clone(), state })
}

/// What it calls the cluster; none where it does not. An error is its own warning: then the rest is worth nothing.
fn state(text: &str) -> Result<Option<String>, String> {
    if let Some(warning) = text.lines().find(|line| line.starts_with("WARNING")) {
        return Err(warning.to_owned());
    }
    let state = text.lines().find_map(|line| line.strip_prefix("Database cluster state:"));
    Ok(state.map(|state| state.trim().to_owned()).filter(|state| !state.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! said {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/end-proof/", $name))
        };
    }

    const CLEAN: &str = said!("controldata-clean-postgresql15.18.txt");
    const STANDBY: &str = said!("controldata-standby-postgresql15.18.txt");
    const KILLED: &str = said!("controldata-killed-postgresql15.18.txt");
    const TORN: &str = said!("controldata-torn-postgresql15.18.txt");

    #[test]
    fn the_state_is_read_and_a_warning_spoils_it() {
        let known = |text| state(text).unwrap();
        assert_eq!(known(CLEAN).as_deref(), Some("shut down"));
        assert_eq!(known(STANDBY).as_deref(), Some("shut down in recovery"));
        assert_eq!(known(KILLED).as_deref(), Some("in production"));
        assert_eq!(known(""), None);
        assert_eq!(known("Database cluster state:   \n"), None);
        assert!(state(TORN).unwrap_err().contains("CRC"));
    }

    #[test]
    fn spoiled_text_is_survived() {
        crate::host::hostile::survives(&[CLEAN, TORN], |text| {
            let _ = state(text);
        });
    }
}

//! What proves that a database ended cleanly: pure, from what was seen before and after.
//!
//! The unit's result is about more than the server. It takes in what runs after its end (`ExecStop=`, `ExecStopPost=`),
//! and where a shell or a container stands between the server and systemd, the exit status is that one's.

use crate::model::{DatabaseStopEvidence, ServerProcess, UnitState};

/// What the end of a server is judged by.
pub(super) struct End<'a> {
    pub(super) process: &'a ServerProcess,
    pub(super) before: &'a UnitState,
    pub(super) after: &'a UnitState,
    pub(super) evidence: &'a DatabaseStopEvidence,
}

/// What is worth telling of a clean end, or what speaks against it.
pub(super) fn judge(end: &End<'_>) -> Result<Vec<String>, String> {
    let End { process, before, after, evidence } = end;
    let result = after.result.as_deref().unwrap_or("unknown");
    let status = after.exit_status.map_or("none".to_owned(), |status| status.to_string());
    let is_status_its_own = match process {
        ServerProcess::Of { is_main, .. } => *is_main,
        // Where systemd knew no main process, it has no status of one.
        ServerProcess::Untold => before.main_pid.is_some(),
        ServerProcess::Another(_) | ServerProcess::Unclear(_) => false,
    };
    if is_status_its_own && after.exit_status != Some(0) {
        return Err(format!("result {result}, exit status {status}"));
    }
    if after.restarts > before.restarts {
        return Err("systemd has started it again meanwhile".to_owned());
    }
    if let Some(bytes) = evidence.lock_file_bytes.filter(|bytes| *bytes > 0) {
        return Err(format!("its mongod.lock still holds {bytes} bytes"));
    }
    match (evidence.logged_exit_code, evidence.storage_closed) {
        (Some(code), _) if code != 0 => return Err(format!("its log says exit code {code}")),
        (Some(_), Some(false)) => {
            return Err("its log does not say that the storage engine was closed (4795901)".to_owned());
        }
        _ => {}
    }
    let mut notes = Vec::new();
    let has_witness = evidence.lock_file_bytes.is_some() || evidence.logged_exit_code.is_some();
    if !is_status_its_own && !has_witness {
        // Where systemd knew no main process, it has no status of one.
        let ended_well = after.exit_status == Some(0) || before.main_pid.is_none() && after.exit_status.is_none();
        if !ended_well || result != "success" {
            return Err(format!(
                "neither its mongod.lock nor its log can be read, and what started it ended with result {result}, exit \
                 status {status}"
            ));
        }
        notes.push("the exit status of what started it is all that speaks for its clean end".to_owned());
    }
    if result != "success" {
        notes.push(format!(
            "it ended cleanly, and the unit has failed (result {result}): what runs after its end, as ExecStop= and \
             ExecStopPost=, or what started it"
        ));
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ActiveState, LoadState};

    fn state(result: &str, exit_status: Option<i32>, restarts: u32) -> UnitState {
        UnitState {
            load: LoadState::Loaded,
            active: ActiveState::Inactive,
            sub: "dead".into(),
            unit_file: "enabled".into(),
            result: Some(result.into()),
            exit_status,
            main_pid: None,
            restarts,
            control_group: String::new(),
            processes: 0,
            stop_timeout: None,
            active_since_usec: None,
            activation_began_usec: None,
            invocation: String::new(),
            after: Vec::new(),
            needs_daemon_reload: false,
            restart: None,
            service_type: String::new(),
        }
    }

    fn evidence(lock: Option<u64>, code: Option<i64>, closed: Option<bool>) -> DatabaseStopEvidence {
        DatabaseStopEvidence { lock_file_bytes: lock, logged_exit_code: code, storage_closed: closed }
    }

    #[test]
    fn the_servers_own_end_counts_and_not_the_units() {
        let main = ServerProcess::Of { pid: 7, is_main: true };
        let below = ServerProcess::Of { pid: 8, is_main: false };
        let unclear = ServerProcess::Unclear("docker".into());
        let clean = || evidence(Some(0), Some(0), Some(true));
        let nothing = || evidence(None, None, None);
        type Row<'a> = (&'a str, &'a ServerProcess, UnitState, DatabaseStopEvidence, Result<&'a str, &'a str>);
        let rows: Vec<Row<'_>> = vec![
            ("clean", &main, state("success", Some(0), 0), clean(), Ok("")),
            ("clean, and it tells little", &ServerProcess::Untold, state("success", Some(0), 0), nothing(), Ok("")),
            ("ExecStop= fails", &main, state("exit-code", Some(0), 0), clean(), Ok("result exit-code")),
            ("ExecStop= takes too long", &main, state("timeout", Some(0), 0), clean(), Ok("result timeout")),
            ("it fails", &main, state("exit-code", Some(14), 0), clean(), Err("exit status 14")),
            ("it is killed", &main, state("signal", None, 0), clean(), Err("result signal, exit status none")),
            ("it was started again", &main, state("success", Some(0), 1), clean(), Err("started it again")),
            ("its lock is full", &main, state("success", Some(0), 0), evidence(Some(3), None, None), Err("3 bytes")),
            (
                "its log says no",
                &main,
                state("success", Some(0), 0),
                evidence(None, Some(14), None),
                Err("exit code 14"),
            ),
            (
                "its log lacks the end",
                &main,
                state("success", Some(0), 0),
                evidence(Some(0), Some(0), Some(false)),
                Err("4795901"),
            ),
            ("a shell passes its status on", &below, state("success", Some(0), 0), clean(), Ok("")),
            ("a shell is ended by SIGTERM", &below, state("success", None, 0), clean(), Ok("")),
            ("a wrapper has a status of its own", &below, state("exit-code", Some(3), 0), clean(), Ok("exit-code")),
            (
                "a wrapper hides a crash",
                &below,
                state("success", Some(0), 0),
                evidence(Some(5), None, Some(false)),
                Err("5"),
            ),
            (
                "a container's files are out of reach",
                &below,
                state("success", Some(0), 0),
                nothing(),
                Ok("all that speaks"),
            ),
            ("and it fails", &below, state("exit-code", Some(137), 0), nothing(), Err("exit status 137")),
            ("a client of containers", &unclear, state("success", Some(0), 0), nothing(), Ok("all that speaks")),
            ("and is killed", &unclear, state("signal", None, 0), nothing(), Err("exit status none")),
        ];
        for (case, process, after, evidence, expected) in rows {
            let before = UnitState { main_pid: Some(7), ..state("success", None, 0) };
            let judged = judge(&End { process, before: &before, after: &after, evidence: &evidence });
            match (&judged, expected) {
                (Ok(notes), Ok("")) => assert!(notes.is_empty(), "{case}: {notes:?}"),
                (Ok(notes), Ok(text)) => assert!(notes.join(" ").contains(text), "{case}: {notes:?}"),
                (Err(why), Err(text)) => assert!(why.contains(text), "{case}: {why}"),
                _ => panic!("{case}: {judged:?}"),
            }
        }
    }
}

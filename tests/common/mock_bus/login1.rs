//! A logind that hands out locks and refuses to reboot over them, in the words of several versions.

use std::io::{PipeReader, Read as _};
use std::sync::{Arc, Mutex};

use zbus::{Connection, Fd};

use super::daemon::BusDaemon;
use super::{Fault, soon};

/// How a version treats a block lock when root reboots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V252,
    V257,
    V262,
}

type Row = (String, String, String, String, u32, u32);

#[derive(Default)]
struct State {
    rows: Vec<Row>,
    pipes: Vec<PipeReader>,
    scheduled: (String, u64),
    reboots: u32,
    flags: Option<u64>,
}

/// The mock.
#[derive(Clone)]
pub(crate) struct MockLogind {
    version: Version,
    state: Arc<Mutex<State>>,
}

impl MockLogind {
    pub(crate) fn new(version: Version) -> Self {
        Self { version, state: Arc::default() }
    }

    pub(crate) async fn attach(&self, daemon: &BusDaemon) -> Connection {
        let manager = Manager { mock: self.clone() };
        let builder = daemon.builder().serve_at("/org/freedesktop/login1", manager);
        builder.name("org.freedesktop.login1").build().await.unwrap()
    }

    /// A lock that somebody else holds.
    pub(crate) fn foreign_lock(&self, what: &str, who: &str, mode: &str) {
        let row = (what.into(), who.into(), "testing".into(), mode.into(), 0, 42);
        self.state.lock().unwrap().rows.push(row);
    }

    pub(crate) fn schedule(&self, kind: &str, usec: u64) {
        self.state.lock().unwrap().scheduled = (kind.into(), usec);
    }

    pub(crate) fn locks(&self) -> Vec<(String, String, String, String)> {
        let rows = self.state.lock().unwrap().rows.clone();
        rows.into_iter().map(|(what, who, why, mode, ..)| (what, who, why, mode)).collect()
    }

    pub(crate) fn reboots(&self) -> u32 {
        self.state.lock().unwrap().reboots
    }

    /// Of the last call that had any.
    pub(crate) fn flags(&self) -> Option<u64> {
        self.state.lock().unwrap().flags
    }

    /// Waits until the last lock that was handed out is closed by everybody.
    pub(crate) async fn lock_closed(&self) {
        let mut pipe = self.state.lock().unwrap().pipes.pop().unwrap();
        let end = tokio::task::spawn_blocking(move || pipe.read(&mut [0]).unwrap());
        assert_eq!(soon("the end of the lock", end).await.unwrap(), 0);
    }
}

struct Manager {
    mock: MockLogind,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> Result<Fd<'static>, Fault> {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut state = self.mock.state.lock().unwrap();
        state.pipes.push(reader);
        state.rows.push((what.into(), who.into(), why.into(), mode.into(), 0, std::process::id()));
        Ok(Fd::Owned(writer.into()))
    }

    fn list_inhibitors(&self) -> Vec<Row> {
        self.mock.state.lock().unwrap().rows.clone()
    }

    fn reboot_with_flags(&self, flags: u64) -> Result<(), Fault> {
        self.mock.state.lock().unwrap().flags = Some(flags);
        self.reboot(false)
    }

    fn reboot(&self, interactive: bool) -> Result<(), Fault> {
        assert!(!interactive);
        let mut state = self.mock.state.lock().unwrap();
        let blocked = state.rows.iter().any(|row| row.0.contains("shutdown") && row.3 == "block");
        match self.mock.version {
            Version::V257 if blocked => Err(Fault::new(
                "org.freedesktop.DBus.Error.AccessDenied",
                "Access denied due to active block inhibitor",
            )),
            Version::V262 if blocked => Err(Fault::new(
                "org.freedesktop.login1.BlockedByInhibitorLock",
                "Operation denied due to active block inhibitor",
            )),
            _ if state.reboots > 0 => Err(Fault::new(
                "org.freedesktop.login1.OperationInProgress",
                "There's already a shutdown or sleep operation in progress",
            )),
            _ => {
                state.reboots += 1;
                Ok(())
            }
        }
    }

    #[zbus(property)]
    fn scheduled_shutdown(&self) -> (String, u64) {
        self.mock.state.lock().unwrap().scheduled.clone()
    }
}

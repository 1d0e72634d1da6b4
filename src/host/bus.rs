//! The connection to the system bus that the systemd and the logind adapter share: made when it is first needed, made
//! again when it is lost, and never guessing. It is no adapter itself.
//!
//! A patch run upgrades the very programs that are talked to. While systemd executes itself anew, calls in flight end
//! with `NoReply`; while dbus restarts, the connection is gone; during a daemon-reload PID 1 answers nobody for
//! seconds. None of this says anything about a service, so calls that may be repeated are, and what is left in the end
//! is [`HostErrorKind::Unknown`].

mod direct;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use zbus::{Connection, DBusError as _, connection};

use super::{HostError, HostErrorKind};

/// How long a method call may take. Longer than any daemon-reload, shorter than a human's patience.
const METHOD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long connecting may take, with the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Pauses before a call is repeated: 13 s in all, in which dbus and systemd have restarted many times.
const PAUSES_MS: [u64; 10] = [100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000, 2000];

/// No call is repeated once its tries have taken this long. After dbus died, logind of systemd 257 never comes back by
/// itself, and dbus waits 25 s for it at every call.
const PATIENCE: Duration = Duration::from_secs(45);

/// Where the bus is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusAddress {
    /// The system bus; `DBUS_SYSTEM_BUS_ADDRESS` is honoured.
    System,
    /// systemd itself, which root may ask without a bus, as early as there is a systemd.
    Systemd,
    /// A D-Bus address, as in `unix:path=/run/dbus/system_bus_socket`.
    At(String),
}

/// A handle to the bus. Clones share one connection.
#[derive(Debug, Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    address: BusAddress,
    connection: Mutex<Option<Connection>>,
}

impl Bus {
    /// A handle. Nothing is connected until the first call, so that this cannot fail.
    pub fn new(address: BusAddress) -> Self {
        Self { inner: Arc::new(Inner { address, connection: Mutex::new(None) }) }
    }

    /// The connection, a new one where there is none or where it was lost.
    pub(crate) async fn connection(&self) -> zbus::Result<Connection> {
        let mut kept = self.inner.connection.lock().await;
        if let Some(connection) = kept.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        *kept = None;
        let builder = match &self.inner.address {
            BusAddress::System => connection::Builder::system(),
            BusAddress::Systemd => connection::Builder::unix_stream(direct::stream().await?).p2p(),
            BusAddress::At(address) => connection::Builder::address(address.as_str()),
        };
        let connecting = builder.method_timeout(METHOD_TIMEOUT).build();
        let connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| timed_out())??;
        Ok(kept.insert(connection).clone())
    }

    /// Makes a call, and repeats it where the bus or the service behind it was lost. Only for calls which do no more
    /// when made twice.
    ///
    /// # Errors
    ///
    /// The call's own, or the last one that told of a lost bus ([`is_lost`]).
    pub(crate) async fn retry<T, F>(&self, mut call: impl FnMut(Connection) -> F) -> zbus::Result<T>
    where
        F: Future<Output = zbus::Result<T>>,
    {
        let mut pauses = PAUSES_MS.iter();
        let began = Instant::now();
        loop {
            let result = match self.connection().await {
                Ok(connection) => call(connection).await,
                Err(error) => Err(error),
            };
            let error = match result {
                Err(error) if is_lost(&error) => error,
                other => return other,
            };
            let Some(pause) = pauses.next().filter(|_| began.elapsed() < PATIENCE) else { return Err(error) };
            tracing::debug!(%error, "the bus was lost, trying again");
            tokio::time::sleep(Duration::from_millis(*pause)).await;
        }
    }
}

fn timed_out() -> zbus::Error {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// The D-Bus name of an error, as in `org.freedesktop.systemd1.NoSuchUnit`; none for errors that never were a reply.
pub(crate) fn error_name(error: &zbus::Error) -> Option<String> {
    match error {
        zbus::Error::MethodError(name, _, _) => Some(name.as_str().to_owned()),
        zbus::Error::FDO(error) => match &**error {
            zbus::fdo::Error::ZBus(error) => error_name(error),
            error => Some(error.name().as_str().to_owned()),
        },
        _ => None,
    }
}

/// Whether an error has this name.
pub(crate) fn is_named(error: &zbus::Error, name: &str) -> bool {
    error_name(error).is_some_and(|found| found == name)
}

/// Nobody answered: the connection or the service behind it went away, or was not there in time. The call may or may
/// not have been carried out.
pub(crate) fn is_lost(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::InputOutput(_) | zbus::Error::Connection(..) | zbus::Error::Handshake(_) => true,
        other => error_name(other).is_some_and(|name| {
            let Some(word) = name.strip_prefix("org.freedesktop.DBus.Error.") else { return false };
            // systemd's and logind's activation files name a program that fails, hence the spawn errors.
            word.starts_with("Spawn.")
                || matches!(
                    word,
                    "NoReply"
                        | "Disconnected"
                        | "Timeout"
                        | "TimedOut"
                        | "NoServer"
                        | "IOError"
                        | "ServiceUnknown"
                        | "NameHasNoOwner"
                )
        }),
    }
}

/// What the other side said, without the name of the error; the name where it said nothing.
pub(crate) fn words(error: &zbus::Error) -> String {
    let said = match error {
        zbus::Error::MethodError(_, said, _) => said.clone(),
        zbus::Error::FDO(error) => error.description().map(str::to_owned),
        _ => None,
    };
    match (said.filter(|said| !said.is_empty()), error_name(error)) {
        (Some(said), _) => said,
        (None, Some(name)) => name,
        (None, None) => error.to_string(),
    }
}

/// The error of a call, in the words of the ports.
pub(crate) fn host_error(what: impl Into<String>, error: &zbus::Error) -> HostError {
    let kind = match error_name(error) {
        _ if is_lost(error) => HostErrorKind::Unknown,
        // An answer that is not understood is no answer.
        None => HostErrorKind::Unknown,
        Some(name) => match name.rsplit('.').next().unwrap_or_default() {
            "NoSuchUnit" | "UnknownObject" | "FileNotFound" => HostErrorKind::NotFound,
            "AccessDenied"
            | "InteractiveAuthorizationRequired"
            | "UnitMasked"
            | "UnitExists"
            | "BlockedByInhibitorLock" => HostErrorKind::Refused,
            _ => HostErrorKind::Failed,
        },
    };
    HostError::new(kind, what, words(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::fdo;

    #[test]
    fn silence_is_unknown_and_an_answer_is_not() {
        let standard = |error: fdo::Error| zbus::Error::FDO(Box::new(error));
        for (error, kind) in [
            (timed_out(), HostErrorKind::Unknown),
            (standard(fdo::Error::NoReply("gone".into())), HostErrorKind::Unknown),
            (standard(fdo::Error::ServiceUnknown("gone".into())), HostErrorKind::Unknown),
            (standard(fdo::Error::SpawnChildExited("gone".into())), HostErrorKind::Unknown),
            (standard(fdo::Error::ZBus(timed_out())), HostErrorKind::Unknown),
            (zbus::Error::InvalidReply, HostErrorKind::Unknown),
            (standard(fdo::Error::AccessDenied("no".into())), HostErrorKind::Refused),
            (standard(fdo::Error::InvalidArgs("what".into())), HostErrorKind::Failed),
        ] {
            assert_eq!(host_error("test", &error).kind, kind, "{error:?}");
        }
    }

    #[tokio::test]
    async fn an_absent_bus_is_told_as_unknown() {
        let bus = Bus::new(BusAddress::At("unix:path=/nonexistent/bus".into()));
        let error = bus.connection().await.unwrap_err();
        assert!(is_lost(&error), "{error:?}");
    }
}

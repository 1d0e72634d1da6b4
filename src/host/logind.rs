//! logind over D-Bus: locks against shutdown, and the reboot.
//!
//! Sources: `org.freedesktop.login1(5)`; behaviour was tried on systemd 252 and 257. Since 257 a block lock stops root's
//! reboot as well, our own included; before, root's reboot ran over every lock without a word. So callers drop their own
//! lock and look at [`Power::inhibitors`] first, on every version.

use async_trait::async_trait;
use jiff::Timestamp;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedFd};

use super::bus::{Bus, error_name, host_error, words};
use super::{HostError, HostErrorKind, HostResult, Inhibitor, InhibitorGuard, Power};
use crate::model::Restart;

/// What is inhibited while we work. Sleep too: a host that suspends itself half way is as bad.
const WHAT: &str = "shutdown:sleep";

/// `SD_LOGIND_REBOOT_VIA_KEXEC` of `RebootWithFlags`: a full one where no kernel is loaded.
const BY_KEXEC: u64 = 1 << 1;
/// `SD_LOGIND_SOFT_REBOOT` of `RebootWithFlags`.
const SOFT_REBOOT: u64 = 1 << 2;

/// Who holds our locks.
const WHO: &str = "Patchday";

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;
    fn list_inhibitors(&self) -> zbus::Result<Vec<(String, String, String, String, u32, u32)>>;
    fn reboot(&self, interactive: bool) -> zbus::Result<()>;
    fn reboot_with_flags(&self, flags: u64) -> zbus::Result<()>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn scheduled_shutdown(&self) -> zbus::Result<(String, u64)>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn preparing_for_shutdown(&self) -> zbus::Result<bool>;
}

async fn manager(connection: &Connection) -> zbus::Result<ManagerProxy<'static>> {
    ManagerProxy::builder(connection).cache_properties(CacheProperties::No).build().await
}

/// logind behind the bus.
#[derive(Debug, Clone)]
pub struct Logind {
    bus: Bus,
}

impl Logind {
    /// logind behind `bus`.
    pub fn new(bus: Bus) -> Self {
        Self { bus }
    }

    /// Who keeps the host from shutting down, in one line; empty where nobody is known to.
    async fn holders(&self) -> String {
        let inhibitors = self.inhibitors().await.unwrap_or_default();
        let blocks = |lock: &&Inhibitor| lock.mode == "block" && lock.what.split(':').any(|what| what == "shutdown");
        let name = |lock: &Inhibitor| format!("{} (process {}: {})", lock.who, lock.pid, lock.why);
        inhibitors.iter().filter(blocks).map(name).collect::<Vec<_>>().join(", ")
    }
}

/// The lock lasts as long as a copy of this descriptor is open.
#[derive(Debug)]
struct Lock {
    _descriptor: OwnedFd,
}

impl InhibitorGuard for Lock {}

#[async_trait]
impl Power for Logind {
    async fn inhibit(&self, why: &str) -> HostResult<Box<dyn InhibitorGuard>> {
        // A lock whose reply was lost has no holder, and logind drops it.
        let lock = self
            .bus
            .retry(|connection| async move { manager(&connection).await?.inhibit(WHAT, WHO, why, "block").await })
            .await
            .map_err(|error| host_error("inhibit shutdown", &error))?;
        Ok(Box::new(Lock { _descriptor: lock }))
    }

    async fn inhibitors(&self) -> HostResult<Vec<Inhibitor>> {
        let rows = self
            .bus
            .retry(|connection| async move { manager(&connection).await?.list_inhibitors().await })
            .await
            .map_err(|error| host_error("list the inhibitors", &error))?;
        let inhibitor = |(what, who, why, mode, _, pid)| Inhibitor { what, who, why, mode, pid };
        Ok(rows.into_iter().map(inhibitor).collect())
    }

    async fn scheduled_shutdown(&self) -> HostResult<Option<(String, Timestamp)>> {
        let what = "read the scheduled shutdown";
        let (kind, usec) = self
            .bus
            .retry(|connection| async move { manager(&connection).await?.scheduled_shutdown().await })
            .await
            .map_err(|error| host_error(what, &error))?;
        if kind.is_empty() || usec == 0 || usec == u64::MAX {
            return Ok(None);
        }
        let at = i64::try_from(usec).ok().and_then(|usec| Timestamp::from_microsecond(usec).ok());
        let at = at.ok_or_else(|| HostError::new(HostErrorKind::Unknown, what, format!("{usec} us is no time")))?;
        Ok(Some((kind, at)))
    }

    async fn prepares_shutdown(&self) -> HostResult<bool> {
        self.bus
            .retry(|connection| async move { manager(&connection).await?.preparing_for_shutdown().await })
            .await
            .map_err(|error| host_error("ask whether a shutdown is on its way", &error))
    }

    /// # Errors
    ///
    /// `Refused` when somebody holds a lock, who is named. `Unknown` when the reply was lost: the host may be going
    /// down. A reboot that was asked for before is success.
    async fn reboot(&self, restart: Restart) -> HostResult<()> {
        let what = restart.name();
        // Not repeated: the one call whose repetition nobody should have to think about.
        let asked = match self.bus.connection().await {
            Ok(connection) => match manager(&connection).await {
                Ok(manager) => match restart {
                    Restart::Full => manager.reboot(false).await,
                    Restart::Kexec => manager.reboot_with_flags(BY_KEXEC).await,
                    Restart::Soft => manager.reboot_with_flags(SOFT_REBOOT).await,
                },
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let Err(error) = asked else { return Ok(()) };
        match error_name(&error).as_deref() {
            Some("org.freedesktop.login1.OperationInProgress") => Ok(()),
            // 257 says the former, 258 and later the latter.
            Some("org.freedesktop.DBus.Error.AccessDenied" | "org.freedesktop.login1.BlockedByInhibitorLock") => {
                let holders = self.holders().await;
                let said = words(&error);
                let why = if holders.is_empty() { said } else { format!("{said}, held by {holders}") };
                Err(HostError::new(HostErrorKind::Refused, what, why))
            }
            _ => Err(host_error(what, &error)),
        }
    }
}

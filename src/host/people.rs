//! Who uses the host: logind's sessions, and connections.

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath};

use super::bus::{Bus, host_error};
use super::sockets;
use super::{HostError, HostResult, People};
use crate::model::{PortPeers, Session, UnitName};

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Manager {
    fn list_sessions(&self) -> zbus::Result<Vec<(String, u32, String, String, OwnedObjectPath)>>;
}

#[zbus::proxy(interface = "org.freedesktop.login1.Session", default_service = "org.freedesktop.login1")]
trait LoginSession {
    #[zbus(property(emits_changed_signal = "false"))]
    fn class(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"), name = "TTY")]
    fn terminal(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn remote_host(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn timestamp(&self) -> zbus::Result<u64>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn state(&self) -> zbus::Result<String>;
}

/// The people of this host.
#[derive(Debug, Clone)]
pub struct HostPeople {
    bus: Bus,
    root: PathBuf,
}

impl HostPeople {
    /// logind behind `bus`, and sockets from `/proc` below `root`, which is `/` except in tests.
    pub fn new(bus: Bus, root: PathBuf) -> Self {
        Self { bus, root }
    }
}

#[async_trait]
impl People for HostPeople {
    async fn sessions(&self) -> HostResult<Vec<Session>> {
        let sessions = self.bus.retry(|connection| async move { sessions(&connection).await }).await;
        sessions.map_err(|error| host_error("list who is logged in", &error))
    }

    async fn peers(&self, units: &[UnitName]) -> HostResult<Vec<PortPeers>> {
        let (root, units) = (self.root.clone(), units.to_vec());
        tokio::task::spawn_blocking(move || sockets::peers_of(&root, &units))
            .await
            .map_err(|error| HostError::failed("list the connections", error))?
    }
}

/// Sessions of people: not those of system users' managers, of the greeter, or of somebody who has left.
async fn sessions(connection: &Connection) -> zbus::Result<Vec<Session>> {
    let manager = ManagerProxy::builder(connection).cache_properties(CacheProperties::No).build().await?;
    let mut sessions = Vec::new();
    for (id, _, user, _, path) in manager.list_sessions().await? {
        let builder = LoginSessionProxy::builder(connection).path(path).cache_properties(CacheProperties::No);
        let session = builder.build().await?;
        // A session may end between the two questions.
        let (Ok(class), Ok(state)) = (session.class().await, session.state().await) else { continue };
        if !class.starts_with("user") || class == "user-incomplete" || state == "closing" {
            continue;
        }
        let since = session.timestamp().await.ok().and_then(|usec| i64::try_from(usec).ok());
        sessions.push(Session {
            id,
            user,
            terminal: session.terminal().await.unwrap_or_default(),
            remote_host: session.remote_host().await.unwrap_or_default(),
            since: since.and_then(|usec| Timestamp::from_microsecond(usec).ok()),
        });
    }
    Ok(sessions)
}

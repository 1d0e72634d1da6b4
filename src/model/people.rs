//! Who uses the host.

use jiff::Timestamp;

/// Somebody is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// logind's name for it.
    pub id: String,
    pub user: String,
    /// The terminal; empty where there is none.
    pub terminal: String,
    /// From where; empty for the host itself.
    pub remote_host: String,
    pub since: Option<Timestamp>,
}

/// Connections to a service of this host from one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortPeers {
    /// The unit that listens on the port.
    pub service: super::UnitName,
    pub port: u16,
    /// The other end's address.
    pub from: String,
    /// The unit of the other end, where that is a process of this host.
    pub unit: Option<super::UnitName>,
    pub connections: usize,
}
